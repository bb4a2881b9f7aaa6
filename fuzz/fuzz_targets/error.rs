//! The error object of another plugin: what is read is printed and read as the same.
#![no_main]

use cni::{Version, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(error) = render::parse_error(bytes) {
        assert_eq!(render::parse_error(render::error(&error, Version::LATEST).as_bytes()), Ok(error));
    }
});
