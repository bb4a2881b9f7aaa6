//! What the command line takes from its caller: `--publish`, CNI_ARGS, CAP_ARGS and paths.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the subcommands use the rest")]
#[path = "../../crates/netferry/src/attach.rs"]
mod attach;
#[path = "../../crates/netferry/src/run/publish.rs"]
mod publish;

fuzz_target!(|text: &str| {
    if let Ok(publish) = text.parse::<publish::Publish>() {
        let mapping = publish.mapping();
        assert!((1..=65535).contains(&mapping["hostPort"].as_u64().unwrap_or_default()));
        assert!((1..=65535).contains(&mapping["containerPort"].as_u64().unwrap_or_default()));
    }
    if let Ok(pairs) = attach::arguments(text) {
        let joined: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(joined.join(";"), text);
    }
    if let Ok(path) = attach::absolute(Path::new(text)) {
        assert!(path.starts_with('/') && Path::new(&path).components().all(|part| part != Component::ParentDir));
    }
    let _ = attach::capabilities(text);
});
