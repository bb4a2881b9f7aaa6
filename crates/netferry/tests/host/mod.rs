//! A host to run netferry on: namespaces for network and mounts, with an uplink-like bridge and empty state directories.
//! A test is a shell script in it, which finds netferry as `$NETFERRY` and a `snapshot` of all that netferry may touch.

use std::process::{Command, Output};

const PRELUDE: &str = r#"
set -u
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /dev/shm; mkdir /run/conf /run/bin
ip link set lo up
ip link add uplink0 address 02:00:00:00:00:01 type bridge
ip address add 198.51.100.2/24 dev uplink0; ip address add 2001:db8::2/64 dev uplink0 nodad; ip link set uplink0 up
snapshot() {
    ip -details address | grep -v valid_lft | sed 's/[a-z]*_timer *[0-9.]*//g'; ip route; ip -6 route | sed 's/expires [^ ]*//'; ip rule; nft list ruleset
    find /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf -name forwarding -o -name accept_ra -o -name accept_redirects |
        sort | xargs grep -H .
    find /run /var/lib | sort
}
settle() { snapshot > /dev/shm/$$.before; }
unchanged() { snapshot > /dev/shm/$$.after; diff /dev/shm/$$.before /dev/shm/$$.after && echo unchanged; rm -f /dev/shm/$$.*; }
"#;

/// How a script ended.
#[derive(Debug)]
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
}

/// Runs `script` on a fresh host, as root.
pub fn run(script: &str) -> Ended {
    run_in(&["--net", "--mount", "--propagation", "private"], script)
}

/// Runs `script` on a fresh host, in namespaces that these arguments of `unshare` make.
pub fn run_in(namespaces: &[&str], script: &str) -> Ended {
    let Output { stdout, stderr, .. } = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c"])
        .arg(format!("{PRELUDE}\n{script}"))
        .env("NETFERRY", env!("CARGO_BIN_EXE_netferry"))
        .env("NETCONFPATH", "/run/conf")
        .env("CNI_PATH", "/run/bin")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { stdout: text(stdout), stderr: text(stderr) };
    assert!(!ended.stderr.contains("unshare failed"), "these tests need root: {}", ended.stderr);
    ended
}

/// Runs `script`, which must print `expected`.
#[allow(dead_code, reason = "each test crate has its own copy, and one only counts")]
pub fn expect(script: &str, expected: &str) -> Ended {
    let ended = run(script);
    assert_eq!(ended.stdout.trim(), expected.trim(), "stderr: {}", ended.stderr);
    ended
}
