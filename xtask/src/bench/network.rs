//! The networks that rows attach to: the configuration a plugin gets, the same for every contender but for names and
//! subnets, and the arguments with which the floor program does the same.

use crate::bench::contender::Contender;

/// What a row attaches containers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The loopback device.
    Loopback,
    /// A point-to-point link with an IPv4 address.
    Ptp,
    /// A point-to-point link with an address of each family.
    DualPtp,
    /// A bridge port with an IPv4 address and a default route.
    Bridge,
    /// The same, the bridge being the gateway, masqueraded.
    Masquerade,
    /// A device of the node, with all that is its own.
    HostDevice,
    /// Addresses alone, in a subnet where this many are reserved.
    HostLocal(usize),
}

impl Network {
    /// The plugin.
    pub const fn plugin(self) -> &'static str {
        match self {
            Network::Loopback => "loopback",
            Network::Ptp | Network::DualPtp => "ptp",
            Network::Bridge | Network::Masquerade => "bridge",
            Network::HostDevice => "host-device",
            Network::HostLocal(_) => "host-local",
        }
    }

    /// The network's name for `who`.
    pub fn name(self, who: Contender) -> String {
        match self {
            Network::HostLocal(reserved) => format!("reserved{reserved}-{}", who.name()),
            Network::DualPtp => format!("dual-{}", who.name()),
            Network::Masquerade => format!("masquerade-{}", who.name()),
            _ => format!("{}-{}", self.plugin(), who.name()),
        }
    }

    /// What the plugin reads.
    pub fn configuration(self, who: Contender) -> String {
        let special = match self {
            Network::Bridge => format!(r#","bridge":"{}""#, who.bridge()),
            // A bridge of its own: Go 1.1.1 cannot give an address to one that it made without and that has no port.
            Network::Masquerade => format!(r#","bridge":"{}-m","isGateway":true,"ipMasq":true"#, who.bridge()),
            // Go ignores what it does not know: all but the device.
            Network::HostDevice => format!(
                r#","device":"{}","useInterfaceNetwork":true,"allowUplink":true,"dataDir":"/run/bench/host-device""#,
                who.device()
            ),
            _ => String::new(),
        };
        let second = if self == Network::DualPtp { r#",[{"subnet":"fd00:SUBNET::/64"}]"# } else { "" };
        let route = if self == Network::DualPtp { r#",{"dst":"::/0"}"# } else { "" };
        let ipam = match self {
            Network::Loopback | Network::HostDevice => String::new(),
            _ => format!(
                r#","ipam":{{"type":"host-local","ranges":[[{{"subnet":"10.SUBNET.0.0/16"}}]{second}],"routes":[{{"dst":"0.0.0.0/0"}}{route}]}}"#
            ),
        };
        let (name, plugin) = (self.name(who), self.plugin());
        format!(r#"{{"cniVersion":"1.0.0","name":"{name}","type":"{plugin}"{special}{ipam}}}"#)
            .replace("SUBNET", &who.subnet().to_string())
    }

    /// What the floor program is called with to attach the namespace at `netns` by `link`, `None` if there is no such floor.
    pub fn floor_add(self, netns: &str, link: &str) -> Option<Vec<String>> {
        let (action, second): (&[&str], &[&str]) = match self {
            Network::Loopback => return Some(["loopback", netns, "up"].map(str::to_owned).to_vec()),
            Network::Ptp => (&["ptp"], &[]),
            Network::DualPtp => (&["ptp"], &["fd00:104::2/64", "fd00:104::1"]),
            Network::Bridge => (&["bridge", "br-floor"], &[]),
            Network::HostDevice => {
                let words = ["lend", netns, &Contender::Floor.device(), "eth0"];
                return Some(words.map(str::to_owned).to_vec());
            }
            Network::Masquerade | Network::HostLocal(_) => return None,
        };
        let words = [action, &[netns, link, "10.104.0.2/16", "10.104.0.1"], second].concat();
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// What the floor program is called with to detach it.
    pub fn floor_del(self, netns: &str, link: &str) -> Vec<String> {
        match self {
            Network::Loopback => ["loopback", netns, "down"].map(str::to_owned).to_vec(),
            Network::HostDevice => {
                ["bring-home", netns, "eth0", &Contender::Floor.device()].map(str::to_owned).to_vec()
            }
            _ => ["remove", link].map(str::to_owned).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_differ_in_names_and_subnets_alone() {
        let theirs = Network::Masquerade.configuration(Contender::Go);
        assert_eq!(
            theirs.replace("-go", "-netferry").replace("10.102", "10.101"),
            Network::Masquerade.configuration(Contender::Ours)
        );
        let lent = Network::HostDevice.configuration(Contender::GoSid);
        assert_eq!(lent.replace("-go-sid", "-netferry"), Network::HostDevice.configuration(Contender::Ours));
        assert!(!lent.contains("ipam"), "{lent}");
        assert!(Network::DualPtp.configuration(Contender::Ours).contains(r#"{"subnet":"fd00:101::/64"}"#));
        assert!(!Network::Ptp.configuration(Contender::Ours).contains("::"));
    }
}
