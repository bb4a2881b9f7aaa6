//! ADD and DEL of one container, each proven: an ADD that printed no result or gave the container nothing, and a DEL that
//! left its link, are errors and never numbers.

use crate::bench::call::{Done, timed};
use crate::bench::contender::Contender;
use crate::bench::device;
use crate::bench::network::Network;
use crate::bench::node::{Node, run};
use std::process::Command;

/// One container to attach: who does it, to what, which.
pub struct Attachment<'a> {
    /// Where.
    pub node: &'a Node,
    /// Who does it.
    pub who: Contender,
    /// To what.
    pub network: Network,
    /// The name of the container's namespace.
    pub container: &'a str,
    /// The container's identifier.
    pub id: String,
}

impl Attachment<'_> {
    /// Attaches it; what was printed is the plugin's result.
    ///
    /// # Errors
    /// The program fails.
    pub fn add(&self) -> Result<Done, String> {
        let done = timed(&mut self.command("ADD")?, &self.network.configuration(self.who));
        done.map_err(|error| format!("ADD {error}"))
    }

    /// Detaches it, told the `result` of the ADD as a runtime would.
    ///
    /// # Errors
    /// The program fails.
    pub fn del(&self, result: &str) -> Result<Done, String> {
        let done = timed(&mut self.command("DEL")?, &self.del_stdin(result));
        done.map_err(|error| format!("DEL {error}"))
    }

    /// What DEL reads.
    pub fn del_stdin(&self, result: &str) -> String {
        let configuration = self.network.configuration(self.who);
        let open = configuration.strip_suffix('}').unwrap_or_default();
        format!("{open},\"prevResult\":{result}}}")
    }

    /// The program for `verb`, with its environment.
    ///
    /// # Errors
    /// There is no floor for this network.
    pub fn command(&self, verb: &str) -> Result<Command, String> {
        let netns = format!("/run/netns/{}", self.container);
        if self.who == Contender::Floor {
            let link = format!("v-{}", self.container);
            let words = match verb {
                "ADD" => self.network.floor_add(&netns, &link),
                _ => Some(self.network.floor_del(&netns, &link)),
            };
            let mut command = Command::new(&self.node.floor);
            command.env_clear().args(words.ok_or("no floor for this network")?);
            return Ok(command);
        }
        let mut command = self.node.plugin(self.who, self.network.plugin());
        command.env("CNI_COMMAND", verb).env("CNI_CONTAINERID", &self.id);
        command.env("CNI_NETNS", netns).env("CNI_IFNAME", self.ifname());
        Ok(command)
    }

    /// Starts the same program for nothing, untimed: nobody's number is to tell how cold the one before left the caches.
    ///
    /// # Errors
    /// The program fails.
    pub fn warm(&self) -> Result<(), String> {
        let mut command = match self.who {
            Contender::Floor => Command::new(&self.node.floor),
            _ => self.node.plugin(self.who, self.network.plugin()),
        };
        if self.who == Contender::Floor {
            command.env_clear().arg("idle");
        }
        timed(command.env("CNI_COMMAND", "VERSION"), r#"{"cniVersion":"1.0.0"}"#).map(drop)
    }

    /// Looks whether the container has what the ADD said.
    ///
    /// # Errors
    /// It has not.
    pub fn prove_added(&self, done: &Done) -> Result<(), String> {
        if self.network == Network::HostDevice {
            let printed = if device::is_captured_by(self.who) { addresses(&done.stdout)? } else { Vec::new() };
            return device::prove_lent(self.who, self.container, &printed);
        }
        let wanted = match (self.who, self.network) {
            (_, Network::Loopback) => vec!["<LOOPBACK,UP".to_owned()],
            (Contender::Floor, Network::DualPtp) => vec!["10.104.0.2/".to_owned(), "fd00:104::2/".to_owned()],
            (Contender::Floor, _) => vec!["10.104.0.2/".to_owned()],
            _ => addresses(&done.stdout)?,
        };
        let families = if self.network == Network::DualPtp { 2 } else { 1 };
        if wanted.len() != families {
            return Err(format!("{} printed {} addresses:\n{}", self.who.name(), wanted.len(), done.stdout));
        }
        if let Network::HostLocal(_) = self.network {
            return Ok(());
        }
        let there = self.look()?;
        match wanted.iter().find(|wanted| !there.contains(wanted.as_str())) {
            Some(wanted) => Err(format!("{} ADD succeeded without {wanted}:\n{there}", self.who.name())),
            None if there
                .lines()
                .any(|line| line.contains("tentative") && wanted.iter().any(|one| line.contains(one))) =>
            {
                Err(format!("{} returned before its address can be used:\n{there}", self.who.name()))
            }
            None => Ok(()),
        }
    }

    /// Looks whether the container's link is gone.
    ///
    /// # Errors
    /// It is not.
    pub fn prove_deleted(&self) -> Result<(), String> {
        if let Network::HostLocal(_) = self.network {
            return Ok(());
        }
        let there = self.look()?;
        if self.network == Network::HostDevice {
            device::prove_home(self.who)?;
        }
        let left = if self.network == Network::Loopback { there.contains(",UP") } else { there.contains("eth0") };
        if left { Err(format!("{} DEL left\n{there}", self.who.name())) } else { Ok(()) }
    }

    fn look(&self) -> Result<String, String> {
        let links = run(&["ip", "-n", self.container, "-o", "link"])?;
        Ok(links + &run(&["ip", "-n", self.container, "-o", "address"])?)
    }

    fn ifname(&self) -> &'static str {
        if self.network == Network::Loopback { "lo" } else { "eth0" }
    }
}

/// The addresses of a result, each up to and with its slash.
fn addresses(result: &str) -> Result<Vec<String>, String> {
    if !result.trim_start().starts_with('{') || !result.trim_end().ends_with('}') || !result.contains("\"cniVersion\"")
    {
        return Err(format!("no result:\n{result}"));
    }
    let values = result.split("\"address\":").skip(1).filter_map(|rest| rest.split('"').nth(1));
    Ok(values.filter_map(|value| value.split_once('/')).map(|(address, _)| format!("{address}/")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_result() {
        let result = r#"{"cniVersion":"1.0.0","ips":[{"address": "10.1.0.2/16"},{"address":"fd00::2/64"}]}"#;
        assert_eq!(addresses(result), Ok(vec!["10.1.0.2/".to_owned(), "fd00::2/".to_owned()]));
        assert!(addresses("").is_err());
    }
}
