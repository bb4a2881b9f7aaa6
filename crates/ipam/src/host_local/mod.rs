//! host-local: addresses from ranges, reserved in files on this node (`ipam.type: host-local`).
//!
//! The files are those of the reference implementation, which may run in the same directory at the same time. The whole
//! of an ADD, over all range sets, happens under one hold of the network's lock: it reserves every address or none. No
//! verb's cost grows with the number of reservations, save GC's, STATUS's, and that of the first call after somebody else
//! changed the directory.

mod allocate;
mod assign;
mod config;
mod cursor;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod index;
mod owner;
mod range;
mod resolv;
mod store;

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;

use cni::{AddResult, Error, Request, code};

use config::{Conf, Place};
use owner::Owner;
use store::Store;

/// ADD: reserves one address of each range set for (container ID, ifname).
///
/// # Errors
/// A mistake in the configuration, a full range set, a requested address that cannot be had, an attachment that holds an
/// address already, or the directory failing. Nothing stays reserved.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let (conf, place, owner) = (Conf::read(request)?, Place::read(request)?, owner(request)?);
    let mut result = base(&conf)?;
    let mut store = Store::create(&place)?;
    let held = store.holdings(&owner)?;
    let mut reserved = Vec::with_capacity(conf.sets.len());
    let ips = assign::assign(&conf, &owner.id, &held.all(), |at, set, wanted| {
        let cursor = store.cursor(at)?;
        let ip = match wanted {
            Some(ip) => store.reserve(ip, &owner)?.then_some(ip),
            None => allocate::next(set, cursor.last, |ip| store.reserve(ip, &owner), || store.taken())?,
        };
        if let Some(ip) = ip {
            reserved.push(ip);
            store.advance(&cursor, ip)?;
        }
        Ok(ip)
    });
    match ips {
        Ok(ips) => {
            reserved.splice(0..0, held.exact);
            store.record(&owner, &reserved);
            result.ips = ips;
            Ok(result)
        }
        Err(error) => Err(give_back(&mut store, &reserved, error)),
    }
}

/// What ADD would give now. Reserves and writes nothing, so another container may be faster.
///
/// # Errors
/// As [`add`].
pub fn preview(request: &Request) -> Result<AddResult, Error> {
    let (conf, place, owner) = (Conf::read(request)?, Place::read(request)?, owner(request)?);
    let mut result = base(&conf)?;
    let mut store = Store::look(&place)?;
    let held = store.as_mut().map(|store| store.holdings(&owner)).transpose()?.unwrap_or_default();
    result.ips = assign::assign(&conf, &owner.id, &held.all(), |at, set, wanted| {
        let is_free = |ip| Ok(store.as_ref().is_none_or(|store| store.is_free(ip)));
        let Some(ip) = wanted else {
            let last = store.as_ref().map(|store| store.cursor(at)).transpose()?.and_then(|cursor| cursor.last);
            return allocate::next(set, last, is_free, || store.as_ref().map_or(Ok(Vec::new()), Store::taken));
        };
        Ok(is_free(ip)?.then_some(ip))
    })?;
    Ok(result)
}

/// CHECK: the attachment still holds an address.
///
/// # Errors
/// It does not, or the directory cannot be read.
pub fn check(request: &Request) -> Result<(), Error> {
    if owned(request)?.is_empty() {
        let id = &request.env.container_id;
        return Err(Error::internal(format_args!("host-local: Failed to find address added by container {id}")));
    }
    Ok(())
}

/// DEL: releases what (container ID, ifname) holds. Nothing held is success, and mistakes in the ranges do not matter.
///
/// # Errors
/// Files that cannot be removed or read, named.
pub fn del(request: &Request) -> Result<(), Error> {
    let (place, owner) = (Place::read(request)?, owner(request)?);
    let Some(mut store) = Store::open(&place)? else { return Ok(()) };
    let held = store.holdings(&owner)?;
    let (owner, ips) = match held.exact.is_empty() {
        true => (owner.without_ifname(), held.by_id),
        false => (owner, held.exact),
    };
    if ips.is_empty() {
        return store.complete();
    }
    let mut errors: Vec<Error> = ips.iter().filter_map(|ip| store.unlink(*ip).err()).collect();
    if errors.is_empty() {
        store.record(&owner, &[]);
    }
    errors.extend(store.complete().err());
    joined(&errors)
}

/// GC: releases what belongs to none of the valid attachments; without a list of them, nothing. Files of old releases,
/// which name the container alone, stay while any attachment of that container is valid. Reservations that no container
/// can have made (an administrator's note with a blank in it, say) stay.
///
/// # Errors
/// Files that cannot be removed or read, named.
pub fn gc(request: &Request) -> Result<(), Error> {
    let Some(valid) = &request.conf.valid_attachments else { return Ok(()) };
    let Some(mut store) = Store::open(&Place::read(request)?)? else { return Ok(()) };
    let pairs: HashSet<(&str, &str)> = valid.iter().map(|it| (it.container_id.as_str(), it.ifname.as_str())).collect();
    let ids: HashSet<&str> = valid.iter().map(|it| it.container_id.as_str()).collect();
    let is_valid = |owner: &Owner| match &owner.ifname {
        Some(ifname) => pairs.contains(&(owner.id.as_str(), ifname.as_str())),
        None => ids.contains(owner.id.as_str()),
    };
    let mut entries = store.entries()?;
    entries.retain(|entry| entry.owner.as_ref().is_some_and(|owner| !is_valid(owner)));
    if entries.is_empty() {
        return store.complete();
    }
    let stale: Vec<IpAddr> = entries.iter().map(|entry| entry.ip).collect();
    let mut errors = store.remove_all(&stale);
    errors.extend(store.complete().err());
    joined(&errors)
}

/// STATUS: the directory can be written to and every range set has a free address.
///
/// # Errors
/// Code 50 and the reason.
pub fn status(request: &Request) -> Result<(), Error> {
    let unavailable = |error: Error| Error { code: code::NOT_AVAILABLE, ..error };
    let (conf, place) = (Conf::read(request).map_err(unavailable)?, Place::read(request).map_err(unavailable)?);
    let taken = match Store::look(&place).map_err(unavailable)? {
        Some(store) => store.writable().and_then(|()| store.taken()).map_err(unavailable)?,
        None => files::creatable(&place.data_dir).map(|()| Vec::new()).map_err(unavailable)?,
    };
    match conf.sets.iter().find(|set| !allocate::has_free(set, &taken)) {
        Some(set) => Err(Error::new(code::NOT_AVAILABLE, format!("no IP addresses available in range set: {set}"))),
        None => Ok(()),
    }
}

/// The addresses that (container ID, ifname) holds, whatever the number of reservations in the network.
///
/// # Errors
/// The directory cannot be read.
pub fn owned(request: &Request) -> Result<Vec<IpAddr>, Error> {
    let (place, owner) = (Place::read(request)?, owner(request)?);
    let Some(mut store) = Store::look(&place)? else { return Ok(Vec::new()) };
    let held = store.holdings(&owner)?;
    Ok(if held.exact.is_empty() { held.by_id } else { held.exact })
}

/// Every (container ID, ifname) that holds an address in the request's network, sorted; for GC of the interface plugins.
/// Files of old releases name no interface and are left out.
///
/// # Errors
/// The directory cannot be read.
pub fn attachments(request: &Request) -> Result<Vec<(String, String)>, Error> {
    let Some(mut store) = Store::look(&Place::read(request)?)? else { return Ok(Vec::new()) };
    let owners = store.entries()?.into_iter().filter_map(|entry| entry.owner);
    let mut pairs: Vec<_> = owners.filter_map(|owner| Some((owner.id, owner.ifname?))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    Ok(pairs)
}

fn owner(request: &Request) -> Result<Owner, Error> {
    cni::env::validate_container_id(&request.env.container_id)?;
    cni::env::validate_ifname(&request.env.ifname)?;
    Ok(Owner::new(&request.env.container_id, &request.env.ifname))
}

fn base(conf: &Conf) -> Result<AddResult, Error> {
    let dns =
        if conf.resolv_conf.is_empty() { Default::default() } else { resolv::read(Path::new(&conf.resolv_conf))? };
    Ok(AddResult { routes: conf.routes.clone(), dns, ..AddResult::default() })
}

fn give_back(store: &mut Store, reserved: &[IpAddr], mut error: Error) -> Error {
    let kept: Vec<Error> = reserved.iter().filter_map(|ip| store.unlink(*ip).err()).collect();
    match joined(&kept) {
        Ok(()) => store.record_nothing(),
        Err(kept) => error.details = kept.msg,
    }
    error
}

fn joined(errors: &[Error]) -> Result<(), Error> {
    let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
    if texts.is_empty() { Ok(()) } else { Err(Error::internal(texts.join("; "))) }
}
