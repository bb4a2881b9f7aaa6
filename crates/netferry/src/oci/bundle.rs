//! A bundle's `config.json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::oci::{Document, Spec};
use cni::Error;

use crate::home::failed;

/// Longer than any configuration, in bytes.
const LONGEST: u64 = 16 << 20;

/// What counts of the configuration of the bundle in the directory `bundle`.
///
/// # Errors
/// It is not there, too long, or not what it should be; the error names the file and the field.
pub fn spec(bundle: &Path) -> Result<Spec, Error> {
    let path = bundle.join("config.json");
    let wrong = |why: &dyn std::fmt::Display| failed(&format!("{}: {why}", path.display()));
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
    match read {
        Err(error) => Err(wrong(&error)),
        Ok(length) if length as u64 > LONGEST => Err(wrong(&format!("it is longer than {LONGEST} bytes"))),
        Ok(_) => Document::read(&text).and_then(|config| Spec::read(&config)).map_err(|error| wrong(&error)),
    }
}
