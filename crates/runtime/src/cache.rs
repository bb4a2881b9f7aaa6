//! The result cache: what was attached, with which configuration, and what came of it.
//!
//! Directory, file names and JSON are libcni's (`cniCacheV1`), so that either runtime can delete what the other
//! attached. Ours differs in how it writes: an entry without a result stands in the cache before the first plugin runs,
//! so that an ADD that was killed can be found and deleted, and every result is complete or absent (temporary file,
//! fsync, rename). File names are ambiguous, since `-` may stand in each of the three parts: content decides.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cni::{Error, code};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attachment::{Attachment, Capabilities};
use crate::base64;

const KIND: &str = "cniCacheV1";
/// How many attachments may share one ambiguous file name.
const TWINS: usize = 4;

/// What the cache knows about one attachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name of the network.
    pub network: String,
    /// Whom it joined, and the arguments that ADD had.
    pub attachment: Attachment,
    /// The network configuration list, drop-ins included; empty for entries older than `cniCacheV1`.
    pub config: Vec<u8>,
    /// The final result of ADD; `None` while, or if, ADD did not finish.
    pub result: Option<Value>,
}

/// A cache directory.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// The cache in `directory`, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes `entry`, in place of what stood there for the same attachment.
    ///
    /// # Errors
    /// Code 4 or 7 for names that must not become a path, code 5 for what the system refused.
    pub fn write(&self, entry: &Entry) -> Result<(), Error> {
        entry.attachment.validate(&entry.network)?;
        let path = self.place(&entry.network, &entry.attachment)?.path;
        let text = render(entry).map_err(|error| failed("write", &path, &error))?;
        self.replace(&path, &text, entry.result.is_some()).map_err(|error| failed("write", &path, &error))
    }

    /// The entry of an attachment, or `None` if there is none.
    ///
    /// # Errors
    /// Names that must not become a path; a file that cannot be read or is no cache entry (code 6).
    pub fn read(&self, network: &str, attachment: &Attachment) -> Result<Option<Entry>, Error> {
        attachment.validate(network)?;
        match self.place(network, attachment)?.content {
            None => Ok(None),
            Some(Content::Entry(entry)) => Ok(Some(*entry)),
            Some(Content::Broken(reason)) => Err(Error::new(code::DECODE, format!("cached result: {reason}"))),
        }
    }

    /// Forgets an attachment. One that is not there is forgotten already.
    ///
    /// # Errors
    /// Names that must not become a path; code 5 for what the system refused.
    pub fn remove(&self, network: &str, attachment: &Attachment) -> Result<(), Error> {
        attachment.validate(network)?;
        let path = self.place(network, attachment)?.path;
        // A write that was killed leaves its temporary file.
        for path in [temporary(&path), path] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Every attachment in the cache, ordered by file name. Files that say too little to be used are passed over.
    ///
    /// # Errors
    /// Code 5 if the directory cannot be read; a missing one is empty.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let directory = self.results();
        let files = match fs::read_dir(&directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &directory, &error)),
        };
        let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        paths.sort();
        Ok(paths.iter().filter(|path| !is_temporary(path)).filter_map(|path| named_entry(path)).collect())
    }

    fn results(&self) -> PathBuf {
        self.directory.join("results")
    }

    /// The file of an attachment: the one that names it, else one that names nobody, else a new one.
    fn place(&self, network: &str, attachment: &Attachment) -> Result<Place, Error> {
        let name = format!("{network}-{}-{}", attachment.container_id, attachment.ifname);
        let mut best: Option<Place> = None;
        for twin in 0..TWINS {
            let path = self.results().join(if twin == 0 { name.clone() } else { format!("{name}~{twin}") });
            let content = match fs::read(&path) {
                Ok(bytes) => Some(parse(&bytes, network, attachment)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed("read", &path, &error)),
            };
            match &content {
                Some(Content::Entry(entry)) if is_same(entry, network, attachment) => {
                    return Ok(Place { path, content });
                }
                Some(Content::Entry(_)) => {}
                Some(Content::Broken(_)) | None if best.is_none() => best = Some(Place { path, content }),
                Some(Content::Broken(_)) | None => {}
            }
        }
        best.ok_or_else(|| Error::new(code::IO, format!("{TWINS} attachments share the cache file name {name}")))
    }

    /// An entry without result need not outlive a power failure: what it stands for does not either.
    fn replace(&self, path: &Path, text: &[u8], is_lasting: bool) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.results())?;
        let temporary = temporary(path);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let synced = file.write_all(text).and_then(|()| if is_lasting { file.sync_all() } else { Ok(()) });
        let written = synced.and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// A file for an attachment, and what is in it.
struct Place {
    path: PathBuf,
    content: Option<Content>,
}

/// What a file holds.
enum Content {
    Entry(Box<Entry>),
    Broken(String),
}

/// The file as libcni writes it, in its order.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    kind: String,
    container_id: String,
    config: Option<String>,
    if_name: String,
    network_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cni_args: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capability_args: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

fn render(entry: &Entry) -> io::Result<Vec<u8>> {
    let attachment = &entry.attachment;
    let file = File {
        kind: KIND.into(),
        container_id: attachment.container_id.clone(),
        config: Some(base64::encode(&entry.config)),
        if_name: attachment.ifname.clone(),
        network_name: entry.network.clone(),
        netns: Some(attachment.netns.clone()).filter(|netns| !netns.is_empty()),
        cni_args: Some(attachment.args.clone()).filter(|args| !args.is_empty()),
        capability_args: Some(attachment.capabilities.clone()).filter(|capabilities| !capabilities.is_empty()),
        result: entry.result.clone(),
    };
    Ok(serde_json::to_vec(&file)?)
}

/// Reads a file. A bare result, the form before `cniCacheV1`, names nobody and is taken for the attachment's own.
fn parse(bytes: &[u8], network: &str, attachment: &Attachment) -> Content {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Content::Broken(format!("decoding version from network config: {error}")),
    };
    if value.get("kind").and_then(Value::as_str) == Some(KIND) {
        return match serde_json::from_value(value).map_err(|error| error.to_string()).and_then(entry_of) {
            Ok(entry) => Content::Entry(Box::new(entry)),
            Err(reason) => Content::Broken(reason),
        };
    }
    if !value.is_object() {
        return Content::Broken(format!("expected an object, found {value}"));
    }
    let attachment = attachment.clone();
    Content::Entry(Box::new(Entry { network: network.into(), attachment, config: Vec::new(), result: Some(value) }))
}

fn entry_of(file: File) -> Result<Entry, String> {
    let config = base64::decode(&file.config.unwrap_or_default()).ok_or("config is not base64")?;
    let attachment = Attachment {
        container_id: file.container_id,
        netns: file.netns.unwrap_or_default(),
        ifname: file.if_name,
        args: file.cni_args.unwrap_or_default(),
        capabilities: file.capability_args.unwrap_or_default(),
    };
    Ok(Entry { network: file.network_name, attachment, config, result: file.result.filter(|value| !value.is_null()) })
}

fn named_entry(path: &Path) -> Option<Entry> {
    let value: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let file: File = serde_json::from_value(value).ok().filter(|file: &File| file.kind == KIND)?;
    entry_of(file).ok().filter(|entry| entry.attachment.validate(&entry.network).is_ok())
}

fn is_same(entry: &Entry, network: &str, attachment: &Attachment) -> bool {
    entry.network == network
        && entry.attachment.container_id == attachment.container_id
        && entry.attachment.ifname == attachment.ifname
}

/// Beside the file, for rename(2) stays on one filesystem; no name of a network begins with a dot.
fn temporary(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(code::IO, format!("{verb} the cache file {}: {error}", path.display()))
}
