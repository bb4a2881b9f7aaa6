//! A call to a plugin: the first line is the verb and CNI_ARGS, the rest is the configuration.

use std::ffi::OsString;

use cni::{Invocation, Request, Version};

/// The request that `text` is; `None` if a plugin would refuse it before it looks at its own keys.
pub fn request(text: &[u8]) -> Option<Request> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (line, conf) = (std::str::from_utf8(&text[..end]).ok()?, &text[end + 1..]);
    let (verb, args) = line.split_once(' ').unwrap_or((line, ""));
    let lookup = |name: &str| match name {
        "CNI_COMMAND" => Some(OsString::from(verb)),
        "CNI_ARGS" => Some(OsString::from(args)),
        "CNI_CONTAINERID" => Some(OsString::from("0123456789ab")),
        "CNI_IFNAME" => Some(OsString::from("eth0")),
        "CNI_NETNS" | "CNI_PATH" => Some(OsString::from("/nowhere")),
        _ => None,
    };
    match Request::read(lookup, || Ok(conf.to_vec()), &Version::ALL) {
        Ok(Invocation::Request(request)) => Some(*request),
        _ => None,
    }
}
