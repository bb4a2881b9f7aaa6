//! The golden cases of `bridge`, see [`crate::golden`]. `facts.json` may have `bridge` (true if it is there),
//! `addresses` of the gateway interface, `foreignGateway` and
//! `defaultVlan` of the bridge.

use kernel::netlink::address::Address;
use kernel::netlink::link::{Kind, Link};
use serde_json::Value;

use super::{Bridge, Facts};

#[test]
fn golden() {
    crate::golden::check::<Bridge>("bridge", facts);
}

fn facts(facts: &Value) -> Facts {
    let address = |net: &String| Address::new(7, net.parse().expect("an address"));
    Facts {
        bridge: facts["bridge"].as_bool().filter(|there| *there).map(|_| link()),
        addresses: crate::golden::strings(&facts["addresses"]).iter().map(address).collect(),
        foreign_gateway: facts["foreignGateway"].as_bool().unwrap_or_default(),
        default_vlan: facts["defaultVlan"].as_u64().and_then(|id| id.try_into().ok()),
    }
}

fn link() -> Link {
    Link {
        index: 7,
        name: "cni0".to_owned(),
        altnames: Vec::new(),
        kind: Kind::Bridge { vlan_filtering: false },
        mac: "02:00:00:00:00:07".parse().ok(),
        mtu: 1500,
        flags: 0,
        master: None,
        peer: None,
        peer_netns: None,
        alias: None,
        txqlen: 1000,
        group: 0,
        operstate: 0,
        port: None,
        permanent_mac: None,
        parent_bus: None,
        parent_device: None,
        xdp: None,
        netns_immutable: None,
    }
}
