//! What a container runtime does with the specification: find and read network configurations, run a list of plugins
//! for one attachment, remember what was attached.
//!
//! It stands where libcni stands and shares its files: the configuration directory and the result cache are read and
//! written so that either can go on with what the other left. Where libcni's behaviour loses state, ours does not, and
//! the module concerned says so.

mod add;
pub mod attachment;
mod base64;
pub mod cache;
pub mod chain;
mod check;
mod del;
pub mod discover;
pub mod gc;
pub mod held;
mod invoke;
pub mod lock;
pub mod predict;
pub mod status;
#[cfg(test)]
mod testing;

pub use attachment::{Attachment, Capabilities};
pub use cache::{Cache, Entry};
pub use chain::{Policy, Runtime};
pub use discover::Network;
pub use held::HeldDirectory;
pub use lock::Lock;
pub use predict::Prediction;
