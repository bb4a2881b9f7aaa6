//! Why a container does not get its devices.

use std::fmt;

use crate::annotations::Invalid;
use crate::{Error, Problem};

/// Why a container does not get its devices. After a failure every device is where it was, unless the words say otherwise.
#[derive(Debug)]
pub enum Failure {
    /// A file or the state cannot be read: what it is, and why.
    Unreadable(String, Error),
    /// What is wrong with the configuration.
    Problems(Vec<Problem>),
    /// Annotations that say nothing.
    Annotations(Vec<Invalid>),
    /// The runtime names no process whose namespace the devices could go to.
    NoProcess,
    /// What should be a network namespace is none.
    NotNamespace(String),
    /// The device is nowhere.
    Absent {
        /// Its name on the host.
        device: String,
    },
    /// Another container of the pod has the device under another name.
    OtherName {
        /// Its name on the host.
        device: String,
        /// Its name in the pod.
        name: String,
        /// The name that is wanted.
        wanted: String,
    },
    /// What the ferry says.
    Ferry(ferry::Error),
    /// Something failed, and then not everything could be put back.
    Unclean(Box<Failure>, Vec<String>),
}

impl Failure {
    /// The failure, and what could not be put back after it.
    pub(crate) fn after(self, cleanup: Vec<String>) -> Self {
        if cleanup.is_empty() { self } else { Self::Unclean(Box::new(self), cleanup) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |words: Vec<String>| words.join("; ");
        match self {
            Self::Unreadable(what, error) => write!(f, "{what}: {error}"),
            Self::Problems(problems) => f.write_str(&listed(problems.iter().map(ToString::to_string).collect())),
            Self::Annotations(invalid) => f.write_str(&listed(invalid.iter().map(ToString::to_string).collect())),
            Self::NoProcess => f.write_str("the runtime's state names no process: pid is missing or 0; call this as a createRuntime or prestart hook"),
            Self::NotNamespace(why) => f.write_str(why),
            Self::Absent { device } => write!(
                f,
                "linux.netDevices.{device}: there is no such device on this host, and it is not lent into this container's \
                 network namespace; `netferry list` says what is lent"
            ),
            Self::OtherName { device, name, wanted } => write!(
                f,
                "linux.netDevices.{device}.name: another container of this network namespace has the device as {name}, \
                 and not as {wanted}; ask for {name}, or for no name"
            ),
            Self::Ferry(error) => error.fmt(f),
            Self::Unclean(failure, cleanup) => write!(
                f,
                "{failure}; and not everything could be put back (run `netferry recover`): {}",
                cleanup.join("; ")
            ),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ferry::Error> for Failure {
    fn from(error: ferry::Error) -> Self {
        Self::Ferry(error)
    }
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Self {
        Self::Ferry(error.into())
    }
}
