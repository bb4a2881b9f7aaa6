//! As much of a runtime's command line as it takes to find the configuration of the container that it is to create.
//!
//! The flags are those of `runc`, `crun` and `youki` together. `runc` reads them as Go's `flag` does (`-bundle=DIR` is
//! `--bundle DIR`) and takes them behind the container's name too; the others read them as `getopt` does (`-bDIR`,
//! `--bun=DIR`). All of that is understood here: what the runtime behind us does not take, it refuses itself.
//! A flag that is not known is `--flag=VALUE`, or has no value. If it has one in the next word all the same, that word is
//! taken for the subcommand, and the call for none of ours.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::slice::Iter;

/// What a runtime is called to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The subcommand.
    pub verb: Verb,
    /// Where the caller looks for what went wrong (`--log`).
    pub log: Option<PathBuf>,
    /// How it is written there (`--log-format`).
    pub format: Format,
    /// The words before the subcommand, but for those that say where the log is and how it is written.
    pub global: Vec<OsString>,
}

/// The subcommands that concern network devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// `create`, or `run`, of a container.
    Create(Container),
    /// `features`.
    Features,
    /// Any other, or none, or the question how one is called.
    Other,
}

/// The container that a runtime is to create. Paths are absolute, or relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What it is to be called: the last word that is no flag.
    pub id: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
}

/// How a runtime writes its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    #[default]
    Text,
    /// An object in each line.
    Json,
}

/// The configuration's name in a bundle.
const CONFIG: &str = "config.json";

/// Reads a command line without the runtime's own name.
pub fn read(arguments: &[OsString]) -> Call {
    let mut call = Call { verb: Verb::Other, log: None, format: Format::Text, global: Vec::new() };
    let mut words = arguments.iter();
    let command = loop {
        let from = words.as_slice();
        match words.next() {
            Some(word) if word == "--" => break words.next(),
            Some(word) if is_flag(word) => {
                let mut is_of_the_log = false;
                for (flag, value) in flags(&GLOBAL, word, &mut words) {
                    match flag {
                        "help" | "usage" | "version" => return call,
                        "log" => call.log = value.and_then(file),
                        "log-format" if value.is_some_and(|value| value == "json") => call.format = Format::Json,
                        "log-format" => call.format = Format::Text,
                        _ => continue,
                    }
                    is_of_the_log = true;
                }
                let used = from.len() - words.as_slice().len();
                call.global.extend(from[..used].iter().filter(|_| !is_of_the_log).cloned());
            }
            word => break word,
        }
    };
    call.verb = match command.and_then(|command| command.to_str()) {
        Some("create" | "run") => create(words),
        Some("features") if words.as_slice().is_empty() => Verb::Features,
        _ => Verb::Other,
    };
    call
}

fn create(mut words: Iter<'_, OsString>) -> Verb {
    let (mut bundle, mut config, mut id) = (None, None, None);
    while let Some(word) = words.next() {
        if word == "--" {
            id = words.as_slice().last().or(id);
            break;
        }
        if !is_flag(word) {
            id = Some(word);
        }
        for (flag, value) in flags(&CREATE, word, &mut words) {
            match flag {
                "help" | "usage" => return Verb::Other,
                "bundle" => bundle = value,
                "config" => config = value,
                _ => {}
            }
        }
    }
    // No runtime takes a name that is no text, or none.
    let Some(id) = id.and_then(|id| id.to_str()).map(str::to_owned) else { return Verb::Other };
    let bundle = bundle.map(PathBuf::from).unwrap_or_default();
    let config = match config {
        // Only this name is one in the bundle for crun, any other is one in the working directory.
        Some(config) if config != CONFIG => PathBuf::from(config),
        _ => bundle.join(CONFIG),
    };
    Verb::Create(Container { id, bundle, config })
}

/// Where `--log` leads to; crun knows logs that are no files.
fn file(log: &OsStr) -> Option<PathBuf> {
    let bytes = log.as_bytes();
    let path = bytes.strip_prefix(b"file:").unwrap_or(bytes);
    let is_file = !path.is_empty() && !bytes.starts_with(b"syslog:") && !bytes.starts_with(b"journald:");
    is_file.then(|| PathBuf::from(OsStr::from_bytes(path)))
}

/// A flag: its long name, its short one, and whether it has a value.
struct Flag(&'static str, Option<u8>, bool);

const GLOBAL: [Flag; 14] = [
    Flag("cgroup-manager", None, true),
    Flag("criu", None, true),
    Flag("debug", None, false),
    Flag("help", Some(b'h'), false),
    Flag("help", Some(b'?'), false),
    Flag("log", Some(b'l'), true),
    Flag("log-format", None, true),
    Flag("log-level", None, true),
    Flag("root", Some(b'r'), true),
    Flag("rootless", None, true),
    Flag("systemd-cgroup", Some(b's'), false),
    Flag("usage", None, false),
    Flag("version", Some(b'v'), false),
    Flag("version", Some(b'V'), false),
];

const CREATE: [Flag; 13] = [
    Flag("bundle", Some(b'b'), true),
    Flag("config", Some(b'f'), true),
    Flag("console-socket", Some(b'c'), true),
    Flag("detach", Some(b'd'), false),
    Flag("help", Some(b'h'), false),
    Flag("help", Some(b'?'), false),
    Flag("keep", None, false),
    Flag("no-new-keyring", None, false),
    Flag("no-pivot", None, false),
    Flag("no-subreaper", None, false),
    Flag("pid-file", Some(b'p'), true),
    Flag("preserve-fds", None, true),
    Flag("usage", None, false),
];

type Read<'a> = (&'static str, Option<&'a OsStr>);

fn is_flag(word: &OsStr) -> bool {
    word.len() > 1 && word.as_bytes().starts_with(b"-")
}

/// The known flags in a word, each with its value, for which the word behind may be used up.
fn flags<'a>(table: &[Flag], word: &'a OsStr, words: &mut Iter<'a, OsString>) -> Vec<Read<'a>> {
    let bytes = word.as_bytes();
    if !is_flag(word) {
        return Vec::new();
    }
    let long = bytes.strip_prefix(b"--");
    let (name, value) = split(long.unwrap_or(&bytes[1..]));
    let mut value_of = |value: Option<&'a OsStr>| value.or_else(|| words.next().map(OsString::as_os_str));
    match known(table, name, long.is_some()) {
        Some(Flag(name, _, true)) => vec![(name, value_of(value))],
        Some(Flag(name, _, false)) => vec![(name, None)],
        None if long.is_some() => Vec::new(),
        None => short(table, &bytes[1..], value_of),
    }
}

/// Flags of one letter in one word, the last of which may have a value.
fn short<'a>(
    table: &[Flag],
    letters: &'a [u8],
    value_of: impl FnOnce(Option<&'a OsStr>) -> Option<&'a OsStr>,
) -> Vec<Read<'a>> {
    let mut read = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        match table.iter().find(|flag| flag.1 == Some(*letter)) {
            Some(Flag(name, _, true)) => {
                let value = match &letters[at + 1..] {
                    [] => None,
                    [b'=', value @ ..] | value => Some(OsStr::from_bytes(value)),
                };
                read.push((*name, value_of(value)));
                break;
            }
            Some(Flag(name, _, false)) => read.push((*name, None)),
            None => break,
        }
    }
    read
}

/// The flag that is called `name`, or whose name alone begins so if it may be cut off.
fn known<'a>(table: &'a [Flag], name: &[u8], may_be_cut: bool) -> Option<&'a Flag> {
    let is_exact = |flag: &&Flag| flag.0.as_bytes() == name;
    let exact = table.iter().find(is_exact);
    if exact.is_some() || !may_be_cut {
        return exact;
    }
    let mut begun = table.iter().filter(|flag| flag.0.as_bytes().starts_with(name));
    let first = begun.next()?;
    begun.all(|flag| flag.0 == first.0).then_some(first)
}

fn split(word: &[u8]) -> (&[u8], Option<&OsStr>) {
    match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]))),
        None => (word, None),
    }
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;
