//! Settings of the calling thread's namespace, and `/proc/sys` that is read-only.

use kernel::sysctl::{self, interface};
use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount};
use rustix::thread::UnshareFlags;

use super::{in_netns, leave, pair};

#[test]
fn a_setting_is_the_namespaces_own() {
    in_netns(|socket| {
        pair(socket);
        let key = interface("ipv4", "host0", "rp_filter");
        for value in ["2", "1", "1"] {
            let changed = sysctl::get(&key).unwrap() != value;
            assert_eq!(sysctl::set(&key, value).unwrap(), changed);
            assert_eq!(sysctl::get(&key).unwrap(), value);
        }
        sysctl::set("net/ipv4/ip_local_port_range", "20000 30000").unwrap();
        assert_eq!(sysctl::get("net/ipv4/ip_local_port_range").unwrap(), "20000\t30000");
        in_netns(|_| assert_ne!(sysctl::get("net/ipv4/ip_local_port_range").unwrap(), "20000\t30000"));
    });
}

#[test]
fn a_value_of_any_length() {
    in_netns(|_| {
        let ports: Vec<String> = (1000..3000).step_by(2).map(|port| port.to_string()).collect();
        let ports = ports.join(",");
        sysctl::set("net/ipv4/ip_local_reserved_ports", &ports).unwrap();
        assert_eq!(sysctl::get("net/ipv4/ip_local_reserved_ports").unwrap(), ports);
        sysctl::set("net/ipv4/ip_local_reserved_ports", "").unwrap();
        assert_eq!(sysctl::get("net/ipv4/ip_local_reserved_ports").unwrap(), "");
    });
}

#[test]
fn a_key_that_can_only_be_written() {
    in_netns(|_| {
        sysctl::set("net/ipv4/route/flush", "1").unwrap();
        assert_eq!(sysctl::get("net/ipv4/route/flush").unwrap_err().errno, libc::EACCES);
    });
}

#[test]
fn refusals() {
    in_netns(|_| {
        let error = sysctl::get(&interface("ipv4", "nobody0", "rp_filter")).unwrap_err();
        assert_eq!(error.to_string(), "read sysctl net/ipv4/conf/nobody0/rp_filter: No such file or directory");
        let error = sysctl::set("net/ipv4/ip_forward", "maybe").unwrap_err();
        assert_eq!(error.to_string(), "set sysctl net/ipv4/ip_forward to maybe: Invalid argument");
    });
}

#[test]
fn what_is_there_already_needs_no_write() {
    in_netns(|_| {
        let forwarding = sysctl::get("net/ipv4/ip_forward").unwrap();
        leave(UnshareFlags::NEWNS);
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        mount_bind("/proc/sys", "/proc/sys").unwrap();
        mount_remount("/proc/sys", MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
        sysctl::set("net/ipv4/ip_forward", &forwarding).unwrap();
        let other = if forwarding == "0" { "1" } else { "0" };
        assert_eq!(sysctl::set("net/ipv4/ip_forward", other).unwrap_err().errno, libc::EROFS);
        assert_eq!(sysctl::get("net/ipv4/ip_forward").unwrap(), forwarding);
    });
}
