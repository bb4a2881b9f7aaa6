//! What a kernel must have or lack: `cargo xtask vm` runs these tests, with `--include-ignored`, on Debian's kernel.
//!
//! Tests that any kernel passes are not ignored: on a kernel before 6.2 they prove that netferry does without the echo
//! of the links it makes.

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod attach;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod cards;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod host_device;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod nics;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod vlan;
