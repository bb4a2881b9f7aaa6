//! Many processes at once, ours and the reference's: every container gets an address of its own, and all come back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::thread;

use common::{Call, Dir, REFERENCE, ours, printed};
use serde_json::{Value, json};

const WORKERS: usize = 8;
const EACH: usize = 25;

fn storm(plugin_of: impl Fn(usize, usize) -> Vec<String> + Sync) {
    let dir = Dir::new();
    let conf = dir.conf(json!({"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}]]}));
    // The reference of Debian's release is older than 1.1.0.
    let conf = Value::Object(
        conf.as_object().unwrap().clone().into_iter().chain([("cniVersion".into(), json!("1.0.0"))]).collect(),
    );
    let run = |verb: &str, worker: usize, n: usize| {
        let plugin = plugin_of(worker, n);
        let plugin: Vec<&str> = plugin.iter().map(String::as_str).collect();
        let (success, text) = Call(verb, &format!("c{worker}-{n}"), "eth0", "").run(&plugin, &conf);
        assert!(success, "{verb} by {plugin:?}: {text}");
        text
    };
    let given: Vec<String> = thread::scope(|scope| {
        let run = &run;
        let worker = |worker| move || (0..EACH).flat_map(|n| printed(&run("ADD", worker, n))).collect::<Vec<_>>();
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(worker(n))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(given.len(), WORKERS * EACH * 2);
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "an address was given twice");
    assert_eq!(dir.reservations().len(), given.len());
    thread::scope(|scope| {
        let run = &run;
        for worker in 0..WORKERS {
            scope.spawn(move || (0..EACH).for_each(|n| drop(run("DEL", worker, n))));
        }
    });
    assert!(dir.reservations().is_empty(), "left: {:?}", dir.reservations());
}

#[test]
fn ours_alone() {
    storm(|_, _| vec![ours(), "host-local".into()]);
}

#[test]
fn ours_and_the_reference_by_turns() {
    storm(|worker, n| if (worker + n) % 2 == 0 { vec![ours(), "host-local".into()] } else { vec![REFERENCE.into()] });
}
