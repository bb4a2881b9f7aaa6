//! Which addresses of a device belong to it, and which belong to the network that it is in.
//!
//! An address that a router advertised, a temporary one and the link-local address that the kernel made come by
//! themselves wherever they are valid: they are never carried. An IPv4 address with a lifetime is: DHCP gave it, and the
//! routes through its gateway need it. Nobody renews it away from home, so by default it is carried without an end.
//! Flags: `linux/if_addr.h`.

use kernel::mac::Mac;
use kernel::netlink::address::{Address, Lifetime, flags, protocol, scope};
use serde::{Deserialize, Serialize};

/// A lifetime without an end.
const FOREVER: u32 = u32::MAX;
/// What an address may keep: the other flags are the kernel's observations.
const GIVEN: u32 = flags::NODAD
    | flags::OPTIMISTIC
    | flags::HOMEADDRESS
    | flags::MANAGETEMPADDR
    | flags::NOPREFIXROUTE
    | flags::MCAUTOJOIN;

/// Which addresses to capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// Those without a lifetime, and every IPv4 address, which then has none.
    #[default]
    Permanent,
    /// Those of DHCPv6 too.
    All,
    /// None, and no route, rule or neighbour, which would be nothing without one.
    None,
}

/// What of a device to capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Which addresses.
    pub addresses: Addresses,
    /// Also those whose scope is the link or this host, such as the address of a cloud's metadata service.
    pub link_scope: bool,
}

impl Policy {
    /// Everything that can be captured.
    pub const WIDEST: Self = Self { addresses: Addresses::All, link_scope: true };
    /// The device alone.
    pub const NONE: Self = Self { addresses: Addresses::None, link_scope: false };

    /// The address as this policy takes it: under [`Addresses::Permanent`] one of DHCP has no lifetime. `None` if it does
    /// not take it.
    pub fn take(&self, address: Address) -> Option<Address> {
        let has_end = address.lifetime.is_some_and(|lifetime| lifetime.valid != FOREVER);
        let by_lifetime = match self.addresses {
            Addresses::Permanent => address.local.addr().is_ipv4() || !has_end,
            Addresses::All => true,
            Addresses::None => false,
        };
        let by_scope = address.scope == scope::UNIVERSE || self.link_scope;
        let keeps_lifetime = self.addresses == Addresses::All || !has_end;
        let taken = |address| if keeps_lifetime { address } else { endless(address) };
        (by_lifetime && by_scope).then(|| taken(address))
    }
}

/// The address without an end; one that is deprecated stays so.
fn endless(address: Address) -> Address {
    let is_deprecated = address.lifetime.is_some_and(|lifetime| lifetime.preferred == 0);
    Address { lifetime: is_deprecated.then_some(Lifetime { valid: FOREVER, preferred: 0 }), ..address }
}

/// True if the kernel makes the address again wherever it is valid, on a device with the hardware address `mac`.
pub(crate) fn comes_by_itself(address: &Address, mac: Option<&Mac>) -> bool {
    let has = |flag: u32| address.flags & flag != 0;
    match address.protocol {
        protocol::KERNEL_LO | protocol::KERNEL_RA | protocol::KERNEL_LL => return true,
        _ if address.local.addr().is_ipv4() => return false,
        0 => {}
        // Somebody says that it is theirs.
        _ => return has(flags::TEMPORARY),
    }
    // Before 5.18 the kernel does not say what it has made.
    let is_advertised = has(flags::MANAGETEMPADDR) && !has(flags::PERMANENT);
    has(flags::TEMPORARY) || is_advertised || address.scope == scope::LINK && is_derived(address, mac)
}

/// True for the link-local address that follows from a hardware address (RFC 4291, appendix A).
fn is_derived(address: &Address, mac: Option<&Mac>) -> bool {
    let (std::net::IpAddr::V6(ip), Some([a, b, c, d, e, f])) = (address.local.addr(), mac.map(Mac::as_bytes)) else {
        return false;
    };
    ip.octets()[8..] == [a ^ 2, *b, *c, 0xff, 0xfe, *d, *e, *f]
}

/// The address as it would be given to the device named `name`: of no link, without what the kernel has observed. A label
/// that is the device's name is what the kernel puts where none is given, and must not outlive the name.
pub(crate) fn given(address: Address, name: &str) -> Address {
    let label = address.label.filter(|label| label != name);
    Address { index: 0, flags: address.flags & GIVEN, label, ..address }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "02:fc:00:00:00:01";

    fn address(local: &str, scope: u8, flags: u32, protocol: u8) -> Address {
        let lifetime = (flags & flags::PERMANENT == 0).then_some(Lifetime { valid: 3600, preferred: 1800 });
        Address { scope, flags, protocol, lifetime, ..Address::new(7, local.parse().expect("an address")) }
    }

    /// Whether `permanent`, `all`, `none` take it, without and with `link_scope`.
    fn taken(address: &Address) -> [bool; 6] {
        let mac = MAC.parse().ok();
        let mut taken = [false; 6];
        for (at, slot) in taken.iter_mut().enumerate() {
            let addresses = [Addresses::Permanent, Addresses::All, Addresses::None][at % 3];
            let policy = Policy { addresses, link_scope: at > 2 };
            *slot = !comes_by_itself(address, mac.as_ref()) && policy.take(given(address.clone(), "eth1")).is_some();
        }
        taken
    }

    #[test]
    fn each_kind_of_address() {
        let always = [true, true, false, true, true, false];
        let on_request = [false, false, false, true, true, false];
        let (permanent, link) = (flags::PERMANENT, scope::LINK);
        for (expected, what, address) in [
            (always, "static", address("10.0.0.1/24", 0, permanent, 0)),
            (always, "static", address("fd00::1/64", 0, permanent, 0)),
            (always, "of DHCP", address("10.0.0.2/24", 0, 0, 0)),
            (always, "secondary", address("10.0.0.3/24", 0, permanent | flags::SECONDARY, 0)),
            ([false, true, false, false, true, false], "of DHCPv6", address("fd00::2/128", 0, 0, 0)),
            (on_request, "metadata", address("169.254.169.2/32", link, permanent, 0)),
            (on_request, "of this host", address("10.9.9.9/32", scope::HOST, permanent, 0)),
            (on_request, "link-local by hand", address("fe80::1/64", link, permanent, 0)),
            ([false; 6], "link-local", address("fe80::fc:ff:fe00:1/64", link, permanent, protocol::KERNEL_LL)),
            ([false; 6], "link-local, old kernel", address("fe80::fc:ff:fe00:1/64", link, permanent, 0)),
            ([false; 6], "advertised", address("fd00::3/64", 0, flags::NOPREFIXROUTE, protocol::KERNEL_RA)),
            ([false; 6], "advertised for ever", address("fd00::3/64", 0, permanent, protocol::KERNEL_RA)),
            ([false; 6], "temporary", address("fd00::4/64", 0, flags::TEMPORARY, 0)),
            ([false; 6], "advertised, old kernel", address("fd00::5/64", 0, flags::MANAGETEMPADDR, 0)),
            (always, "prefix of temporary ones", address("fd00::6/64", 0, permanent | flags::MANAGETEMPADDR, 0)),
        ] {
            assert_eq!(taken(&address), expected, "{what}: {address}");
        }
    }

    #[test]
    fn a_lease_has_no_end_where_nobody_renews_it() {
        let lifetime = |valid, preferred| Some(Lifetime { valid, preferred });
        let leased = |lifetime| Address { lifetime, ..address("10.0.0.2/24", 0, flags::PERMANENT, 0) };
        for (before, after) in [
            (lifetime(3600, 1800), None),
            (lifetime(3600, 0), lifetime(FOREVER, 0)),
            (lifetime(FOREVER, 0), lifetime(FOREVER, 0)),
            (lifetime(FOREVER, 1800), lifetime(FOREVER, 1800)),
            (None, None),
        ] {
            let taken = |addresses| Policy { addresses, link_scope: false }.take(leased(before));
            assert_eq!(taken(Addresses::Permanent), Some(leased(after)));
            assert_eq!(taken(Addresses::All), Some(leased(before)));
        }
    }

    #[test]
    fn observations_are_left_out() {
        let observed = flags::PERMANENT | flags::TENTATIVE | flags::SECONDARY;
        for (label, expected) in [("eth1", None), ("eth1:web", Some("eth1:web"))] {
            let mut found = address("10.0.0.1/24", 0, observed | flags::NOPREFIXROUTE, 0);
            found.label = Some(label.to_owned());
            let kept = given(found, "eth1");
            assert_eq!((kept.index, kept.flags, kept.label.as_deref()), (0, flags::NOPREFIXROUTE, expected));
        }
    }
}
