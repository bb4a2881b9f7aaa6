//! A directory of network configurations, with drop-ins: what is found has the name that was asked for, and its bytes,
//! which DEL will read, are the same list.
#![no_main]

use cni::list::NetworkList;
use libfuzzer_sys::fuzz_target;
use netferry_fuzz::Scratch;
use runtime::{Network, discover};

const NAMES: [&str; 6] = ["10-a.conflist", "20-b.conflist", "10-a.conf", "30-c.json", "net/10-x.conf", "net/20-y.conf"];

fuzz_target!(|bytes: &[u8]| {
    let scratch = Scratch::new();
    for (name, content) in NAMES.iter().zip(bytes.split(|byte| *byte == 0)).filter(|(_, content)| !content.is_empty()) {
        scratch.write(name, content);
    }
    if let Ok(network) = discover::load(scratch.path(), "net") {
        assert_eq!(network.list.name, "net");
        same(&network);
    }
    discover::default_network(scratch.path()).iter().for_each(same);
});

fn same(network: &Network) {
    let again = NetworkList::parse(&network.list.bytes).expect("what was found is a list");
    assert!(!again.plugins.is_empty());
    assert_eq!((again.name, again.plugins), (network.list.name.clone(), network.list.plugins.clone()));
}
