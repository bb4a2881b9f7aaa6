//! A result that loads can be written in every version, and what is written loads as the same result.
#![no_main]

use cni::{Version, json, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else { return };
    let Ok((result, from)) = wire::from_json(&value, Version::LATEST) else { return };
    for version in Version::ALL {
        let Ok(written) = wire::to_json(&result, version) else { continue };
        let (read, found) = wire::from_json(&written, Version::LATEST).expect("we read what we write");
        assert_eq!(found, version);
        assert_eq!(wire::to_json(&read, version).expect("it was written before"), written);
        if version == Version::LATEST {
            assert_eq!(read, result);
        }
        let converted = wire::convert_value(&value, from, version).expect("the result can be written");
        let converted = wire::from_json(&converted, version).expect("a conversion is a result").0;
        assert_eq!(wire::to_json(&converted, version).ok(), Some(written));
    }
});
