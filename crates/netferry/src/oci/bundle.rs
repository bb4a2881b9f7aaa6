//! A bundle's `config.json`.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ::oci::wrapper::unplaced;
use ::oci::{Document, Spec};
use cni::Error;
use ferry::Journal;

use crate::home::failed;
use crate::replace::replace;

/// What it is called.
pub const CONFIG: &str = "config.json";
/// The longest one, in bytes: many times what engines write.
const LONGEST: u64 = 16 << 20;

/// What counts of the configuration of the bundle in the directory `bundle`.
///
/// # Errors
/// It is not there, or not what it should be; the error names the file and the field.
pub fn spec(bundle: &Path) -> Result<Spec, Error> {
    let path = bundle.join(CONFIG);
    let wrong = |why: &dyn std::fmt::Display| failed(&format!("{}: {why}", path.display()));
    let missing = || wrong(&"No such file or directory; name the directory of a bundle");
    let (text, _) = read(&path).map_err(|error| wrong(&error))?.ok_or_else(missing)?;
    Document::read(&text).and_then(|config| Spec::read(&config)).map_err(|error| wrong(&error))
}

/// Gives the file `config` back what it says without a namespace of ours, to which devices were carried ahead: the next container
/// of the bundle has one of its own.
///
/// # Errors
/// It cannot be read, or written.
pub fn unplace(config: &Path, journal: &Journal) -> Result<(), String> {
    let Some((text, metadata)) = read(config)? else { return Ok(()) };
    let Some(text) = unplaced(&text, |path| journal.has_pin(path)) else { return Ok(()) };
    let path = config.canonicalize().map_err(|error| format!("look at it: {error}"))?;
    replace(&path, text.as_bytes(), Some(&metadata))
}

/// What is in the file `config`, and what the file is; `None` if there is none.
///
/// # Errors
/// It cannot be read, is no regular file, or too long.
pub fn read(config: &Path) -> Result<Option<(Vec<u8>, Metadata)>, String> {
    // Nobody may ever write to a pipe: opening one must not wait.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(config);
    let file = match opened {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("open it: {error}")),
    };
    let metadata = file.metadata().map_err(|error| format!("look at it: {error}"))?;
    if !metadata.is_file() {
        let words = "it is no regular file, so what it says cannot be read here and by the runtime; write it to one";
        return Err(words.to_owned());
    }
    Ok(Some((content(file, metadata.len())?, metadata)))
}

fn content(file: File, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(LONGEST)).unwrap_or_default());
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("read it: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes; this is no file of a container"));
    }
    Ok(bytes)
}
