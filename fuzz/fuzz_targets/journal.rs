//! An entry of the ferry's journal: reading it neither panics nor takes what the writing would not give.

#![no_main]

use ferry::journal::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(entry) = Entry::from_json(text) else { return };
    let again = serde_json::to_string(&entry).expect("what was read can be written");
    assert_eq!(Entry::from_json(&again).as_ref(), Ok(&entry));
    for lent in &entry.lent {
        assert!(ferry::name::check(&lent.name).is_ok());
        for sysctl in lent.device.sysctls.iter().chain(&lent.there().sysctls) {
            assert!(!sysctl.path(&lent.name).contains(".."), "{sysctl}");
        }
    }
});
