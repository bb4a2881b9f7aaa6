//! CNI_ARGS: pairs, once split, join to the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(pairs) = cni::args::parse(text) {
        let joined: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(joined.join(";"), text);
    }
    if let Ok(pairs) = cni::args::load(text, &["IP", "MAC"]) {
        assert!(pairs.iter().all(|(key, _)| key == "IP" || key == "MAC"));
    }
});
