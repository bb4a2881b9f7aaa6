//! `host-device` carries real cards: hardware outlives its container, and the kernel gives it back to the machine's first
//! namespace, which is not where it came from.

use crate::nics::{Nic, Nics};
use lab::{Attachment, Plugins, Snapshot, settle};
use serde_json::{Value, json};

fn conf(nic: &Nic, pin: bool) -> Value {
    json!({"cniVersion": "1.1.0", "name": "cards", "type": "host-device", "pciBusID": nic.pci, "pin": pin,
        "useInterfaceNetwork": true, "allowUplink": true, "dataDir": "/run/lent"})
}

/// Both cards up, the first with addresses, routes of two tables, a rule, a neighbour and a sysctl; the other answers.
fn dress(nics: &Nics) {
    let [nic, other] = &nics.all;
    let script = format!(
        "mkdir -m 700 /run/lent; echo 1 > /proc/sys/net/ipv6/conf/{0}/addr_gen_mode; echo 2 > /proc/sys/net/ipv4/conf/{0}/rp_filter
         ip netns add far; ip link set {1} netns far
         ip -n far link set {1} up; ip -n far address add 10.6.0.1/24 dev {1}
         ip -n far address add fd06::1/64 dev {1} nodad
         ip link set {0} mtu 1400 txqueuelen 500 alias 'card of the tests' up
         ip address add 10.6.0.5/24 dev {0}; ip address add fd06::5/64 dev {0} nodad
         ip address add fd06::6/64 dev {0} nodad
         ip route add default via 10.6.0.1 metric 300; ip -6 route add default via fd06::1 metric 2000
         ip route add 10.7.0.0/16 via 10.6.0.1 src 10.6.0.5; ip route add default via 10.6.0.1 dev {0} table 100
         ip rule add from 10.6.0.5 lookup 100 priority 1000
         ip neighbour add 10.6.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev {0}",
        nic.name, other.name
    );
    nics.node.run(["sh", "-ec", &script]).unwrap();
}

/// The second card comes back before its namespace is forgotten.
fn undress(nics: &Nics) {
    let script = format!("ip -n far link set {} netns {}; ip netns del far", nics.all[1].name, nics.node.pid());
    nics.node.run(["sh", "-ec", &script]).unwrap();
}

fn comes_home(nics: &Nics, clean: &Snapshot) {
    assert_eq!(settle(|| nics.node.snapshot(), |now| clean.diff(now)).unwrap(), None);
}

#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn a_card_goes_and_comes_back() {
    let (nics, ours) = (Nics::take(), Plugins::ours().unwrap());
    dress(&nics);
    let (nic, node) = (&nics.all[0], &nics.node);
    let container = node.container("c").unwrap();
    let attachment = Attachment::new("c", &container);
    let clean = node.snapshot().unwrap();
    let result = ours.add(node, &conf(nic, true), &attachment).unwrap();
    assert_eq!(result["interfaces"][0]["mac"], nic.mac);
    for far in ["10.6.0.1", "fd06::1"] {
        container.run(["ping", "-c", "1", "-W", "5", far]).unwrap();
    }
    ours.check(node, &conf(nic, true), &result, &attachment).unwrap();
    let inside = "ip link set eth0 down; ip link set eth0 name x address 02:00:00:00:00:99 mtu 1300";
    container.run(["sh", "-ec", inside]).unwrap();
    ours.del(node, &conf(nic, true), &attachment).unwrap();
    comes_home(&nics, &clean);
    ours.del(node, &conf(nic, true), &attachment).unwrap();
    comes_home(&nics, &clean);
    undress(&nics);
}

/// K16: the card is in the first namespace, under the name that it had in the container, and DEL brings it to its node.
#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn a_card_whose_container_is_gone_comes_home_from_the_first_namespace() {
    let (nics, ours) = (Nics::take(), Plugins::ours().unwrap());
    dress(&nics);
    let (nic, node) = (&nics.all[0], &nics.node);
    for pin in [false, true] {
        let container = node.container("c").unwrap();
        let mut attachment = Attachment::new("c", &container);
        let clean = node.snapshot().unwrap();
        ours.add(node, &conf(nic, pin), &attachment).unwrap();
        drop(container);
        attachment.netns = String::new();
        ours.del(node, &conf(nic, pin), &attachment).unwrap();
        comes_home(&nics, &clean);
    }
    undress(&nics);
}
