//! Every verb over lists of plugins that are shell scripts: what they were given, in which order, and what becomes of
//! their failures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod node;
#[path = "../src/testing.rs"]
mod testing;

use std::fs;

use cni::config::Attachment as Valid;
use node::Node;
use runtime::Policy;
use serde_json::json;

const BOTH: &str =
    r#"[{"type":"a","capabilities":{"mac":true,"ips":false}},{"type":"b","name":"second","prevResult":7}]"#;

#[test]
fn add_gives_each_plugin_the_result_before_and_remembers_the_last() {
    let node = Node::new("chain-add");
    let list = node.list("1.0.0", BOTH);
    let mut attachment = node.attachment("c1");
    attachment.args = vec![("A".into(), "b".into()), ("C".into(), "d".into())];
    attachment.capabilities.insert("mac".into(), "02:00:00:00:00:01".into());
    attachment.capabilities.insert("ips".into(), json!(["10.0.0.9/8"]));
    let result = node.runtime().add(&list, &attachment).unwrap();
    assert_eq!(result["by"], "b", "unknown fields survive");
    let log = node.take_log();
    assert_eq!(node::verbs(&log), ["a VERSION", "b VERSION", "a ADD", "b ADD"]);
    let (a, b) = (&log[2], &log[3]);
    assert_eq!(a.environment, "c1 /no/netns eth0 A=b;C=d");
    assert_eq!(a.stdin["runtimeConfig"], json!({ "mac": "02:00:00:00:00:01" }));
    assert!(a.stdin.get("prevResult").is_none());
    assert_eq!((&a.stdin["name"], &b.stdin["name"]), (&json!("net"), &json!("net")));
    assert_eq!(b.stdin["prevResult"]["by"], "a");
    assert!(b.stdin.get("runtimeConfig").is_none());
    let entry = node.runtime().cache.read("net", &attachment).unwrap().unwrap();
    assert_eq!((entry.result, entry.config, entry.attachment), (Some(result), list.bytes, attachment));
    assert!(!node.path("cache/locks").exists());
}

#[test]
fn add_that_fails_is_undone_from_the_end_and_says_who_failed() {
    let node = Node::new("chain-undo");
    node.fail("b", "ADD", r#"{"code":11,"msg":"not now","details":"soon"}"#);
    let error = node.runtime().add(&node.list("1.0.0", BOTH), &node.attachment("c1")).unwrap_err();
    assert_eq!(error.code, 11);
    assert_eq!(error.to_string(), r#"plugin type="b" name="second" failed (add): not now; soon"#);
    let log = node.take_log();
    assert_eq!(node::verbs(&log)[2..], ["a ADD", "b ADD", "b DEL", "a DEL"]);
    assert_eq!(log[5].stdin["prevResult"]["by"], "a", "the result that was reached");
    assert!(node.runtime().cache.list().unwrap().is_empty());
}

#[test]
fn what_cannot_be_undone_stays_recorded_and_is_settled_by_the_next_add() {
    let node = Node::new("chain-undo-fails");
    node.fail("b", "ADD", r#"{"code":7,"msg":"no"}"#);
    node.fail("a", "DEL", r#"{"code":5,"msg":"stuck"}"#);
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    let error = node.runtime().add(&list, &attachment).unwrap_err();
    assert_eq!(error.code, 7);
    assert!(error.details.contains(r#"undoing it failed too: plugin type="a" failed (delete): stuck"#), "{error}");
    assert!(node.runtime().cache.read("net", &attachment).unwrap().unwrap().result.is_none());
    node.mend("b", "ADD");
    let error = node.runtime().add(&list, &attachment).unwrap_err();
    assert!(error.msg.starts_with("an earlier ADD was interrupted and cannot be undone"), "{error}");
    node.mend("a", "DEL");
    node.take_log();
    node.runtime().add(&list, &attachment).unwrap();
    assert_eq!(node::verbs(&node.take_log())[2..], ["b DEL", "a DEL", "a ADD", "b ADD"]);
}

#[test]
fn a_second_add_does_not_disturb_the_first() {
    let node = Node::new("chain-twice");
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    node.runtime().add(&list, &attachment).unwrap();
    node.take_log();
    let error = node.runtime().add(&list, &attachment).unwrap_err();
    assert_eq!(error.msg, r#"container c1 has joined network "net" as eth0 already"#);
    assert_eq!(node::verbs(&node.take_log()), ["a VERSION", "b VERSION"]);
    assert!(node.runtime().cache.read("net", &attachment).unwrap().unwrap().result.is_some());
}

#[test]
fn by_libcnis_policy_nothing_is_asked_first_and_a_failure_is_left_to_the_caller() {
    let node = Node::new("chain-libcni");
    node.fail("b", "ADD", r#"{"code":7,"msg":"no"}"#);
    let runtime = node.runtime_with(Policy::Libcni);
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    assert!(runtime.add(&list, &attachment).is_err());
    assert_eq!(node::verbs(&node.take_log()), ["a ADD", "b ADD"]);
    assert!(runtime.cache.read("net", &attachment).unwrap().unwrap().result.is_none(), "so that GC can find it");
    runtime.del(&list, &attachment).unwrap();
    assert!(runtime.cache.list().unwrap().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_fails_add_before_or_undoes_it_after() {
    let node = Node::new("chain-cache");
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    node.write("cache/results", "a file");
    assert!(node.runtime().add(&list, &attachment).is_err());
    assert_eq!(node::verbs(&node.take_log()), ["a VERSION", "b VERSION"], "no ADD without an intent");
    fs::remove_file(node.path("cache/results")).unwrap();
    node.hook("b", "ADD", "rm -r \"$NODE/cache/results\"; touch \"$NODE/cache/results\"");
    let error = node.runtime().add(&list, &attachment).unwrap_err();
    assert!(error.msg.starts_with(r#"failed to set network "net" cached result: "#), "{error}");
    assert_eq!(node::verbs(&node.take_log())[2..], ["a ADD", "b ADD", "b DEL", "a DEL"]);
}

#[test]
fn results_of_other_versions_are_converted_for_the_next_plugin_and_del() {
    let node = Node::new("chain-versions");
    node.answer("a", "ADD", r#"{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.0.0.2/8"}],"dns":{}}"#);
    node.answer("b", "ADD", r#"{"ips":[{"address":"10.0.0.2/8"}]}"#);
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    let result = node.runtime().add(&list, &attachment).unwrap();
    assert_eq!(result["cniVersion"], "1.0.0", "a result without version has the configuration's");
    let log = node.take_log();
    assert_eq!(log[3].stdin["prevResult"], json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.0.0.2/8" }] }));
}

#[test]
fn add_refuses_what_is_no_result() {
    for (at, printed) in ["", "x", "[]", r#"{"cniVersion":"9.9.9"}"#, r#"{"ips":7}"#].into_iter().enumerate() {
        let node = Node::new(&format!("chain-no-result-{at}"));
        node.answer("a", "ADD", printed);
        assert!(node.runtime().add(&node.list("1.0.0", BOTH), &node.attachment("c1")).is_err(), "{printed}");
        assert_eq!(node::verbs(&node.take_log())[2..], ["a ADD", "b DEL", "a DEL"]);
    }
}

#[test]
fn del_goes_backwards_with_the_final_result_and_forgets() {
    let node = Node::new("chain-del");
    let (list, attachment) = (node.list("0.4.0", BOTH), node.attachment("c1"));
    node.runtime().add(&list, &attachment).unwrap();
    node.take_log();
    node.runtime().del(&list, &attachment).unwrap();
    let log = node.take_log();
    assert_eq!(node::verbs(&log), ["b DEL", "a DEL"]);
    assert!(log.iter().all(|call| call.stdin["prevResult"]["by"] == "b"));
    node.runtime().del(&list, &attachment).unwrap();
    let again = node.take_log();
    assert_eq!(node::verbs(&again), ["b DEL", "a DEL"], "a repeated DEL runs, without a result");
    assert!(again[1].stdin.get("prevResult").is_none());
}

#[test]
fn del_before_0_4_0_has_no_result() {
    let node = Node::new("chain-del-old");
    let (list, attachment) = (node.list("0.3.1", r#"[{"type":"a"}]"#), node.attachment("c1"));
    node.runtime().add(&list, &attachment).unwrap();
    node.take_log();
    node.runtime().del(&list, &attachment).unwrap();
    assert!(node.take_log()[0].stdin.get("prevResult").is_none());
    assert!(node.runtime().cache.list().unwrap().is_empty());
}

#[test]
fn del_that_fails_halts_and_keeps_the_entry() {
    let node = Node::new("chain-del-fails");
    let (list, attachment) = (node.list("1.0.0", BOTH), node.attachment("c1"));
    node.runtime().add(&list, &attachment).unwrap();
    node.fail("b", "DEL", r#"{"code":11,"msg":"busy"}"#);
    node.take_log();
    let error = node.runtime().del(&list, &attachment).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (11, r#"plugin type="b" name="second" failed (delete): busy"#));
    assert_eq!(node::verbs(&node.take_log()), ["b DEL"]);
    assert!(node.runtime().cache.read("net", &attachment).unwrap().is_some());
}

#[test]
fn del_makes_do_without_a_readable_entry() {
    for (at, text) in ["", "{", r#"{"cniVersion":"9.9"}"#, r#"{"kind":"cniCacheV1"}"#].into_iter().enumerate() {
        let node = Node::new(&format!("chain-del-corrupt-{at}"));
        node.write("cache/results/net-c1-eth0", text);
        node.runtime().del(&node.list("1.0.0", BOTH), &node.attachment("c1")).unwrap();
        let log = node.take_log();
        assert_eq!(node::verbs(&log), ["b DEL", "a DEL"]);
        assert!(log[1].stdin.get("prevResult").is_none(), "{text}");
    }
}

#[test]
fn names_are_checked_before_anything_else() {
    let node = Node::new("chain-names");
    let list = node.list("1.0.0", BOTH);
    let outside = node.write("outside", "x");
    for (container_id, ifname, code) in [("", "eth0", 3), ("../../outside", "eth0", 4), ("c", "../x", 4), ("c", "", 4)]
    {
        let mut attachment = node.attachment(container_id);
        attachment.ifname = ifname.into();
        let runtime = node.runtime_with(Policy::Libcni);
        assert_eq!(runtime.add(&list, &attachment).unwrap_err().code, code);
        assert_eq!(runtime.del(&list, &attachment).unwrap_err().code, code);
        assert_eq!(runtime.check(&list, &attachment).unwrap_err().code, code);
    }
    assert!(outside.exists() && node.take_log().is_empty());
}

#[test]
fn check_has_its_gates() {
    let node = Node::new("chain-check");
    let attachment = node.attachment("c1");
    let error = node.runtime().check(&node.list("0.3.1", BOTH), &attachment).unwrap_err();
    assert_eq!(error.msg, r#"configuration version "0.3.1" does not support the CHECK command"#);
    let disabled = node.list_with("1.0.0", r#""disableCheck":"TRUE","#, BOTH);
    node.runtime().check(&disabled, &attachment).unwrap();
    let list = node.list("1.0.0", BOTH);
    assert_eq!(node.runtime().check(&list, &attachment).unwrap_err().code, 3);
    assert!(node.take_log().is_empty());
    node.runtime().add(&list, &attachment).unwrap();
    node.fail("b", "CHECK", r#"{"code":100,"msg":"a route is missing"}"#);
    node.take_log();
    let error = node.runtime().check(&list, &attachment).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (100, "a route is missing"));
    let log = node.take_log();
    assert_eq!(node::verbs(&log), ["a CHECK", "b CHECK"]);
    assert!(log.iter().all(|call| call.stdin["prevResult"]["by"] == "b"));
}

#[test]
fn check_by_libcnis_policy_runs_without_an_entry_and_stops_at_a_broken_one() {
    let node = Node::new("chain-check-libcni");
    let (runtime, list) = (node.runtime_with(Policy::Libcni), node.list("1.0.0", BOTH));
    runtime.check(&list, &node.attachment("c1")).unwrap();
    assert_eq!(node::verbs(&node.take_log()), ["a CHECK", "b CHECK"]);
    node.write("cache/results/net-c1-eth0", "{");
    let error = runtime.check(&list, &node.attachment("c1")).unwrap_err();
    assert!(error.msg.starts_with(r#"failed to get network "net" cached result: cached result: "#), "{error}");
}

#[test]
fn status_stops_at_the_first_and_keeps_its_code() {
    let node = Node::new("chain-status");
    node.runtime().status(&node.list("1.0.0", BOTH)).unwrap();
    assert!(node.take_log().is_empty());
    let list = node.list("1.1.0", BOTH);
    node.runtime().status(&list).unwrap();
    node.fail("a", "STATUS", r#"{"code":50,"msg":"no addresses"}"#);
    let error = node.runtime().status(&list).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (50, "no addresses"));
    let log = node.take_log();
    assert_eq!(node::verbs(&log), ["a STATUS", "b STATUS", "a STATUS"]);
    assert_eq!(log[0].environment, "   ", "no attachment is named");
}

#[test]
fn gc_deletes_what_is_stale_and_tells_the_plugins() {
    let node = Node::new("chain-gc");
    let list = node.list("1.1.0", BOTH);
    for id in ["c1", "c2"] {
        node.runtime().add(&list, &node.attachment(id)).unwrap();
    }
    let valid = [
        Valid { container_id: "c2".into(), ifname: "eth0".into() },
        Valid { container_id: "unknown".into(), ifname: "x".into() },
    ];
    node.take_log();
    node.runtime().gc(&list, Some(&valid)).unwrap();
    let log = node.take_log();
    assert_eq!(node::verbs(&log), ["b DEL", "a DEL", "a GC", "b GC"]);
    assert_eq!(log[0].environment, "c1 /no/netns eth0 ");
    let keys = json!([{ "containerID": "c2", "ifname": "eth0" }, { "containerID": "unknown", "ifname": "x" }]);
    assert_eq!((&log[2].stdin["cni.dev/valid-attachments"], &log[2].stdin["cni.dev/attachments"]), (&keys, &keys));
    assert_eq!(node.runtime().cache.list().unwrap().len(), 1);
    node.runtime().gc(&list, Some(&[])).unwrap();
    assert_eq!(node.take_log()[2].stdin["cni.dev/valid-attachments"], json!([]));
    node.runtime().gc(&list, None).unwrap();
    assert!(node.take_log()[0].stdin.get("cni.dev/valid-attachments").is_none());
}

#[test]
fn gc_goes_on_and_reports_every_failure() {
    let node = Node::new("chain-gc-fails");
    let list = node.list("1.1.0", r#"[{"type":"a"},{"type":"missing"},{"type":"b"}]"#);
    node.fail("a", "GC", r#"{"code":11,"msg":"later"}"#);
    let error = node.runtime().gc(&list, None).unwrap_err();
    let missing = format!(
        "failed to GC plugin missing: failed to find plugin \"missing\" in path [{}]",
        node.path("bin").display()
    );
    assert_eq!(error.to_string(), format!("failed to GC plugin a: later\n{missing}"));
    assert_eq!(node::verbs(&node.take_log()), ["a GC", "b GC"]);
    let disabled = node.list_with("1.1.0", r#""disableGC":true,"#, BOTH);
    node.runtime().gc(&disabled, None).unwrap();
    assert!(node.take_log().is_empty());
}

#[test]
fn gc_before_1_1_0_still_deletes_what_is_stale() {
    let node = Node::new("chain-gc-old");
    let list = node.list("0.3.1", r#"[{"type":"a"}]"#);
    node.runtime().add(&list, &node.attachment("c1")).unwrap();
    node.take_log();
    node.runtime().gc(&list, None).unwrap();
    assert_eq!(node::verbs(&node.take_log()), ["a DEL"]);
}

#[test]
fn validate_reports_everything_and_lists_capabilities() {
    let node = Node::new("chain-validate");
    assert_eq!(node.runtime().validate(&node.list("1.0.0", BOTH)).unwrap(), ["mac"]);
    node.answer("b", "VERSION", r#"{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}"#);
    let list = node.list("1.0.0", r#"[{"type":"missing"},{"type":"b"},{"type":"b"}]"#);
    let error = node.runtime().validate(&list).unwrap_err();
    assert!(error.msg.starts_with("[failed to find plugin \"missing\""), "{error}");
    assert!(
        error.msg.ends_with("plugin b does not support config version \"1.0.0\"; it supports [\"0.4.0\"]]"),
        "{error}"
    );
}

#[test]
fn plan_asks_in_order_and_goes_on_without_an_answer() {
    let node = Node::new("chain-plan");
    node.answer("b", "PLAN", r#"{"cniVersion":"1.0.0","plan":[{"op":"link"}],"result":{"cniVersion":"1.0.0"}}"#);
    node.fail("a", "PLAN", r#"{"code":4,"msg":"unknown CNI_COMMAND: PLAN"}"#);
    let plan = node.runtime().plan(&node.list("1.0.0", BOTH), &node.attachment("c1")).unwrap();
    assert_eq!((plan[0].plugin.as_str(), &plan[0].answer), ("a", &None));
    assert_eq!(plan[1].answer.as_ref().unwrap()["plan"], json!([{ "op": "link" }]));
    assert_eq!(node::verbs(&node.take_log())[2..], ["a PLAN", "b PLAN"]);
    assert!(node.runtime().cache.list().unwrap().is_empty());
}

#[test]
fn a_hanging_plugin_is_ended_and_what_it_did_undone() {
    let node = Node::new("chain-timeout");
    node.hook("b", "ADD", "sleep 100");
    let mut runtime = node.runtime();
    runtime.timeout = Some(std::time::Duration::from_millis(300));
    let error = runtime.add(&node.list("1.0.0", BOTH), &node.attachment("c1")).unwrap_err();
    assert!(error.msg.contains("did not finish within 300ms"), "{error}");
    assert_eq!(node::verbs(&node.take_log())[2..], ["a ADD", "b ADD", "b DEL", "a DEL"]);
}

#[test]
fn one_container_is_never_operated_twice_at_a_time_and_gc_stands_alone() {
    let node = Node::new("chain-locks");
    let list = node.list("1.1.0", r#"[{"type":"a"}]"#);
    // Fails if somebody else is inside: any call for the same container, and any call at all for GC.
    let guard = "d=\"$NODE/inside\"; mkdir -p \"$d\"; if [ $CNI_COMMAND = GC ]; then [ -z \"$(ls $d)\" ] || touch \"$NODE/met\"; touch $d/gc; sleep 0.02; rm $d/gc
        else [ -e $d/gc ] && touch \"$NODE/met\"; mkdir $d/$CNI_CONTAINERID || touch \"$NODE/met\"; sleep 0.02; rmdir $d/$CNI_CONTAINERID; fi";
    for verb in ["ADD", "DEL", "CHECK", "GC"] {
        node.hook("a", verb, guard);
    }
    std::thread::scope(|scope| {
        for (at, id) in ["c1", "c1", "c2", "c2"].into_iter().enumerate() {
            let (node, list) = (&node, &list);
            scope.spawn(move || {
                let mut attachment = node.attachment(id);
                attachment.ifname = format!("eth{at}");
                for _ in 0..4 {
                    node.runtime_with(Policy::Libcni).add(list, &attachment).unwrap();
                    node.runtime_with(Policy::Libcni).check(list, &attachment).unwrap();
                    node.runtime_with(Policy::Libcni).del(list, &attachment).unwrap();
                }
            });
        }
        scope.spawn(|| (0..6).for_each(|_| node.runtime().gc(&list, Some(&keep())).unwrap()));
    });
    assert!(!node.path("met").exists());
    assert!(!node.path("cache/locks").exists());
}

fn keep() -> Vec<Valid> {
    let one = |(id, at): (&str, usize)| Valid { container_id: id.into(), ifname: format!("eth{at}") };
    [("c1", 0), ("c1", 1), ("c2", 2), ("c2", 3)].into_iter().map(one).collect()
}
