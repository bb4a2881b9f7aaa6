//! The words after `cargo xtask bench`.

use crate::suite::Fetched;
use std::path::{Path, PathBuf};

/// What to measure, how often, and how to say it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Measured calls of each contender in a row; a tenth more run before them, unmeasured.
    pub n: usize,
    /// Only rows whose key starts so.
    pub only: Option<String>,
    /// Smaller scale rows.
    pub quick: bool,
    /// JSON on standard output instead of the table.
    pub json: bool,
    /// Set in the process that already has namespaces of its own: the plugins and the floor program.
    pub inside: Option<(PathBuf, PathBuf)>,
    /// The package of the plugins of Debian sid, told to that process if a row needs them.
    pub sid: Option<Fetched>,
    /// What the rows of OCI containers need, told to that process if they are asked for.
    pub oci: Option<Oci>,
}

/// What the rows of OCI containers need, each by its full path.
#[derive(Debug, Clone)]
pub struct Oci {
    /// Our command line.
    pub netferry: PathBuf,
    /// The newest crun.
    pub crun: PathBuf,
    /// The newest runc.
    pub runc: PathBuf,
    /// What the containers have for `/`.
    pub rootfs: PathBuf,
}

impl Oci {
    /// Of our command line, and of the directory that `runtimes::fetch` has laid out.
    ///
    /// # Errors
    /// Something is not there.
    pub fn new(netferry: &Path, runtimes: &Path) -> Result<Oci, String> {
        let full = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
        let laid_out = |name: &str| full(&runtimes.join(name));
        let (crun, runc, rootfs) = (laid_out("crun-new")?, laid_out("runc-new")?, laid_out("rootfs")?);
        Ok(Oci { netferry: full(netferry)?, crun, runc, rootfs })
    }
}

const USAGE: &str = "usage: cargo xtask bench [--n N] [--only ROW] [--quick] [--json]";

impl Options {
    /// Reads the words.
    ///
    /// # Errors
    /// The usage.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut n = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| USAGE.to_owned());
            match word.as_str() {
                "--n" => n = Some(value()?.parse().map_err(|_| USAGE.to_owned())?),
                "--only" => options.only = Some(value()?),
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--inside" => options.inside = Some((value()?.into(), value()?.into())),
                "--oci" => {
                    let mut path = || value().map(PathBuf::from);
                    options.oci = Some(Oci { netferry: path()?, crun: path()?, runc: path()?, rootfs: path()? });
                }
                "--sid" => options.sid = Some(Fetched { directory: value()?.into(), version: value()? }),
                _ => return Err(USAGE.to_owned()),
            }
        }
        options.n = n.unwrap_or(if options.quick { 15 } else { 60 }).max(1);
        Ok(options)
    }

    /// Whether the row `key` was asked for.
    pub fn wants(&self, key: &str) -> bool {
        self.only.as_deref().is_none_or(|only| key.starts_with(only))
    }
}
