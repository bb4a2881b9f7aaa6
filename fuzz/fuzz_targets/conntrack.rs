//! What the kernel says about flows: whatever it is, no more flows are forgotten than there were answers.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use kernel::Family;
use kernel::conntrack::{Flows, forget};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, datagram)) = bytes.split_first() else { return };
    let flows = match what % 3 {
        0 => Flows::Of(Ipv4Addr::new(10, 1, 0, 2).into()),
        1 => Flows::Of(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into()),
        _ => Flows::To(6, Ipv4Addr::UNSPECIFIED.into(), 80),
    };
    let forgotten = netferry_fuzz::answered(Family::Netfilter, datagram, |socket| forget(socket, flows));
    assert!(forgotten.unwrap_or_default() <= 1 + datagram.len() / 16);
});
