//! The first process of the virtual machine of `cargo xtask vm`: loads the modules, runs the tests, ends the machine.
//!
//! Contract, with `xtask/src/vm`: `/vm/modules` names kernel modules in the order of loading and `/vm/commands` one
//! program with its arguments per line; the console gets what they print, then `vm: report LINE` for each line of the
//! tests' report and, last, `vm: ended N` with the number of commands that failed. Whatever happens to process 1, the
//! machine ends with it. See finit_module(2), reboot(2).

use std::ffi::CStr;
use std::fs::{File, read_to_string};
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::process::Command;

const REPORT: &str = "/vm/report";

fn main() {
    let failed = prepare().and_then(|()| run()).unwrap_or_else(|error| {
        println!("vm: {error}");
        1
    });
    for line in read_to_string(REPORT).unwrap_or_default().lines() {
        println!("vm: report {line}");
    }
    println!("vm: ended {failed}");
    // SAFETY: both take integers, or nothing. QEMU is told to end instead of starting again.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
}

fn prepare() -> Result<()> {
    for (kind, target) in [(c"proc", c"/proc"), (c"sysfs", c"/sys"), (c"devtmpfs", c"/dev")] {
        mount(kind, target)?;
    }
    for module in read_to_string("/vm/modules")?.lines() {
        let file = File::open(module).map_err(|error| Error::other(format!("{module}: {error}")))?;
        // SAFETY: the descriptor is open and the parameters are a string that ends in NUL.
        let status = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
        if status != 0 {
            return Err(Error::other(format!("{module}: {}", Error::last_os_error())));
        }
    }
    Ok(())
}

fn mount(kind: &CStr, target: &CStr) -> Result<()> {
    // SAFETY: the strings end in NUL and live through the call; no data is passed.
    let status = unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    if status == 0 { Ok(()) } else { Err(Error::other(format!("mount {target:?}: {}", Error::last_os_error()))) }
}

/// Runs every command, and returns how many failed.
fn run() -> Result<u32> {
    let mut failed = 0;
    for line in read_to_string("/vm/commands")?.lines() {
        println!("vm: {line}");
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("NETFERRY_CNI_DIR", "/vm/cni").env("NETFERRY_BIN", "/vm/netferry");
        let status = command.env("NETFERRY_TEST_REPORT", REPORT).status();
        match status {
            Ok(status) if status.success() => continue,
            Ok(status) => println!("vm: {line}: {status}"),
            Err(error) => println!("vm: {line}: {error}"),
        }
        failed += 1;
    }
    Ok(failed)
}
