//! What IPv4 and IPv6 have set for one link (`IFLA_AF_SPEC`): the settings below `/proc/sys/net/ipv4/conf/NAME` and
//! `/proc/sys/net/ipv6/conf/NAME` in the one message that describes the link, where each file costs three system calls.
//!
//! The kernel numbers them (`linux/ip.h`, `linux/ipv6.h`) and only ever adds to their end; the names of the files are those
//! of `net/ipv4/devinet.c` and `net/ipv6/addrconf.c`.

use netlink_bindings::rt_link::{AfSpecAttrs, Ifinfomsg, Ifla6Attrs, IflaAttrs, IterableLinkAttrs, LinkAttrs};
use serde::{Deserialize, Serialize};

use super::Socket;
use super::link::{self, Link};
use crate::error::Result;
use Form::{Elsewhere, Signed, Unsigned};

/// How a setting comes in the message.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As the number that the file has.
    Signed,
    /// The same, without a sign.
    Unsigned,
    /// Not, or in another unit than the file's: the file has to be asked.
    Elsewhere,
}

/// By `IPV4_DEVCONF_*`, from 1 on.
const IPV4: [&str; 33] = [
    "forwarding",
    "mc_forwarding",
    "proxy_arp",
    "accept_redirects",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "rp_filter",
    "accept_source_route",
    "bootp_relay",
    "log_martians",
    "tag",
    "arp_filter",
    "medium_id",
    "disable_xfrm",
    "disable_policy",
    "force_igmp_version",
    "arp_announce",
    "arp_ignore",
    "promote_secondaries",
    "arp_accept",
    "arp_notify",
    "accept_local",
    "src_valid_mark",
    "proxy_arp_pvlan",
    "route_localnet",
    "igmpv2_unsolicited_report_interval",
    "igmpv3_unsolicited_report_interval",
    "ignore_routes_with_linkdown",
    "drop_unicast_in_l2_multicast",
    "drop_gratuitous_arp",
    "bc_forwarding",
    "arp_evict_nocarrier",
];

/// By `DEVCONF_*`, from 0 on.
const IPV6: [(&str, Form); 60] = [
    ("forwarding", Signed),
    ("hop_limit", Signed),
    ("mtu", Signed),
    ("accept_ra", Signed),
    ("accept_redirects", Signed),
    ("autoconf", Signed),
    ("dad_transmits", Signed),
    ("router_solicitations", Signed),
    ("router_solicitation_interval", Elsewhere),
    ("router_solicitation_delay", Elsewhere),
    ("use_tempaddr", Signed),
    ("temp_valid_lft", Signed),
    ("temp_prefered_lft", Signed),
    ("regen_max_retry", Signed),
    ("max_desync_factor", Signed),
    ("max_addresses", Signed),
    ("force_mld_version", Signed),
    ("accept_ra_defrtr", Signed),
    ("accept_ra_pinfo", Signed),
    ("accept_ra_rtr_pref", Signed),
    ("router_probe_interval", Elsewhere),
    ("accept_ra_rt_info_max_plen", Signed),
    ("proxy_ndp", Signed),
    ("optimistic_dad", Signed),
    ("accept_source_route", Signed),
    ("mc_forwarding", Signed),
    ("disable_ipv6", Signed),
    ("accept_dad", Signed),
    ("force_tllao", Signed),
    ("ndisc_notify", Signed),
    ("mldv1_unsolicited_report_interval", Signed),
    ("mldv2_unsolicited_report_interval", Signed),
    ("suppress_frag_ndisc", Signed),
    ("accept_ra_from_local", Signed),
    ("use_optimistic", Signed),
    ("accept_ra_mtu", Signed),
    ("stable_secret", Elsewhere),
    ("use_oif_addrs_only", Signed),
    ("accept_ra_min_hop_limit", Signed),
    ("ignore_routes_with_linkdown", Signed),
    ("drop_unicast_in_l2_multicast", Signed),
    ("drop_unsolicited_na", Signed),
    ("keep_addr_on_down", Signed),
    ("router_solicitation_max_interval", Elsewhere),
    ("seg6_enabled", Signed),
    ("seg6_require_hmac", Signed),
    ("enhanced_dad", Signed),
    ("addr_gen_mode", Signed),
    ("disable_policy", Signed),
    ("accept_ra_rt_info_min_plen", Signed),
    ("ndisc_tclass", Signed),
    ("rpl_seg_enabled", Signed),
    ("ra_defrtr_metric", Unsigned),
    ("ioam6_enabled", Signed),
    ("ioam6_id", Unsigned),
    ("ioam6_id_wide", Unsigned),
    ("ndisc_evict_nocarrier", Signed),
    ("accept_untracked_na", Signed),
    ("accept_ra_min_lft", Signed),
    ("force_forwarding", Signed),
];

/// A setting: its key, and its value in the words of its file.
pub type Setting = (&'static str, String);

/// What each protocol has set for a link, as far as the message says it: some settings are in files alone. Where a kernel
/// lacks a setting, its number is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conf {
    /// Of IPv4, in the kernel's order; nothing if the link has no IPv4.
    pub ipv4: Vec<i32>,
    /// Of IPv6, likewise.
    pub ipv6: Vec<i32>,
}

impl Conf {
    /// The settings of IPv4 that have a name here: a newer kernel has more of them.
    pub fn ipv4(&self) -> impl Iterator<Item = Setting> {
        named(&self.ipv4, IPV4.iter().map(|name| (*name, Signed)))
    }

    /// Those of IPv6, likewise.
    pub fn ipv6(&self) -> impl Iterator<Item = Setting> {
        named(&self.ipv6, IPV6.into_iter())
    }

    fn read(attributes: IterableLinkAttrs<'_>) -> Self {
        let mut read = Self::default();
        let families = attributes.flatten().filter_map(|attribute| match attribute {
            LinkAttrs::AfSpec(families) => Some(families),
            _ => None,
        });
        for family in families.flatten().flatten() {
            match family {
                AfSpecAttrs::Inet(ipv4) => {
                    for IflaAttrs::Conf(numbers) in ipv4.flatten() {
                        read.ipv4 = numbers_of(numbers);
                    }
                }
                AfSpecAttrs::Inet6(ipv6) => {
                    for attribute in ipv6.flatten() {
                        if let Ifla6Attrs::Conf(numbers) = attribute {
                            read.ipv6 = numbers_of(numbers);
                        }
                    }
                }
                AfSpecAttrs::Mctp(_) => {}
            }
        }
        read
    }
}

fn numbers_of(bytes: &[u8]) -> Vec<i32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|number| i32::from_ne_bytes(*number)).collect()
}

/// The numbers with their names.
fn named(numbers: &[i32], names: impl Iterator<Item = (&'static str, Form)>) -> impl Iterator<Item = Setting> {
    let setting = |(number, (name, form)): (&i32, _)| match form {
        Signed => Some((name, number.to_string())),
        Unsigned => Some((name, number.cast_unsigned().to_string())),
        Elsewhere => None,
    };
    numbers.iter().zip(names).filter_map(setting)
}

/// Reads the link named `name`, or alternatively so, and what is set for it, at one moment; `None` if there is none.
///
/// # Errors
/// The kernel's words.
pub fn get(socket: &mut Socket, name: &str) -> Result<Option<(Link, Conf)>> {
    link::get_by_name(socket, name, |(header, attributes): (Ifinfomsg, IterableLinkAttrs<'_>)| {
        (Link::read((header, attributes)), Conf::read(attributes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_name_or_is_left_out() {
        let bytes = [(-1_i32).to_ne_bytes(); 5].concat();
        let forms = [("a", Signed), ("b", Unsigned), ("c", Elsewhere), ("d", Signed)];
        let expected = [("a", "-1".to_owned()), ("b", "4294967295".to_owned()), ("d", "-1".to_owned())];
        let named = |bytes| named(&numbers_of(bytes), forms.into_iter()).collect::<Vec<_>>();
        assert_eq!(named(&bytes), expected);
        // What is cut short is no number.
        assert_eq!(named(&bytes[..11]), expected[..2]);
        assert_eq!(named(&[]), []);
    }
}
