//! What people and programs get to see: tables on stdout, JSON if asked for, errors with what to do next on stderr.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use cni::{Error, Version, render, wire};
use serde_json::Value;

use crate::options::Options;

/// What a subcommand has to say when it succeeds.
#[derive(Default)]
pub struct Output {
    /// For people; nothing is printed for an empty one.
    pub text: String,
    /// For programs.
    pub json: Option<Value>,
    /// What was asked about cannot be done: the exit code is 1.
    pub is_negative: bool,
}

/// Prints how a subcommand ended; the exit code is 0 or 1.
pub fn finish(outcome: Result<Output, Error>, options: &Options) -> ExitCode {
    let printed = match &outcome {
        Ok(Output { json, .. }) if options.json => json.as_ref().map(render::pretty).unwrap_or_default(),
        Ok(Output { text, .. }) => text.clone(),
        Err(error) if options.json => render::error(error, Version::LATEST),
        Err(_) => String::new(),
    };
    let written = if printed.is_empty() { Ok(()) } else { writeln!(io::stdout(), "{printed}") };
    if let Err(error) = &outcome {
        complain(error);
    }
    let is_positive = outcome.is_ok_and(|output| !output.is_negative);
    if is_positive && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says on stderr what went wrong, and what to do next where that is known.
pub fn complain(error: &Error) {
    eprintln!("netferry: {error}");
    if let Some(hint) = hint(error) {
        eprintln!("          {hint}");
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    const HINTS: [(&str, &str); 8] = [
        ("failed to find plugin", "install it there, or name its directory with --plugin-path or CNI_PATH"),
        ("no net configuration", "name another directory with --conf-dir or NETCONFPATH; `netferry run` needs none"),
        ("does not support config version", "lower cniVersion in the configuration, or update the plugin"),
        ("an earlier ADD was interrupted", "run `netferry del` with the same arguments once the cause is gone"),
        ("undoing it failed too", "once the cause is gone, `netferry del` or the next `netferry run` removes the rest"),
        (
            "allow the uplink",
            "--allow-uplink allows it; a container's annotation dev.netferry.allow-uplink does for that",
        ),
        ("ermission", "run it as root"),
        ("not permitted", "run it as root"),
    ];
    let text = error.to_string();
    HINTS.into_iter().find(|(sign, _)| text.contains(sign)).map(|(_, hint)| hint)
}

/// The result of an ADD as a table.
///
/// # Errors
/// It is no result.
pub fn result(result: &Value, version: Version) -> Result<String, Error> {
    let (result, _) = wire::from_json(result, version)?;
    let mut table = Table::default();
    for interface in &result.interfaces {
        let place = if interface.sandbox.is_empty() { "host" } else { &interface.sandbox };
        table.row(&["interface", &interface.name, &interface.mac, place]);
    }
    for ip in &result.ips {
        let on = ip.interface.and_then(|index| result.interfaces.get(usize::try_from(index).ok()?));
        let on = on.map_or("-", |interface| interface.name.as_str());
        let gateway = ip.gateway.map(|gateway| format!("gateway {gateway}")).unwrap_or_default();
        table.row(&["address", on, &ip.address.to_string(), &gateway]);
    }
    for route in &result.routes {
        let via = route.gw.map(|gateway| format!("via {gateway}")).unwrap_or_default();
        table.row(&["route", "", &route.dst.to_string(), &via]);
    }
    for server in &result.dns.nameservers {
        table.row(&["nameserver", "", server]);
    }
    Ok(table.to_string())
}

/// `text` in bold, if a terminal sees it.
pub fn bold(text: &str) -> String {
    if is_coloured() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Rows of columns, aligned to the left.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Adds a row.
    pub fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, row) in self.rows.iter().enumerate() {
            let cells =
                row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = self.width(column)));
            let line = cells.collect::<Vec<_>>().join("  ");
            let end = if at + 1 < self.rows.len() { "\n" } else { "" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let mut table = Table::default();
        table.row(&["a", "bbb", "c"]);
        table.row(&["aaaa", "b", ""]);
        assert_eq!(table.to_string(), "a     bbb  c\naaaa  b");
    }

    #[test]
    fn a_result_is_a_table() {
        let value = serde_json::json!({
            "cniVersion": "1.0.0",
            "interfaces": [{ "name": "cni0" }, { "name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/x" }],
            "ips": [{ "interface": 1, "address": "10.1.0.2/16", "gateway": "10.1.0.1" }, { "interface": -1, "address": "fd00::2/64" }],
            "routes": [{ "dst": "0.0.0.0/0" }],
        });
        let expected = "\
interface  cni0                     host
interface  eth0  02:00:00:00:00:01  /run/x
address    eth0  10.1.0.2/16        gateway 10.1.0.1
address    -     fd00::2/64
route            0.0.0.0/0";
        assert_eq!(result(&value, Version::V1_0_0).unwrap(), expected);
    }

    #[test]
    fn known_errors_come_with_advice() {
        let hint = |text: &str| hint(&Error::internal(text));
        assert!(hint("failed to find plugin \"x\" in path [/y]").unwrap().contains("--plugin-path"));
        assert_eq!(hint("something else"), None);
    }
}
