//! What the tests need on the machine, installed only when it is missing.

use crate::shell::{command, has, output, run};
use std::path::Path;

/// The static target of the release binaries.
pub const MUSL: &str = "x86_64-unknown-linux-musl";

/// A Debian package, and how to see that it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("iproute2", "ip"),
    ("nftables", "nft"),
    ("iptables", "iptables"),
    ("strace", "strace"),
    ("iputils-ping", "ping"),
    ("conntrack", "conntrack"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("systemd", "/lib/systemd/systemd-networkd"),
];

/// Installs the packages that are missing, by apt-get.
///
/// # Errors
/// apt-get is not there or fails.
pub fn packages() -> Result<(), String> {
    install(PACKAGES)
}

/// Installs those of `packages` (name, and a program that it has) that are missing, by apt-get.
///
/// # Errors
/// apt-get is not there or fails.
pub fn install(packages: &[(&str, &str)]) -> Result<(), String> {
    let there = |probe: &str| if probe.starts_with('/') { Path::new(probe).exists() } else { has(probe) };
    let missing: Vec<&str> = packages.iter().filter(|(_, probe)| !there(probe)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        return Err(format!("please install what gives {}", missing.join(", ")));
    }
    run(command(&["apt-get", "update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let words = [&["apt-get", "install", "-qq", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    run(command(&words).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The target to build products for: musl where it can be had, else this machine's own (`None`), with a line about it.
pub fn target() -> Option<&'static str> {
    let installed = || output(&["rustup", "target", "list", "--installed"]).lines().any(|line| line == MUSL);
    if installed() || (run(&mut command(&["rustup", "target", "add", MUSL])).is_ok() && installed()) {
        return Some(MUSL);
    }
    println!("{MUSL} cannot be had here: testing dynamic binaries instead of the static ones that are released");
    None
}
