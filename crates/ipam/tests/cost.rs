//! What a call costs in system calls, and that the number of reservations does not enter into it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;

use common::{Call, Dir, ours};
use serde_json::json;

/// System calls from the first that names the network's directory to the end; the start of a process costs the same always.
fn calls(trace: &str) -> usize {
    let lines: Vec<&str> = trace.lines().collect();
    let first = lines.iter().position(|line| line.contains("net1")).unwrap();
    let own = |line: &&&str| {
        let foreign = ["exit", "write(1,", "sigaltstack", "munmap", "F_GETFD", "+++", "brk", "mmap"];
        !foreign.iter().any(|name| line.contains(name))
    };
    lines[first..].iter().filter(own).count()
}

fn cost(reserved: u32) -> (usize, usize) {
    let dir = Dir::new();
    let conf = dir.conf(json!({"ranges": [[{"subnet": "10.1.0.0/16"}]]}));
    fs::create_dir_all(dir.net()).unwrap();
    for host in 2..reserved + 2 {
        dir.write(&format!("10.1.{}.{}", host >> 8, host & 255), &format!("c{host}\r\neth0"));
    }
    let last = reserved + 1;
    dir.write("last_reserved_ip.0", &format!("10.1.{}.{}", last >> 8, last & 255));
    let (plugin, trace) = (ours(), dir.0.join("trace"));
    let traced = ["strace", "-o", trace.to_str().unwrap(), &plugin, "host-local"];
    // The first call builds the index.
    assert!(Call("ADD", "first", "eth0", "").run(&[&plugin, "host-local"], &conf).0);
    let measure = |verb| {
        assert!(Call(verb, "measured", "eth0", "").run(&traced, &conf).0);
        calls(&fs::read_to_string(&trace).unwrap())
    };
    (measure("ADD"), measure("DEL"))
}

#[test]
fn flat_from_none_to_twenty_thousand() {
    let (add, del) = cost(0);
    println!("ADD {add} DEL {del} system calls");
    assert!(add < 25 && del < 20, "ADD {add}, DEL {del}");
    for reserved in [1_000, 20_000] {
        let (more_add, more_del) = cost(reserved);
        println!("at {reserved}: ADD {more_add} DEL {more_del}");
        assert!(more_add.abs_diff(add) <= 2 && more_del.abs_diff(del) <= 2, "{reserved}: {more_add}, {more_del}");
    }
}
