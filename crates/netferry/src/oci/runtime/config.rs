//! The `config.json` of a container that is to be created, on disk.
//!
//! It is the old one or the new one at any moment ([`replace`]). A symbolic link stays one: what it leads to is replaced.
//! What is no regular file can be read only once, by the runtime, and is refused; what is not there is for the runtime
//! to miss.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ferry::{Journal, journal};
use kernel::netns::Netns;
use oci::spec::Namespace;
use oci::wrapper::{self, Container, Request};
use oci::{Circumstances, Failure, Spec, hook, state};

use crate::oci::{bundle, entry};
use crate::replace::replace;

const OWN_NETNS: &str = "/proc/self/ns/net";

/// Gives the container the hook instead of the network devices that it asks for; one that asks for none is left alone. True if
/// it has the hook then.
///
/// # Errors
/// Everything that is wrong; the file is as it was.
pub fn rewrite(container: &Container, journal: Option<&Path>) -> Result<bool, Vec<String>> {
    let config = &*container.config;
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", config.display());
    let Some((bytes, metadata)) = bundle::read(config).map_err(|error| vec![about(&error)])? else { return Ok(false) };
    let Some(request) = Request::read(&bytes).map_err(|error| vec![about(&error)])? else {
        return Ok(wrapper::has_hook(&bytes));
    };
    state::check_id(&container.id)
        .map_err(|must| vec![format!("the container's name {:?} must {must}", container.id)])?;
    let spec = request.spec().clone();
    let circumstances = circumstances(&spec.network);
    let hook = entry(journal).map_err(|error| vec![error])?;
    let rewritten = request.rewrite(&circumstances, hook);
    let new = rewritten.map_err(|refusals| refusals.iter().map(|refusal| about(refusal)).collect::<Vec<_>>())?;
    foresee(&spec, journal).map_err(|error| vec![about(&error)])?;
    let path = fs::canonicalize(config).map_err(|error| vec![about(&error)])?;
    replace(&path, new.as_bytes(), Some(&metadata)).map_err(|error| vec![error])?;
    Ok(true)
}

/// Says here what the hook would fail by: crun passes on nothing that a hook says, and no container has been begun yet.
fn foresee(spec: &Spec, journal: Option<&Path>) -> Result<(), Failure> {
    let netns = match &spec.network {
        // A runtime has its own words for one that is not there.
        Namespace::Path(path) => match Netns::open(path) {
            Ok(netns) => Some(netns),
            Err(_) => return Ok(()),
        },
        Namespace::New | Namespace::None => None,
    };
    hook::foresee(&Journal::at(journal.unwrap_or(Path::new(journal::DEFAULT))), netns.as_ref(), spec)
}

fn circumstances(network: &Namespace) -> Circumstances {
    let inode = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let is_host_netns = match network {
        Namespace::Path(path) => inode(path).and_then(|there| Ok(there == inode(Path::new(OWN_NETNS))?)).ok(),
        Namespace::New | Namespace::None => Some(false),
    };
    Circumstances { is_host_netns, owns_namespaces: rustix::process::geteuid().is_root() }
}
