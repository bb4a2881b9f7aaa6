//! The configuration of `host-local`: ranges that load hold together, and no two give the same address.
#![no_main]

use ipam::host_local::fuzzing::Conf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Some(request) = netferry_fuzz::request(text) else { return };
    let Ok(conf) = Conf::read(&request) else { return };
    assert!(!conf.sets.is_empty());
    let ranges: Vec<_> = conf.sets.iter().flat_map(|set| &set.0).collect();
    for (at, range) in ranges.iter().enumerate() {
        assert!(range.subnet.contains(&range.start) && range.subnet.contains(&range.end) && range.start <= range.end);
        assert!(!ranges[..at].iter().any(|other| other.overlaps(range)));
    }
    for (at, ip) in conf.requested.iter().enumerate() {
        assert!(!conf.requested[..at].contains(ip));
    }
});
