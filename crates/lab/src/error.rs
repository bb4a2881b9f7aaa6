//! The lab's one error: a sentence for the person who reads a failed test. Nothing branches on it.

use std::fmt;

/// What the lab could not do, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

/// The result of anything the lab does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says `what`.
    pub fn new(what: impl Into<String>) -> Error {
        Error(what.into())
    }

    /// The closure for `map_err` that puts what was being done before the cause.
    pub fn during<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Error {
        move |cause| Error(format!("{what}: {cause}"))
    }

    /// The error of the system call that has just failed.
    pub fn last_os(what: impl fmt::Display) -> Error {
        Error(format!("{what}: {}", std::io::Error::last_os_error()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `unwrap` in a test prints the Debug form: the sentence, with its line breaks.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
