//! A link that is made.

use std::fmt;
use std::os::fd::AsFd;

use kernel::depart::{self, Nft};
use kernel::mac::Mac;
use kernel::netlink::link::{self, Kind, Link as Found, NewLink, NewPeer};
use kernel::netns::Netns;

use crate::apply::Done;
use crate::error::{Cause, Difference, Error, Result};
use crate::{Engine, Side};

/// A link, with its other end if it is a pair. As a shared object it is adopted where a link of its name and kind
/// exists; as one's own it must not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// Hardware address; the kernel's choice if unset.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes; the kernel's choice if unset.
    pub mtu: Option<u32>,
    /// Bring it up at once.
    pub up: bool,
    /// The bridge or VRF that it joins, on the same side.
    pub master: Option<String>,
    /// The parent of a child device, and the side it is on.
    pub parent: Option<(Side, String)>,
    /// The other end.
    pub peer: Option<Peer>,
    /// The alias that it will be given, by a step of its own: a link with another alias is not it, whatever its other end
    /// is called.
    pub alias: Option<String>,
}

/// The other end of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Where it lives.
    pub side: Side,
    /// Name.
    pub name: String,
    /// Hardware address; the kernel's choice if unset.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes; the kernel's choice if unset.
    pub mtu: Option<u32>,
}

impl Link {
    /// A link of `kind` named `name`, everything else the kernel's choice.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            mac: None,
            mtu: None,
            up: false,
            master: None,
            parent: None,
            peer: None,
            alias: None,
        }
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side, shared: bool) -> Result<Done> {
        if shared && self.adopt(engine, side)? {
            return Ok(Done::Present);
        }
        match self.make(engine, side) {
            Ok(()) => Ok(Done::Made),
            Err(Error { cause: Cause::Kernel(cause), .. }) if cause.is_present() => {
                // Somebody else may have made it in between.
                if shared && self.adopt(engine, side)? {
                    return Ok(Done::Present);
                }
                let peer = self.peer.as_ref().map(|peer| peer.name.clone());
                Err(Cause::Exists { name: self.name.clone(), peer }.into())
            }
            Err(error) => Err(error),
        }
    }

    /// True if a link of this name and kind is there; one of another kind is a conflict.
    fn adopt(&self, engine: &mut Engine, side: Side) -> Result<bool> {
        match engine.link(side, &self.name)? {
            None => Ok(false),
            Some(found) if found.kind.name() == self.kind.name() => Ok(true),
            Some(found) => Err(self.differs("kind", self.kind.name(), kind_name(found)).into()),
        }
    }

    fn make(&self, engine: &mut Engine, side: Side) -> Result<()> {
        let master = self.master.as_ref().map(|name| engine.index(side, name)).transpose()?;
        let parent = self.parent.as_ref().map(|(side, name)| engine.index(*side, name)).transpose()?;
        let from = self.parent.as_ref().map_or(side, |(side, _)| *side);
        let netns = (from != side).then(|| engine.netns(side)).flatten().map(Netns::try_clone).transpose()?;
        let peer_netns = match &self.peer {
            Some(peer) if peer.side != from => engine.netns(peer.side).map(Netns::try_clone).transpose()?,
            _ => None,
        };
        let new = NewLink {
            name: &self.name,
            kind: &self.kind,
            mac: self.mac,
            mtu: self.mtu,
            up: self.up,
            master,
            parent,
            netns: netns.as_ref().map(AsFd::as_fd),
            peer: self.peer.as_ref().map(|peer| NewPeer {
                name: &peer.name,
                mac: peer.mac,
                mtu: peer.mtu,
                netns: peer_netns.as_ref().map(AsFd::as_fd),
            }),
        };
        let echoed = link::add(engine.socket(from)?, &new)?;
        self.learn(engine, side, echoed).map_err(|mut error| {
            error.cleanup.extend(self.remove(engine, side, false).err());
            error
        })
    }

    /// Remembers what was made; asks only a kernel that did not say.
    fn learn(&self, engine: &mut Engine, side: Side, echoed: Option<Found>) -> Result<()> {
        let made = match echoed.filter(|found| found.name == self.name) {
            Some(found) => found,
            None => {
                let found = link::get(engine.socket(side)?, &self.name)?;
                found.ok_or_else(|| Cause::NoLink(self.name.clone()))?
            }
        };
        if let Some(peer) = &self.peer {
            let known = match (made.peer, peer.mac) {
                (Some(index), Some(mac)) => {
                    let mtu = peer.mtu.unwrap_or(made.mtu);
                    Some(Found {
                        index,
                        name: peer.name.clone(),
                        mac: Some(mac),
                        mtu,
                        master: None,
                        flags: 0,
                        ..made.clone()
                    })
                }
                _ => link::get(engine.socket(peer.side)?, &peer.name)?,
            };
            if let Some(known) = known {
                engine.learn(peer.side, known);
            }
        }
        engine.learn(side, made);
        Ok(())
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let master = match &self.master {
            Some(name) => engine.link(side, name)?.map(|link| link.index),
            None => None,
        };
        let Some(found) = engine.link(side, &self.name)?.cloned() else {
            differences.push(Difference::absent(format_args!("{side} link {}", self.name)));
            return Ok(());
        };
        if found.kind.name() != self.kind.name() {
            differences.push(self.differs("kind", self.kind.name(), kind_name(&found)));
        } else if !self.is_kind(&found.kind) {
            differences.push(self.differs("kind", &self.kind, &found.kind));
        }
        compare(differences, &self.name, "address", self.mac, found.mac);
        compare(differences, &self.name, "mtu", self.mtu, Some(found.mtu));
        if self.up && !found.is_up() {
            differences.push(self.differs("state", "up", "down"));
        }
        if let Some(name) = &self.master
            && (master.is_none() || found.master != master)
        {
            let actual = found.master.map_or("none".to_owned(), |index| format!("link {index}"));
            differences.push(self.differs("master", name, actual));
        }
        if let Some(peer) = &self.peer {
            self.check_peer(engine, peer, &found, differences)?;
        }
        Ok(())
    }

    /// Compares what was asked for: a bridge is adopted as it is, and what a macvlan was not told is the kernel's choice.
    fn is_kind(&self, found: &Kind) -> bool {
        match (&self.kind, found) {
            (Kind::Bridge { .. }, _) => true,
            (Kind::Macvlan { mode, broadcast_queue: None }, Kind::Macvlan { mode: found, .. }) => mode == found,
            (wanted, found) => wanted == found,
        }
    }

    fn check_peer(
        &self,
        engine: &mut Engine,
        peer: &Peer,
        end: &Found,
        differences: &mut Vec<Difference>,
    ) -> Result<()> {
        let Some(found) = engine.link(peer.side, &peer.name)?.cloned() else {
            differences.push(Difference::absent(format_args!("{} link {}", peer.side, peer.name)));
            return Ok(());
        };
        if found.kind.name() != self.kind.name() {
            let wanted = self.kind.name();
            differences.push(Difference::new(format_args!("kind of link {}", peer.name), wanted, kind_name(&found)));
        } else if end.peer != Some(found.index) {
            let actual = end.peer.map_or("nothing".to_owned(), |index| format!("link {index}"));
            differences.push(self.differs("peer", format_args!("{} ({})", peer.name, found.index), actual));
        }
        compare(differences, &peer.name, "address", peer.mac, found.mac);
        compare(differences, &peer.name, "mtu", peer.mtu, Some(found.mtu));
        Ok(())
    }

    /// Removes the link. A shared one stays while it has members.
    pub(crate) fn remove(&self, engine: &mut Engine, side: Side, shared: bool) -> kernel::Result<()> {
        match self.find(engine, side, &self.name)? {
            Some(found) => self.depart(engine, side, shared, (side, &self.name, found.index)),
            None => Ok(()),
        }
    }

    /// Removes the link, found by its own name or, if another program has chosen that, by its other end's.
    pub(crate) fn remove_either_end(&self, engine: &mut Engine, side: Side, shared: bool) -> kernel::Result<()> {
        if let Some(found) = self.find(engine, side, &self.name)? {
            return self.depart(engine, side, shared, (side, &self.name, found.index));
        }
        let Some(peer) = self.peer.as_ref().filter(|peer| peer.side == Side::Host || engine.has_container()) else {
            return Ok(());
        };
        match self.find(engine, peer.side, &peer.name)? {
            Some(found) if self.is_end(engine, side, &found)? => {
                self.depart(engine, side, shared, (peer.side, &peer.name, found.index))
            }
            _ => Ok(()),
        }
    }

    /// False if the link that `end` is the other end of is marked as somebody else's.
    fn is_end(&self, engine: &mut Engine, side: Side, end: &Found) -> kernel::Result<bool> {
        let Some(index) = end.peer else { return Ok(true) };
        let other = link::get_by_index(engine.socket(side)?, index)?;
        let alias = other.filter(|other| other.peer == Some(end.index)).and_then(|other| other.alias);
        Ok(alias.is_none() || alias == self.alias)
    }

    fn depart(
        &self,
        engine: &mut Engine,
        side: Side,
        shared: bool,
        (place, name, index): (Side, &str, u32),
    ) -> kernel::Result<()> {
        if shared {
            engine.alone()?;
            if !link::list(engine.socket(side)?, Some(index))?.is_empty() {
                return Ok(());
            }
        }
        if let Some(peer) = &self.peer {
            engine.forget(peer.side, &peer.name);
        }
        engine.forget(side, &self.name);
        engine.depart(place, index, name)
    }

    fn find(&self, engine: &mut Engine, side: Side, name: &str) -> kernel::Result<Option<Found>> {
        engine.forget(side, name);
        Ok(engine.link(side, name)?.filter(|link| link.kind.name() == self.kind.name()).cloned())
    }

    fn differs(&self, what: &str, wanted: impl fmt::Display, found: impl fmt::Display) -> Difference {
        Difference::new(format_args!("{what} of link {}", self.name), wanted, found)
    }
}

impl Engine {
    /// Removes a link without waiting for grace periods, see [`kernel::depart`].
    pub(crate) fn depart(&mut self, side: Side, index: u32, name: &str) -> kernel::Result<()> {
        self.forget(side, name);
        self.socket(side)?;
        let deleted = self.lingers();
        let nft = self.take_nft();
        let mut socket = self.take_socket(side);
        let outcome = match &mut socket {
            Some(socket) => {
                let nft = nft.as_ref().map(|socket| Nft { socket, deleted });
                self.inside(side, || depart::remove(socket, index, name, nft))
            }
            None => Ok(()),
        };
        self.put_back(side, socket, nft);
        outcome
    }
}

fn compare<T: PartialEq + fmt::Display>(
    differences: &mut Vec<Difference>,
    name: &str,
    what: &str,
    wanted: Option<T>,
    found: Option<T>,
) {
    let Some(wanted) = wanted else { return };
    match found {
        Some(found) if found == wanted => {}
        Some(found) => differences.push(Difference::new(format_args!("{what} of link {name}"), wanted, found)),
        None => differences.push(Difference::new(format_args!("{what} of link {name}"), wanted, "unset")),
    }
}

fn kind_name(found: &Found) -> &str {
    match found.kind.name() {
        "" => "hardware",
        name => name,
    }
}

impl fmt::Display for Link {
    /// As the arguments of `ip link add`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.parent.as_ref().map_or(Ok(()), |(_, parent)| write!(f, " link {parent}"))?;
        self.mac.map_or(Ok(()), |mac| write!(f, " address {mac}"))?;
        self.mtu.map_or(Ok(()), |mtu| write!(f, " mtu {mtu}"))?;
        self.master.as_ref().map_or(Ok(()), |master| write!(f, " master {master}"))?;
        f.write_str(if self.up { " up" } else { "" })?;
        write!(f, " type {}", self.kind)?;
        if let Some(peer) = &self.peer {
            write!(f, " peer {} netns {}", peer.name, peer.side)?;
            peer.mac.map_or(Ok(()), |mac| write!(f, " address {mac}"))?;
            peer.mtu.map_or(Ok(()), |mtu| write!(f, " mtu {mtu}"))?;
        }
        Ok(())
    }
}
