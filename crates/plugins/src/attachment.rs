//! What an attachment (network, container ID, interface name) is called in the kernel, so that it is found again by
//! nothing but those three.

use std::net::IpAddr;

use cni::Request;
use kernel::mac::Mac;
use sha2::{Digest, Sha512};

/// What the aliases of our links begin with.
const ALIAS: &str = "netferry:";
/// `IFNAMSIZ` less the terminating zero.
const LONGEST_NAME: usize = 15;
/// nft reads comments of at most 127 bytes.
const LONGEST_MARK: usize = 120;
/// `IFALIASZ` less the terminating zero.
const LONGEST_ALIAS: usize = 255;

/// The names of one attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Name of the network.
    pub network: String,
    /// Container ID.
    pub container_id: String,
    /// Interface name in the container.
    pub ifname: String,
    hash: [u8; 64],
}

impl Attachment {
    /// The attachment that a call is about.
    pub fn of(request: &Request) -> Self {
        Self::new(&request.conf.name, &request.env.container_id, &request.env.ifname)
    }

    /// An attachment by its three names.
    pub fn new(network: &str, container_id: &str, ifname: &str) -> Self {
        let mut hash = Sha512::new();
        for part in [network, container_id, ifname] {
            hash.update(part.as_bytes());
            // No name holds a zero byte, so no two triples read the same.
            hash.update([0]);
        }
        Self {
            network: network.to_owned(),
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
            hash: hash.finalize().into(),
        }
    }

    /// The host end's name: `veth`, as everything on a node expects, and 44 bits of the hash: the longest that fits.
    pub fn host_ifname(&self) -> String {
        let mut name = format!("veth{}", hex(&self.hash[..6]));
        name.truncate(LONGEST_NAME);
        name
    }

    /// The hardware address of the container's end where no address says another: the same whenever the attachment is made
    /// again, and known before the kernel has been asked.
    pub fn mac(&self) -> Mac {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(&self.hash[24..30]);
        Mac::local(&bytes)
    }

    /// The hardware address of the host end: the highest there is in its first byte, since a bridge without an address of
    /// its own takes the lowest of its ports', and would change it with ours.
    pub fn host_mac(&self) -> Mac {
        let mut bytes = [0xfe; 6];
        bytes[1..].copy_from_slice(&self.hash[17..22]);
        Mac::local(&bytes)
    }

    /// The hardware address of whoever has the address `ip` on this network. A new owner of an address is where the last
    /// one was for all that its neighbours remember, so nobody has to be told, however many they are.
    pub fn mac_of(&self, ip: IpAddr) -> Mac {
        let mut bytes = [0; 6];
        let hash = Sha512::new().chain_update(self.network.as_bytes()).chain_update([0]).chain_update(ip.to_string());
        bytes.copy_from_slice(&hash.finalize()[..6]);
        Mac::local(&bytes)
    }

    /// The comment of nft elements, and with a prefix the alias of links: who it belongs to, in plain words where they
    /// fit. A slash is in none of the three names but, behind the last one, the interface's, where it is refused too.
    pub fn mark(&self) -> String {
        let plain = format!("{}/{}/{}", self.network, self.container_id, self.ifname);
        if plain.len() <= LONGEST_MARK { plain } else { format!("#{}", hex(&self.hash[..16])) }
    }

    /// The alias of links.
    pub fn alias(&self) -> String {
        let plain = format!("{ALIAS}{}/{}/{}", self.network, self.container_id, self.ifname);
        if plain.len() <= LONGEST_ALIAS { plain } else { format!("{ALIAS}#{}", hex(&self.hash[..16])) }
    }

    /// Reads an alias back; `None` if it is not ours, or only a hash.
    pub fn from_alias(alias: &str) -> Option<Self> {
        Self::from_mark(alias.strip_prefix(ALIAS)?)
    }

    /// Reads a mark back; `None` if it is only a hash.
    pub fn from_mark(mark: &str) -> Option<Self> {
        let mut parts = mark.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(network), Some(id), Some(ifname)) => Some(Self::new(network, id, ifname)),
            _ => None,
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_come_back() {
        let attachment = Attachment::new("net", "0123abcd", "eth0");
        assert_eq!(attachment.host_ifname().len(), 15);
        assert_eq!(attachment.alias(), "netferry:net/0123abcd/eth0");
        assert_eq!(Attachment::from_alias(&attachment.alias()), Some(attachment.clone()));
        assert_eq!(attachment.mark(), "net/0123abcd/eth0");
        assert_ne!(attachment.host_mac(), attachment.mac());
    }

    #[test]
    fn long_names_become_hashes() {
        let attachment = Attachment::new("net", &"c".repeat(300), "eth0");
        assert!(attachment.mark().len() <= LONGEST_MARK && attachment.alias().len() <= LONGEST_ALIAS);
        assert_eq!(Attachment::from_alias(&attachment.alias()), None);
    }

    #[test]
    fn different_triples_differ() {
        assert_ne!(Attachment::new("a", "bc", "d").host_ifname(), Attachment::new("ab", "c", "d").host_ifname());
    }

    #[test]
    fn foreign_aliases_are_not_ours() {
        for alias in ["", "eth0", "netferry:", "netferry:net/cid", "other:net/cid/eth0"] {
            assert_eq!(Attachment::from_alias(alias), None, "{alias}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_names_are_names_to_the_kernel(network in ".{0,300}", id in ".{0,300}", ifname in ".{0,300}") {
            let attachment = Attachment::new(&network, &id, &ifname);
            let name = attachment.host_ifname();
            assert!(name.len() <= 15 && cni::env::validate_ifname(&name).is_ok(), "{name}");
            assert!(attachment.mark().len() <= 127 && attachment.alias().len() <= LONGEST_ALIAS);
            let first = attachment.mac().as_bytes()[0];
            assert_eq!(first & 3, 2, "unicast, and administered locally");
            assert_eq!(Attachment::new(&network, &id, &ifname), attachment, "the same whenever it is asked");
        }

        #[test]
        fn valid_names_come_back_from_the_alias(
            network in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,80}",
            id in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,80}",
            ifname in "[a-z0-9.#-]{1,15}",
        ) {
            let attachment = Attachment::new(&network, &id, &ifname);
            assert_eq!(Attachment::from_alias(&attachment.alias()), Some(attachment));
        }
    }
}
