//! This process becomes another program, which keeps everything: process, arguments, environment, descriptors, working
//! directory, signal mask. execve(2).
//!
//! `std`'s `exec` is not used, since it empties the signal mask.

use std::ffi::{CString, NulError, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Becomes `program`, called with its path and `args`; comes back only with what went wrong.
pub fn become_program(program: &Path, args: &[OsString]) -> String {
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let error = match words.map(word).collect::<Result<Vec<CString>, NulError>>() {
        Ok(words) => execute(&words),
        Err(error) => error.into(),
    };
    format!("run the runtime {}: {error}", program.display())
}

fn word(word: &OsStr) -> Result<CString, NulError> {
    CString::new(word.as_bytes())
}

/// The first word is the program's path, and the last error what becomes of it.
fn execute(words: &[CString]) -> io::Error {
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: signal(2) is given valid signals and dispositions that are no functions.
    // Before main, Rust has ignored SIGPIPE, and who is ignored stays so after exec.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: the array ends with a null pointer, and its words end with a NUL and live until the call is over.
    unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    let error = io::Error::last_os_error();
    // SAFETY: as above. What is said next must not kill us if nobody reads it.
    unsafe { libc::signal(libc::SIGPIPE, before) };
    error
}
