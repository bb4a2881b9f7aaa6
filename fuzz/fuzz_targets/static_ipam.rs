//! The configuration of `static`: what ADD gives, CHECK finds again.
#![no_main]

use cni::{AddResult, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Some(mut request) = netferry_fuzz::request(text) else { return };
    let _ = ipam::static_::check(&request);
    let _ = ipam::static_::status(&request);
    if let Ok(given) = ipam::static_::add(&request) {
        let twice = given.ips.iter().enumerate().any(|(at, ip)| {
            given.ips[..at].iter().any(|other| other.address.addr() == ip.address.addr() && other.gateway != ip.gateway)
        });
        found(&mut request, given, twice);
    }
});

/// An address that is given twice with different gateways is one of them when it is looked for.
fn found(request: &mut Request, given: AddResult, twice: bool) {
    request.conf.prev_result = Some(given);
    assert!(twice || ipam::static_::check(request).is_ok());
}
