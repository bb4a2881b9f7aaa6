//! The `config.json` of a container that is to be created, on disk.
//!
//! It is the old one or the new one at any moment ([`replace`]). A symbolic link stays one: what it leads to is replaced.
//! What is no regular file can be read only once, by the runtime, and is refused; what is not there is for the runtime
//! to miss.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ferry::Journal;
use kernel::netns::Netns;
use oci::hook::ahead::{self, Ahead};
use oci::spec::Namespace;
use oci::wrapper::{self, Container, Request};
use oci::{Circumstances, Failure, Spec, state};

use crate::oci::{bundle, entry};
use crate::replace::replace;

const OWN_NETNS: &str = "/proc/self/ns/net";

/// What becomes of a container that is to be created.
pub enum Outcome {
    /// It has nothing to do with devices of ours.
    Alone,
    /// It has our hook, which carries them.
    Hooked,
    /// It has our hook, and they are carried ahead.
    Ahead(Box<Ahead>),
}

/// Gives the container the hook instead of the network devices that it asks for; one that asks for none is left alone. Where they
/// can be carried ahead, to a namespace that the runtime was to make, the configuration names that one until the hook is called.
/// `named` is the directory of the journal, if it is not the usual one.
///
/// # Errors
/// Everything that is wrong; the file is as it was.
pub fn rewrite(container: &Container, named: Option<&Path>, journal: &Journal) -> Result<Outcome, Vec<String>> {
    let config = &*container.config;
    let about = |error: &dyn Display| vec![format!("{}: {error}", config.display())];
    let Some((bytes, metadata)) = bundle::read(config).map_err(|error| about(&error))? else {
        return Ok(Outcome::Alone);
    };
    let Some(request) = Request::read(&bytes).map_err(|error| about(&error))? else {
        if !wrapper::has_hook(&bytes) {
            return Ok(Outcome::Alone);
        }
        // A call before was killed.
        bundle::unplace(config, journal).map_err(|error| about(&error))?;
        return Ok(Outcome::Hooked);
    };
    state::check_id(&container.id)
        .map_err(|must| vec![format!("the container's name {:?} must {must}", container.id)])?;
    let spec = request.spec().clone();
    let circumstances = circumstances(&spec.network);
    let hook = entry(named).map_err(|error| vec![error])?;
    let rewritten = request.rewrite(&circumstances, hook);
    let new = rewritten.map_err(|refusals| refusals.iter().flat_map(|refusal| about(refusal)).collect::<Vec<_>>())?;
    let path = fs::canonicalize(config).map_err(|error| about(&error))?;
    let ahead = begin(container, &spec, journal).map_err(|error| about(&error))?;
    let written = |text: &str| replace(&path, text.as_bytes(), Some(&metadata)).map_err(|error| vec![error]);
    let Some(ahead) = ahead else { return written(&new).map(|()| Outcome::Hooked) };
    let placed = match ahead.place() {
        None => Some(new.clone()),
        // It says nothing of a path, unless somebody has written that there is none.
        Some(place) => wrapper::placed(&new, place),
    };
    match (written(placed.as_ref().unwrap_or(&new)), placed) {
        (Ok(()), Some(_)) => Ok(Outcome::Ahead(Box::new(ahead))),
        (Ok(()), None) => ahead.abandon().map(|()| Outcome::Hooked),
        (Err(error), _) => Err([error, ahead.abandon().err().unwrap_or_default()].concat()),
    }
}

/// Says here what the hook would fail by, since crun passes on nothing that a hook says, and no container has been begun yet; and
/// writes down what can be carried ahead.
fn begin(container: &Container, spec: &Spec, journal: &Journal) -> Result<Option<Ahead>, Failure> {
    let netns = match &spec.network {
        // A runtime has its own words for one that is not there.
        Namespace::Path(path) => match Netns::open(path) {
            Ok(netns) => Some(netns),
            Err(_) => return Ok(None),
        },
        Namespace::New | Namespace::None => None,
    };
    ahead::begin(journal, &container.id, netns.as_ref(), spec)
}

fn circumstances(network: &Namespace) -> Circumstances {
    let inode = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let is_host_netns = match network {
        Namespace::Path(path) => inode(path).and_then(|there| Ok(there == inode(Path::new(OWN_NETNS))?)).ok(),
        Namespace::New | Namespace::None => Some(false),
    };
    Circumstances { is_host_netns, owns_namespaces: rustix::process::geteuid().is_root() }
}
