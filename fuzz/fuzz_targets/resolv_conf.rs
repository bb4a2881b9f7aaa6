//! resolv.conf(5): no word is made up, and each is where its keyword says.
#![no_main]

use ipam::host_local::fuzzing::parse_resolv_conf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let dns = parse_resolv_conf(text);
    let words = || dns.nameservers.iter().chain(&dns.search).chain(&dns.options).chain([&dns.domain]);
    assert!(words().all(|word| text.contains(word.as_str()) && !word.contains(char::is_whitespace)));
});
