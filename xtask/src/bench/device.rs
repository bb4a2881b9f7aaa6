//! The device of each contender that the node lends: an up veth with addresses of both families, routes of two tables and a
//! rule. It is made anew before each ADD, untimed, because nobody else brings home what was the device's own.
//!
//! Proof is by iproute2's words: where the device is, and whether its addresses, routes and rule are there with it.

use crate::bench::contender::Contender::{self, Ours};
use crate::bench::node::run;
use std::path::Path;

const BATCH: &str = "/run/bench/device";
const IPV4: [&str; 3] = ["10.SUBNET.0.5/24", "10.SUBNET.1.5/24", "10.SUBNET.2.5/24"];
const IPV6: [&str; 3] = ["fd00:SUBNET::5/64", "fd00:SUBNET:1::5/64", "fd00:SUBNET:2::5/64"];
/// Destination, gateway, table. The metrics are the subnet's number, so that the default routes of all find room.
const ROUTES: [(&str, &str, &str); 6] = [
    ("default", "10.SUBNET.0.1", "main"),
    ("192.168.SUBNET.0/24", "10.SUBNET.1.1", "main"),
    ("default", "10.SUBNET.0.1", "SUBNET"),
    ("default", "fd00:SUBNET::1", "main"),
    ("fd01:SUBNET::/32", "fd00:SUBNET:1::1", "main"),
    ("default", "fd00:SUBNET::1", "SUBNET"),
];
const RULE: &str = "from 10.SUBNET.0.5 lookup SUBNET";

/// Whether `who` takes along what is the device's own. Go ignores `useInterfaceNetwork` in 1.1.1 and in 1.9.1.
pub fn is_captured_by(who: Contender) -> bool {
    who == Ours
}

/// Makes the device of `who`, and removes what the call before left of it.
///
/// # Errors
/// iproute2's words.
pub fn make(who: Contender) -> Result<(), String> {
    remove(who)?;
    let device = who.device();
    let mut lines = vec![
        format!("link add {device} type veth peer name {device}-peer"),
        format!("link set {device}-peer up"),
        format!("link set {device} up"),
    ];
    lines.extend(IPV4.map(|address| format!("address add {address} dev {device}")));
    lines.extend(IPV6.map(|address| format!("address add {address} dev {device} nodad")));
    let route = |(to, via, table): &(&str, &str, &str)| {
        format!("route add {to} via {via} dev {device} metric SUBNET table {table}")
    };
    lines.extend(ROUTES.iter().map(route));
    lines.push(format!("rule add priority 1SUBNET {RULE}"));
    std::fs::write(BATCH, of(who, &lines.join("\n"))).map_err(|error| format!("{BATCH}: {error}"))?;
    run(&["ip", "-batch", BATCH]).map(drop)
}

/// Removes the device of `who`, and its rules from the node and from the container.
///
/// # Errors
/// iproute2's words.
pub fn remove(who: Contender) -> Result<(), String> {
    let (device, table) = (who.device(), who.subnet().to_string());
    if Path::new("/sys/class/net").join(&device).exists() {
        run(&["ip", "link", "delete", &device])?;
    }
    run(&["ip", "rule", "flush", "table", &table])?;
    run(&["ip", "-n", who.name(), "rule", "flush", "table", &table]).map(drop)
}

/// Looks whether the device is up in `container`, with what was its own if `who` takes that along and has `printed` it.
///
/// # Errors
/// It is not.
pub fn prove_lent(who: Contender, container: &str, printed: &[String]) -> Result<(), String> {
    let ip = |words: &[&str]| run(&[&["ip", "-n", container], words].concat());
    if !ip(&["-o", "link", "show", "eth0"])?.contains(",UP") {
        return Err(format!("{} left the device down", who.name()));
    }
    if !is_captured_by(who) {
        return Ok(());
    }
    let unprinted = addresses(who).find(|wanted| !printed.iter().any(|one| wanted.starts_with(one)));
    match unprinted {
        Some(address) => Err(format!("{} ADD did not print {address}: {printed:?}", who.name())),
        None => prove_network(who, "eth0", &ip),
    }
}

/// Looks whether the device is on the node; and, for ours alone, up and with what was its own.
///
/// # Errors
/// It is not.
pub fn prove_home(who: Contender) -> Result<(), String> {
    let ip = |words: &[&str]| run(&[&["ip"], words].concat());
    let device = who.device();
    let link = ip(&["-o", "link", "show", &device])?;
    match who {
        Ours if !link.contains(",UP") => Err(format!("{} left the device down", who.name())),
        Ours => prove_network(who, &device, &ip),
        _ => Ok(()),
    }
}

/// Looks whether `device` has its addresses, routes and rule where `ip` looks.
fn prove_network(who: Contender, device: &str, ip: &dyn Fn(&[&str]) -> Result<String, String>) -> Result<(), String> {
    let missing = |what: &str, there: &str| Err(format!("{}: {device} lacks {what}:\n{there}", who.name()));
    let there = ip(&["-o", "address", "show", "dev", device])?;
    if let Some(address) = addresses(who).find(|address| !there.contains(address.as_str())) {
        return missing(&address, &there);
    }
    for (to, via, table) in ROUTES {
        let there = ip(&[family(via), "route", "show", "dev", device, "table", &of(who, table)])?;
        let route = of(who, &format!("{to} via {via}"));
        if !there.contains(&route) {
            return missing(&route, &there);
        }
    }
    let (rule, there) = (of(who, RULE), ip(&["rule"])?);
    if there.contains(&rule) { Ok(()) } else { missing(&rule, &there) }
}

fn addresses(who: Contender) -> impl Iterator<Item = String> {
    IPV4.into_iter().chain(IPV6).map(move |address| of(who, address))
}

fn of(who: Contender, text: &str) -> String {
    text.replace("SUBNET", &who.subnet().to_string())
}

fn family(ip: &str) -> &'static str {
    if ip.contains(':') { "-6" } else { "-4" }
}
