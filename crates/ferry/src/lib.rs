//! The ferry: a network device with everything that a move between namespaces would lose.
//!
//! [`capture()`] reads a [`Device`] from the kernel, as plain data that prints itself as the commands which would make it
//! again and is stored as JSON. [`Policy`] says which of its addresses are meant. [`preflight()`] says what would be in the
//! way of carrying it. [`carry()`] carries devices, all or none, as the [`Journal`] has it before anything is changed;
//! [`bring_home()`] brings them home, whatever has become of them meanwhile; [`recover`] does so for those whose owner is
//! gone. Several may [`share`] a device, and what another program has carried is [adopted](adopt()). The crate knows no
//! container words.

mod adopt;
mod capture;
pub mod carry;
pub mod device;
pub mod error;
mod find;
mod home;
pub mod journal;
mod located;
mod manager;
pub mod name;
mod pin;
mod place;
mod plan;
pub mod policy;
mod preflight;
pub mod recover;
pub mod route;
mod select;
pub mod share;
mod show;
pub mod sysctl;

pub use adopt::adopt;
pub use capture::capture;
pub use carry::{Crossing, Departure, Order, Prepared, Wanted, carry, check, mend, prepare};
pub use device::Device;
pub use error::{Error, Result};
pub use home::{Returned, bring_home};
pub use journal::{Journal, Restore};
pub use manager::{Manager, manager};
pub use place::Place;
pub use policy::{Addresses, Policy};
pub use preflight::{Obstacle, Passage, Preflight, foresee, held_back, preflight};
pub use show::Line;

/// True for what a description in JSON may leave unsaid.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
