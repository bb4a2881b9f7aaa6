//! The index gives the answer that reading every file gives, whatever others do to the directory in between, and whatever
//! happens to the index.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use common::{Call, Dir, addresses};
use ipam::host_local::{add, del, owned};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What happens to the directory; numbers choose a container and an address.
#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Del(u8),
    /// As the reference does it: a file of its own, no index.
    ForeignAdd(u8, u8),
    ForeignOldAdd(u8, u8),
    ForeignCrash(u8),
    ForeignDel(u8),
    LoseIndex,
    SpoilIndex(u8),
    /// Our own process dies after its change to the directory and before the index follows.
    CrashBeforeIndex(u8, u8),
    PutBackFromCopy,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (id, host) = (0u8..6, 2u8..30);
    let step = prop_oneof![
        6 => id.clone().prop_map(Step::Add),
        6 => id.clone().prop_map(Step::Del),
        3 => (id.clone(), host.clone()).prop_map(|(id, host)| Step::ForeignAdd(id, host)),
        1 => (id.clone(), host.clone()).prop_map(|(id, host)| Step::ForeignOldAdd(id, host)),
        1 => host.clone().prop_map(Step::ForeignCrash),
        3 => host.clone().prop_map(Step::ForeignDel),
        1 => Just(Step::LoseIndex),
        1 => id.clone().prop_map(Step::SpoilIndex),
        1 => (id, host).prop_map(|(id, host)| Step::CrashBeforeIndex(id, host)),
        1 => Just(Step::PutBackFromCopy),
    ];
    proptest::collection::vec(step, 1..40)
}

fn foreign(dir: &Dir, host: u8, content: &str) {
    fs::create_dir_all(dir.net()).unwrap();
    let path = dir.net().join(format!("10.1.2.{host}"));
    if !path.exists() {
        fs::write(path, content).unwrap();
    }
}

fn take(dir: &Dir, conf: &Value, step: &Step) {
    let call = |verb, id: &str| Call(verb, id, "eth0", "").request(conf);
    match step {
        Step::Add(id) => {
            let id = format!("c{id}");
            let (before, before_all) = (held(dir, &id), dir.reservations());
            let result = add(&call("ADD", &id)).map(|result| addresses(&result));
            let free = before_all.values().filter(|content| !content.is_empty()).count() < 29;
            assert_eq!(result.is_ok(), before.is_empty() && free, "{result:?} {before:?}");
        }
        Step::Del(id) => {
            let id = format!("c{id}");
            del(&call("DEL", &id)).unwrap();
            let exact = format!("{id}\r\neth0");
            assert!(dir.reservations().values().all(|content| *content != exact), "a leak");
        }
        Step::ForeignAdd(id, host) => foreign(dir, *host, &format!("c{id}\r\neth0")),
        Step::ForeignOldAdd(id, host) => foreign(dir, *host, &format!("c{id}")),
        Step::ForeignCrash(host) => foreign(dir, *host, ""),
        Step::ForeignDel(host) => _ = fs::remove_file(dir.net().join(format!("10.1.2.{host}"))),
        Step::LoseIndex => _ = fs::remove_dir_all(dir.0.join(".netferry")),
        Step::SpoilIndex(id) => {
            let link = dir.0.join(format!(".netferry/net1/c{id}:eth0"));
            if fs::remove_file(&link).is_ok() {
                symlink("10.1.2.250,garbage", link).unwrap();
            }
        }
        Step::CrashBeforeIndex(id, host) => {
            let (content, path) = (format!("c{id}\r\neth0"), dir.0.join(format!("{host}.tmp")));
            fs::write(&path, content).unwrap();
            fs::create_dir_all(dir.net()).unwrap();
            let to = dir.net().join(format!("10.1.2.{host}"));
            let moved = if to.exists() { fs::remove_file(path) } else { fs::rename(path, to) };
            moved.unwrap();
        }
        Step::PutBackFromCopy => {
            // `cp -a` keeps the directory's time; what was added after the copy is gone, what was removed is back.
            if !dir.net().exists() {
                return;
            }
            let (copy, before) = (dir.0.join("copy"), fs::metadata(dir.net()).unwrap().modified().unwrap());
            fs::create_dir(&copy).unwrap();
            for (ip, content) in dir.reservations() {
                fs::write(copy.join(ip), content).unwrap();
            }
            fs::write(copy.join("10.1.2.29"), "c0\r\neth0").unwrap();
            fs::File::open(&copy).unwrap().set_modified(before).unwrap();
            // Kept until the copy is in its place, or its inode would be given away again.
            fs::rename(dir.net(), dir.0.join("old")).unwrap();
            fs::rename(copy, dir.net()).unwrap();
            fs::remove_dir_all(dir.0.join("old")).unwrap();
        }
    }
}

/// What `id` holds by reading every file.
fn held(dir: &Dir, id: &str) -> Vec<String> {
    let (exact, old) = (format!("{id}\r\neth0"), id.to_owned());
    dir.reservations()
        .into_iter()
        .filter(|(_, content)| *content == exact || *content == old)
        .map(|(ip, _)| ip)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_equals_a_walk(steps in steps()) {
        let dir = Dir::new();
        let conf = dir.conf(json!({"ranges": [[{"subnet": "10.1.2.0/27"}]]}));
        for step in &steps {
            take(&dir, &conf, step);
            for id in 0..6 {
                let id = format!("c{id}");
                let exact = format!("{id}\r\neth0");
                let reservations = dir.reservations();
                let mut expected: Vec<_> = reservations.iter().filter(|(_, content)| **content == exact).map(|(ip, _)| ip.clone()).collect();
                if expected.is_empty() {
                    expected = reservations.iter().filter(|(_, content)| **content == id).map(|(ip, _)| ip.clone()).collect();
                }
                let found = owned(&Call("DEL", &id, "eth0", "").request(&conf)).unwrap();
                let mut found: Vec<_> = found.iter().map(ToString::to_string).collect();
                found.sort();
                prop_assert_eq!(found, expected, "{} after {:?}", id, step);
            }
        }
        // What was spoiled is put right when it is asked for; everything else by one change of ours.
        if steps.iter().any(|step| matches!(step, Step::SpoilIndex(_))) {
            return Ok(());
        }
        _ = add(&Call("ADD", "last", "eth0", "").request(&conf));
        let mut walked: BTreeMap<String, Vec<std::net::Ipv4Addr>> = BTreeMap::new();
        for (ip, content) in dir.reservations() {
            let (id, ifname) = content.split_once("\r\n").unwrap_or((&content, ""));
            walked.entry(format!("{id}:{ifname}")).or_default().push(ip.parse().unwrap());
        }
        let mut index: BTreeMap<String, Vec<std::net::Ipv4Addr>> = dir.index().into_iter()
            .map(|(key, ips)| (key, ips.split(',').map(|ip| ip.parse().unwrap()).collect())).collect();
        walked.values_mut().chain(index.values_mut()).for_each(|ips| ips.sort());
        prop_assert_eq!(index, walked);
    }
}

/// The case that a modification time alone cannot tell on a kernel whose clock has coarse ticks.
#[test]
fn a_foreign_change_right_after_ours_is_noticed() {
    let dir = Dir::new();
    let conf = dir.conf(json!({"ranges": [[{"subnet": "10.1.0.0/16"}]]}));
    for round in 0..500 {
        let id = format!("c{round}");
        add(&Call("ADD", &id, "eth0", "").request(&conf)).unwrap();
        foreign(&dir, 9, "other\r\neth0");
        let other = Call("DEL", "other", "eth0", "").request(&conf);
        assert_eq!(owned(&other).unwrap().len(), 1, "round {round}");
        del(&other).unwrap();
        assert_eq!(dir.read("10.1.2.9"), None);
    }
}
