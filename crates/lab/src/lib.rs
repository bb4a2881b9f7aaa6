//! The lab: a node and its containers as namespaces on one machine, for the tests of every crate. Development only.
//!
//! [`Node`] plays the host, [`Container`] its containers; [`Plugins`] runs CNI binaries from any directory in them;
//! [`Snapshot`] holds everything a call may have changed; [`fault`] fails each system call of a run in turn;
//! [`Runtime`] runs OCI containers, each a [`Task`] of a [`Bundle`], or [`Podman`], [`Containerd`] or [`Docker`] does; [`packets`] sends real traffic; [`device`] is one
//! with everything that the ferry carries. Nothing here touches the machine's own network, and nothing outlives its owner:
//! a node's holder reads a pipe and ends when the test does, however the test ended.

mod bundle;
mod cgroup;
mod containerd;
mod daemon;
pub mod device;
mod docker;
mod error;
pub mod fault;
mod grpc;
mod netns;
mod node;
pub mod packets;
mod plugin;
mod podman;
mod process;
pub mod report;
mod runtime;
mod snapshot;

pub use bundle::Bundle;
pub use containerd::Containerd;
pub use docker::Docker;
pub use error::{Error, Result};
pub use grpc::Message;
pub use netns::Namespaces;
pub use node::{Container, Node};
pub use plugin::{Attachment, Plugins, Verb};
pub use podman::Podman;
pub use process::{Invocation, Output};
pub use runtime::{Kind, Runtime, Task};
pub use snapshot::{Snapshot, settle};
