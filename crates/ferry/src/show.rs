//! A device in words: one line for each thing, and the commands that would make it again.

use std::fmt;

use kernel::netlink::address::{Address, flags};

use crate::Device;
use crate::sysctl::Sysctl;

/// One thing that was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Kind of object: `link`, `altname`, `address`, `route`, `rule`, `neighbour` or `sysctl`.
    pub object: &'static str,
    /// The object in the words of `ip` and `sysctl`, behind `ip … add`.
    pub text: String,
    /// The whole command that makes it.
    pub command: String,
}

impl Device {
    /// Everything captured, in an order in which it can be made. What was lost is not among it.
    pub fn lines(&self) -> Vec<Line> {
        let name = &quoted(&self.identity.name);
        let line = |object, before: &str, text: String| Line { object, command: format!("{before} {text}"), text };
        let mut lines = vec![line("link", "ip link set", self.link())];
        let altname = |altname: &String| {
            line("altname", "ip link property add", format!("dev {name} altname {}", quoted(altname)))
        };
        lines.extend(self.identity.altnames.iter().map(altname));
        let sysctl =
            |sysctl: &Sysctl| line("sysctl", "sysctl -w", format!("{}={}", sysctl.path(name), quoted(&sysctl.value)));
        lines.extend(self.sysctls.iter().map(sysctl));
        // A link that is down takes no route.
        lines.extend(self.settings.up.then(|| line("link", "ip link set", format!("dev {name} up"))));
        let address = |address: &Address| line("address", "ip address add", words(address, name));
        lines.extend(self.addresses.iter().map(address));
        for route in &self.routes {
            let ip = if route.dst.addr().is_ipv6() { "ip -6" } else { "ip" };
            lines.push(line("route", &format!("{ip} route append"), route.words(name)));
        }
        for rule in &self.rules {
            let ip = if rule.ipv6 { "ip -6" } else { "ip" };
            lines.push(line("rule", &format!("{ip} rule add"), rule.to_string()));
        }
        for neighbour in &self.neighbours {
            lines.push(line("neighbour", "ip neighbour add", format!("{neighbour} dev {name}")));
        }
        lines
    }

    fn link(&self) -> String {
        let (identity, settings) = (&self.identity, &self.settings);
        let mut words = vec![format!("dev {}", quoted(&identity.name))];
        words.extend(identity.mac.map(|mac| format!("address {mac}")));
        words.push(format!("mtu {} txqueuelen {}", settings.mtu, settings.txqlen));
        words.extend((settings.group != 0).then(|| format!("group {}", settings.group)));
        words.extend(settings.promisc.then(|| "promisc on".to_owned()));
        words.extend(settings.allmulti.then(|| "allmulticast on".to_owned()));
        words.extend(settings.master.as_ref().map(|master| format!("master {}", quoted(master))));
        words.extend(identity.alias.as_ref().map(|alias| format!("alias {}", quoted(alias))));
        words.join(" ")
    }
}

/// As the arguments of `ip address add`.
fn words(address: &Address, name: &str) -> String {
    let mut words = format!("{address} dev {name}");
    for (flag, word) in [
        (flags::OPTIMISTIC, " optimistic"),
        (flags::HOMEADDRESS, " home"),
        (flags::MANAGETEMPADDR, " mngtmpaddr"),
        (flags::MCAUTOJOIN, " autojoin"),
    ] {
        words += if address.flags & flag != 0 { word } else { "" };
    }
    if address.protocol != 0 {
        words += &format!(" proto {}", address.protocol);
    }
    words
}

/// In single quotes, if a shell would not read it as one plain word.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl fmt::Display for Device {
    /// The commands that would make it again, one to a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<String> = self.lines().into_iter().map(|line| line.command).collect();
        f.write_str(&commands.join("\n"))
    }
}
