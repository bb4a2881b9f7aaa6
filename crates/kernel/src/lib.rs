//! Everything the Linux kernel is asked for: rtnetlink objects, nf_tables, conntrack, namespaces, sysctls, ARP and NDP
//! announcements.
//!
//! The crate knows no container words. Its objects are plain data that compare with `==`, so that a caller can say what
//! it wants, read what is there, and tell the difference. Nothing here retries, caches or decides.

pub mod announce;
pub mod conntrack;
pub mod depart;
pub mod error;
pub mod iptables;
pub mod mac;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod sysctl;

pub use error::{Error, Result};
pub use netlink::{Family, Socket};
