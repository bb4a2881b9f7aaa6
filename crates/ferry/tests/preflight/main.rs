//! Every obstacle on the running kernel, and that looking for them changes nothing. Home and target are network
//! namespaces of a test's own thread, which go away with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod home;
mod names;

use std::process::Command;
use std::thread;

use ferry::{Device, Obstacle, Passage, Policy, Preflight, capture, preflight};
use kernel::netlink::link;
use kernel::netns::Netns;
use kernel::{Family, Socket, sysctl};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Waits until `ip -6 route` has each of its arguments. Some routes the kernel makes later: those of multicast when it
/// notices a carrier, that of an address from the queue in which it detects duplicates.
const WAIT: &str = "
    wait_for() {
        for route; do
            turn=0
            until ip -6 route show table all | grep -qF \"$route \"; do
                turn=$((turn + 1)); [ $turn -le 1000 ]; sleep 0.01
            done
        done
    }
";
/// A device to carry, with addresses of both families, and its peer.
const DEVICE: &str = "
    ip link set lo up; ip link add d0 type veth peer name p0; ip link set p0 up; ip link set d0 up
    ip address add 10.0.0.5/24 dev d0; ip address add fd00::5/64 nodad dev d0
    wait_for 'multicast ff00::/8 dev d0' 'multicast ff00::/8 dev p0' 'local fd00::5 dev d0'
";

/// A namespace and a socket in it.
struct Place {
    netns: Netns,
    socket: Socket,
}

/// A fresh namespace, in which the calling thread stays, after `script`.
fn place(script: &str) -> Place {
    // SAFETY: no descriptor table is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
    // The kernel makes no address by itself in the middle of a test.
    sh(&format!("echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode; {WAIT} {script}"));
    Place { netns: Netns::current().unwrap(), socket: Socket::open(Family::Route).unwrap() }
}

/// Runs a script in the calling thread's namespace, and returns what it prints; none of its commands may fail.
fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a carry changes, of the calling thread's namespace, without what follows from a carrier.
fn snapshot() -> String {
    let carrier =
        r"s/ qdisc [a-z]*//; s/ state [A-Z]*//; s/,*NO-CARRIER,*//; s/,LOWER_UP//; s/,M-DOWN//; s/ linkdown//";
    sh(&format!(
        "{{ ip link; ip address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
            ip neighbour show nud permanent; }} | sed '{carrier}'
        find /proc/sys/net/ipv[46]/conf -name '[adr]*' | sort | xargs grep -H . 2> /dev/null || true"
    ))
}

/// What is in the way of carrying `d0` as `name`, where `home` follows [`DEVICE`]. Neither namespace may change.
fn flight(home: &str, away: &str, name: &str, allow_uplink: bool) -> Preflight {
    let [home, away, name] = [format!("{DEVICE}{home}"), away.to_owned(), name.to_owned()];
    let test = move || {
        let mut away = place(&away);
        let mut home = place(&home);
        let both = |away: &Place, home: &Place| [snapshot(), away.netns.run(&home.netns, || Ok(snapshot())).unwrap()];
        let device = d0(&mut home);
        let before = both(&away, &home);
        let found = look(&mut home, &mut away, &device, &name, allow_uplink);
        for (before, after) in before.iter().zip(both(&away, &home)) {
            assert!(*before == after, "before:\n{before}\nafter:\n{after}");
        }
        assert_eq!(d0(&mut home), device);
        found
    };
    thread::spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn d0(home: &mut Place) -> Device {
    capture(&mut home.socket, "d0", &Policy::default()).unwrap()
}

fn look(home: &mut Place, away: &mut Place, device: &Device, name: &str, allow_uplink: bool) -> Preflight {
    let read = || sysctl::get("net/ipv6/conf/default/disable_ipv6");
    let ipv6_disabled = away.netns.run(&home.netns, read).unwrap() == "1";
    let is_home = away.netns.is_same(&home.netns).unwrap();
    let there = link::list(&mut away.socket, None).unwrap();
    let passage = Passage { name, is_home, ipv6_disabled, allow_uplink, there: &there, reserved: &[] };
    preflight(&mut home.socket, device, &passage).unwrap()
}

/// The obstacles, without leave to carry the uplink.
fn obstacles(home: &str, away: &str, name: &str) -> Vec<Obstacle> {
    let found = flight(home, away, name, false);
    found.obstacles
}
