//! The door for the fuzzer: what a configuration makes of the paths in it.

use std::path::{Path, PathBuf};

use cni::{Command, Error, Request};

use super::config::{Conf, Selector};
use super::sysfs;
use crate::lenient;

/// Where a device would be looked for, and where the journals would be.
pub type Paths = (Vec<PathBuf>, Option<PathBuf>);

/// The paths that a verb would use.
///
/// # Errors
/// What is wrong with the configuration.
pub fn paths(request: &Request) -> Result<Paths, Error> {
    let conf: Conf = if request.env.command == Command::Del {
        lenient::decode(request)?
    } else {
        let conf: Conf = request.conf.decode()?;
        conf.validate()?;
        conf
    };
    let devices = match conf.selector() {
        Ok(Selector::KernelPath(path)) => vec![path.to_owned()],
        Ok(Selector::PciBusId(id)) => vec![Path::new(sysfs::PCI).join(id)],
        Ok(Selector::DeviceId(id)) => [sysfs::PCI, sysfs::AUXILIARY].map(|bus| Path::new(bus).join(id)).to_vec(),
        Ok(Selector::Device(_) | Selector::Hwaddr(_)) | Err(_) => Vec::new(),
    };
    Ok((devices, conf.data_dir().ok().map(Path::to_owned)))
}
