//! A file of the result cache: one that is read has valid names, and what is written is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netferry_fuzz::Scratch;
use runtime::{Attachment, Cache};

fuzz_target!(|bytes: &[u8]| {
    let scratch = Scratch::new();
    scratch.write("results/net-box-eth0", bytes);
    let cache = Cache::new(scratch.path());
    let attachment = Attachment::new("box", "/nowhere", "eth0");
    let found = cache.read("net", &attachment);
    for entry in cache.list().expect("the directory can be read") {
        assert!(entry.attachment.validate(&entry.network).is_ok());
    }
    if let Ok(Some(entry)) = found {
        assert_eq!((entry.network.as_str(), entry.attachment.container_id.as_str()), ("net", "box"));
        cache.write(&entry).expect("it can be written");
        assert_eq!(cache.read("net", &attachment), Ok(Some(entry)));
    }
    cache.remove("net", &attachment).expect("it can be removed");
});
