//! NetworkManager for the tests, with the message bus that it is asked by: of a Debian suite (`suite`), unpacked and never
//! installed, since an installed one would be started and take this machine's own devices.

use crate::suite::{self, Wanted};
use std::path::PathBuf;

const PACKAGE: Wanted = Wanted { package: "network-manager", suite: "trixie", with_dependencies: true };

/// The programs of it that are run.
const PROGRAMS: [&str; 2] = ["usr/sbin/NetworkManager", "usr/bin/dbus-daemon"];

/// The directory with `NetworkManager`, `dbus-daemon`, and the bus's policy for it in `usr/share/dbus-1/system.d`.
///
/// # Errors
/// It cannot be had.
pub fn fetch() -> Result<PathBuf, String> {
    let fetched = suite::fetch(&PACKAGE)?;
    PROGRAMS.iter().try_for_each(|program| fetched.program(program).map(drop))?;
    Ok(fetched.directory)
}
