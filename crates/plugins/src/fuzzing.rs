//! The doors for the fuzzer (`cfg(fuzzing)`, which cargo-fuzz sets): the pure half of the verbs, from a request to a plan.
//! The addresses are those that the configuration names; the kernel has nothing to say.

use cni::{AddResult, Command, Error, Request};
use plan::Plan;

pub use crate::attachment::Attachment;
use crate::bridge::Bridge;
pub use crate::host_device::fuzzing::paths as host_device;
use crate::interface::{self, InterfacePlugin, own_part};
use crate::ptp::Ptp;

/// What a verb of `bridge` plans.
///
/// # Errors
/// What is wrong with the configuration.
pub fn bridge(request: &Request) -> Result<Plan, Error> {
    plan::<Bridge>(request)
}

/// What a verb of `ptp` plans.
///
/// # Errors
/// What is wrong with the configuration.
pub fn ptp(request: &Request) -> Result<Plan, Error> {
    plan::<Ptp>(request)
}

fn plan<P: InterfacePlugin>(request: &Request) -> Result<Plan, Error> {
    let call = interface::call::<P>(request)?;
    let facts = P::Facts::default();
    let mut given = match &request.conf.prev_result {
        Some(previous) => own_part(&call.attachment.ifname, previous),
        None => ipam::static_::add(request).unwrap_or_else(|_| AddResult::default()),
    };
    if request.env.command != Command::Del {
        P::validate(&call)?;
    }
    if matches!(request.env.command, Command::Add | Command::Plan) {
        P::complete(&call, &facts, &mut given)?;
    }
    let mut plan = P::links(&call, &facts);
    plan.extend(P::layer3(&call, &facts, &given));
    Ok(plan)
}
