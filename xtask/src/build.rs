//! The product as it is released, laid out as the tests use it.

use crate::shell::{command, root, run};
use std::path::{Path, PathBuf};

/// The names under which `netferry-cni` is installed.
pub const PLUGINS: &[&str] = &["loopback", "bridge", "ptp", "host-device", "host-local", "static"];

/// Where the binaries of one build are.
pub struct Product {
    /// A directory with the plugins under their names: a CNI_PATH.
    pub plugins: PathBuf,
    /// The command line.
    pub netferry: PathBuf,
}

/// Builds both binaries for `target` (`None`: this machine's) and links the plugins.
///
/// # Errors
/// The build fails, or the links cannot be made.
pub fn product(target: Option<&str>) -> Result<Product, String> {
    let mut cargo = command(&["cargo", "build", "--release", "--quiet", "-p", "plugins", "-p", "netferry"]);
    let directory = target_directory();
    let mut built = directory.clone();
    if let Some(target) = target {
        cargo.args(["--target", target]);
        built.push(target);
    }
    run(&mut cargo)?;
    let built = built.join("release");
    let plugins = directory.join("cni");
    link(&built.join("netferry-cni"), &plugins).map_err(|error| format!("{}: {error}", plugins.display()))?;
    Ok(Product { plugins, netferry: built.join("netferry") })
}

/// Builds the benchmark's floor program.
///
/// # Errors
/// The build fails.
pub fn floor(target: Option<&str>) -> Result<PathBuf, String> {
    let mut cargo = command(&["cargo", "build", "--release", "--quiet", "-p", "kernel", "--example", "floor"]);
    cargo.args(target.iter().flat_map(|target| ["--target", target]));
    run(&mut cargo)?;
    Ok(target_directory().join(target.unwrap_or_default()).join("release/examples/floor"))
}

/// Where a release is laid out.
pub fn dist_directory() -> PathBuf {
    target_directory().join("dist")
}

fn link(binary: &Path, directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for name in PLUGINS {
        let path = directory.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::hard_link(binary, &path)?,
        }
    }
    Ok(())
}

/// Where everything is built.
pub fn target_directory() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(set.unwrap_or_else(|| PathBuf::from("target")))
}
