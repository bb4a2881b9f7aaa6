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
/// A value cannot be read, since it could not be put back; or the file not be written.
pub fn record(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let mut values = Values::new();
    for switch in SWITCHES {
        if read(switch)?.as_deref() == Some("0") {
            values.extend(affected_by(switch)?);
        }
    }
    let temporary = file.with_extension("new");
    fs::write(&temporary, serde_json::to_vec(&values)?)?;
    fs::rename(temporary, file)
}

/// Puts back what `file` recorded, and then forgets it. Interfaces that are gone are passed over.
///
/// # Errors
/// A value cannot be read or written, or the file not be read or removed; the next run will try again.
pub fn restore(file: &Path) -> io::Result<()> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome?,
    };
    let mut values: Values = serde_json::from_slice(&bytes)?;
    if let Some((path, value)) = values.iter().find(|(path, value)| !is_recorded(path, value)) {
        let text = format!("{}: {path:?}: {value:?} is no record of netferry's", file.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    for family in ["ipv4", "ipv6"] {
        if interfaces(family)?.iter().any(|name| !values.contains_key(&format!("{family}/conf/{name}/forwarding"))) {
            values.retain(|path, _| !path.starts_with(family));
        }
    }
    // The switches first, because they overwrite the others.
    let (switches, others): (Vec<_>, Vec<_>) = values.iter().partition(|(path, _)| SWITCHES.contains(&path.as_str()));
    for (path, value) in switches.into_iter().chain(others) {
        if read(path)?.is_some_and(|now| now != *value) {
            fs::write(Path::new(SYSCTLS).join(path), value)?;
        }
    }
    fs::remove_file(file)
}

/// True for what [`record`] can have written: nothing else is joined to a path.
fn is_recorded(path: &str, value: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let [family, "conf", interface, setting] = parts[..] else { return false };
    ["ipv4", "ipv6"].contains(&family)
        && cni::env::validate_ifname(interface).is_ok()
        && ["forwarding", "accept_ra", "accept_redirects"].contains(&setting)
        && value.parse::<i32>().is_ok()
}

fn affected_by(switch: &str) -> io::Result<Values> {
    let family = switch.split('/').next().unwrap_or_default();
    let mut paths = vec![format!("{family}/conf/all/accept_redirects")];
    for interface in interfaces(family)? {
        let conf = format!("{family}/conf/{interface}");
        paths.extend([format!("{conf}/forwarding"), format!("{conf}/accept_ra")]);
    }
    let value = |path: String| read(&path).map(|value| value.map(|value| (path, value))).transpose();
    paths.into_iter().filter_map(value).collect()
}

/// The names of the interfaces that have settings of this family; none without the family.
fn interfaces(family: &str) -> io::Result<Vec<String>> {
    let entries = present(fs::read_dir(Path::new(SYSCTLS).join(family).join("conf")))?;
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    entries.into_iter().flatten().map(name).collect()
}

/// `None`: there is no such value, or no longer.
fn read(path: &str) -> io::Result<Option<String>> {
    let path: PathBuf = Path::new(SYSCTLS).join(path);
    let text = present(fs::read_to_string(&path))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(text.map(|text| text.trim_end().to_owned()))
}

fn present<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_recorded_is_written() {
        for (path, value) in [("ipv4/conf/all/forwarding", "0"), ("ipv6/conf/eth0.7/accept_ra", "-1")] {
            assert!(is_recorded(path, value), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "ipv4/conf/../forwarding",
            "ipv4/ip_forward",
            "ipv6/conf/a/b/accept_ra",
            "ipv5/conf/a/forwarding",
        ] {
            assert!(!is_recorded(path, "0"), "{path}");
        }
        assert!(!is_recorded("ipv4/conf/all/forwarding", "1\n2"));
    }
}
