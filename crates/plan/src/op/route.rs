//! A route: out of a link, by several paths, or to nowhere.

use std::fmt;

use kernel::netlink::route::{self, Filter, NextHop, ONLINK, Route as Wanted};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// A route, out of a link that the plan names. Its index is filled in when it is known: in `route`, or where that has
/// paths, in those of index 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The link; `None` for a route that drops packets.
    pub device: Option<String>,
    /// The route.
    pub route: Wanted,
    /// It gives way to no other: one to the same destination with the same metric is an error.
    pub exact: bool,
}

impl Route {
    /// `route` out of `device`.
    pub fn new(device: impl Into<String>, route: Wanted) -> Self {
        Self { device: Some(device.into()), route, exact: false }
    }

    fn out(&self, engine: &mut Engine, side: Side) -> Result<Wanted> {
        let Some(device) = &self.device else { return Ok(self.route.clone()) };
        let index = engine.index(side, device)?;
        Ok(self.by(index))
    }

    /// The route where its link has index `index`.
    fn by(&self, index: u32) -> Wanted {
        let mut route = self.route.clone();
        if route.paths.is_empty() {
            route.index = Some(index);
        }
        for path in route.paths.iter_mut().filter(|path| path.index == 0) {
            path.index = index;
        }
        route
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let wanted = self.out(engine, side)?;
        let socket = engine.socket(side)?;
        match route::add(socket, &wanted) {
            Err(error) if error.is_present() => self.beside(engine, side, wanted),
            outcome => Ok(outcome.map(|()| Done::Made)?),
        }
    }

    /// There is one to the same destination with the same metric: an equal one is what is wanted, one out of the same
    /// link is meant as a further path. A default route of another link keeps its precedence and this one goes behind
    /// it, as does any of a container that has joined several networks; the host's way to one address is a conflict.
    fn beside(&self, engine: &mut Engine, side: Side, mut wanted: Wanted) -> Result<Done> {
        let found = list(engine, side, &wanted, false)?;
        if found.iter().any(|found| is_same(&wanted, found)) {
            return Ok(Done::Present);
        }
        if self.exact && !found.is_empty() {
            return Err(Difference::new(format_args!("route {self}"), "the only one of its metric", &found[0]).into());
        }
        let socket = engine.socket(side)?;
        if found.iter().all(|found| found.index == wanted.index) {
            return Ok(route::add_beside(socket, &wanted).map(|()| Done::Made)?);
        }
        if side == Side::Host && wanted.dst.prefix_len() > 0 {
            let other = found.iter().find(|found| found.index != wanted.index).and_then(|found| found.index);
            let other = other.map_or("elsewhere".to_owned(), |index| format!("out of link {index}"));
            let wanted = format!("out of {}", self.device.as_deref().unwrap_or("no link"));
            return Err(Difference::new(format_args!("route {}", self.route), wanted, other).into());
        }
        let last = found.iter().filter_map(|found| found.metric).max().unwrap_or(0);
        wanted.metric = Some(last + 1);
        Ok(route::add(socket, &wanted).map(|()| Done::Made)?)
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let wanted = self.out(engine, side)?;
        let found = list(engine, side, &wanted, true)?;
        // The metric may have had to give way, so it is not compared unless it was asked for.
        if !found.iter().any(|found| is_same(&wanted, found)) {
            differences.push(Difference::absent(format_args!("route {self}")));
        }
        Ok(())
    }

    pub(crate) fn remove(&self, engine: &mut Engine, side: Side) -> kernel::Result<()> {
        let wanted = match &self.device {
            None => self.route.clone(),
            Some(device) => match engine.link(side, device)?.map(|link| link.index) {
                Some(index) => self.by(index),
                None => return Ok(()),
            },
        };
        route::remove(engine.socket(side)?, &wanted)
    }
}

/// The routes of `wanted`'s table to its destination, out of its link only if `own`.
fn list(engine: &mut Engine, side: Side, wanted: &Wanted, own: bool) -> Result<Vec<Wanted>> {
    let filter = Filter { table: Some(wanted.table), index: wanted.index.filter(|_| own) };
    let mut routes = route::list(engine.socket(side)?, wanted.dst.addr().is_ipv6(), filter)?;
    routes.retain(|found| found.dst == wanted.dst.trunc());
    Ok(routes)
}

/// Equal in what was asked for: a gateway or metric that was not is the kernel's choice.
fn is_same(wanted: &Wanted, found: &Wanted) -> bool {
    // The kernel gives a route to nowhere the loopback device (IPv6).
    (found.index == wanted.index || wanted.index.is_none() && wanted.paths.is_empty())
        && found.kind == wanted.kind
        && are_same(&wanted.paths, &found.paths)
        && (wanted.gateway.is_none() || found.gateway == wanted.gateway)
        && (wanted.src.is_none() || found.src == wanted.src)
        && (wanted.metric.is_none() || found.metric == wanted.metric)
        && wanted.metrics.iter().all(|metric| found.metrics.contains(metric))
}

/// The same paths, in any order, without what the kernel has observed of them.
fn are_same(wanted: &[NextHop], found: &[NextHop]) -> bool {
    let same = |a: &NextHop, b: &NextHop| {
        (a.index, a.gateway, a.weight, a.flags & ONLINK, &a.encap)
            == (b.index, b.gateway, b.weight, b.flags & ONLINK, &b.encap)
    };
    wanted.len() == found.len() && wanted.iter().all(|path| found.iter().any(|other| same(path, other)))
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.route.fmt(f)?;
        match &self.device {
            Some(device) if self.route.paths.is_empty() => write!(f, " dev {device}"),
            Some(device) => write!(f, " by {} paths, one of them dev {device}", self.route.paths.len()),
            None => Ok(()),
        }
    }
}
