//! A list that loads has names that stay in their directory, and gives each plugin a configuration that loads again.
#![no_main]

use cni::list::{Injection, NetworkList};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for list in [NetworkList::parse(bytes), NetworkList::from_single(bytes)].into_iter().flatten() {
        assert!(!list.name.contains('/') && !list.name.starts_with('.'));
        assert!(NetworkList::parse(&list.bytes).is_ok());
        for plugin in &list.plugins {
            let config = list.plugin_config(plugin, &Injection::default());
            let again = NetworkList::from_single(&config).expect("a plugin's configuration is one");
            assert_eq!((again.name, again.cni_version), (list.name.clone(), list.cni_version));
        }
    }
});
