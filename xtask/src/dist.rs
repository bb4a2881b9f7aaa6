//! `cargo xtask dist`: what is released, in target/dist/: both static binaries and the plugins' names as hard links.

use crate::bench::BINARY;
use crate::build::{PLUGINS, Product, dist_directory, product};
use crate::setup::{MUSL, target};
use crate::shell::output;
use std::path::Path;

/// Builds, lays out, checks and lists the release.
///
/// # Errors
/// The static target cannot be had, the build fails, a binary is not static, or the plugins' is too large.
pub fn run() -> Result<(), String> {
    let target = target().ok_or_else(|| format!("a release needs the target {MUSL}"))?;
    let Product { plugins, netferry } = product(Some(target))?;
    let directory = dist_directory();
    lay_out(&plugins, &netferry, &directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut complaints = Vec::new();
    for name in ["netferry", "netferry-cni"] {
        let path = directory.join(name);
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let linked = if is_static(&bytes) { "statically linked" } else { "dynamically linked" };
        println!("{:>9} bytes  {name}, {linked}", bytes.len());
        if !is_static(&bytes) {
            complaints.push(format!("{name} is not static"));
        }
        if name == "netferry-cni" && bytes.len() as u64 >= BINARY {
            complaints.push(format!("{name} has {} bytes, {BINARY} are too many", bytes.len()));
        }
    }
    println!("{:>9} names  {}", PLUGINS.len(), PLUGINS.join(" "));
    print!("{}", output(&["du", "-sh", "--", &directory.to_string_lossy()]));
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
}

fn lay_out(plugins: &Path, netferry: &Path, directory: &Path) -> std::io::Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    std::fs::copy(netferry, directory.join("netferry"))?;
    let binary = directory.join("netferry-cni");
    std::fs::copy(plugins.join(PLUGINS[0]), &binary)?;
    PLUGINS.iter().try_for_each(|name| std::fs::hard_link(&binary, directory.join(name)))
}

/// Whether an ELF file of 64 bits, least byte first, names no program interpreter (`PT_INTERP`).
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let Some((offset, size, count)) =
        elf.starts_with(b"\x7fELF\x02\x01").then(|| Some((number(32, 8)?, number(54, 2)?, number(56, 2)?))).flatten()
    else {
        return false;
    };
    (0..count).all(|at| number((offset + at * size) as usize, 4).is_some_and(|kind| kind != u64::from(PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_static_from_dynamic() {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (elf[32], elf[54], elf[56]) = (64, 56, 1);
        elf[64] = 1;
        assert!(is_static(&elf));
        elf[64] = 3;
        assert!(!is_static(&elf));
        assert!(!is_static(b"#!/bin/sh"));
    }
}
