//! A device with everything that a device can have: what the ferry must carry and bring home.

use crate::error::Result;
use crate::node::Node;

/// A shell script that makes a pair `d0`-`p0`: 3 IPv4 and 3 IPv6 addresses (peer, label, metric, noprefixroute, deprecated,
/// odd broadcast), 12 routes of 3 tables, 2 rules, 2 permanent neighbours, a proxy, a sysctl and 2 alternative names. `p0`
/// goes to the namespace at `$WORLD`, where it is the rest of the world; `$MAC` is the hardware address of `d0`, the
/// kernel's choice if unset.
pub const WHOLE: &str = r"
    ip link add d0 ${MAC:+address $MAC} mtu 1400 txqueuelen 77 numtxqueues 1 numrxqueues 1 type veth \
        peer name p0 numtxqueues 1 numrxqueues 1
    ip link property add dev d0 altname enp-d0; ip link property add dev d0 altname a-much-longer-name-than-fits
    ip link set d0 alias 'the uplink' group 7
    echo 2 > /proc/sys/net/ipv4/conf/d0/rp_filter
    ip link set p0 netns $WORLD; nsenter --net=$WORLD ip link set p0 up; ip link set d0 up
    ip address add 10.1.0.5/24 broadcast 10.1.0.77 dev d0 label d0:web
    ip address add 10.1.0.6/24 metric 50 noprefixroute dev d0
    ip address add 10.9.9.1 peer 10.9.9.2/32 dev d0
    ip address add fd01::5/64 nodad dev d0; ip address add fd01::6/64 metric 70 dev d0
    ip address add fd02::5/64 preferred_lft 0 noprefixroute nodad dev d0
    nsenter --net=$WORLD sh -ec 'ip address add 10.1.0.1/24 dev p0; ip address add fd01::1/64 nodad dev p0'
    for turn in $(seq 300); do ip -6 address show d0 | grep -q tentative || break; sleep 0.01; done
    ip route add default via 10.1.0.1 metric 300
    ip route add 10.20.0.0/16 via 10.1.0.1 dev d0 src 10.1.0.5 mtu 1300
    ip route add 10.21.0.0/16 via 192.0.2.1 dev d0 onlink
    ip route add 10.22.0.0/16 nexthop via 10.1.0.1 dev d0 weight 2 nexthop via 10.1.0.3 dev d0 weight 1
    ip route add 10.23.0.0/16 dev d0 scope link table 100
    ip route add default via 10.1.0.1 dev d0 table 100
    ip route add blackhole 10.24.0.0/16 table 100
    ip -6 route add default via fd01::1 metric 2000
    ip -6 route add fd20::/64 via fd01::1 dev d0 src fd01::6 mtu 1350
    ip -6 route add fd21::/64 dev d0 table 101
    ip -6 route add default via fd01::1 dev d0 table 101 pref high
    ip -6 route add blackhole fd24::/64 table 101
    ip rule add from 10.1.0.5 lookup 100 priority 1000; ip -6 rule add from fd01::5 lookup 101 priority 1001
    ip neighbour add 10.1.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev d0
    ip -6 neighbour add fd01::40 lladdr 02:aa:00:00:00:02 nud permanent dev d0
    ip neighbour add proxy 10.1.0.50 dev d0
    for turn in $(seq 300); do ip link show d0 | grep -q 'state UP' && break; sleep 0.01; done
";

/// The namespace of [`whole`]'s other end, on a node.
pub const WORLD: &str = "/run/netns/world";

/// Makes [`WHOLE`] on a node, with a namespace `world` that goes with the node.
///
/// # Errors
/// A command failed.
pub fn whole(node: &Node) -> Result<()> {
    // The kernel makes no address by itself in the middle of a test.
    let quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode";
    let world = format!("touch {WORLD}; unshare --net={WORLD} ip link set lo up");
    node.run(["sh", "-ec", &format!("{quiet}; {world}; WORLD={WORLD}; {WHOLE}")]).map(drop)
}
