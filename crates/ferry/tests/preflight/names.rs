//! Names in the target: what the kernel would do with them, and that the forecast is what it does.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use ferry::{Obstacle, name};
use kernel::netlink::link;

use super::{DEVICE, flight, obstacles, place, sh};

#[test]
fn a_free_name_is_no_obstacle() {
    for (wanted, away) in [("eth0", "ip link add d0 type bridge"), ("d0", "ip link set lo up"), ("d%d", "true")] {
        let found = obstacles("ip link property add dev d0 altname alone0", away, wanted);
        assert_eq!(found, [], "{wanted}");
    }
}

#[test]
fn names_that_are_taken() {
    let taken = |name: &str, by: &str| Obstacle::NameTaken { name: name.to_owned(), by: by.to_owned() };
    let away = "ip link add eth0 type bridge; ip link property add dev eth0 altname other0";
    assert_eq!(obstacles("", away, "eth0"), [taken("eth0", "eth0")]);
    assert_eq!(obstacles("", away, "other0"), [taken("other0", "eth0")]);
    assert_eq!(obstacles("", "ip link add d0 type bridge", "d0"), [taken("d0", "d0")]);
}

#[test]
fn alternative_names() {
    let home = "ip link property add dev d0 altname alt0 altname alt1";
    assert_eq!(obstacles(home, "true", "alt1"), [Obstacle::OwnAltname { name: "alt1".into() }]);
    let away = "ip link add alt0 type bridge; ip link add x type bridge; ip link property add dev x altname alt1";
    let taken = |name: &str, by: &str| Obstacle::AltnameTaken { name: name.to_owned(), by: by.to_owned() };
    assert_eq!(obstacles(home, away, "eth0"), [taken("alt0", "alt0"), taken("alt1", "x")]);
}

#[test]
fn a_name_that_is_refused_is_refused_by_the_kernel() {
    let names =
        ["", "1234567890123456", ".", "..", "a/b", "a:b", "a b", "a\tb", "à", "a%", "a%%d", "a%d%d", "a%s", "eth%3d"];
    for wanted in names {
        let found = obstacles("", "true", wanted);
        assert!(matches!(&found[..], [Obstacle::InvalidName { name, .. }] if name == wanted), "{wanted:?}: {found:?}");
    }
    let renames = move || {
        let mut home = place(DEVICE);
        let index = link::get(&mut home.socket, "d0").unwrap().unwrap().index;
        let valid = ["a", "é", "日本語語語", "-x", "..a", "\u{1}", "\u{7f}", "123456789012345", "a%db", "%d"];
        for wanted in names.iter().chain(&valid) {
            let change = link::Change { name: Some(wanted), ..link::Change::default() };
            let outcome = link::set(&mut home.socket, index, "d0", &change);
            // To the kernel an empty name is none, which changes nothing.
            assert_eq!(outcome.is_ok() && !wanted.is_empty(), name::check(wanted).is_ok(), "{wanted:?}: {outcome:?}");
        }
    };
    thread::spawn(renames).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn the_kernel_refuses_what_is_an_obstacle() {
    let altname = "ip link property add dev d0 altname alt0";
    for (home, away, wanted) in [
        ("true", "ip link add eth0 type bridge", "eth0"),
        ("true", "ip link add eth0 type bridge; ip link property add dev eth0 altname other0", "other0"),
        ("true", "ip link add d0 type bridge", "d0"),
        ("true", "ip link add d0 type bridge; ip link add eth0 type bridge", "eth0"),
        (altname, "true", "alt0"),
        (altname, "ip link add alt0 type bridge", "eth0"),
        ("true", "true", "a%d%d"),
    ] {
        assert_eq!(obstacles(home, away, wanted).len(), 1, "{home}; {away}; {wanted}");
        let scripts = [away.to_owned(), format!("{DEVICE}{home}")];
        let test = move || {
            let [away, _home] = scripts.map(|script| place(&script));
            let target = format!("/proc/{}/fd/{}", std::process::id(), away.netns.as_fd().as_raw_fd());
            sh(&format!("if ip link set d0 netns {target} name '{wanted}' 2> /dev/null; then exit 1; fi"));
        };
        thread::spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

#[test]
fn a_template_becomes_the_lowest_free_number() {
    for (home, away, template, expected) in [
        ("", "true", "eth%d", "eth0"),
        // What the kernel would make d1, since that is how the device arrives.
        ("", "true", "d%d", "d0"),
        ("", "ip link add eth0 type bridge; ip link add eth2 type bridge", "eth%d", "eth1"),
        ("", "ip link add x type bridge; ip link property add dev x altname eth0", "eth%d", "eth1"),
        ("ip link property add dev d0 altname eth0", "true", "eth%d", "eth1"),
        // What the kernel would complete twice, and make eth1.
        ("", "ip link add d0 type bridge", "eth%d", "eth0"),
        ("", "ip link add d0 type bridge", "a%db", "a0b"),
    ] {
        let found = flight(home, away, template, false);
        assert_eq!((&*found.name, found.obstacles), (expected, vec![]), "{home}; {away}; {template}");
    }
}
