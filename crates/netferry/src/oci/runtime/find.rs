//! Which program the runtime is. It is never this one again, by whichever link.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::oci::is_self;

/// The variable that names the runtime.
const VARIABLE: &str = "NETFERRY_RUNTIME";
/// Where programs are if nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path of the runtime: of `named`, or what the variable names, or the first of `names`.
///
/// # Errors
/// What was looked for, and what to do.
pub fn runtime(named: Option<&Path>, names: &[&str]) -> Result<PathBuf, String> {
    let variable = || env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(named) = named.map(Path::to_owned).or_else(variable) else {
        return names.iter().find_map(|name| on_path(Path::new(name))).ok_or_else(|| {
            let names = names.join(" or ");
            format!("there is no {names} on PATH but netferry itself; install it, or name another by {VARIABLE}")
        });
    };
    // A single word is a name, as for a shell.
    if named.parent() == Some(Path::new("")) {
        let found = on_path(&named);
        return found.ok_or_else(|| format!("there is no {} on PATH but netferry itself", named.display()));
    }
    match fs::metadata(&named) {
        Err(error) => Err(format!("look for the runtime {}: {error}", named.display())),
        Ok(file) if is_self(&file) => Err(format!(
            "the runtime {} is netferry itself, which would call itself for ever; name the one behind it",
            named.display()
        )),
        Ok(_) => Ok(named),
    }
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| PATH.into());
    // What is found must not depend on where the caller happens to be.
    let directories = env::split_paths(&path).filter(|directory| directory.is_absolute());
    directories.map(|directory| directory.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|file| file.is_file() && !is_self(&file));
    is_file && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}
