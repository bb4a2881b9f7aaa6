//! The way home: with and without the namespace, the result, the configuration; by DEL and by GC.

use super::{JOURNAL, STORE, Stage, host_local, network};
use lab::{Attachment, Verb};
use serde_json::{Value, json};

/// ADD, what happens then, and DEL as `asked`: twice, since nobody knows of the first.
fn comes_home(happens: impl FnOnce(&Stage), asked: Value, netns: Option<&str>) {
    let mut stage = Stage::new();
    let conf = network(json!({"ipam": host_local(json!({}))}));
    stage.add(&conf);
    happens(&stage);
    let mut conf = conf;
    conf.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    if let Some(netns) = netns {
        netns.clone_into(&mut stage.attachment.netns);
    }
    stage.del(&conf);
    stage.judge();
    stage.del(&conf);
    stage.judge();
}

#[test]
fn with_all_that_it_was() {
    comes_home(|_| {}, json!({}), None);
}

#[test]
fn without_the_path_of_the_namespace() {
    comes_home(|_| {}, json!({}), Some(""));
}

#[test]
fn with_the_path_of_nothing() {
    comes_home(|_| {}, json!({}), Some("/run/netns/never"));
}

#[test]
fn with_a_result_that_cannot_be_read() {
    comes_home(|_| {}, json!({"prevResult": {"cniVersion": "1.1.0", "ips": "none", "interfaces": [7]}}), None);
}

/// The device that the configuration means is another now, or none at all.
#[test]
fn with_a_configuration_that_means_nothing_any_more() {
    comes_home(|_| {}, json!({"device": "", "pciBusID": "ffff:00:00.0"}), None);
    comes_home(|_| {}, json!({"device": 7, "restore": "perhaps", "conflictPolicy": [], "addresses": "some"}), None);
}

#[test]
fn after_everything_was_changed_inside() {
    let changes = "ip link set eth0 down; ip link set eth0 name other address 02:00:00:00:00:99 mtu 1280 alias nobody
        ip link property del dev other altname enp-d0; echo 1 > /proc/sys/net/ipv4/conf/other/rp_filter
        ip link set other up; ip address add 192.0.2.7/24 dev other; ip rule del priority 1000";
    comes_home(|stage| drop(stage.inside(changes)), json!({}), None);
}

/// A holder of the namespace is killed, the file of the namespace is gone, and only the pin keeps it.
#[test]
fn after_the_container_has_died() {
    let mut stage = Stage::new();
    let conf = network(json!({"ipam": host_local(json!({}))}));
    let holder = "unshare --net sleep 600 > /dev/null 2>&1 & echo $!
        while test $(readlink /proc/$!/ns/net) = $(readlink /proc/self/ns/net); do sleep 0.01; done";
    let holder = stage.at_home(holder).trim().to_owned();
    stage.attachment.netns = format!("/proc/{holder}/ns/net");
    stage.add(&conf);
    stage.at_home(&format!("kill -9 {holder}; while test -e /proc/{holder}/ns/net; do sleep 0.01; done"));
    stage.del(&conf);
    stage.judge();
}

/// Without a pin the kernel has taken the device; its addresses are released, and nothing of it is kept.
#[test]
fn after_the_device_has_died_with_its_container() {
    let stage = Stage::new();
    let conf = network(json!({"pin": false, "ipam": host_local(json!({}))}));
    stage.add(&conf);
    assert_eq!(stage.at_home(&format!("cat {STORE}/n/10.5.0.2")), "c1\r\neth0");
    stage.inside("ip link delete eth0");
    stage.del(&conf);
    assert_eq!(stage.at_home(&format!("ls {JOURNAL}; find {STORE} -name '10.*'")), "");
    // There is no device to be found any more, and still nothing is left.
    let given = json!({"ipam": host_local(json!({})), "type": "host-local"});
    let mut ipam = conf.clone();
    ipam.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    stage.ours.add(&stage.node, &ipam, &stage.attachment).unwrap();
    assert_eq!(stage.at_home(&format!("cat {STORE}/n/10.*")), "c1\r\neth0");
    stage.del(&conf);
    assert_eq!(stage.at_home(&format!("find {STORE} -name '10.*'")), "");
}

#[test]
fn a_name_that_is_taken_meanwhile_is_not_taken_back() {
    let stage = Stage::new();
    let conf = network(json!({"ipam": host_local(json!({}))}));
    stage.add(&conf);
    stage.at_home("ip link add d0 type bridge");
    for _ in 0..2 {
        let text = stage.refused(Verb::Del, &conf, 999);
        assert!(text.contains("d0 is home as ferry0, since another device (index "), "{text}");
        assert!(text.contains("has its name: rename that one, and return it again"), "{text}");
        assert_eq!(stage.at_home(&format!("find {STORE} -name '10.*'")), "", "the address is released all the same");
    }
    stage.at_home("ip link delete d0");
    stage.del(&conf);
    stage.judge();
}

/// GC brings home what is not valid, keeps what is, and takes a missing list for no list.
#[test]
fn collected() {
    let more = "for n in 1 2; do ip link add d$n type veth peer name p$n; ip link set p$n netns $WORLD
            ip link set d$n up; ip address add 10.2.$n.1/24 dev d$n; done";
    let stage = Stage::with(more);
    let conf =
        |n: u32, name: &str| network(json!({"device": format!("d{n}"), "name": name, "ipam": host_local(json!({}))}));
    let at = |ifname: &str| Attachment { ifname: ifname.to_owned(), ..stage.attachment.clone() };
    let lent = || stage.at_home(&format!("ls {JOURNAL}; find {STORE} -name '10.*' | wc -l"));
    stage.ours.add(&stage.node, &conf(1, "n"), &at("eth1")).unwrap();
    stage.ours.add(&stage.node, &conf(2, "n"), &at("eth2")).unwrap();
    let both = "cni%2Fn%2Fc1%2Feth1.json\ncni%2Fn%2Fc1%2Feth2.json\npins\n2\n";
    assert_eq!(lent(), both);
    let collect = |conf: Value, valid: Option<Value>| {
        let mut conf = conf;
        if let Some(valid) = valid {
            conf["cni.dev/valid-attachments"] = valid;
        }
        stage.ours.call(&stage.node, Verb::Gc, &conf, &stage.attachment).unwrap().success().unwrap();
    };
    collect(conf(1, "n"), None);
    assert_eq!(lent(), both);
    collect(conf(1, "other"), Some(json!([])));
    assert_eq!(lent(), both, "of another network");
    collect(conf(1, "n"), Some(json!([{"containerID": "c1", "ifname": "eth2"}])));
    assert_eq!(lent(), "cni%2Fn%2Fc1%2Feth2.json\npins\n1\n");
    assert_eq!(stage.inside("ip -brief link show eth2 | cut -d@ -f1"), "eth2\n");
    collect(conf(1, "n"), Some(json!([])));
    assert_eq!(lent(), "0\n");
    stage.node.run(["rmdir", &format!("{STORE}/other")]).ok();
    stage.judge();
}

/// It has the name that this DEL asks for, but is lent to another network, whose entry knows all that it had.
#[test]
fn not_by_the_del_of_another_network() {
    let stage = Stage::new();
    stage.add(&network(json!({})));
    stage.del(&network(json!({"name": "m"})));
    assert!(stage.inside("ip -brief address show eth0").contains("10.1.0.5/24"));
    stage.del(&network(json!({})));
    stage.judge();
}
