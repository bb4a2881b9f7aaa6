//! `netferry-cni`: every plugin in one binary. The name it is called by (a hard link) says which; called by its own name
//! it takes the plugin's name as its first argument.

use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ARENA: plugins::Arena = plugins::Arena;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if plugins::NAMES.contains(&name.as_str()) {
        return plugins::main(&name);
    }
    plugins::main(&arguments.next().unwrap_or_default().to_string_lossy())
}
