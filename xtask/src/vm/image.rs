//! The initramfs: files of this machine and of the build, each at the place where it will be looked for.
//!
//! Programs bring the shared libraries that `ldd` names, and keep the names by which a loader finds them. A name that
//! is a symbolic link becomes the file itself: a copy costs less than the chain of links.

use crate::shell::output;
use crate::vm::archive::{self, Entry};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The names of the archive, parents before children, and what they stand for.
#[derive(Default)]
pub struct Image {
    entries: BTreeMap<String, Entry>,
}

impl Image {
    /// A directory, with those above it.
    pub fn directory(&mut self, name: &str) {
        for (at, _) in name.match_indices('/').chain([(name.len(), "")]) {
            self.entries.entry(name[..at].to_owned()).or_insert(Entry::Directory);
        }
    }

    /// A character device.
    pub fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.insert(name, Entry::Device(major, minor));
    }

    /// A file of text.
    pub fn text(&mut self, name: &str, text: String) {
        self.insert(name, Entry::File(text.into_bytes()));
    }

    /// A copy of the file at `path`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(&mut self, path: &Path, name: &str) -> Result<(), String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.insert(name, Entry::File(bytes));
        Ok(())
    }

    /// A copy of a program, and its libraries.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn program(&mut self, path: &Path, name: &str) -> Result<(), String> {
        self.file(path, name)?;
        // Of a static program it says nothing.
        let listed = output(&["ldd", &path.to_string_lossy()]);
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = library.trim_start_matches('/');
            if !self.entries.contains_key(place) {
                self.file(Path::new(library), place)?;
            }
        }
        Ok(())
    }

    /// Another name of a file.
    pub fn link(&mut self, name: &str, target: &str) {
        self.insert(name, Entry::Link(target.to_owned()));
    }

    /// Programs of this machine, by their names in one string, and the files that they load when they run.
    ///
    /// # Errors
    /// One is not in PATH or cannot be read.
    pub fn tools(&mut self, names: &str) -> Result<(), String> {
        for name in names.split_whitespace() {
            let path = which(name).ok_or_else(|| format!("{name} is not there"))?;
            let real = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
            let place = format!("usr/bin/{}", real.file_name().unwrap_or_default().to_string_lossy());
            if !self.entries.contains_key(&place) {
                self.program(&real, &place)?;
            }
            // A program of many names is told by its name which one it is.
            if place != format!("usr/bin/{name}") {
                self.insert(&format!("usr/bin/{name}"), Entry::Symlink(format!("/{place}")));
            }
        }
        self.insert("bin", Entry::Symlink("/usr/bin".to_owned()));
        for directory in ["/usr/lib/x86_64-linux-gnu/xtables", "/etc/iproute2", "/usr/share/iproute2"] {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_file() {
                    self.program(&path, path.to_string_lossy().trim_start_matches('/'))?;
                }
            }
        }
        ["/etc/protocols", "/etc/services"].iter().try_for_each(|path| self.file(Path::new(path), &path[1..]))
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let written = File::create(path).and_then(|file| {
            let mut out = BufWriter::new(file);
            let inodes: BTreeMap<&str, u32> = self.entries.keys().map(String::as_str).zip(1..).collect();
            for (name, entry) in &self.entries {
                let file = if let Entry::Link(target) = entry { target } else { name };
                let inode = inodes.get(file.as_str()).copied().unwrap_or_default();
                archive::write(&mut out, inode, name, entry)?;
            }
            archive::end(&mut out)?;
            out.flush()
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn insert(&mut self, name: &str, entry: Entry) {
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.directory(parent);
        }
        self.entries.insert(name.to_owned(), entry);
    }
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.find_map(|place| Some(place.join(program)).filter(|file| file.is_file()))
}
