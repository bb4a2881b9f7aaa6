//! nf_tables, conntrack and iptables on the real kernel, each test in network namespaces of its own.
//!
//! Needs root, and Debian's `nftables`, `iptables`, `iproute2` and `iputils-ping`.

mod conntrack;
mod iptables;
mod listing;
mod maps;
mod namespace;
mod packets;
mod reading;
mod refusal;
