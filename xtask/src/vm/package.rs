//! Debian's cloud kernel: downloaded once by apt-get, unpacked below the target directory, never installed.
//!
//! The package has no `modules.dep`, which its installation would make: what a module depends on is read from the
//! module itself (`depends=` in its `.modinfo` section), what is built in from `modules.builtin`.

use crate::shell::{command, output, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const META: &str = "linux-image-cloud-amd64";

/// An unpacked kernel.
pub struct Kernel {
    /// What the machine boots.
    pub image: PathBuf,
    modules: PathBuf,
}

/// The kernel that the package list has now, in `directory`.
///
/// # Errors
/// apt-get cannot have it, or it cannot be unpacked.
pub fn kernel(directory: &Path) -> Result<Kernel, String> {
    if package().is_none() {
        run(&mut command(&["apt-get", "update", "-qq"]))?;
    }
    let package = package().ok_or_else(|| format!("apt-cache knows no {META}: please add Debian's archive"))?;
    let unpacked = directory.join(&package);
    if !unpacked.exists() {
        let partial = directory.join("partial");
        // What an interrupted run left is in the way of nothing but this.
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
        run(command(&["apt-get", "download", "-qq", &package]).current_dir(&partial))?;
        let archive = only(&partial, |name| name.ends_with(".deb"))?;
        run(command(&["dpkg-deb", "-x"]).arg(&archive).arg(&partial))?;
        let renamed = std::fs::remove_file(&archive).and_then(|()| std::fs::rename(&partial, &unpacked));
        renamed.map_err(|error| format!("{}: {error}", unpacked.display()))?;
    }
    let image = only(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    let modules = only(&unpacked.join("lib/modules"), |_| true)?;
    Ok(Kernel { image, modules })
}

/// The package that the current cloud kernel is in.
fn package() -> Option<String> {
    let depends = output(&["apt-cache", "depends", META]);
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.map(str::to_owned).find(|name| name.starts_with("linux-image-"))
}

fn only(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths = entries.flatten().filter(|entry| wanted(&entry.file_name().to_string_lossy()));
    paths.next().map(|entry| entry.path()).ok_or_else(|| format!("{}: not what was expected", directory.display()))
}

impl Kernel {
    /// The files of these modules, their names in one string, and of those they depend on, in an order in which they load.
    ///
    /// # Errors
    /// There is no such module in this kernel, or it cannot be read.
    pub fn modules(&self, names: &str) -> Result<Vec<PathBuf>, String> {
        let mut files = BTreeMap::new();
        find(&self.modules, &mut files);
        let builtin = self.modules.join("modules.builtin");
        let builtin = std::fs::read_to_string(&builtin).map_err(|error| format!("{}: {error}", builtin.display()))?;
        let builtin: Vec<String> = builtin.lines().map(|line| name(Path::new(line))).collect();
        let mut ordered = Vec::new();
        names.split_whitespace().try_for_each(|name| append(name, &files, &builtin, &mut ordered))?;
        Ok(ordered)
    }
}

fn append(
    module: &str,
    files: &BTreeMap<String, PathBuf>,
    builtin: &[String],
    ordered: &mut Vec<PathBuf>,
) -> Result<(), String> {
    if builtin.iter().any(|name| name == module) {
        return Ok(());
    }
    let path = files.get(module).ok_or_else(|| format!("this kernel has no module {module}"))?;
    if ordered.contains(path) {
        return Ok(());
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    depends(&bytes).iter().try_for_each(|needed| append(needed, files, builtin, ordered))?;
    ordered.push(path.clone());
    Ok(())
}

/// The modules that one depends on; what it merely may use (`softdep=`) is for the caller to name.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(plain).collect()
}

fn find(directory: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for path in std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.insert(name(&path), path);
        }
    }
}

fn name(path: &Path) -> String {
    plain(&path.file_stem().unwrap_or_default().to_string_lossy())
}

/// Files spell `crc32-pclmul` what dependencies call `crc32_pclmul`.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(depends(b"\x7fELF\0license=GPL\0depends=nf_tables,crc32c-x\0name=y\0"), ["nf_tables", "crc32c_x"]);
        assert!(depends(b"\0depends=\0").is_empty() && depends(b"").is_empty());
    }

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let directory = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap_or_default();
        let mut files = BTreeMap::new();
        for (module, text) in [("a", "\0depends=b,c\0"), ("b", "\0depends=c,in\0"), ("c", "\0depends=\0")] {
            files.insert(module.to_owned(), directory.join(module));
            std::fs::write(directory.join(module), text).unwrap_or_default();
        }
        let mut ordered = Vec::new();
        assert_eq!(append("a", &files, &["in".to_owned()], &mut ordered), Ok(()));
        assert_eq!(ordered.iter().map(|path| name(path)).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert!(append("d", &files, &[], &mut ordered).is_err());
        std::fs::remove_dir_all(&directory).unwrap_or_default();
    }
}
