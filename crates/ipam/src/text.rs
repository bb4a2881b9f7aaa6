//! Texts: addresses that may carry a prefix length, and the operating system's words.

use std::fmt;
use std::io;
use std::net::IpAddr;

use cni::net::{parse_cidr, parse_ip};

/// Reads an address that may carry a prefix length, which is dropped; `None` if `text` is neither.
pub fn parse_ip_or_cidr(text: &str) -> Option<IpAddr> {
    if text.contains('/') { parse_cidr(text).map(|net| net.addr()) } else { parse_ip(text) }
}

/// The pairs of `CNI_ARGS` whose key is one of `known`.
///
/// # Errors
/// Those of [`cni::args::load`], with the code of the reference implementation (999).
pub fn load_args(args: &str, known: &[&str]) -> Result<Vec<(String, String)>, cni::Error> {
    cni::args::load(args, known).map_err(|error| cni::Error { code: cni::code::INTERNAL, ..error })
}

/// An error of the operating system while doing `what`, without the number that `std` appends to its words.
pub fn failed(what: impl fmt::Display, error: impl Into<io::Error>) -> cni::Error {
    let words = error.into().to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    cni::Error::internal(format_args!("{what}: {words}"))
}
