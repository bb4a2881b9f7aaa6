//! Links of every kind, what can be set on them, and how they are found.

use kernel::Socket;
use kernel::mac::Mac;
use kernel::netlink::address;
use kernel::netlink::link::{self, Change, IpvlanMode, Kind, Link, MacvlanMode, NewLink, NewPeer, Port, flags};
use kernel::netns::Netns;
use kernel::{Family, netlink::port_vlan};

use super::{container, in_netns, ip, ip_json, make, pair, wait_until};

fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

fn found(socket: &mut Socket, name: &str) -> Link {
    link::get(socket, name).unwrap().unwrap_or_else(|| panic!("there is no {name}"))
}

/// Makes a link, compares the echo with a look-up, removes it, and finds it gone.
fn round_trip(socket: &mut Socket, new: &NewLink<'_>) -> Link {
    let made = make(socket, new);
    let read = found(socket, new.name);
    assert_eq!((&made.name, &made.kind, made.mac, made.mtu), (&read.name, &read.kind, read.mac, read.mtu));
    assert_eq!(link::get_by_index(socket, made.index).unwrap().as_ref(), Some(&read));
    link::remove(socket, made.index, new.name).unwrap();
    assert_eq!(link::get(socket, new.name).unwrap(), None);
    read
}

#[test]
fn veth_across_namespaces() {
    in_netns(|socket| {
        let (home, other) = (Netns::current().unwrap(), container());
        let mut inside = other.run(&home, || Socket::open(Family::Route)).unwrap();
        let (near, far) = (mac("02:fc:00:00:00:01"), mac("02:fc:00:00:00:02"));
        let mut new = NewLink::new("veth1", &Kind::Veth);
        (new.mac, new.mtu, new.up) = (Some(near), Some(1400), true);
        use std::os::fd::AsFd;
        new.peer = Some(NewPeer { name: "eth0", mac: Some(far), mtu: Some(1300), netns: Some(other.as_fd()) });
        let host = make(socket, &new);
        let peer = found(&mut inside, "eth0");
        assert_eq!((host.mac, host.mtu, host.is_up(), host.peer), (Some(near), 1400, true, Some(peer.index)));
        assert_eq!((peer.mac, peer.mtu, peer.is_up(), peer.peer), (Some(far), 1300, false, Some(host.index)));
        assert!(host.peer_netns.is_some() && peer.peer_netns.is_some());

        let shown = &ip_json("-d link show dev veth1")[0];
        assert_eq!(shown["ifindex"], host.index);
        assert_eq!((&shown["mtu"], &shown["address"]), (&1400.into(), &"02:fc:00:00:00:01".into()));
        assert_eq!(shown["linkinfo"]["info_kind"], host.kind.name());
        assert_eq!(shown["link_index"], peer.index);
        assert_eq!((&shown["num_tx_queues"], &shown["num_rx_queues"]), (&1.into(), &1.into()));

        link::remove(socket, host.index, "veth1").unwrap();
        assert_eq!(link::get(socket, "veth1").unwrap(), None);
        assert_eq!(link::get(&mut inside, "eth0").unwrap(), None);
    });
}

#[test]
fn a_link_without_a_link_local_address() {
    in_netns(|socket| {
        let mut new = NewLink::new("bare0", &Kind::Veth);
        new.peer = Some(NewPeer { name: "usual0", mac: None, mtu: None, netns: None });
        let bare = make(socket, &new);
        let usual = bare.peer.unwrap();
        for (index, name, link_local) in [(bare.index, "bare0", false), (usual, "usual0", true)] {
            let change = Change { up: Some(true), link_local: Some(link_local), ..Change::default() };
            assert!(change.to_string().starts_with("addrgenmode "), "{change}");
            link::set(socket, index, name, &change).unwrap();
        }
        assert!(wait_until(|| !address::list(socket, Some(usual)).unwrap().is_empty()));
        assert!(wait_until(|| found(socket, "bare0").operstate == link::OPERSTATE_UP));
        assert_eq!(address::list(socket, Some(bare.index)).unwrap(), []);
        assert_eq!(ip_json("-d link show dev bare0")[0]["inet6_addr_gen_mode"], "none");
        // Too small for IPv6, which the kernel then takes off the link.
        link::set(socket, usual, "usual0", &Change { mtu: Some(1000), ..Change::default() }).unwrap();
        let change = Change { alias: Some("small"), link_local: Some(false), ..Change::default() };
        link::set(socket, usual, "usual0", &change).unwrap();
        assert_eq!(found(socket, "usual0").alias.as_deref(), Some("small"));
    });
}

#[test]
fn a_taken_name_of_the_peer_is_reported() {
    in_netns(|socket| {
        pair(socket);
        let mut new = NewLink::new("veth1", &Kind::Veth);
        new.peer = Some(NewPeer { name: "host0", mac: None, mtu: None, netns: None });
        let error = link::add(socket, &new).unwrap_err();
        assert!(error.is_present(), "{error}");
        assert!(error.to_string().starts_with("create veth veth1 with peer host0: File exists"), "{error}");
        assert_eq!(link::get(socket, "veth1").unwrap(), None);
    });
}

#[test]
fn bridge_and_ifb() {
    in_netns(|socket| {
        let bridge = Kind::Bridge { vlan_filtering: false };
        let mut new = NewLink::new("br0", &bridge);
        (new.mac, new.mtu, new.up) = (Some(mac("02:fc:00:00:00:0b")), Some(1450), true);
        let read = round_trip(socket, &new);
        assert_eq!((read.mac, read.mtu, read.is_up(), &read.kind), (new.mac, 1450, true, &bridge));
        let read = round_trip(socket, &NewLink::new("ifb9", &Kind::Ifb));
        assert_eq!(read.kind, Kind::Ifb);
    });
}

#[test]
fn macvlan_in_every_mode() {
    in_netns(|socket| {
        let (parent, _) = pair(socket);
        for mode in [MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Bridge, MacvlanMode::Passthru] {
            let kind = Kind::Macvlan { mode, broadcast_queue: Some(2000) };
            let mut new = NewLink::new("mac0", &kind);
            new.parent = Some(parent);
            let read = round_trip(socket, &new);
            assert_eq!((read.kind.to_string(), read.peer), (kind.to_string(), Some(parent)));
            assert_eq!(read.kind, kind);
        }
    });
}

/// Either the kernel has the kind and it makes the round trip, or the error says so in the kernel's words.
#[test]
fn kinds_that_a_kernel_may_lack() {
    in_netns(|socket| {
        let (parent, _) = pair(socket);
        let kinds = [
            Kind::Vlan { id: 100 },
            Kind::Ipvlan { mode: IpvlanMode::L3s },
            Kind::Dummy,
            Kind::Vrf { table: 1000 },
            Kind::Other("nonesuch".into()),
        ];
        for kind in &kinds {
            let mut new = NewLink::new("kind0", kind);
            new.parent = matches!(kind, Kind::Vlan { .. } | Kind::Ipvlan { .. }).then_some(parent);
            match link::add(socket, &new) {
                Ok(_) => {
                    let made = found(socket, "kind0");
                    assert_eq!(&made.kind, kind);
                    link::remove(socket, made.index, "kind0").unwrap();
                }
                Err(error) => {
                    assert_eq!((error.errno, error.extack.as_deref()), (libc::EOPNOTSUPP, Some("Unknown device type")));
                    assert_eq!(error.what, format!("create {} kind0", kind.name()));
                }
            }
        }
    });
}

#[test]
fn everything_that_can_be_set() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        // Before Linux 6.2 only a link that is down can be renamed.
        link::set(socket, index, "host0", &Change { up: Some(false), ..Change::default() }).unwrap();
        let change = Change {
            promisc: Some(true),
            allmulti: Some(true),
            name: Some("renamed0"),
            mac: Some(mac("02:fc:00:00:00:0c")),
            mtu: Some(1280),
            txqlen: Some(500),
            alias: Some("what it is for"),
            ..Change::default()
        };
        link::set(socket, index, "host0", &change).unwrap();
        ip("link property add dev renamed0 altname another-name-for-it");
        let read = found(socket, "renamed0");
        assert_eq!((read.index, read.mac, read.mtu, read.txqlen), (index, change.mac, 1280, 500));
        assert_eq!((read.alias.as_deref(), read.altnames.join(" ")), (change.alias, "another-name-for-it".into()));
        assert_eq!(read.flags & (flags::UP | flags::PROMISC | flags::ALLMULTI), flags::PROMISC | flags::ALLMULTI);
        let shown = &ip_json("link show dev renamed0")[0];
        assert_eq!((&shown["txqlen"], &shown["ifalias"]), (&500.into(), &"what it is for".into()));

        let change = Change { promisc: Some(false), up: Some(true), alias: Some(""), ..Change::default() };
        link::set(socket, index, "renamed0", &change).unwrap();
        let read = found(socket, "renamed0");
        assert_eq!(read.flags & (flags::UP | flags::PROMISC | flags::ALLMULTI), flags::UP | flags::ALLMULTI);
        assert_eq!(read.alias, None);
    });
}

#[test]
fn bridge_ports() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let bridge = make(socket, &NewLink::new("br0", &Kind::Bridge { vlan_filtering: false }));
        let port = Port { hairpin: true, isolated: true };
        link::set(socket, index, "host0", &Change { master: Some(bridge.index), ..Change::default() }).unwrap();
        assert_eq!(found(socket, "host0").port, Some(Port::default()));
        link::set(socket, index, "host0", &Change { port: Some(port), ..Change::default() }).unwrap();
        let read = found(socket, "host0");
        assert_eq!((read.master, read.port), (Some(bridge.index), Some(port)));
        let shown = &ip_json("-d link show dev host0")[0]["linkinfo"]["info_slave_data"];
        assert_eq!((&shown["hairpin"], &shown["isolated"]), (&true.into(), &true.into()));

        let members = link::list(socket, Some(bridge.index)).unwrap();
        assert_eq!(members.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["host0"]);
        link::set(socket, index, "host0", &Change { master: Some(0), ..Change::default() }).unwrap();
        assert_eq!(link::list(socket, Some(bridge.index)).unwrap(), []);
        let read = found(socket, "host0");
        assert_eq!((read.master, read.port), (None, None));
    });
}

#[test]
fn a_link_that_joins_its_bridge_at_birth() {
    in_netns(|socket| {
        let bridge = make(socket, &NewLink::new("br0", &Kind::Bridge { vlan_filtering: false }));
        let mut new = NewLink::new("veth1", &Kind::Veth);
        (new.master, new.up) = (Some(bridge.index), true);
        new.peer = Some(NewPeer { name: "veth2", mac: None, mtu: None, netns: None });
        assert_eq!(round_trip(socket, &new).master, Some(bridge.index));
    });
}

/// With VLAN filtering in the kernel the VLANs make the round trip; without it the request is refused.
#[test]
fn vlans_of_a_bridge_port() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let made = link::add(socket, &NewLink::new("br0", &Kind::Bridge { vlan_filtering: true }));
        let vlan = port_vlan::PortVlan { id: 100, pvid: true, untagged: true };
        match made {
            Ok(_) => {
                let change = Change { master: Some(found(socket, "br0").index), ..Change::default() };
                link::set(socket, index, "host0", &change).unwrap();
                let range = (200..=4094).map(|id| port_vlan::PortVlan { id, pvid: false, untagged: false });
                let vlans: Vec<_> = [vlan].into_iter().chain(range).collect();
                port_vlan::add(socket, index, "host0", &vlans).unwrap();
                let default = port_vlan::PortVlan { id: 1, pvid: false, untagged: true };
                assert_eq!(port_vlan::list(socket, index).unwrap(), [&[default], vlans.as_slice()].concat());
                port_vlan::remove(socket, index, "host0", &vlans).unwrap();
                assert_eq!(port_vlan::list(socket, index).unwrap(), [default]);
                let bridge = found(socket, "br0").index;
                assert_eq!(port_vlan::default_of(socket, bridge, "br0").unwrap(), Some(1));
            }
            Err(error) => {
                assert_eq!(error.errno, libc::EOPNOTSUPP, "{error}");
                let error = port_vlan::add(socket, index, "host0", &[vlan]).unwrap_err();
                assert_eq!(error.errno, libc::EOPNOTSUPP, "{error}");
            }
        }
    });
}

#[test]
fn what_is_missing() {
    in_netns(|socket| {
        assert_eq!(link::get(socket, "nobody0").unwrap(), None);
        assert_eq!(link::get_by_index(socket, 9999).unwrap(), None);
        let error = link::remove(socket, 9999, "nobody0").unwrap_err();
        assert!(error.is_absent(), "{error}");
        let error = link::set(socket, 9999, "nobody0", &Change { mtu: Some(1500), ..Change::default() }).unwrap_err();
        assert_eq!(error.to_string(), "set mtu 1500 on link nobody0: No such device");
    });
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let error = link::set(socket, index, "host0", &Change { mtu: Some(10), ..Change::default() }).unwrap_err();
        assert_eq!((error.errno, error.extack.as_deref()), (libc::EINVAL, Some("mtu less than device minimum")));
    });
}

#[test]
fn a_dump_of_many_links() {
    in_netns(|socket| {
        for number in 0..150 {
            let (name, peer) = (format!("a{number}"), format!("b{number}"));
            let mut new = NewLink::new(&name, &Kind::Veth);
            new.peer = Some(NewPeer { name: &peer, mac: None, mtu: None, netns: None });
            link::add(socket, &new).unwrap();
        }
        let links = link::list(socket, None).unwrap();
        for number in 0..150 {
            for name in [format!("a{number}"), format!("b{number}")] {
                assert_eq!(links.iter().filter(|link| link.name == name).count(), 1, "{name}");
            }
        }
        assert_eq!(links.len(), ip_json("link show").len());
    });
}
