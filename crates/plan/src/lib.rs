//! The engine: what the network is to look like, as data, and the five things that can be done with such a description.
//!
//! A front end observes, makes a [`Plan`] (a pure function), and hands it to an [`Engine`], which holds the sockets of
//! the two namespaces concerned. [`Engine::apply`] makes it so, and undoes all of it if any of it fails;
//! [`Engine::check`] lists every difference between the plan and the kernel; [`Engine::remove`] takes away what the plan
//! owns, without having seen it made; [`Engine::preview`] says what `apply` would do. All read the same description, so
//! nothing is set up in one place and torn down in another.
//!
//! The crate knows no CNI, no OCI, no NRI. The rules it keeps are in `ARCHITECTURE.md`.

mod apply;
mod check;
mod engine;
mod error;
pub mod op;
mod plan;
mod remove;
mod show;

pub use engine::Engine;
pub use error::{Cause, Difference, Error, Result};
pub use op::Op;
pub use plan::{Plan, Side, Step};
pub use show::{Line, State};
