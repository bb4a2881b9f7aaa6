//! `linux.netDevices` of the OCI runtime specification, for runtimes that do not know it: what of their JSON is read
//! and written. Everything here is pure; no kernel is asked and no process is started.
//!
//! [`Document`] is a JSON text that is edited without touching anything else of it. [`Spec`] is what counts of a
//! `config.json`; [`validate()`] lists everything that is wrong with it before anything is changed, and [`Wishes`] are
//! the annotations by which more is asked for than the specification gives. [`State`] is what a runtime tells a hook.
//! [`wrapper`] is what stands in front of a runtime. [`hooks_d`] and [`cdi`] write the files by which engines come to call that hook, and [`features`] tells a caller of
//! the runtime that devices are taken care of.
//!
//! JSON is read as Go's `encoding/json` reads it, which is what most runtimes are written with; [`Document`] says where
//! that shows.

pub mod annotations;
pub mod cdi;
pub mod document;
pub mod entry;
mod error;
pub mod features;
mod field;

pub mod hooks_d;
pub mod spec;
pub mod state;
pub mod validate;
pub mod wrapper;

pub use annotations::Wishes;
pub use document::Document;
pub use entry::Entry;
pub use error::{Error, Result};

pub use spec::Spec;
pub use state::State;
pub use validate::{Circumstances, Problem, validate};
