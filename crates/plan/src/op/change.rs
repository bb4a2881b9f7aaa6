//! Settings of a link.

use std::fmt;

use kernel::mac::Mac;
use kernel::netlink::link::{self, Link as Found, Port, flags};

use crate::apply::Done;
use crate::error::{Difference, Error, Result};
use crate::{Engine, Side};

/// What a link is to be set to; a field that is `None` is left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The link.
    pub device: String,
    /// Administrative state.
    pub up: Option<bool>,
    /// Receive every frame.
    pub promisc: Option<bool>,
    /// Receive every multicast frame.
    pub allmulti: Option<bool>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    /// Transmit queue length in frames.
    pub txqlen: Option<u32>,
    /// Device group.
    pub group: Option<u32>,
    /// Alias.
    pub alias: Option<String>,
    /// Bridge port settings.
    pub port: Option<Port>,
    /// The kernel makes itself an IPv6 link-local address; for a link that the same plan makes, and not compared.
    pub link_local: Option<bool>,
}

impl Change {
    /// A change of `device` that changes nothing yet.
    pub fn of(device: impl Into<String>) -> Self {
        Self { device: device.into(), ..Self::default() }
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let index = engine.index(side, &self.device)?;
        // A link that was made a moment ago has none of this yet and takes all of it along when it goes.
        if engine.made(side, &self.device) {
            link::set(engine.socket(side)?, index, &self.device, &self.request())?;
            engine.update(side, &self.device, |link| self.put_on(link));
            return Ok(Done::Made);
        }
        let Some(found) = engine.link(side, &self.device)?.cloned() else { return Ok(Done::Present) };
        let previous = self.previous(&found);
        if previous == Self::of(&self.device) {
            return Ok(Done::Present);
        }
        match link::set(engine.socket(side)?, index, &self.device, &self.request()) {
            Ok(()) => {
                engine.update(side, &self.device, |link| self.put_on(link));
                Ok(Done::changed(previous))
            }
            Err(refused) => {
                engine.forget(side, &self.device);
                let socket = engine.socket(side)?;
                // The kernel stops at the field that it refuses; those before it are set.
                let cleanup = link::set(socket, index, &self.device, &previous.request()).err();
                let same = |error: &kernel::Error| error.errno == refused.errno;
                Err(Error { cleanup: cleanup.filter(|error| !same(error)).into_iter().collect(), ..refused.into() })
            }
        }
    }

    /// What `link` is now that this was set.
    fn put_on(&self, link: &mut Found) {
        let flags = [(flags::UP, self.up), (flags::PROMISC, self.promisc), (flags::ALLMULTI, self.allmulti)];
        for (flag, wanted) in flags {
            match wanted {
                Some(true) => link.flags |= flag,
                Some(false) => link.flags &= !flag,
                None => {}
            }
        }
        link.mac = self.mac.or(link.mac);
        link.mtu = self.mtu.unwrap_or(link.mtu);
        link.txqlen = self.txqlen.unwrap_or(link.txqlen);
        link.group = self.group.unwrap_or(link.group);
        link.port = self.port.or(link.port);
        if let Some(alias) = &self.alias {
            link.alias = Some(alias.clone()).filter(|alias| !alias.is_empty());
        }
    }

    fn request(&self) -> link::Change<'_> {
        link::Change {
            up: self.up,
            promisc: self.promisc,
            allmulti: self.allmulti,
            mac: self.mac,
            mtu: self.mtu,
            txqlen: self.txqlen,
            group: self.group,
            alias: self.alias.as_deref(),
            port: self.port,
            link_local: self.link_local,
            ..link::Change::default()
        }
    }

    /// The values of `found` where they differ from what is wanted.
    fn previous(&self, found: &Found) -> Self {
        let has = |flag: u32| found.flags & flag != 0;
        Self {
            device: self.device.clone(),
            up: self.up.filter(|up| *up != found.is_up()).map(|up| !up),
            promisc: self.promisc.filter(|wanted| *wanted != has(flags::PROMISC)).map(|wanted| !wanted),
            allmulti: self.allmulti.filter(|wanted| *wanted != has(flags::ALLMULTI)).map(|wanted| !wanted),
            mac: self.mac.filter(|mac| Some(*mac) != found.mac).and(found.mac),
            mtu: self.mtu.filter(|mtu| *mtu != found.mtu).map(|_| found.mtu),
            txqlen: self.txqlen.filter(|length| *length != found.txqlen).map(|_| found.txqlen),
            group: self.group.filter(|group| *group != found.group).map(|_| found.group),
            alias: self
                .alias
                .as_ref()
                .filter(|alias| Some(*alias) != found.alias.as_ref())
                .map(|_| found.alias.clone().unwrap_or_default()),
            port: self.port.filter(|port| Some(*port) != found.port).map(|_| found.port.unwrap_or_default()),
            link_local: None,
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let Some(found) = engine.link(side, &self.device)? else {
            differences.push(Difference::absent(format_args!("{side} link {}", self.device)));
            return Ok(());
        };
        let previous = self.previous(found);
        let wanted = Self {
            device: self.device.clone(),
            up: previous.up.map(|up| !up),
            promisc: previous.promisc.map(|promisc| !promisc),
            allmulti: previous.allmulti.map(|allmulti| !allmulti),
            mac: previous.mac.and(self.mac),
            mtu: previous.mtu.and(self.mtu),
            txqlen: previous.txqlen.and(self.txqlen),
            group: previous.group.and(self.group),
            alias: previous.alias.as_ref().and(self.alias.clone()),
            port: previous.port.and(self.port),
            link_local: None,
        };
        if previous != Self::of(&self.device) {
            let object = format_args!("{side} link {}", self.device).to_string();
            differences.push(Difference::new(object, wanted.request(), previous.request()));
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, self.request())
    }
}
