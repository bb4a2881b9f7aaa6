//! The CNI plugins: `main` finds one by name, `run` is the one pipeline of all verbs, `interface` what the plugins that
//! make interfaces share, and then one file to a plugin, all of one shape: its configuration, and pure functions from
//! that to a [`plan::Plan`].

mod arena;
mod attachment;
mod bridge;
mod delegate;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod host_device;
mod host_local;
mod interface;
mod layer3;
mod lenient;
mod loopback;
mod macspoof;
mod masquerade;
mod planned;
mod ptp;
mod run;
mod static_;

use std::process::ExitCode;

use run::Plugin;

pub use arena::Arena;

/// Every plugin of this binary.
const PLUGINS: [&Plugin; 6] =
    [&bridge::PLUGIN, &host_device::PLUGIN, &host_local::PLUGIN, &loopback::PLUGIN, &ptp::PLUGIN, &static_::PLUGIN];

/// The names of the plugins, as `type` has them.
pub const NAMES: [&str; 6] = ["bridge", "host-device", "host-local", "loopback", "ptp", "static"];

/// Runs the plugin `name` on this process's environment, stdin and stdout.
pub fn main(name: &str) -> ExitCode {
    match PLUGINS.iter().find(|plugin| plugin.name == name) {
        Some(plugin) => run::run(plugin),
        None => {
            eprintln!("netferry-cni: no plugin is called {name:?}; link this binary by one of: {}", NAMES.join(", "));
            ExitCode::FAILURE
        }
    }
}
