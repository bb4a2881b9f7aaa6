//! Reading the ruleset: one object by its exact name or key, or what is in one object.
//!
//! `table`, `chain`, `set` and `element` ask for one object without a dump: two system calls, whatever else is there.
//! What is not there is `Ok(None)` or an empty list, never an error.

use std::ffi::CStr;

use netlink_bindings::nftables::{self as codec, IterableChainAttrs, IterableRuleAttrs, Request};
use netlink_bindings::traits::NetlinkRequest;
use netlink_bindings::utils::find_attr;

use super::chain::{Chain, Hook, Kind, Point, Policy};
use super::element::{Element, Entry, assemble};
use super::set::Set;
use super::value::{Value, concatenation};
use super::{Family, Table, nfgenmsg, userdata};
use crate::error::{Error, Result};
use crate::netlink::Socket;

/// A rule as it stands in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The number by which it is deleted.
    pub handle: u64,
    /// The comment that nft or netferry wrote.
    pub comment: Option<String>,
    /// The chain that the rule's verdict jumps or goes to.
    pub target: Option<String>,
    /// What its first comparison is with, in network order.
    pub compared: Option<Vec<u8>>,
}

/// The number of the last change of the ruleset in this namespace.
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP` without nf_tables.
pub fn generation(socket: &mut Socket) -> Result<u32> {
    let request = Request::new().op_getgen_do(&nfgenmsg(0, 0));
    socket
        .get(&request, "get the nftables generation", |(_, attributes)| attributes.get_id())?
        .map_err(malformed("generation"))
}

/// The table of that name, with its comment.
///
/// # Errors
/// What the kernel says, except that it is not there.
pub fn table(socket: &mut Socket, family: Family, name: &str) -> Result<Option<Table>> {
    let mut request = Request::new().op_gettable_do(&family.header());
    request.encode().push_name_bytes(name.as_bytes());
    get(socket, &request, format_args!("get table {family} {name}"), |(_, attributes)| Table {
        family,
        name: name.to_owned(),
        comment: attributes.get_userdata().ok().and_then(|notes| userdata::read_comment(notes, userdata::COMMENT)),
    })
}

/// The chain of that name, without its rules.
///
/// # Errors
/// What the kernel says, except that it is not there.
pub fn chain(socket: &mut Socket, table: &Table, name: &str) -> Result<Option<Chain>> {
    let mut request = Request::new().op_getchain_do(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_name_bytes(name.as_bytes());
    get(socket, &request, format_args!("get chain {table} {name}"), |(_, attributes)| read_chain(&attributes))?
        .map(|chain| chain.ok_or_else(|| malformed("chain")(())))
        .transpose()
}

/// All chains of a table, without their rules. The kernel sends those of the whole family.
///
/// # Errors
/// What the kernel says.
pub fn chains(socket: &mut Socket, table: &Table) -> Result<Vec<Chain>> {
    let request = Request::new().op_getchain_dump(&table.family.header());
    socket.dump(&request, format_args!("list the chains of table {table}"), |(_, attributes)| {
        let of = attributes.get_table().ok()?;
        (of.to_bytes() == table.name.as_bytes()).then(|| read_chain(&attributes))?
    })
}

/// The rules of a chain, first to last.
///
/// # Errors
/// What the kernel says, except that the chain is not there.
pub fn rules(socket: &mut Socket, table: &Table, chain: &str) -> Result<Vec<Listed>> {
    let mut request = Request::new().op_getrule_dump(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_chain_bytes(chain.as_bytes());
    let what = format_args!("list the rules of chain {table} {chain}");
    present(socket.dump(&request, what, |(_, attributes)| {
        Some(Listed {
            handle: attributes.get_handle().ok()?,
            comment: attributes.get_userdata().ok().and_then(|notes| userdata::read_comment(notes, userdata::COMMENT)),
            target: target(&attributes),
            compared: compared(&attributes),
        })
    }))
}

/// The set or map of that name, without its elements.
///
/// # Errors
/// What the kernel says, except that it is not there; `EBADMSG` for types that are not known here.
pub fn set(socket: &mut Socket, table: &Table, name: &str) -> Result<Option<Set>> {
    let mut request = Request::new().op_getset_do(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_name_bytes(name.as_bytes());
    get(socket, &request, format_args!("get set {table} {name}"), |(_, attributes)| Set::read(&attributes))?
        .map(|set| set.ok_or_else(|| malformed("set")(())))
        .transpose()
}

/// The element with that key, with its data and comment. For sets without the `interval` flag.
///
/// # Errors
/// What the kernel says, except that it is not there.
pub fn element(socket: &mut Socket, table: &Table, set: &Set, key: &[Value]) -> Result<Option<Element>> {
    let mut request = Request::new().op_getsetelem_do(&table.family.header());
    let attributes = request.encode().push_table_bytes(table.name.as_bytes()).push_set_bytes(set.name.as_bytes());
    Element::new(key).write(attributes.nested_elements(), false);
    let what = format_args!("get element {table} {} {{ {} }}", set.name, concatenation(key));
    let entries = get(socket, &request, what, |(_, attributes)| entries(&attributes, set))?;
    Ok(entries.and_then(|entries| assemble(entries, set).pop()))
}

/// All elements of a set or map, in no order.
///
/// Left out are intervals that are not prefixes: no [`Value`] can say them.
///
/// # Errors
/// What the kernel says, except that the set is not there.
pub fn elements(socket: &mut Socket, table: &Table, set: &Set) -> Result<Vec<Element>> {
    let mut request = Request::new().op_getsetelem_dump(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_set_bytes(set.name.as_bytes());
    let what = format_args!("list the elements of {table} {}", set.name);
    let parts = present(socket.dump(&request, what, |(_, attributes)| Some(entries(&attributes, set))))?;
    Ok(assemble(parts.into_iter().flatten().collect(), set))
}

fn get<R: NetlinkRequest, T>(
    socket: &mut Socket,
    request: &R,
    what: impl std::fmt::Display,
    read: impl FnMut(R::ReplyType<'_>) -> T,
) -> Result<Option<T>> {
    match socket.get(request, what, read) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

fn present<T>(list: Result<Vec<T>>) -> Result<Vec<T>> {
    match list {
        Err(error) if error.is_absent() => Ok(Vec::new()),
        list => list,
    }
}

fn malformed<E>(what: &str) -> impl FnOnce(E) -> Error + '_ {
    move |_| Error::new(format_args!("read the kernel's nftables {what}"), libc::EBADMSG)
}

fn entries(attributes: &codec::IterableSetelemListAttrs<'_>, set: &Set) -> Vec<Entry> {
    let Ok(list) = attributes.get_elements() else { return Vec::new() };
    list.filter_map(|attribute| match attribute {
        Ok(codec::SetelemListElemAttrs::Elem(element)) => Entry::read(&element, set),
        _ => None,
    })
    .collect()
}

fn read_chain(attributes: &IterableChainAttrs<'_>) -> Option<Chain> {
    let name = attributes.get_name().ok()?.to_string_lossy();
    let Ok(hook) = attributes.get_hook() else { return Some(Chain::new(name)) };
    let kind = if attributes.get_type().ok()? == c"nat" { Kind::Nat } else { Kind::Filter };
    let policy = if attributes.get_policy() == Ok(libc::NF_DROP as u32) { Policy::Drop } else { Policy::Accept };
    let point = Point::from_number(hook.get_num().ok()?)?;
    Some(Chain::base(name, Hook { kind, point, priority: hook.get_priority().ok()?, policy }))
}

const NFTA_EXPR_DATA: u16 = 2;

/// The chain that an `immediate` verdict of the rule names.
fn target(rule: &IterableRuleAttrs<'_>) -> Option<String> {
    const NFTA_IMMEDIATE_DATA: u16 = 2;
    const NFTA_DATA_VERDICT: u16 = 2;
    const NFTA_VERDICT_CHAIN: u16 = 2;
    let path = [NFTA_EXPR_DATA, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN];
    let name = operand(rule, c"immediate", &path)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// The constant of the rule's first `cmp`.
fn compared(rule: &IterableRuleAttrs<'_>) -> Option<Vec<u8>> {
    const NFTA_CMP_DATA: u16 = 3;
    const NFTA_DATA_VALUE: u16 = 1;
    operand(rule, c"cmp", &[NFTA_EXPR_DATA, NFTA_CMP_DATA, NFTA_DATA_VALUE]).map(<[u8]>::to_vec)
}

/// What `path` leads to in the first expression called `name` that has it: by attribute numbers, since decoding every
/// kind of expression would link every decoder.
fn operand<'a>(rule: &IterableRuleAttrs<'a>, name: &CStr, path: &[u16]) -> Option<&'a [u8]> {
    rule.get_expressions().ok()?.get_elem().find_map(|expression| {
        if expression.get_name().ok()? != name {
            return None;
        }
        path.iter().try_fold(expression.get_buf(), |bytes, attribute| find_attr(bytes, *attribute))
    })
}
