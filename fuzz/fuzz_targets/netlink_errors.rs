//! Acknowledgements and refusals, with and without extack, of a change and of a transaction: each reads as a sentence.
#![no_main]

use kernel::netlink::link::{self, Change};
use kernel::nft::{self, Chain, Table, Transaction};
use kernel::{Family, Socket};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, datagram)) = bytes.split_first() else { return };
    let outcome = match what % 3 {
        0 => netferry_fuzz::answered(Family::Route, datagram, change),
        1 => netferry_fuzz::answered(Family::Route, datagram, |socket| link::get_by_index(socket, 2).map(drop)),
        _ => netferry_fuzz::answered(Family::Netfilter, datagram, commit),
    };
    if let Err(error) = outcome {
        assert!(error.to_string().starts_with(&error.what) && !error.what.is_empty());
        let _ = (error.is_absent(), error.is_present());
    }
});

fn change(socket: &mut Socket) -> kernel::Result<()> {
    link::set(socket, 2, "eth0", &Change { up: Some(true), ..Change::default() })
}

fn commit(socket: &mut Socket) -> kernel::Result<()> {
    let table = Table::new(nft::Family::Inet, "netferry");
    Transaction::new()
        .add_table(&table)
        .add_chain(&table, &Chain::new("a"))
        .add_chain(&table, &Chain::new("b"))
        .commit(socket)
}
