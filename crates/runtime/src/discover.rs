//! Finds network configurations in a directory, as libcni's `LoadNetworkConf` and as a CRI runtime does.
//!
//! By name: every `.conflist` in the order of names, then every `.conf` and `.json` of a single plugin; the first one
//! of that name is it. By position: the first file of all. A list without `loadOnlyInlinedPlugins` is completed with
//! the plugins in `<directory>/<name>/*.conf`. Two things differ from libcni: a broken file of another network is a
//! warning and hides nothing, and completed lists carry their drop-ins in the bytes that the cache keeps.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cni::list::{NetworkList, parse_plugin};
use cni::{Error, code, env, json};

/// The largest configuration file that is read, in bytes.
pub const SIZE_LIMIT: u64 = 2 << 20;

/// A network that was found.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its configuration, drop-ins included.
    pub list: NetworkList,
    /// The file it came from.
    pub file: PathBuf,
    /// What is wrong with other files, one line each.
    pub warnings: Vec<String>,
}

/// The network `name` in `directory`.
///
/// # Errors
/// Code 7: there is none, or the file that defines it is broken. The details name every broken file.
pub fn load(directory: &Path, name: &str) -> Result<Network, Error> {
    env::validate_network_name(name)?;
    let lists = files(directory, &["conflist"])?;
    let singles = files(directory, &["conf", "json"])?;
    if lists.is_empty() && singles.is_empty() {
        return Err(nothing_in(directory));
    }
    let mut warnings = Vec::new();
    for file in lists.into_iter().chain(singles) {
        match read(&file) {
            Ok(list) if list.name == name => {
                let list = with_drop_ins(list, directory).map_err(|error| error.context(file.display()))?;
                return Ok(Network { list, file, warnings });
            }
            Ok(_) => {}
            Err(broken) if broken.name.as_deref() == Some(name) => return Err(broken.error),
            Err(broken) => warnings.push(broken.error.to_string()),
        }
    }
    let missing = format!("no net configuration with name \"{name}\" in {}", directory.display());
    Err(Error::new(code::INVALID_CONFIG, missing).with_details(warnings.join("; ")))
}

/// The network that a CRI runtime would take: that of the first file in the order of names, whatever its kind.
///
/// # Errors
/// Code 7: no file, or none that can be used; the details name every broken file.
pub fn default_network(directory: &Path) -> Result<Network, Error> {
    let files = files(directory, &["conf", "conflist", "json"])?;
    let mut warnings = Vec::new();
    for file in files {
        let loaded = read(&file).map_err(|broken| broken.error);
        match loaded.and_then(|list| with_drop_ins(list, directory).map_err(|error| error.context(file.display()))) {
            Ok(list) => return Ok(Network { list, file, warnings }),
            Err(error) => warnings.push(error.to_string()),
        }
    }
    Err(nothing_in(directory).with_details(warnings.join("; ")))
}

/// Whether `directory` has no configuration file at all, or does not exist.
///
/// # Errors
/// Code 5 if it exists and cannot be read.
pub fn is_empty(directory: &Path) -> Result<bool, Error> {
    Ok(files(directory, &["conf", "conflist", "json"])?.is_empty())
}

/// A file that is no network configuration, and whose it seems to be.
struct Broken {
    name: Option<String>,
    error: Error,
}

fn read(file: &Path) -> Result<NetworkList, Broken> {
    let bytes = contents(file).map_err(|error| Broken { name: None, error })?;
    let is_list = file.extension().is_some_and(|extension| extension == "conflist");
    let parsed = if is_list { NetworkList::parse(&bytes) } else { NetworkList::from_single(&bytes) };
    parsed.map_err(|error| Broken { name: name_in(&bytes), error: error.context(file.display()) })
}

fn name_in(bytes: &[u8]) -> Option<String> {
    json::parse(bytes).ok()?.get("name")?.as_str().map(str::to_owned)
}

fn with_drop_ins(mut list: NetworkList, directory: &Path) -> Result<NetworkList, Error> {
    if !list.load_only_inlined_plugins {
        let files = files(&directory.join(&list.name), &["conf"])?;
        if !files.is_empty() {
            append(&mut list, &files)?;
        }
    }
    if list.plugins.is_empty() {
        return Err(Error::new(code::INVALID_CONFIG, "no plugin configs found"));
    }
    Ok(list)
}

/// Adds the plugins in `files` to the list, and to its bytes, from which DEL will read it again.
fn append(list: &mut NetworkList, files: &[PathBuf]) -> Result<(), Error> {
    for file in files {
        let plugin = parse_plugin(&contents(file)?).map_err(|error| error.context(file.display()))?;
        list.plugins.push(plugin);
    }
    let mut document = json::parse(&list.bytes).map_err(|error| Error::new(code::DECODE, error.to_string()))?;
    if let Some(object) = document.as_object_mut() {
        object.insert("plugins".into(), list.plugins.clone().into());
    }
    list.bytes = document.to_string().into_bytes();
    Ok(())
}

/// The files in `directory` with one of `extensions`, ordered by name. A missing directory has none.
fn files(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(directory, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(directory, &error))?.path();
        let wanted = path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension));
        // What a symbolic link leads to counts; a dangling one is a broken file, reported when it is read.
        if wanted && path.metadata().map_or(true, |found| found.is_file()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn contents(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| failed(file, &error))?;
    opened.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| failed(file, &error))?;
    if bytes.len() as u64 > SIZE_LIMIT {
        let text = format!("{}: larger than {SIZE_LIMIT} bytes", file.display());
        return Err(Error::new(code::INVALID_CONFIG, text));
    }
    Ok(bytes)
}

fn nothing_in(directory: &Path) -> Error {
    Error::new(code::INVALID_CONFIG, format!("no net configurations found in {}", directory.display()))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(code::IO, format!("error reading {}: {error}", path.display()))
}
