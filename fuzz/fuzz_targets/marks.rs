//! Link aliases and nft comments: a mark that is read is the one that is written, and valid names come back from both.
#![no_main]

use cni::env;
use libfuzzer_sys::fuzz_target;
use plugins::fuzzing::Attachment;

fuzz_target!(|text: &str| {
    for found in [Attachment::from_mark(text), Attachment::from_alias(text)].into_iter().flatten() {
        let (mark, alias) = (found.mark(), found.alias());
        assert!(mark.len() <= 127 && alias.len() <= 255);
        assert!(mark.starts_with('#') || text.ends_with(mark.as_str()));
        let is_plain = env::validate_network_name(&found.network).is_ok();
        for again in [Attachment::from_mark(&mark), Attachment::from_alias(&alias)] {
            assert!(again.is_none_or(|again| again == found || !is_plain));
        }
        assert!(env::validate_ifname(&found.host_ifname()).is_ok());
    }
});
