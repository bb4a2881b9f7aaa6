//! A call with any environment and any stdin: never a panic, and no name that leaves its directory.
#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use cni::{Invocation, Request, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (verb, container_id, ifname, stdin) = input;
    let lookup = |name: &str| {
        let bytes = match name {
            "CNI_COMMAND" => ["ADD", "CHECK", "DEL", "GC", "STATUS", "PLAN", "NOPE"][usize::from(verb) % 7].as_bytes(),
            "CNI_CONTAINERID" => &container_id,
            "CNI_IFNAME" => &ifname,
            "CNI_NETNS" | "CNI_PATH" => b"/a",
            _ => return None,
        };
        Some(OsString::from(OsStr::from_bytes(bytes)))
    };
    if let Ok(Invocation::Request(request)) = Request::read(lookup, || Ok(stdin), &Version::ALL) {
        for name in [&request.env.container_id, &request.env.ifname, &request.conf.name] {
            assert!(!name.contains(['/', '\0']) && name != "." && name != "..");
        }
    }
});
