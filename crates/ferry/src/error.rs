//! Why a device was not carried, or not brought home.

use std::fmt;
use std::path::PathBuf;

use crate::Obstacle;

/// The result of an operation of the ferry.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation of the ferry failed. After a failed carry every device is where it was; what could not be put back
/// is in [`Failed::cleanup`], and the journal keeps it for `recover`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The kernel refused, before anything was changed or while looking.
    Kernel(kernel::Error),
    /// Something is in the way, found before anything was changed: devices, each with an obstacle.
    Obstacles(Vec<(String, Obstacle)>),
    /// The owner has a journal entry: devices are lent to it.
    Lent {
        /// The owner.
        owner: String,
        /// Names of the devices at home.
        devices: Vec<String>,
    },
    /// A file of the journal cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Carrying failed on the way.
    Failed(Box<Failed>),
    /// Devices came from another network namespace than the one that they were to be brought home to.
    Elsewhere {
        /// The owner.
        owner: String,
        /// Inode of the namespace that they came from.
        inode: u64,
    },
    /// Devices are not all home as they were: what is in the way, in words. The journal keeps them.
    Left {
        /// The owner.
        owner: String,
        /// What is in the way.
        why: Vec<String>,
    },
}

/// A carry that failed on the way, and what then went wrong while everything was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What went wrong first.
    pub cause: plan::Error,
    /// What could not be put back; empty if everything is as it was.
    pub cleanup: Vec<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Obstacles(obstacles) => {
                let words: Vec<_> =
                    obstacles.iter().map(|(device, why)| format!("cannot carry {device}: {why}")).collect();
                f.write_str(&words.join("; "))
            }
            Self::Lent { owner, devices } => {
                write!(f, "{} is lent to {owner} already; return it first", devices.join(", "))
            }
            Self::Unreadable { path, why } => write!(f, "journal {}: {why}", path.display()),
            Self::Failed(failed) if failed.cleanup.is_empty() => failed.cause.fmt(f),
            Self::Failed(failed) => write!(
                f,
                "{}; and not everything could be put back (run `netferry recover`): {}",
                failed.cause,
                failed.cleanup.join("; ")
            ),
            Self::Elsewhere { owner, inode } => write!(
                f,
                "what is lent to {owner} came from another network namespace (net:[{inode}]); return it from there"
            ),
            Self::Left { owner, why } => write!(f, "what was lent to {owner} is not as it was: {}", why.join("; ")),
        }
    }
}

impl std::error::Error for Error {}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<plan::Error> for Error {
    fn from(error: plan::Error) -> Self {
        match error.cause {
            plan::Cause::Kernel(error) => Self::Kernel(error),
            _ => Self::Failed(Box::new(Failed { cause: error, cleanup: Vec::new() })),
        }
    }
}
