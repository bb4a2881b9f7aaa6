//! A directory for one test, gone after it.

use std::fs;
use std::path::{Path, PathBuf};

/// A fresh directory that is removed when it goes out of scope.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A directory whose name contains `name` and this process.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netferry-runtime-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `text` to the file `name` in it, with its directories.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
