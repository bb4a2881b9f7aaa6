//! The OCI runtimes that tests run containers with, three that know `linux.netDevices` and two that are older than it, and
//! engines that call them.
//!
//! The old ones are Debian 12's, installed; the new ones are of later suites (`suite`), unpacked with the libraries that they
//! need and told to use those. Debian has no youki: that is built from its crate.

use crate::build::target_directory;
use crate::setup;
use crate::shell::{command, output, run};
use crate::suite::{self, Wanted};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const PACKAGES: &[(&str, &str)] =
    &[("runc", "runc"), ("crun", "crun"), ("busybox-static", "busybox"), ("curl", "curl")];

/// A runtime: its name, where the new one is from, and the first version with netDevices.
struct Known {
    name: &'static str,
    new: Origin,
    since: (u32, u32),
}

enum Origin {
    /// A suite of Debian's, and the program in the package of the runtime's name. Debian 12 has an old one.
    Suite(&'static str, &'static str),
    /// The crate of the runtime's name, in this version.
    Crate(&'static str),
}

const KNOWN: [Known; 3] = [
    Known { name: "runc", new: Origin::Suite("experimental", "usr/sbin/runc"), since: (1, 4) },
    Known { name: "crun", new: Origin::Suite("sid", "usr/bin/crun"), since: (1, 22) },
    Known { name: "youki", new: Origin::Crate("0.7.0"), since: (0, 6) },
];

/// An engine: its package, and the programs of it and of its dependencies that are called.
struct Engine {
    wanted: Wanted<'static>,
    programs: &'static [&'static str],
}

/// Docker is sid's, since that and its containerd know CDI without being told, by ctr too. containerd is one of its dependencies,
/// so that both are one download.
const ENGINES: [Engine; 3] = [
    Engine {
        wanted: Wanted { package: "podman", suite: "trixie", with_dependencies: true },
        programs: &["usr/bin/podman", "usr/bin/conmon", "usr/lib/podman/netavark"],
    },
    Engine {
        wanted: Wanted { package: "docker.io", suite: "sid", with_dependencies: true },
        programs: &["usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr", "usr/sbin/dockerd"],
    },
    Engine {
        wanted: Wanted { package: "docker-cli", suite: "sid", with_dependencies: true },
        programs: &["usr/bin/docker"],
    },
];

/// The directory with `runc-old`, `crun-old`, `runc-new`, `crun-new`, `youki-new`, a `rootfs`, and the engines' programs, once
/// they are there and of such a version.
///
/// # Errors
/// A runtime cannot be had, does not start, or is too new or too old.
pub fn fetch() -> Result<PathBuf, String> {
    setup::install(PACKAGES)?;
    let directory = target_directory().join("runtimes");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for known in &KNOWN {
        for (age, program) in known.programs()? {
            let link = link(&program, directory.join(format!("{}-{age}", known.name)))?;
            check(&link, known, age == "new")?;
        }
    }
    for engine in &ENGINES {
        let unpacked = suite::fetch(&engine.wanted)?;
        for program in engine.programs {
            let adapted = unpacked.program(program)?;
            link(&adapted, directory.join(adapted.file_name().unwrap_or_default()))?;
        }
    }
    root_file_system(&directory.join("rootfs"))?;
    Ok(directory)
}

impl Known {
    /// What there is of it, each with its age.
    fn programs(&self) -> Result<Vec<(&'static str, PathBuf)>, String> {
        let name = self.name;
        match self.new {
            Origin::Suite(suite, program) => {
                let old = installed(name).ok_or_else(|| format!("please install {name} of Debian 12"))?;
                let wanted = Wanted { package: name, suite, with_dependencies: true };
                Ok(vec![("old", old), ("new", suite::fetch(&wanted)?.program(program)?)])
            }
            Origin::Crate(version) => Ok(vec![("new", built(name, version)?)]),
        }
    }
}

/// The program of a crate, built once: without what is of no use here, and without optimization, which takes twice as long.
fn built(name: &str, version: &str) -> Result<PathBuf, String> {
    let directory = target_directory().join("crates").join(format!("{name}-{version}"));
    let (program, build) = (directory.join("bin").join(name), directory.join("build"));
    if !program.exists() {
        // No systemd, seccomp or cgroups of before: none of their libraries.
        let mut install = command(&["cargo", "install", "--quiet", "--locked", name, "--version", version]);
        install.args(["--no-default-features", "--features", "v2", "--root"]).arg(&directory);
        // Its debug build says more than anybody asks.
        run(install.arg("--target-dir").arg(&build).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"))?;
        fs::remove_dir_all(&build).map_err(|error| format!("{}: {error}", build.display()))?;
    }
    Ok(program)
}

/// Makes `at` lead to a program.
fn link(program: &Path, at: PathBuf) -> Result<PathBuf, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", at.display());
    if at.symlink_metadata().is_ok() {
        fs::remove_file(&at).map_err(fail)?;
    }
    symlink(program, &at).map_err(fail)?;
    Ok(at)
}

/// A root file system with busybox in it, that any number of containers share.
fn root_file_system(there: &Path) -> Result<(), String> {
    if there.exists() {
        return Ok(());
    }
    let busybox = installed("busybox").ok_or("please install busybox-static")?;
    let new = there.with_extension("new");
    let make = || {
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        ["bin", "dev", "proc", "sys", "tmp"].iter().try_for_each(|name| fs::create_dir_all(new.join(name)))?;
        fs::copy(busybox, new.join("bin/busybox"))?;
        ["cat", "sh", "sleep", "true"].iter().try_for_each(|name| symlink("busybox", new.join("bin").join(name)))
    };
    make().map_err(|error: std::io::Error| format!("{}: {error}", new.display()))?;
    let mut tried = command(&["chroot"]);
    run(tried.arg(&new).arg("/bin/true")).map_err(|error| format!("please install busybox-static: {error}"))?;
    fs::rename(&new, there).map_err(|error| format!("{}: {error}", there.display()))
}

/// Where a program of PATH is.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn check(program: &Path, known: &Known, is_new: bool) -> Result<(), String> {
    let Known { name, since, .. } = known;
    let said = output(&[&program.to_string_lossy(), "--version"]);
    let first = said.lines().next().unwrap_or_default();
    let version = version(first).ok_or_else(|| format!("{}: does not tell its version", program.display()))?;
    if (version >= *since) != is_new {
        let (than, age) = (format!("{}.{}", since.0, since.1), if is_new { "at least" } else { "older than" });
        return Err(format!("{} is {first}: the tests need {name} {age} {than}", program.display()));
    }
    eprintln!("{}: {first}", program.display());
    Ok(())
}

/// The first two numbers of `NAME version 1.4.3+ds1`, or `NAME version: 0.7.0`.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split(' ').nth(2)?.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("runc version 1.1.5+ds1"), Some((1, 1)));
        assert_eq!(version("youki version: 0.7.0"), Some((0, 7)));
        assert_eq!(version("crun version 1.28"), Some((1, 28)));
        assert_eq!(version("crun version UNKNOWN"), None);
        assert_eq!(version(""), None);
    }
}
