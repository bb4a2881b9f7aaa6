//! What `iptables-save` prints: whatever it is, nothing is deleted that is not there, nor anything of another chain.
#![no_main]

use std::net::IpAddr;

use kernel::iptables;
use libfuzzer_sys::fuzz_target;

const CHAIN: &str = "CNI-0123";

fuzz_target!(|saved: &str| {
    let other = IpAddr::from([10, 1, 0, 2]);
    let Some(text) = iptables::removal_text(saved, CHAIN, &[other.into()]) else { return };
    let whole = ["*nat".to_owned(), format!(":{CHAIN} - [0:0]"), format!("-X {CHAIN}"), "COMMIT".to_owned()];
    for line in text.lines().filter(|line| !whole.iter().any(|known| known == line)) {
        let rule = line.strip_prefix("-D ").expect("only rules are deleted besides");
        assert!(rule.contains(CHAIN) && saved.lines().any(|there| there.strip_prefix("-A ") == Some(rule)), "{line}");
    }
});
