//! The CNI plugins of Debian's suite sid: the newest there are as a package.
//!
//! apt fetches them, verified by the archive's signature as always, with a configuration, lists and a cache of its own below
//! the target directory: the machine's apt tells its mirrors (`apt-get --print-uris update`) and is not changed. What has been
//! fetched is used until somebody removes it. `apt.conf(5)`, `sources.list(5)`.

use crate::build::target_directory;
use crate::shell::{command, has, output, run};
use std::fs;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "containernetworking-plugins";
/// What Debian signs its suites with; the name depends on the release.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// The plugins that were fetched.
#[derive(Debug, Clone)]
pub struct Sid {
    /// The directory that they are in.
    pub plugins: PathBuf,
    /// The version of the package.
    pub version: String,
}

/// Fetches the plugins, unless they are there.
///
/// # Errors
/// There is no apt or no keyring of Debian's, or no mirror of this machine has the suite or the package.
pub fn fetch() -> Result<Sid, String> {
    let there = target_directory().join("sid");
    if !there.exists() {
        let new = target_directory().join("sid.new");
        let fail = |error: std::io::Error| format!("{}: {error}", new.display());
        if new.exists() {
            fs::remove_dir_all(&new).map_err(fail)?;
        }
        fs::create_dir_all(&new).map_err(fail)?;
        download(&new)?;
        fs::rename(&new, &there).map_err(fail)?;
    }
    let version = there.join("version");
    let version = fs::read_to_string(&version).map_err(|error| format!("{}: {error}", version.display()))?;
    let sid = Sid { plugins: there.join("usr/lib/cni"), version: version.trim().to_owned() };
    eprintln!("{PACKAGE} {} of Debian sid", sid.version);
    Ok(sid)
}

/// Unpacks the package in `directory`, with its version.
fn download(directory: &Path) -> Result<(), String> {
    let keyring = KEYRINGS.into_iter().find(|keyring| Path::new(keyring).exists());
    let (true, Some(keyring)) = (has("apt-get"), keyring) else {
        return Err(format!("{PACKAGE} of Debian sid needs apt-get and the package debian-archive-keyring"));
    };
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    let apt = directory.join("apt");
    for needed in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(needed)).map_err(fail)?;
    }
    fs::write(apt.join("apt.conf"), settings(&apt)).map_err(fail)?;
    // Unlike `indextargets`, this tells the sources of a machine whose lists have been removed, as in an image.
    let known = output(&["apt-get", "--print-uris", "update"]);
    let has_sid = |mirror: &&str| {
        let source = format!("deb [signed-by={keyring} target=Packages] {mirror} sid main\n");
        fs::write(apt.join("sources.list"), source).is_ok() && apt_get(directory, &["update", "--error-on=any"]).is_ok()
    };
    if !mirrors(&known).iter().any(has_sid) {
        return Err(format!("no mirror of this machine's apt sources has Debian's suite sid, and {PACKAGE} there"));
    }
    apt_get(directory, &["download", &format!("{PACKAGE}/sid")])?;
    unpack(directory)?;
    fs::remove_dir_all(&apt).map_err(fail)
}

/// Runs apt-get in `directory`, with the configuration there.
fn apt_get(directory: &Path, words: &[&str]) -> Result<(), String> {
    let mut command = command(&["apt-get", "-qq", "-c", "apt/apt.conf"]);
    run(command.args(words).current_dir(directory))
}

/// Unpacks the package that is in `directory`, and removes it.
fn unpack(directory: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut entries = fs::read_dir(directory).map_err(fail)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = entries.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or("apt-get download left no package")?;
    run(command(&["dpkg-deb", "-x"]).args([&package, directory]))?;
    let version = output(&["dpkg-deb", "-f", &package.to_string_lossy(), "Version"]);
    fs::write(directory.join("version"), version).and_then(|()| fs::remove_file(&package)).map_err(fail)
}

/// The configuration that keeps apt in `directory`: nothing of the machine's is read that names a source, and none of the
/// programs run that the machine has told it to run behind an update.
fn settings(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "#clear APT::Update;
Dir::State \"{at}\";
Dir::State::lists \"{at}/lists\";
Dir::Cache \"{at}/cache\";
Dir::Etc::sourcelist \"{at}/sources.list\";
Dir::Etc::sourceparts \"-\";
APT::Sandbox::User \"root\";
"
    )
}

/// The mirrors, each once, of `'MIRROR/dists/SUITE/FILE' NAME SIZE` on each line. Those that are not Debian's archive have
/// no sid that Debian signed.
fn mirrors(known: &str) -> Vec<&str> {
    let mut mirrors: Vec<&str> = Vec::new();
    for (mirror, _) in known.lines().filter_map(|line| line.strip_prefix('\'')?.split_once("/dists/")) {
        if !mirrors.contains(&mirror) {
            mirrors.push(mirror);
        }
    }
    mirrors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mirror_is_asked_once() {
        let known = "'http://mirror/debian/dists/stable/InRelease' mirror_debian_dists_stable_InRelease 0 \n\
                     'http://mirror/debian/dists/stable/main/binary-amd64/Packages.xz' mirror_debian_Packages 0 \n\
                     'http://security/dists/stable-security/InRelease' security_dists_InRelease 0 \n\
                     'http://flat/InRelease' flat_InRelease 0 \n";
        assert_eq!(mirrors(known), ["http://mirror/debian", "http://security"]);
        assert!(mirrors("").is_empty());
    }
}
