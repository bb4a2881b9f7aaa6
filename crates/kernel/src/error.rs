//! What the kernel refused, in its own words.
//!
//! Every request to the kernel is named by what it was meant to do ("add address 10.1.0.2/16 to eth0"), so an error
//! reads as a sentence: what was tried, the errno, and the extended acknowledgement text (`NLMSGERR_ATTR_MSG`) where
//! the kernel gave one.

use std::fmt;
use std::io;

/// A request that the kernel refused, or that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What was being done, on which object: an imperative phrase without a full stop.
    pub what: String,
    /// The errno, positive as in `errno(3)`.
    pub errno: i32,
    /// The kernel's extack text, if it sent one.
    pub extack: Option<String>,
}

/// The result of asking the kernel.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `errno` while doing `what`.
    pub fn new(what: impl fmt::Display, errno: i32) -> Self {
        Self { what: what.to_string(), errno, extack: None }
    }

    /// An error of the standard library while doing `what`; one without an errno becomes `EIO` with its text kept.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::new(what, errno),
            None => Self { what: what.to_string(), errno: libc::EIO, extack: Some(error.to_string()) },
        }
    }

    /// True for the errors that say "there is no such object": what a removal wanted to reach.
    ///
    /// `EADDRNOTAVAIL` is RTM_DELADDR's, `ESRCH` RTM_DELROUTE's, `ENODEV` RTM_*LINK's, `ENOENT` the rest's (nf_tables,
    /// rules, neighbours, sysctls, files).
    pub fn is_absent(&self) -> bool {
        matches!(self.errno, libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO)
    }

    /// True if the object was there already (`NLM_F_EXCL`).
    pub fn is_present(&self) -> bool {
        self.errno == libc::EEXIST
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = io::Error::from_raw_os_error(self.errno).to_string();
        // std appends " (os error N)"; the number says nothing that the words do not.
        let words = words.split(" (os error").next().unwrap_or(&words);
        write!(f, "{}: {words}", self.what)?;
        match &self.extack {
            Some(text) => write!(f, " ({})", text.trim_end_matches('.')),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Names the errno of a `rustix` call that was doing `what`.
pub(crate) fn sys<W: fmt::Display>(what: W) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |errno| Error::new(what, errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_sentence() {
        let mut error = Error::new("add address 10.1.0.2/16 to eth0", libc::EEXIST);
        assert_eq!(error.to_string(), "add address 10.1.0.2/16 to eth0: File exists");
        error.extack = Some("ipv4: Address already assigned".into());
        assert_eq!(error.to_string(), "add address 10.1.0.2/16 to eth0: File exists (ipv4: Address already assigned)");
        assert!(error.is_present() && !error.is_absent());
    }
}
