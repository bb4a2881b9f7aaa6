//! The configuration of `host-device`: whatever a verb reads, also DEL with what nobody validated, leads to no path but
//! one below a directory that is meant, and the journals' is absolute.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;

const BUSES: [&str; 2] = ["/sys/bus/pci/devices", "/sys/bus/auxiliary/devices"];

fuzz_target!(|text: &[u8]| {
    let Some(request) = netferry_fuzz::request(text) else { return };
    let Ok((devices, journals)) = plugins::fuzzing::host_device(&request) else { return };
    for path in devices.iter().chain(&journals) {
        assert!(path.is_absolute() && !path.components().any(|part| part == Component::ParentDir), "{path:?}");
    }
    for device in &devices {
        let is_on_a_bus = BUSES.iter().any(|bus| device.parent() == Some(Path::new(bus)));
        assert!(is_on_a_bus || device.starts_with("/sys/devices"), "{device:?}");
    }
});
