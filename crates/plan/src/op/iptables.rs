//! Masquerading by iptables: the rules of the reference plugins, for hosts that ask for that backend.

use std::fmt;

use ipnet::IpNet;
use kernel::iptables;

use crate::Engine;
use crate::apply::Done;
use crate::error::{Difference, Result};

/// The masquerade chain of one container on one network, see [`kernel::iptables`].
#[derive(Debug, Clone, PartialEq)]
pub struct Iptables {
    /// Name of the network.
    pub network: String,
    /// Container ID.
    pub id: String,
    /// The container's addresses, with the prefixes that are not masqueraded.
    pub addresses: Vec<IpNet>,
}

impl Iptables {
    pub(crate) fn apply(&self, engine: &mut Engine) -> Result<Done> {
        iptables::add_masquerade(engine.nft()?, &self.network, &self.id, &self.addresses)?;
        Ok(Done::Made)
    }

    pub(crate) fn check(&self, engine: &mut Engine, differences: &mut Vec<Difference>) -> Result<()> {
        let chain = iptables::chain(&self.network, &self.id);
        if !iptables::masquerade_present(engine.nft()?, &chain)? {
            differences.push(Difference::absent(format_args!("iptables chain {chain}")));
        }
        Ok(())
    }

    pub(crate) fn remove(&self, engine: &mut Engine) -> kernel::Result<()> {
        if iptables::remove_masquerade(engine.nft()?, &iptables::chain(&self.network, &self.id))? {
            engine.nft_has_deleted();
        }
        Ok(())
    }
}

impl fmt::Display for Iptables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-t nat -N {}", iptables::chain(&self.network, &self.id))?;
        self.addresses.iter().try_for_each(|address| write!(f, " ! -d {address} MASQUERADE"))
    }
}
