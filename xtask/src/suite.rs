//! Packages of any of Debian's suites, whatever this machine's own is: unpacked below the target directory, never installed.
//!
//! apt fetches them, verified by the archive's signature as always, with a configuration, lists and a cache of its own for each
//! suite: the machine's apt tells its mirrors (`apt-get --print-uris update`) and is not changed. What has been fetched is used
//! until somebody removes it. `apt.conf(5)`, `sources.list(5)`.
//!
//! A program is told to use the libraries that were unpacked with it, since this machine's C library may be older than what it
//! needs. Not by a loader in front of it: runc starts itself again by `/proc/self/exe`. See patchelf(1), ld.so(8).

use crate::build::target_directory;
use crate::setup;
use crate::shell::{command, has, output, run};
use std::fs;
use std::path::{Path, PathBuf};

/// What Debian signs its suites with; the name depends on the release.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// A package of a suite.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The package's name.
    pub package: &'a str,
    /// The suite's name, as in `sources.list`.
    pub suite: &'a str,
    /// Whether what it depends on is unpacked in the same directory; else the package alone.
    pub with_dependencies: bool,
}

/// A package that was fetched.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it is unpacked: this directory is its `/`.
    pub directory: PathBuf,
    /// Its version.
    pub version: String,
}

/// Fetches a package, unless it is there.
///
/// # Errors
/// There is no apt or no keyring of Debian's, or no mirror of this machine has the suite or the package.
pub fn fetch(wanted: &Wanted) -> Result<Fetched, String> {
    let suite = target_directory().join("debian").join(wanted.suite);
    let there = suite.join(wanted.package);
    if !there.exists() {
        let new = suite.join(format!("{}.new", wanted.package));
        let fail = |error: std::io::Error| format!("{}: {error}", new.display());
        if new.exists() {
            fs::remove_dir_all(&new).map_err(fail)?;
        }
        let archives = new.join("archives");
        fs::create_dir_all(archives.join("partial")).map_err(fail)?;
        download(&suite.join("apt"), wanted, &archives)?;
        unpack(&archives, wanted.package, &new)?;
        fs::remove_dir_all(&archives).and_then(|()| fs::rename(&new, &there)).map_err(fail)?;
    }
    let version = there.join("version");
    let version = fs::read_to_string(&version).map_err(|error| format!("{}: {error}", version.display()))?;
    let fetched = Fetched { directory: there, version: version.trim().to_owned() };
    eprintln!("{} {} of Debian {}", wanted.package, fetched.version, wanted.suite);
    Ok(fetched)
}

impl Fetched {
    /// A copy of a program that uses the libraries that were unpacked with it, in the directory itself.
    ///
    /// # Errors
    /// There is no patchelf, no such program, or it came without the C library.
    pub fn program(&self, program: &str) -> Result<PathBuf, String> {
        let original = self.directory.join(program);
        let adapted = self.directory.join(original.file_name().unwrap_or_default());
        if !adapted.exists() {
            setup::install(&[("patchelf", "patchelf")])?;
            let loader = output(&["patchelf", "--print-interpreter", &original.to_string_lossy()]);
            let told = Path::new(loader.trim()).file_name();
            let loader = told.ok_or_else(|| format!("patchelf told no loader of {}", original.display()))?;
            let libraries = libraries(&self.directory)?;
            let new = self.directory.join("new");
            fs::copy(&original, &new).map_err(|error| format!("{}: {error}", original.display()))?;
            let mut patch = command(&["patchelf", "--set-interpreter"]);
            // Not a RUNPATH, which the libraries themselves would not be searched by.
            patch.arg(libraries.join(loader)).args(["--force-rpath", "--set-rpath"]).arg(&libraries).arg(&new);
            run(&mut patch)?;
            fs::rename(&new, &adapted).map_err(|error| format!("{}: {error}", adapted.display()))?;
        }
        Ok(adapted)
    }
}

/// The directory of an unpacked C library, named after the architecture.
fn libraries(unpacked: &Path) -> Result<PathBuf, String> {
    let lib = unpacked.join("usr/lib");
    let entries = fs::read_dir(&lib).map_err(|error| format!("{}: {error}", lib.display()))?;
    let mut directories = entries.filter_map(|entry| Some(entry.ok()?.path()));
    directories.find(|path| path.join("libc.so.6").exists()).ok_or_else(|| format!("{}: no C library", lib.display()))
}

/// Downloads the package into `archives`, by the lists in `apt`: those that are there, unless they have become too old.
fn download(apt: &Path, wanted: &Wanted, archives: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", apt.display());
    fs::create_dir_all(apt.join("lists/partial")).map_err(fail)?;
    fs::write(apt.join("apt.conf"), settings(apt)).and_then(|()| fs::write(apt.join("status"), "")).map_err(fail)?;
    let had_lists = apt.join(UPDATED).exists();
    if !had_lists {
        update(apt, wanted)?;
    }
    match get(apt, wanted, archives) {
        Err(_) if had_lists => update(apt, wanted).and_then(|()| get(apt, wanted, archives)),
        done => done,
    }
}

/// The file beside the lists that says that they are whole.
const UPDATED: &str = "updated";

/// Fetches the lists of a suite into `apt`, from the first of this machine's mirrors that has it.
fn update(apt: &Path, wanted: &Wanted) -> Result<(), String> {
    let Wanted { package, suite, .. } = wanted;
    let keyring = KEYRINGS.into_iter().find(|keyring| Path::new(keyring).exists());
    let (true, Some(keyring)) = (has("apt-get"), keyring) else {
        return Err(format!("{package} of Debian {suite} needs apt-get and the package debian-archive-keyring"));
    };
    // Unlike `indextargets`, this tells the sources of a machine whose lists have been removed, as in an image.
    let known = output(&["apt-get", "--print-uris", "update"]);
    let has_suite = |mirror: &&str| {
        let source = |suite| format!("deb [signed-by={keyring} target=Packages] {mirror} {suite} main\n");
        let sources: String = whole(suite).into_iter().map(source).collect();
        fs::write(apt.join("sources.list"), sources).is_ok() && apt_get(apt, &["update", "--error-on=any"], apt).is_ok()
    };
    if !mirrors(&known).iter().any(has_suite) {
        return Err(format!("no mirror of this machine's apt sources has Debian's suite {suite}, and {package} there"));
    }
    let updated = apt.join(UPDATED);
    fs::write(&updated, "").map_err(|error| format!("{}: {error}", updated.display()))
}

/// The suites that a package's dependencies are in: experimental holds only what differs from sid.
fn whole(suite: &str) -> Vec<&str> {
    if suite == "experimental" { vec![suite, "sid"] } else { vec![suite] }
}

fn get(apt: &Path, wanted: &Wanted, archives: &Path) -> Result<(), String> {
    let Wanted { package, suite, with_dependencies } = wanted;
    if !with_dependencies {
        return apt_get(apt, &["download", &format!("{package}/{suite}")], archives);
    }
    // Nothing is installed where this configuration looks, so that everything down to the C library is downloaded.
    let cache = format!("Dir::Cache::archives={}", archives.display());
    apt_get(apt, &["install", "--download-only", "-y", "-o", &cache, "-t", suite, package], archives)
}

/// Runs apt-get in a directory, with the configuration in `apt`.
fn apt_get(apt: &Path, words: &[&str], directory: &Path) -> Result<(), String> {
    let mut command = command(&["apt-get", "-qq", "-c"]);
    run(command.arg(apt.join("apt.conf")).args(words).current_dir(directory))
}

/// Unpacks what is in `archives`, and writes down the version of `package`.
fn unpack(archives: &Path, package: &str, directory: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", archives.display());
    let entries = fs::read_dir(archives).map_err(fail)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut version = None;
    for archive in entries.filter(|path| path.extension().is_some_and(|end| end == "deb")) {
        run(command(&["dpkg-deb", "-x"]).args([&archive, directory]))?;
        let field = |name| output(&["dpkg-deb", "-f", &archive.to_string_lossy(), name]).trim().to_owned();
        if field("Package") == package {
            version = Some(field("Version"));
        }
    }
    let version = version.ok_or_else(|| format!("apt-get left no package {package} in {}", archives.display()))?;
    fs::write(directory.join("version"), version).map_err(fail)
}

/// The configuration that keeps apt in `directory`: nothing of the machine's is read that names a source or a package that is
/// installed, and none of the programs run that the machine has told it to run behind an update.
fn settings(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "#clear APT::Update;
#clear APT::Default-Release;
Dir::State \"{at}\";
Dir::State::lists \"{at}/lists\";
Dir::State::status \"{at}/status\";
Dir::Cache \"{at}\";
Dir::Etc::sourcelist \"{at}/sources.list\";
Dir::Etc::sourceparts \"-\";
Dir::Etc::preferences \"/dev/null\";
Dir::Etc::preferencesparts \"/dev/null\";
Acquire::GzipIndexes \"true\";
APT::Install-Recommends \"false\";
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
