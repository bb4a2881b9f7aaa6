//! The engine against the running kernel, without a front end: what it makes is what it checks, previews and undoes, for
//! every kind of object; what fails leaves nothing; what several processes do at once comes out right. Every test plays
//! the host in a network namespace of its own thread, which goes away with the thread.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failure;
mod found;
mod kinds;
mod masquerade;
mod namespaces;
mod nft;
mod sharing;
