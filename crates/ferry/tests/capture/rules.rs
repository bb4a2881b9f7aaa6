//! Which rules belong to a device, and which routes that drop packets.

use ferry::Policy;

use super::{PAIRS, captured, in_netns, texts};

#[test]
fn rules_that_name_the_device_or_lead_its_addresses_to_its_routes() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add 10.1.0.1/24 dev d1; ip link property add dev d0 altname other
        ip route add default via 10.0.0.9 table 100; ip route add default via 10.1.0.9 table 200
        ip rule add priority 1 from 10.0.0.1 lookup 100; ip rule add priority 2 from 10.0.0.0/24 lookup 100
        ip rule add priority 3 from 10.0.0.1 lookup 200; ip rule add priority 4 from 10.1.0.1 lookup 200
        ip rule add priority 5 iif d0 lookup 200; ip rule add priority 6 oif other prohibit
        ip rule add priority 7 iif d1 lookup 100; ip rule add priority 8 fwmark 1 lookup 100
        ip rule add priority 9 from 10.0.0.1 iif d1 lookup 100; ip rule add priority 10 from all lookup main";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let priorities: Vec<u32> = device.rules.iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [1, 2, 5, 6]);
    let why = "it leads to a route, and names neither device nor address";
    let lost = [
        format!("rule priority 7 from all iif d1 lookup 100: {why}"),
        format!("rule priority 8 from all fwmark 0x1/0xffffffff lookup 100: {why}"),
        format!("rule priority 9 from 10.0.0.1/32 iif d1 lookup 100: {why}"),
    ];
    assert_eq!(device.lost, lost);
}

#[test]
fn routes_that_drop_belong_to_the_only_device_that_comes_to_them() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add 10.1.0.1/24 dev d1
        for table in 100 200 300; do ip route add default via 10.0.0.9 table $table; ip route add blackhole 10.9.0.0/16 table $table; done
        ip route add throw 10.10.0.0/16 table 100; ip route add prohibit 10.11.0.0/16
        ip rule add from 10.0.0.1 lookup 100; ip rule add iif d0 lookup 100
        ip rule add from 10.0.0.1 lookup 200; ip rule add from 10.1.0.1 lookup 200";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let routes = [
        "default via 10.0.0.9 dev d0 table 100",
        "default via 10.0.0.9 dev d0 table 200",
        "default via 10.0.0.9 dev d0 table 300",
        "blackhole 10.9.0.0/16 table 100",
        "throw 10.10.0.0/16 table 100",
    ];
    assert_eq!(texts(&device, "route"), routes);
}
