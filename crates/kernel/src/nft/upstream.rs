//! The masquerading rules that the Go plugins' nftables backend leaves in a host.
//!
//! They are one rule per address in `table inet cni_plugins_masquerade`, chain `masq_checks`; a rule's comment begins
//! with two hashes, one of the network, one of the interface's name and the container's ID.

use sha2::{Digest, Sha512};

use super::transaction::Transaction;
use super::{Family, Table, query};
use crate::error::Result;
use crate::netlink::Socket;

const TABLE: &str = "cni_plugins_masquerade";
const CHAIN: &str = "masq_checks";

/// What the comments of one attachment's rules begin with.
pub fn masquerade_comment(network: &str, ifname: &str, id: &str) -> String {
    format!("{}-{}", short_hash(&[network]), short_hash(&[ifname, ":", id]))
}

/// Deletes the rules whose comment begins with `prefix` and returns how many they were.
///
/// Where the table is not there, that is one question to the kernel.
///
/// # Errors
/// What the kernel says; then no rule was deleted.
pub fn remove_masquerade(socket: &mut Socket, prefix: &str) -> Result<usize> {
    let table = Table::new(Family::Inet, TABLE);
    let mut transaction = Transaction::new();
    for rule in query::rules(socket, &table, CHAIN)? {
        if rule.comment.is_some_and(|comment| comment.starts_with(prefix)) {
            transaction.delete_rule(&table, CHAIN, rule.handle);
        }
    }
    transaction.commit(socket)?;
    Ok(transaction.changes().len())
}

/// The first sixteen hexadecimal digits of the SHA-512 of `parts`.
fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_is_two_short_hashes() {
        let comment = masquerade_comment("net", "eth0", "id");
        let (network, attachment) = comment.split_once('-').expect("two parts");
        assert_eq!(network, short_hash(&["net"]));
        assert_eq!(attachment, short_hash(&["eth0:id"]));
        assert_eq!(network.len(), 16);
    }
}
