//! The JSON of a device: what is read is written the same, becomes no path that leads elsewhere, and can be selected, aged
//! and renamed.
#![no_main]

use ferry::{Addresses, Device, Policy, name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(device) = Device::from_json(text) else { return };
    let again = serde_json::to_string(&device).expect("a device is JSON");
    assert_eq!(Device::from_json(&again).expect("we read what we write"), device);
    assert!(name::check(&device.identity.name).is_ok());
    for sysctl in &device.sysctls {
        let path = sysctl.path(&device.identity.name);
        assert!(path.starts_with("net/ipv") && path.split('/').count() == 5 && !path.contains("/../"), "{path}");
    }
    for addresses in [Addresses::Permanent, Addresses::All, Addresses::None] {
        let policy = Policy { addresses, link_scope: text.len() % 2 == 0 };
        let selected = device.clone().select(&policy);
        assert_eq!(selected.clone().select(&policy), selected);
        assert!(selected.addresses.len() <= device.addresses.len() && selected.rules.len() <= device.rules.len());
    }
    assert!(device.lines().iter().all(|line| !line.text.is_empty() && line.command.ends_with(&line.text)));
    for route in &device.routes {
        let _ = route.on(7, |name| Some(name.len() as u32));
    }
    let _ = device.aged(text.len() as u32).renamed("eth9").to_string();
});
