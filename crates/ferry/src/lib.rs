//! The ferry: a network device with everything that a move between namespaces would lose.
//!
//! [`capture()`] reads a [`Device`] from the kernel, as plain data that prints itself as the commands which would make it
//! again and is stored as JSON. [`Policy`] says which of its addresses are meant. [`preflight()`] says what would be in the
//! way of carrying it. The crate knows no container words.

mod capture;
pub mod device;
mod located;
pub mod name;
pub mod policy;
mod preflight;
pub mod route;
mod show;
pub mod sysctl;

pub use capture::capture;
pub use device::Device;
pub use policy::{Addresses, Policy};
pub use preflight::{Obstacle, Passage, Preflight, preflight};
pub use show::Line;

/// True for what a description in JSON may leave unsaid.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
