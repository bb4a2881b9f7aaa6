//! `cnitool`, the reference implementation's tool, to the letter of 1.3.0 and with its successor's `--ifname`.
//!
//! `cnitool {add|check|del|gc|status} NETWORK NETNS` with NETCONFPATH, CNI_PATH, CNI_IFNAME, CNI_ARGS and CAP_ARGS.
//! Results go to stdout without a newline, errors to stderr without decoration. An unknown verb is an error here;
//! there it was silently nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cni::list::NetworkList;
use cni::{Error, env, render};
use runtime::{Attachment, Cache, Policy, Runtime, discover};

use crate::attach::{absolute, arguments, capabilities, container_id, variable};

const USAGE: &str = "\
cnitool: Add, check, or remove network interfaces from a network namespace
  cnitool add     <net> <netns>
  cnitool check   <net> <netns>
  cnitool del     <net> <netns>
  cnitool gc      <net> <netns>
  cnitool status  <net> <netns>
Flags:
  -i, --ifname NAME   interface inside the namespace (default CNI_IFNAME, else eth0)";

/// Runs the tool with this process's arguments; the exit code is 0 or 1.
pub fn main() -> ExitCode {
    let arguments: Option<Vec<String>> = std::env::args_os().skip(1).map(|word| word.into_string().ok()).collect();
    let words = arguments.unwrap_or_default();
    if words.first().is_some_and(|word| matches!(word.as_str(), "help" | "--help" | "-h")) {
        return printed(&format!("{USAGE}\n"));
    }
    let Some((ifname, words)) = split_flag(words) else { return usage() };
    let [verb, network, netns, ..] = words.as_slice() else { return usage() };
    match execute(verb, network, netns, ifname) {
        Ok(result) => printed(&result),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn printed(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

/// Takes `-i NAME`, `--ifname NAME` and `--ifname=NAME` out of the words, wherever they stand.
fn split_flag(words: Vec<String>) -> Option<(Option<String>, Vec<String>)> {
    let (mut ifname, mut rest) = (None, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "-i" || word == "--ifname" {
            ifname = Some(words.next()?);
        } else if let Some(name) = word.strip_prefix("--ifname=") {
            ifname = Some(name.to_owned());
        } else {
            rest.push(word);
        }
    }
    Some((ifname, rest))
}

fn execute(verb: &str, network: &str, netns: &str, ifname: Option<String>) -> Result<String, Error> {
    let directory = variable("NETCONFPATH").map_or_else(|| PathBuf::from("/etc/cni/net.d"), PathBuf::from);
    let list = discover::load(&directory, network)?.list;
    let capabilities = capabilities(&variable("CAP_ARGS").unwrap_or_default())?;
    let args = arguments(&variable("CNI_ARGS").unwrap_or_default())?;
    let netns = absolute(Path::new(netns))?;
    let ifname = ifname.or_else(|| variable("CNI_IFNAME")).unwrap_or_else(|| "eth0".into());
    let attachment = Attachment { container_id: container_id(&netns), netns, ifname, args, capabilities };
    perform(verb, &list, &attachment)
}

fn perform(verb: &str, list: &NetworkList, attachment: &Attachment) -> Result<String, Error> {
    let path = env::split_path(&std::env::var_os("CNI_PATH").unwrap_or_default());
    let cache = Cache::new("/var/lib/cni");
    let runtime = Runtime { path, own: None, cache, timeout: None, policy: Policy::Libcni };
    match verb {
        "add" => return runtime.add(list, attachment).map(|result| render::pretty(&result)),
        "check" => runtime.check(list, attachment)?,
        "del" => runtime.del(list, attachment)?,
        "gc" => runtime.gc(list, None)?,
        "status" => runtime.status(list)?,
        _ => return Err(Error::internal(format_args!("unknown command {verb:?}\n{USAGE}"))),
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_may_stand_anywhere() {
        let split = |words: &[&str]| split_flag(words.iter().map(|word| (*word).to_owned()).collect());
        let rest: Vec<String> = ["add", "net", "ns"].map(str::to_owned).into();
        for words in [
            &["-i", "x", "add", "net", "ns"][..],
            &["add", "net", "ns", "--ifname", "x"],
            &["add", "--ifname=x", "net", "ns"],
        ] {
            assert_eq!(split(words), Some((Some("x".into()), rest.clone())));
        }
        assert_eq!(split(&["add", "net", "ns"]), Some((None, rest)));
        assert_eq!(split(&["add", "net", "ns", "-i"]), None);
    }
}
