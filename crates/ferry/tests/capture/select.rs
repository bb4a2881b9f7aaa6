//! What a policy takes is what would be captured of a device which never had what the policy leaves out.

use ferry::{Addresses, Device, Policy};
use kernel::Socket;
use kernel::netlink::address::Lifetime;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{PAIRS, captured, in_netns};

/// An address for `ip`, whether it has an end, and whether its scope is the link or the host.
type Given = (&'static str, bool, bool);

const ADDRESSES: [Given; 10] = [
    ("10.0.0.1/24", false, false),
    ("10.0.0.2/24", true, false),
    ("10.0.0.2/32 scope link", false, true),
    ("10.1.0.1/32", true, false),
    ("169.254.169.2/32 scope link", false, true),
    ("10.3.0.1/32 scope host", true, true),
    ("fd00::1/64 nodad", false, false),
    ("fd00::2/64 nodad", true, false),
    ("fd00::3/128 nodad", true, false),
    ("fe80::77/64 nodad", false, true),
];
const POLICIES: [Policy; 4] = [
    Policy { addresses: Addresses::Permanent, link_scope: false },
    Policy { addresses: Addresses::Permanent, link_scope: true },
    Policy { addresses: Addresses::All, link_scope: false },
    Policy::WIDEST,
];

fn host(address: Given) -> &'static str {
    address.0.split('/').next().unwrap()
}

fn is_ipv6(text: &str) -> bool {
    text.contains(':')
}

/// As the policies are described to operators.
fn is_taken((text, has_end, is_near): Given, policy: &Policy) -> bool {
    (policy.link_scope || !is_near) && (policy.addresses == Addresses::All || !has_end || !is_ipv6(text))
}

/// What is put on `d0`: addresses, routes by table that prefer an address, rules by table from an address, from a net
/// around it or by name, and tables with a route that drops.
#[derive(Debug, Clone)]
struct World {
    addresses: Vec<Given>,
    routes: Vec<(u32, Option<Given>)>,
    rules: Vec<(u32, Option<Given>)>,
    wide_rules: Vec<u32>,
    drops: Vec<u32>,
}

fn world() -> impl Strategy<Value = World> {
    let table = || select(vec![100_u32, 100, 200, 254]);
    subsequence(ADDRESSES.to_vec(), 1..10).prop_flat_map(move |addresses| {
        let one = || proptest::option::weighted(0.8, select(addresses.clone()));
        let pairs = |most| proptest::collection::vec((table(), one()), 0..most);
        let tables = || subsequence(vec![100_u32, 200], 0..=2);
        (Just(addresses.clone()), pairs(6), pairs(6), tables(), tables()).prop_map(
            |(addresses, routes, rules, wide_rules, drops)| World { addresses, routes, rules, wide_rules, drops },
        )
    })
}

impl World {
    /// The commands that make it, as if only what `policy` takes had ever been there.
    fn script(&self, policy: &Policy) -> String {
        let mut lines = Vec::new();
        for address in self.addresses.iter().filter(|address| is_taken(**address, policy)) {
            let (text, has_end, _) = *address;
            let is_lease = has_end && (is_ipv6(text) || policy.addresses == Addresses::All);
            let lifetime = if is_lease { "valid_lft 3600 preferred_lft 1800" } else { "" };
            lines.push(format!("ip address add {text} {lifetime} dev d0"));
        }
        let has = |host_: &str| self.addresses.iter().any(|one| host(*one) == host_ && is_taken(*one, policy));
        for (at, (table, src)) in self.routes.iter().enumerate() {
            let src = src.map(host);
            let net = if src.is_some_and(is_ipv6) { format!("fd20:{at}::/64") } else { format!("10.20.{at}.0/24") };
            let src = src.filter(|src| has(src)).map_or(String::new(), |src| format!("src {src}"));
            let family = if is_ipv6(&net) { "-6" } else { "-4" };
            lines.push(format!("ip {family} route add {net} dev d0 table {table} {src}"));
        }
        for (at, (table, from)) in self.rules.iter().enumerate() {
            let from = from.map(host);
            let family = if from.is_some_and(is_ipv6) { "-6" } else { "-4" };
            let what = from.map_or("iif d0".to_owned(), |from| format!("from {from}"));
            lines.push(format!("ip {family} rule add priority {} {what} lookup {table}", 100 + at));
        }
        for (at, table) in self.wide_rules.iter().enumerate() {
            lines.push(format!("ip rule add priority {} from 10.0.0.0/16 lookup {table}", 200 + at));
            lines.push(format!("ip -6 rule add priority {} from fe80::/10 lookup {table}", 200 + at));
        }
        for table in &self.drops {
            lines.push(format!("ip route add blackhole 10.30.0.0/24 table {table}"));
            lines.push(format!("ip -6 route add unreachable fd30::/64 table {table}"));
        }
        format!("{PAIRS}{}", lines.join("\n"))
    }
}

/// Seconds pass from one capture to the next.
fn timeless(mut device: Device) -> Device {
    for lifetime in device.addresses.iter_mut().filter_map(|address| address.lifetime.as_mut()) {
        assert!(lifetime.valid > 3000 && lifetime.preferred > 1000, "{lifetime:?}");
        *lifetime = Lifetime { valid: 3600, preferred: 1800 };
    }
    device
}

/// What is lost beside preferred sources, in any order, and the number of those.
fn lost(device: &mut Device) -> usize {
    let all = device.lost.len();
    device.lost.retain(|words| !words.contains(": its source address "));
    device.lost.sort();
    all - device.lost.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_takes_what_would_be_there_without_the_rest(world in world()) {
        let all = in_netns(&world.script(&Policy::WIDEST), |socket| {
            POLICIES.map(|policy| timeless(captured(socket, &policy)))
        });
        for (policy, mut taken) in POLICIES.iter().zip(all.clone()) {
            prop_assert_eq!(&all[3].clone().select(policy), &taken);
            prop_assert_eq!(&taken.clone().select(policy), &taken);
            let captured = |socket: &mut Socket| timeless(captured(socket, &Policy::WIDEST));
            let mut without = in_netns(&world.script(policy), captured);
            let is_left = |src: &&str| world.addresses.iter().all(|one| host(*one) != *src || !is_taken(*one, policy));
            let sources = world.routes.iter().filter_map(|(_, src)| src.map(host)).filter(|src| is_left(src)).count();
            prop_assert_eq!((lost(&mut taken), lost(&mut without)), (sources, 0));
            // One that somebody has given in the kernel's stead stays, and with it that the kernel gives none.
            if world.addresses.iter().any(|one| one.0.starts_with("fe80:") && !is_taken(*one, policy)) {
                without.sysctls.retain(|sysctl| sysctl.key != "addr_gen_mode");
            }
            prop_assert_eq!(taken, without);
        }
    }
}

#[test]
fn what_goes_with_an_address_that_is_left_out() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add 169.254.169.2/32 scope link dev d0
        ip address add fd00::2/64 nodad valid_lft 3600 preferred_lft 1800 dev d0
        ip route add default via 10.0.0.9 table 100; ip route add blackhole 10.9.0.0/16 table 100
        ip -6 route add fd07::/64 via fd00::fe src fd00::2 table 200; ip -6 route add unreachable fd08::/64 table 200
        ip rule add priority 1 from 10.0.0.1 lookup 100; ip rule add priority 2 from 169.254.169.2 lookup 100
        ip -6 rule add priority 3 from fd00::2 lookup 200
        ip neighbour add 10.0.0.3 lladdr 02:00:00:00:00:03 nud permanent dev d0";
    let [widest, plain, none] = in_netns(&format!("{PAIRS}{script}"), |socket: &mut Socket| {
        let none = Policy { addresses: Addresses::None, link_scope: true };
        [Policy::WIDEST, Policy::default(), none].map(|policy| timeless(captured(socket, &policy)))
    });
    assert_eq!((widest.addresses.len(), widest.routes.len(), widest.rules.len(), widest.lost.len()), (3, 4, 3, 0));
    assert_eq!((plain.addresses.len(), plain.routes.len(), plain.rules.len()), (1, 2, 1), "{plain}");
    let why = "it leads to a route, and names neither device nor address";
    let lost = [
        "route fd07::/64 via fd00::fe dev d0 metric 1024 table 200: its source address fd00::2".to_owned(),
        format!("rule priority 2 from 169.254.169.2/32 lookup 100: {why}"),
        format!("rule priority 3 from fd00::2/128 lookup 200: {why}"),
    ];
    assert_eq!(plain.lost, lost);
    for device in [&widest, &plain] {
        assert_eq!(device.clone().select(&Policy { addresses: Addresses::None, link_scope: false }), none);
    }
}
