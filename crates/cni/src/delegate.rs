//! Delegation: a plugin that runs another one, such as its address management. The delegate gets the caller's
//! environment with the verb alone replaced, and the caller's whole configuration, byte for byte.

use crate::env::{Command, Env};
use crate::error::Error;
use crate::exec::{self, Exec};
use crate::request::Request;
use crate::result::AddResult;
use crate::wire;

/// Runs ADD of `plugin`. If it fails, or the caller does later, the caller owes the delegate a [`del`].
///
/// # Errors
/// Those of [`exec::find`] and [`Exec::run`], and a result that cannot be read.
pub fn add(plugin: &str, request: &Request) -> Result<AddResult, Error> {
    let stdout = run(plugin, Command::Add, request)?;
    let result = exec::parse_result(&stdout)?;
    Ok(wire::from_json(&result, request.conf.cni_version)?.0)
}

/// Runs CHECK of `plugin`.
///
/// # Errors
/// Those of [`exec::find`] and [`Exec::run`].
pub fn check(plugin: &str, request: &Request) -> Result<(), Error> {
    run(plugin, Command::Check, request).map(drop)
}

/// Runs DEL of `plugin`.
///
/// # Errors
/// Those of [`exec::find`] and [`Exec::run`].
pub fn del(plugin: &str, request: &Request) -> Result<(), Error> {
    run(plugin, Command::Del, request).map(drop)
}

/// Runs GC of `plugin`.
///
/// # Errors
/// Those of [`exec::find`] and [`Exec::run`].
pub fn gc(plugin: &str, request: &Request) -> Result<(), Error> {
    run(plugin, Command::Gc, request).map(drop)
}

/// Runs STATUS of `plugin`.
///
/// # Errors
/// Those of [`exec::find`] and [`Exec::run`].
pub fn status(plugin: &str, request: &Request) -> Result<(), Error> {
    run(plugin, Command::Status, request).map(drop)
}

fn run(plugin: &str, command: Command, request: &Request) -> Result<Vec<u8>, Error> {
    let program = exec::find(plugin, &request.env.path)?;
    let env = Env { command, ..request.env.clone() };
    Exec { program: &program, env: &env, stdin: &request.conf.bytes, timeout: None }.run()
}
