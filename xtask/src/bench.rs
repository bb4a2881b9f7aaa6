//! `cargo xtask bench`: netferry against the Go plugins, against crun and runc, and against a floor, in one run, taking turns.
//!
//! It builds what it measures, starts itself again in namespaces of its own, and there calls everybody's plugins as a
//! runtime would, and runtimes as an engine would. The table goes to standard output, progress to standard error, and a
//! whole run to docs/benchmarks.md.

mod attach;
mod call;
mod contender;
mod device;
mod network;
mod node;
mod oci;
mod options;
mod page;
mod rows;
mod scale;
mod stats;
mod table;
mod target;
mod trace;

pub use target::BINARY;

use crate::build::{floor, product};
use crate::runtimes;
use crate::setup;
use crate::shell::root;
use crate::suite::{self, Wanted};
use network::Network;
use node::Node;
use options::{Oci, Options};
use stats::Results;
use std::path::Path;
use table::Table;

/// The newest Go plugins that there are as a package.
const PEER: Wanted = Wanted { package: "containernetworking-plugins", suite: "sid", with_dependencies: false };

/// Measures what the command line asks for.
///
/// # Errors
/// A wrong option, a build that fails, or any call that does: a failing row is never a number. Unmet targets are told,
/// and are no error.
pub fn run() -> Result<(), String> {
    let mut options = Options::read(std::env::args().skip(2))?;
    match &options.inside {
        Some((plugins, floor)) => measure(plugins, floor, &options),
        None => {
            setup::packages()?;
            let target = setup::target();
            let product = product(target)?;
            if options.wants(rows::HOST_DEVICE) {
                options.sid = Some(suite::fetch(&PEER)?);
            }
            if oci::is_wanted(&options) {
                options.oci = Some(Oci::new(&product.netferry, &runtimes::fetch()?)?);
            }
            node::enter(&product.plugins, &floor(target)?, &options)
        }
    }
}

fn measure(plugins: &Path, floor: &Path, options: &Options) -> Result<(), String> {
    let machine = page::machine(options);
    let node = Node::set_up(plugins, floor, options.sid.as_ref())?;
    let mut results = Results::default();
    let binary = plugins.join("bridge");
    let size = std::fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()))?.len();
    results.put("binary", "size", contender::Contender::Ours.name(), "bytes", &[size as f64]);
    rows::measure(&node, options, &mut results)?;
    rows::measure_host_device(&node, options, &mut results)?;
    oci::measure(options, &mut results)?;
    scale::reserved(&node, options, &mut results)?;
    scale::containers(&node, options, ("", Network::Bridge), &mut results)?;
    rows::measure_masquerade(&node, options, &mut results)?;
    scale::containers(&node, options, ("-masquerade", Network::Masquerade), &mut results)?;
    trace::measure(&node, options, &mut results)?;
    rows::measure_legacy(&node, options, &mut results)?;
    let judged = target::judge(&results);
    if options.json {
        print!("{}", table::json(&results, &judged));
    } else {
        println!("{machine}\n\n{}", Table::times(&results).aligned());
        println!("{}\n{}", Table::counts(&results).aligned(), Table::targets(&judged).aligned());
        let met = judged.iter().filter(|one| one.met).count();
        println!("{met} of {} targets met", judged.len());
        print!("{}", page::caution(&results));
    }
    if options.only.is_none() && !options.quick {
        let path = root().join("docs/benchmarks.md");
        let write = std::fs::create_dir_all(root().join("docs"))
            .and_then(|()| std::fs::write(&path, page::page(&machine, &results, &judged)));
        write.map_err(|error| format!("{}: {error}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
