//! The namespace that netferry runs in, and what of the journal concerns it.

use cni::Error;
use ferry::recover::{self, Listed, Standing};
use ferry::{Journal, Place};
use kernel::netlink::link::{self, Link};
use kernel::netns::Netns;
use kernel::{Family, Socket};

/// The namespace that devices leave, and come home to.
pub struct Home {
    place: Place,
    socket: Socket,
}

impl Home {
    /// The calling thread's namespace.
    ///
    /// # Errors
    /// The kernel's words.
    pub fn open() -> Result<Self, Error> {
        let open = || {
            let socket = Socket::open(Family::Route)?;
            let place = Place::of(&Netns::current()?, socket.netns_cookie())?;
            Ok(Self { place, socket })
        };
        open().map_err(|error: kernel::Error| failed(&error))
    }

    /// The owner of the device named `name` here that is carried by hand.
    pub fn owner(&self, name: &str) -> String {
        format!("cli/{}/{name}", self.place.inode)
    }

    /// The device that is called `name` here, or alternatively so.
    ///
    /// # Errors
    /// The kernel's words.
    pub fn find(&mut self, name: &str) -> Result<Option<Link>, Error> {
        link::get(&mut self.socket, name).map_err(|error| failed(&error))
    }

    /// True if the devices came from here; nothing tells after the machine was started anew.
    pub fn lends(&self, listed: &Listed) -> bool {
        listed.standing == Standing::Rebooted || listed.entry.home.is(&self.place)
    }

    /// Refuses to carry the device called `name`, which is `link` here, if the journal has it already: it is lent, or a
    /// call for another owner than `owner` was cut off and would, once recovered, bring it home from under this one.
    ///
    /// # Errors
    /// To whom it is lent, or what to do first; the journal cannot be listed.
    pub fn refuse_lent(&self, journal: &Journal, name: &str, link: Option<&Link>, owner: &str) -> Result<(), Error> {
        for listed in recover::list(journal).map_err(|error| failed(&error))?.into_iter().flatten() {
            if listed.standing == Standing::Rebooted || !self.lends(&listed) {
                continue;
            }
            let is_in_hand = matches!(listed.standing, Standing::Interrupted | Standing::Busy);
            for lent in &listed.entry.lent {
                let (identity, whose) = (&lent.device.identity, &listed.entry.owner);
                match link {
                    None if identity.name == name || identity.altnames.iter().any(|altname| altname == name) => {
                        let (owner, devices) = (whose.clone(), vec![identity.name.clone()]);
                        return Err(failed(&ferry::Error::Lent { owner, devices }));
                    }
                    Some(link) if link.index == identity.index && is_in_hand && whose != owner => {
                        let standing = listed.standing.as_str();
                        return Err(Error::internal(format_args!(
                            "cannot carry {name}: the journal has it for {whose} ({standing}); run `netferry recover` first"
                        )));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// What the kernel or the ferry says, as every subcommand says it.
pub fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::internal(error)
}
