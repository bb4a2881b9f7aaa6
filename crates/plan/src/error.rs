//! What can go wrong with a plan, and what differs from one.

use std::fmt;

/// The result of an operation of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// A plan that could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub cause: Cause,
    /// What then went wrong while the plan was undone; empty if everything was put back.
    pub cleanup: Vec<kernel::Error>,
}

/// Why a plan could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The kernel refused.
    Kernel(kernel::Error),
    /// Something of that name is there already and is not what is wanted.
    Conflict(Difference),
    /// The name is taken where a new link was to be made.
    Exists {
        /// Name of the link that was to be made.
        name: String,
        /// Name of its other end, if it has one.
        peer: Option<String>,
    },
    /// A link that the plan builds on is not there.
    NoLink(String),
}

/// A difference between a plan and the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object, and where it lives.
    pub object: String,
    /// What the plan says.
    pub wanted: String,
    /// What the kernel says.
    pub found: String,
}

impl Difference {
    /// `object` should be `wanted` and is `found`.
    pub fn new(object: impl fmt::Display, wanted: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { object: object.to_string(), wanted: wanted.to_string(), found: found.to_string() }
    }

    /// `object` should be there and is not.
    pub fn absent(object: impl fmt::Display) -> Self {
        Self::new(object, "present", "absent")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found == "absent" {
            return write!(f, "{} is missing", self.object);
        }
        write!(f, "{} is {}, expected {}", self.object, self.found, self.wanted)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Conflict(difference) => difference.fmt(f),
            // The reference plugins' words, which software compares.
            Self::Exists { name, peer: Some(peer) } => {
                write!(f, "container veth name (\"{peer}\") peer provided (\"{name}\") already exists")
            }
            Self::Exists { name, peer: None } => write!(f, "link {name} already exists"),
            Self::NoLink(name) => write!(f, "link {name} not found"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        if self.cleanup.is_empty() {
            return Ok(());
        }
        f.write_str("; and the clean-up failed: ")?;
        for (index, error) in self.cleanup.iter().enumerate() {
            write!(f, "{}{error}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self { cause, cleanup: Vec::new() }
    }
}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Self {
        Cause::Kernel(error).into()
    }
}

impl From<Difference> for Error {
    fn from(difference: Difference) -> Self {
        Cause::Conflict(difference).into()
    }
}
