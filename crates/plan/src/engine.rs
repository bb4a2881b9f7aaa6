//! The engine's hands: the two namespaces, a socket in each, and what it has learned of their links.

use kernel::depart::Nft;
use kernel::netlink::link::{self, Link};
use kernel::netns::{Lock, Netns};
use kernel::{Family, Socket};

use crate::apply::Done;
use crate::error::{Cause, Result};
use crate::{Side, Step};

/// Carries out plans between two namespaces. Single-threaded: the calling thread enters the container's namespace for
/// moments at a time.
pub struct Engine {
    host: Place,
    container: Option<Place>,
    /// Opened by the first step that needs it.
    nft: Option<Socket>,
    /// Something was deleted through `nft` that no detached child waits for: closing it would block.
    lingers: bool,
    /// A detached child has `nft` too: closing it here is nothing.
    handed_over: bool,
    /// Elements with the owner's mark were found and deleted.
    pub(crate) had_marks: bool,
    links: Vec<Known>,
    lock: Option<Lock>,
    /// What this engine made, for the undo.
    pub(crate) done: Vec<(Step, Done)>,
}

struct Place {
    netns: Netns,
    socket: Option<Socket>,
}

/// A link that the engine has read or made.
struct Known {
    side: Side,
    link: Link,
    made: bool,
}

impl Engine {
    /// An engine between the calling thread's namespace and `container`; without one, container steps cannot be taken.
    ///
    /// # Errors
    /// What opening the current namespace says.
    pub fn open(container: Option<Netns>) -> Result<Self> {
        Ok(Self {
            host: Place { netns: Netns::current()?, socket: None },
            container: container.map(|netns| Place { netns, socket: None }),
            nft: None,
            lingers: false,
            handed_over: false,
            had_marks: false,
            links: Vec::new(),
            lock: None,
            done: Vec::new(),
        })
    }

    /// True if there is a container's namespace.
    pub const fn has_container(&self) -> bool {
        self.container.is_some()
    }

    /// True if both sides are the same namespace.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn is_one_namespace(&self) -> Result<bool> {
        match &self.container {
            Some(container) => Ok(self.host.netns.is_same(&container.netns)?),
            None => Ok(false),
        }
    }

    /// The rtnetlink socket of `side`.
    ///
    /// # Errors
    /// What opening it says; `ENOENT` if there is no container.
    pub fn socket(&mut self, side: Side) -> kernel::Result<&mut Socket> {
        let home = &self.host.netns;
        let place = match (side, &mut self.container) {
            (Side::Host, _) => {
                if self.host.socket.is_none() {
                    self.host.socket = Some(Socket::open(Family::Route)?);
                }
                return self.host.socket.as_mut().ok_or_else(no_container);
            }
            (Side::Container, Some(container)) => container,
            (Side::Container, None) => return Err(no_container()),
        };
        if place.socket.is_none() {
            place.socket = Some(place.netns.run(home, || Socket::open(Family::Route))?);
        }
        place.socket.as_mut().ok_or_else(no_container)
    }

    /// The rtnetlink sockets of both sides, the host's first.
    ///
    /// # Errors
    /// What opening them says; `ENOENT` if there is no container.
    pub fn sockets(&mut self) -> kernel::Result<(&mut Socket, &mut Socket)> {
        self.socket(Side::Host)?;
        self.socket(Side::Container)?;
        let container = self.container.as_mut().and_then(|place| place.socket.as_mut());
        self.host.socket.as_mut().zip(container).ok_or_else(no_container)
    }

    /// The nfnetlink socket of the host.
    ///
    /// # Errors
    /// What opening it says.
    pub fn nft(&mut self) -> kernel::Result<&mut Socket> {
        if self.nft.is_none() {
            self.nft = Some(Socket::open(Family::Netfilter)?);
        }
        self.nft.as_mut().ok_or_else(no_container)
    }

    /// True if a removal found nft elements with its owner's mark: the attachment is one of this program's making, and no
    /// other's rules need be looked for.
    pub const fn had_marks(&self) -> bool {
        self.had_marks
    }

    /// Notes that something was deleted through the nfnetlink socket: its closing now blocks, see [`kernel::depart`].
    pub fn nft_has_deleted(&mut self) {
        self.lingers = true;
    }

    /// The nfnetlink socket, if closing it would block: for what was deleted through it, or by another call just now.
    pub(crate) fn nft_in_the_way(&self) -> Option<Nft<'_>> {
        let socket = self.nft.as_ref()?;
        let marked = || match &self.lock {
            Some(lock) => lock.is_marked(),
            None => Lock::open().and_then(|lock| lock.is_marked()),
        };
        let in_the_way = self.lingers || (!self.handed_over && marked().unwrap_or(false));
        in_the_way.then_some(Nft { socket, deleted: self.lingers })
    }

    /// True if something was deleted through the nfnetlink socket that no detached child waits for.
    pub(crate) const fn lingers(&self) -> bool {
        self.lingers
    }

    /// Keeps shared links from being removed while this engine counts on them: until it is dropped, whoever
    /// wants to remove one waits.
    ///
    /// # Errors
    /// What `flock(2)` says.
    pub fn share(&mut self) -> kernel::Result<()> {
        self.lock(false)
    }

    /// Waits until no other engine counts on shared links.
    pub(crate) fn alone(&mut self) -> kernel::Result<()> {
        self.lock(true)
    }

    fn lock(&mut self, alone: bool) -> kernel::Result<()> {
        if self.lock.is_none() {
            self.lock = Some(Lock::open()?);
        }
        self.lock.as_ref().map_or(Ok(()), |lock| lock.take(alone))
    }

    pub(crate) fn take_nft(&mut self) -> Option<Socket> {
        self.nft.take()
    }

    pub(crate) fn take_socket(&mut self, side: Side) -> Option<Socket> {
        match side {
            Side::Host => self.host.socket.take(),
            Side::Container => self.container.as_mut().and_then(|container| container.socket.take()),
        }
    }

    /// Puts back what [`Engine::take_socket`] and [`Engine::take_nft`] lent.
    pub(crate) fn put_back(&mut self, side: Side, socket: Option<Socket>, nft: Option<Socket>) {
        self.nft = nft;
        // The detached child that the socket was lent for waits for its deletions too.
        self.lingers = false;
        self.handed_over = self.nft.is_some();
        match (side, &mut self.container) {
            (Side::Host, _) => self.host.socket = socket,
            (Side::Container, Some(container)) => container.socket = socket,
            (Side::Container, None) => {}
        }
    }

    /// Runs `f` in the namespace of `side`: for sysctls and raw sockets.
    ///
    /// # Errors
    /// What entering says, or `f`.
    pub fn inside<T>(&self, side: Side, f: impl FnOnce() -> kernel::Result<T>) -> kernel::Result<T> {
        match (side, &self.container) {
            (Side::Host, _) => f(),
            (Side::Container, Some(container)) => container.netns.run(&self.host.netns, f),
            (Side::Container, None) => Err(no_container()),
        }
    }

    /// The namespace of `side`, for links that are made or moved into it.
    pub fn netns(&self, side: Side) -> Option<&Netns> {
        match side {
            Side::Host => Some(&self.host.netns),
            Side::Container => self.container.as_ref().map(|container| &container.netns),
        }
    }

    /// The link `name` of `side`, as it was when it was first asked for or made; `None` if there is none.
    ///
    /// # Errors
    /// The kernel's words.
    pub fn link(&mut self, side: Side, name: &str) -> kernel::Result<Option<&Link>> {
        if self.known(side, name).is_none() {
            match link::get(self.socket(side)?, name)? {
                Some(link) => self.links.push(Known { side, link, made: false }),
                None => return Ok(None),
            }
        }
        Ok(self.known(side, name).map(|known| &known.link))
    }

    /// The index of a link that the plan builds on.
    pub(crate) fn index(&mut self, side: Side, name: &str) -> Result<u32> {
        match self.link(side, name)? {
            Some(link) => Ok(link.index),
            None => Err(Cause::NoLink(name.to_owned()).into()),
        }
    }

    /// True if this engine made the link, so that whatever is on it goes with it.
    pub(crate) fn made(&self, side: Side, name: &str) -> bool {
        self.known(side, name).is_some_and(|known| known.made)
    }

    /// Remembers a link that was made, or that came: whatever is put on it goes with it.
    pub fn learn(&mut self, side: Side, link: Link) {
        self.forget(side, &link.name);
        self.links.push(Known { side, link, made: true });
    }

    /// Remembers a link that was there, and was read a moment ago.
    pub fn found(&mut self, side: Side, link: Link) {
        self.forget(side, &link.name);
        self.links.push(Known { side, link, made: false });
    }

    /// Remembers what was changed of a link.
    pub(crate) fn update(&mut self, side: Side, name: &str, change: impl FnOnce(&mut Link)) {
        let known = self.links.iter_mut().find(|known| known.side == side && known.link.name == name);
        if let Some(known) = known {
            change(&mut known.link);
        }
    }

    /// Forgets a link that was removed or changed.
    pub(crate) fn forget(&mut self, side: Side, name: &str) {
        self.links.retain(|known| known.side != side || known.link.name != name);
    }

    fn known(&self, side: Side, name: &str) -> Option<&Known> {
        self.links.iter().find(|known| known.side == side && known.link.name == name)
    }
}

/// `errno(3)`; one number is no reason for a dependency on libc.
const ENOENT: i32 = 2;

fn no_container() -> kernel::Error {
    kernel::Error::new("reach the container's network namespace", ENOENT)
}
