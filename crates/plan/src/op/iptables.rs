//! Masquerading by iptables: the rules of the reference plugins, for hosts that ask for that backend. Interfaces of one
//! container on one network share a chain; whose a jump there is tells its source address.

use std::fmt;

use ipnet::IpNet;
use kernel::iptables;
use kernel::netlink::address;

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// An interface's share of the masquerade chain of one container on one network, see [`kernel::iptables`].
#[derive(Debug, Clone, PartialEq)]
pub struct Iptables {
    /// Name of the network.
    pub network: String,
    /// Container ID.
    pub id: String,
    /// Name of the interface in the container.
    pub ifname: String,
    /// The interface's addresses, with the prefixes that are not masqueraded. Removal does not need them.
    pub addresses: Vec<IpNet>,
}

impl Iptables {
    fn chain(&self) -> String {
        iptables::chain(&self.network, &self.id)
    }

    pub(crate) fn apply(&self, engine: &mut Engine) -> Result<Done> {
        let others = self.others(engine)?;
        iptables::add_masquerade(engine.nft()?, &self.network, &self.id, &self.addresses, &others)?;
        Ok(Done::Made)
    }

    pub(crate) fn check(&self, engine: &mut Engine, differences: &mut Vec<Difference>) -> Result<()> {
        let missing = iptables::masquerade_missing(engine.nft()?, &self.chain(), &self.addresses)?;
        differences.extend(missing.into_iter().map(Difference::absent));
        Ok(())
    }

    /// Removes every jump to the chain that is not of another interface of the container; all of them if that is gone.
    pub(crate) fn remove(&self, engine: &mut Engine) -> kernel::Result<()> {
        let chain = self.chain();
        if !iptables::masquerade_present(engine.nft()?, &chain)? {
            return Ok(());
        }
        let others = self.others(engine)?;
        if iptables::remove_masquerade(engine.nft()?, &chain, &others)? {
            engine.nft_has_deleted();
        }
        Ok(())
    }

    /// The addresses of the container's other interfaces.
    fn others(&self, engine: &mut Engine) -> kernel::Result<Vec<IpNet>> {
        if !engine.has_container() {
            return Ok(Vec::new());
        }
        let own = engine.link(Side::Container, &self.ifname)?.map(|link| link.index);
        let all = address::list(engine.socket(Side::Container)?, None)?;
        Ok(all.into_iter().filter(|address| Some(address.index) != own).map(|address| address.local).collect())
    }
}

impl fmt::Display for Iptables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-t nat -N {}", self.chain())?;
        self.addresses.iter().try_for_each(|address| write!(f, " ! -d {address} MASQUERADE"))
    }
}
