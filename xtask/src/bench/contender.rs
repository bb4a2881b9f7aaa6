//! Who is compared.

/// One of the implementations. Each has a container, a bridge, a subnet and networks of its own on the one node, so that
/// none meets the other's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// netferry-cni.
    Ours,
    /// The Go plugins, with iptables-nft where they masquerade.
    Go,
    /// The Go plugins, with iptables-legacy.
    GoLegacy,
    /// The Go plugins of Debian sid: newer ones.
    GoSid,
    /// crun of Debian sid, alone.
    Crun,
    /// runc of Debian experimental, alone.
    Runc,
    /// A static program that does the same netlink work and nothing else.
    Floor,
}

impl Contender {
    /// How tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Contender::Ours => "netferry",
            Contender::Go => "go",
            Contender::GoLegacy => "go-legacy",
            Contender::GoSid => "go-sid",
            Contender::Crun => "crun",
            Contender::Runc => "runc",
            Contender::Floor => "floor",
        }
    }

    /// Its container that stays attached while others come and go, as on a node in use.
    pub const fn resident(self) -> &'static str {
        match self {
            Contender::Ours => "r-netferry",
            Contender::Go => "r-go",
            Contender::GoLegacy => "r-go-legacy",
            Contender::GoSid => "r-go-sid",
            Contender::Crun => "r-crun",
            Contender::Runc => "r-runc",
            Contender::Floor => "r-floor",
        }
    }

    /// Its /16: `10.N.0.0`.
    pub const fn subnet(self) -> u8 {
        match self {
            Contender::Ours => 101,
            Contender::Go => 102,
            Contender::GoLegacy => 103,
            Contender::Floor => 104,
            Contender::GoSid => 105,
            Contender::Crun => 106,
            Contender::Runc => 107,
        }
    }

    /// Its bridge.
    pub fn bridge(self) -> String {
        format!("br-{}", self.name())
    }

    /// The device of the node that is lent to its container.
    pub fn device(self) -> String {
        format!("d-{}", self.name())
    }
}
