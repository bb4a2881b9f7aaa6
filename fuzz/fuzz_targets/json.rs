//! Whatever `serde_json` takes, our parser takes and means the same; whatever ours takes, it prints as JSON again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let ours = cni::json::parse(bytes);
    // serde_json reads objects with this key as numbers, which is why we do not use it.
    let special = bytes.windows(6).any(|window| window == b"$serde") || bytes.contains(&b'\\');
    if let (Ok(theirs), false) = (serde_json::from_slice::<Value>(bytes), special) {
        let ours = ours.as_ref().expect("serde_json takes it").to_string();
        assert_eq!(serde_json::from_str::<Value>(&ours).expect("we print JSON"), theirs);
    }
    if let Ok(value) = ours {
        let text = value.to_string();
        assert_eq!(cni::json::parse(text.as_bytes()).expect("we read what we print"), value);
        let _ = cni::json::decode::<cni::AddResult>(&value);
    }
});
