//! The CNI specification as types: environment, configuration, results of all seven versions, errors, and the exec of a
//! delegate. Nothing here touches the kernel's network state.

pub mod args;
pub mod config;
pub mod delegate;
pub mod env;
pub mod error;
pub mod exec;
pub mod json;
pub mod list;
pub mod net;
pub mod render;
pub mod request;
pub mod result;
pub mod version;
pub mod wire;

pub use config::{Attachment, PluginConf};
pub use env::{Command, Env};
pub use error::{Error, code};
pub use list::NetworkList;
pub use request::{Invocation, Request};
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use version::Version;
