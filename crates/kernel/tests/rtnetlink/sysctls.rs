//! Settings of the calling thread's namespace, and `/proc/sys` that is read-only.

use kernel::netlink::devconf;
use kernel::sysctl::{self, Directory, interface};
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

#[test]
fn the_message_of_a_link_says_what_the_files_say() {
    in_netns(|socket| {
        pair(socket);
        for (family, key, value) in [
            ("ipv4", "rp_filter", "2"),
            ("ipv4", "arp_evict_nocarrier", "0"),
            ("ipv4", "arp_filter", "1"),
            ("ipv4", "medium_id", "-1"),
            ("ipv4", "src_valid_mark", "1"),
            ("ipv4", "igmpv3_unsolicited_report_interval", "1234"),
            ("ipv6", "mldv2_unsolicited_report_interval", "2345"),
            ("ipv6", "router_solicitation_interval", "7"),
            ("ipv6", "router_solicitations", "5"),
            ("ipv6", "ra_defrtr_metric", "4294967295"),
            ("ipv6", "ioam6_id_wide", "4294967294"),
            ("ipv6", "ndisc_tclass", "255"),
            ("ipv6", "accept_ra_min_lft", "60"),
            ("ipv6", "accept_untracked_na", "2"),
            ("ipv6", "stable_secret", "fe80::1"),
        ] {
            match sysctl::set(&interface(family, "host0", key), value) {
                Ok(changed) => assert!(changed, "{key}"),
                // Newer than this kernel.
                Err(error) => assert_eq!(error.errno, libc::ENOENT, "{key}: {error}"),
            }
        }
        let (link, conf) = devconf::get(socket, "host0").unwrap().unwrap();
        assert_eq!(Some(&link), kernel::netlink::link::get(socket, "host0").unwrap().as_ref());
        for (family, settings) in [("ipv4", conf.ipv4().collect::<Vec<_>>()), ("ipv6", conf.ipv6().collect())] {
            let directory = Directory::open(format!("net/{family}/conf/host0")).unwrap();
            let keys = directory.keys().unwrap();
            // A number may be of a setting that this kernel was built without.
            let there: Vec<_> = settings.iter().filter(|(key, _)| keys.iter().any(|own| own == key)).collect();
            for (key, said) in &there {
                assert_eq!(*said, directory.get(key).unwrap(), "{family} {key}");
            }
            // What is left is in another unit, or has no number.
            assert!(there.len() > 25 && there.len() + 8 >= keys.len(), "{family}: {} of {}", there.len(), keys.len());
        }
        assert_eq!(devconf::get(socket, "nobody0").unwrap(), None);
    });
}

#[test]
fn a_directory_is_what_is_below_it() {
    in_netns(|socket| {
        pair(socket);
        let directory = Directory::open("net/ipv4/conf/host0").unwrap();
        for key in directory.keys().unwrap() {
            assert_eq!(directory.get(&key), sysctl::get(&interface("ipv4", "host0", &key)), "{key}");
        }
        for key in ["", ".", "..", "../lo/rp_filter", "/", "a/b"] {
            assert_eq!(directory.get(key).unwrap_err().errno, libc::EINVAL, "{key:?}");
        }
        let error = directory.get("nothing").unwrap_err();
        assert_eq!(error.to_string(), "read sysctl net/ipv4/conf/host0/nothing: No such file or directory");
        assert_eq!(Directory::open("net/ipv4/conf/nobody0").err().map(|error| error.errno), Some(libc::ENOENT));
        assert_eq!(Directory::open("../sys/net").err().map(|error| error.errno), Some(libc::EINVAL));
    });
}
