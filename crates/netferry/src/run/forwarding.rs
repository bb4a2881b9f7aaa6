//! Forwarding, as it was before the first run and as the last one leaves it.
//!
//! A gateway needs `ip_forward`, and plugins switch it on for good. Writing it also writes every interface's own
//! `forwarding` and flips `accept_redirects` (`ip-sysctl`), and a router that wants to keep its advertised routes needs
//! another `accept_ra`. So the whole set is recorded before the first attachment and put back when nobody runs any
//! more. What was on before is not recorded and not touched, and a family stays on once the host has an interface that
//! it did not have then: somebody else may have come to rely on it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const SYSCTLS: &str = "/proc/sys/net";
/// Switching one of these on is what changes the others; a family is recorded while its switch is off.
const SWITCHES: [&str; 2] = ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"];

/// Values by path under `/proc/sys/net`.
type Values = BTreeMap<String, String>;

/// Records the present values in `file`, unless that was done before.
///
/// # Errors
/// The file cannot be written.
pub fn record(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let mut values = Values::new();
    for switch in SWITCHES {
        if read(switch).as_deref() == Some("0") {
            values.extend(affected_by(switch));
        }
    }
    let temporary = file.with_extension("new");
    fs::write(&temporary, serde_json::to_vec(&values)?)?;
    fs::rename(temporary, file)
}

/// Puts back what `file` recorded, and then forgets it. Interfaces that are gone are passed over.
///
/// # Errors
/// A value cannot be written, or the file not be read or removed; the next run will try again.
pub fn restore(file: &Path) -> io::Result<()> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome?,
    };
    let mut values: Values = serde_json::from_slice(&bytes)?;
    for family in ["ipv4", "ipv6"] {
        if interfaces(family).iter().any(|name| !values.contains_key(&format!("{family}/conf/{name}/forwarding"))) {
            values.retain(|path, _| !path.starts_with(family));
        }
    }
    // The switches first, because they overwrite the others.
    let (switches, others): (Vec<_>, Vec<_>) = values.iter().partition(|(path, _)| SWITCHES.contains(&path.as_str()));
    for (path, value) in switches.into_iter().chain(others) {
        if read(path).is_some_and(|now| now != *value) {
            fs::write(Path::new(SYSCTLS).join(path), value)?;
        }
    }
    fs::remove_file(file)
}

fn affected_by(switch: &str) -> Values {
    let family = switch.split('/').next().unwrap_or_default();
    let mut paths = vec![format!("{family}/conf/all/accept_redirects")];
    for interface in interfaces(family) {
        let conf = format!("{family}/conf/{interface}");
        paths.extend([format!("{conf}/forwarding"), format!("{conf}/accept_ra")]);
    }
    paths.into_iter().filter_map(|path| read(&path).map(|value| (path, value))).collect()
}

/// The names of the interfaces that have settings of this family.
fn interfaces(family: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(SYSCTLS).join(family).join("conf"));
    entries.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn read(path: &str) -> Option<String> {
    let path: PathBuf = Path::new(SYSCTLS).join(path);
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}
