//! `linux.netDevices` of the OCI runtime specification, for any runtime. Everything but [`hook`] is pure: what of their JSON
//! is read and written.
//!
//! [`Document`] is a JSON text that is edited without touching anything else of it. [`Spec`] is what counts of a
//! `config.json`; [`validate()`] lists everything that is wrong with it before anything is changed, and [`Wishes`] are
//! the annotations by which more is asked for than the specification gives. [`State`] is what a runtime tells a hook, and
//! [`hook`] what comes of it: devices go into a container, and come home. [`wrapper`] is what stands in front of a runtime,
//! so that it calls that hook; [`hooks_d`] and [`cdi`] write the files by which engines come to do so, and [`features`] tells
//! a caller of the runtime that devices are taken care of.
//!
//! JSON is read as Go's `encoding/json` reads it, which is what most runtimes are written with; [`Document`] says where
//! that shows.

pub mod annotations;
pub mod cdi;
pub mod document;
pub mod entry;
mod error;
mod failure;
pub mod features;
mod field;
pub mod hook;

pub mod hooks_d;
pub mod spec;
pub mod state;
pub mod validate;
pub mod wrapper;

pub use annotations::Wishes;
pub use document::Document;
pub use entry::Entry;
pub use error::{Error, Result};
pub use failure::Failure;

pub use spec::Spec;
pub use state::State;
pub use validate::{Circumstances, Problem, validate};
