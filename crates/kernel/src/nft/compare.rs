//! Comparing the rules of a chain with what they should be: the kernel tells a rule's bytecode back as it was written,
//! with what was left out filled in, so a rule is equal if everything that was written is there in the same order.

use netlink_bindings::nftables::Request;
use netlink_bindings::utils::{IterableChunks, find_attr};

use super::chain::{Chain, Rule};
use super::{Table, encode};
use crate::error::Result;
use crate::netlink::Socket;

/// `NFTA_LIST_ELEM`: the expressions of a rule.
const LIST_ELEMENT: u16 = 1;

/// A place in a chain where another rule is than should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Unlike {
    /// Where in the chain, counted from 1.
    pub place: usize,
    /// The rule that should be there, if any.
    pub wanted: Option<Rule>,
    /// Whether there is a rule.
    pub found: bool,
}

/// The places in which the rules of the kernel's chain and of `chain` differ; comments do not count. A chain that is not
/// there has no rules.
///
/// # Errors
/// What the kernel says.
pub fn unlike(socket: &mut Socket, table: &Table, chain: &Chain) -> Result<Vec<Unlike>> {
    let mut request = Request::new().op_getrule_dump(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_chain_bytes(chain.name.as_bytes());
    let what = format_args!("list the rules of chain {table} {}", chain.name);
    let listed = socket.dump(&request, what, |(_, attributes)| {
        Some(attributes.get_expressions().map(|expressions| expressions.get_buf().to_vec()).unwrap_or_default())
    });
    let found = match listed {
        Err(error) if error.is_absent() => Vec::new(),
        listed => listed?,
    };
    let places = 0..chain.rules.len().max(found.len());
    let differs = |place: &usize| match (chain.rules.get(*place), found.get(*place)) {
        (Some(rule), Some(found)) => !is_rule(found, rule, table),
        _ => true,
    };
    Ok(places
        .filter(differs)
        .map(|place| Unlike { place: place + 1, wanted: chain.rules.get(place).cloned(), found: place < found.len() })
        .collect())
}

fn is_rule(found: &[u8], rule: &Rule, table: &Table) -> bool {
    let mut wanted = Vec::new();
    encode::expressions(&mut wanted, table.family, &rule.exprs);
    let elements = |bytes| IterableChunks::new(bytes).filter(|(header, _)| header.r#type == LIST_ELEMENT);
    elements(found).count() == elements(&wanted).count()
        && elements(found).zip(elements(&wanted)).all(|((_, found), (_, wanted))| has_all(found, wanted))
}

/// True if every attribute of `wanted` is in `found` with its value, at whatever depth.
fn has_all(found: &[u8], wanted: &[u8]) -> bool {
    IterableChunks::new(wanted).all(|(header, value)| match find_attr(found, header.r#type) {
        Some(found) if header.is_nested => has_all(found, value),
        found => found == Some(value),
    })
}
