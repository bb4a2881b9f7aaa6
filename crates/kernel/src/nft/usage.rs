//! How many users the kernel counts of a chain or a table: what tells the last one.

use netlink_bindings::nftables::Request;

use super::Table;
use crate::error::Result;
use crate::netlink::Socket;

/// How many rules a chain has and elements and rules lead to it, together (`NFTA_CHAIN_USE`); `None` if it is not there.
///
/// # Errors
/// What the kernel says.
pub fn chain_users(socket: &mut Socket, table: &Table, name: &str) -> Result<Option<u32>> {
    let mut request = Request::new().op_getchain_do(&table.family.header());
    request.encode().push_table_bytes(table.name.as_bytes()).push_name_bytes(name.as_bytes());
    let what = format_args!("get chain {table} {name}");
    match socket.get(&request, what, |(_, attributes)| attributes.get_use().ok()) {
        Err(error) if error.is_absent() => Ok(None),
        outcome => outcome,
    }
}

/// How many chains, sets and other objects a table has (`NFTA_TABLE_USE`); `None` if it is not there.
///
/// # Errors
/// What the kernel says.
pub fn table_users(socket: &mut Socket, table: &Table) -> Result<Option<u32>> {
    let mut request = Request::new().op_gettable_do(&table.family.header());
    request.encode().push_name_bytes(table.name.as_bytes());
    match socket.get(&request, format_args!("get table {table}"), |(_, attributes)| attributes.get_use().ok()) {
        Err(error) if error.is_absent() => Ok(None),
        outcome => outcome,
    }
}
