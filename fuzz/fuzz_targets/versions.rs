//! Version numbers, and the answer of another plugin to VERSION.
#![no_main]

use cni::{Version, exec, version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = exec::parse_versions(bytes) {
        assert!(!list.is_empty());
    }
    let text = String::from_utf8_lossy(bytes);
    if let Some(known) = Version::exact(&text) {
        assert_eq!(version::parse_numbers(&text), Ok(known.numbers()));
    }
    let _ = version::parse_numbers(&text);
});
