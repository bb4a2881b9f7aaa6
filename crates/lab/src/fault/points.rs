//! Which system calls are points, read from a trace of the whole run.
//!
//! strace counts `when=N` per process and per system call, so a point is (system call, N); the trace with decoded
//! descriptors (`-yy`) says what the call is about. What the dynamic loader opens is no point, nor are reads
//! of the system's own files, standard error, or the first execve. A call that the kernel starts again counts once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One place where a run can fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The system call's name.
    pub syscall: String,
    /// Which call of that name in its process, from 1.
    pub nth: u32,
    /// What it is about, for messages.
    pub about: String,
    /// Errors it plausibly fails with.
    pub errors: &'static [&'static str],
}

impl Point {
    /// Whether it opens a sysctl to read it: there are hundreds of them, and one is like another.
    pub fn reads_a_sysctl(&self) -> bool {
        // Most are opened in a directory that is open already, which the trace shows by its descriptor's path.
        self.about.contains("/proc/sys/net/") && self.about.contains("O_RDONLY")
    }

    /// Whether it concerns the kernel's network state: netlink, namespaces, sysctls; not input, files or output.
    pub fn is_of_the_network(&self) -> bool {
        let by_name = matches!(
            self.syscall.as_str(),
            "socket" | "setns" | "unshare" | "sendto" | "sendmsg" | "recvfrom" | "recvmsg"
        );
        by_name
            || self.about.contains("<NETLINK")
            || self.about.contains("/proc/sys/net")
            || self.about.contains("/ns/net")
    }
}

/// The calls that are counted, as `-e trace=` wants them. `?`: not every architecture has all.
pub(super) const TRACED: &str = "sendto,sendmsg,recvfrom,recvmsg,socket,setns,unshare,?open,openat,?mkdir,mkdirat,?link,\
    linkat,?rename,?renameat,renameat2,?symlink,symlinkat,?unlink,unlinkat,?rmdir,read,write,writev,pwrite64,flock,\
    ftruncate,fsync,getdents64,?fork,?vfork,clone,clone3,execve,mount,umount2";

/// How strace shows that a call is started again with its own number and arguments.
const RESTARTED: &str = "= ? ERESTARTNOINTR";

/// The points of a trace written by `strace -f -yy -e trace=TRACED`.
pub(super) fn parse(trace: &str) -> Vec<Point> {
    let mut counts: HashMap<(String, String), u32> = HashMap::new();
    let mut points: BTreeMap<(String, u32), Point> = BTreeMap::new();
    let mut spared = BTreeSet::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        // A sysctl whose lock another holds (RTNL, `restart_syscall()`): the same call enters again, as often as it
        // takes, and no other run will have to wait as long.
        let again = call.contains(RESTARTED);
        if let Some(resumed) = call.trim_start().strip_prefix("<... ").filter(|_| again) {
            let syscall = resumed.split(' ').next().unwrap_or_default();
            counts.entry((process.to_owned(), syscall.to_owned())).and_modify(|nth| *nth = nth.saturating_sub(1));
            continue;
        }
        let Some((syscall, arguments)) = call.trim_start().split_once('(') else { continue };
        // `<... sendto resumed>` is the second half of a call counted before.
        if syscall.is_empty() || !syscall.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let count = counts.entry((process.to_owned(), syscall.to_owned())).or_default();
        let nth = *count + 1;
        if !again {
            *count += 1;
        }
        let errors = plausible(syscall, arguments, nth);
        if syscall.starts_with("recv") && arguments.contains("<UNIX") {
            spared.insert((syscall.to_owned(), nth));
        }
        if !errors.is_empty() {
            let about = arguments.chars().take(150).collect();
            let point = Point { syscall: syscall.to_owned(), nth, about, errors };
            points.entry((syscall.to_owned(), nth)).or_insert(point);
        }
    }
    // Another process may read a socket pair at the same count, by which a child says that it cannot start. No kernel
    // refuses that, and nobody can be prepared for it: being killed there is left.
    for at in &spared {
        points.entry(at.clone()).and_modify(|point| point.errors = &[]);
    }
    points.into_values().collect()
}

fn plausible(syscall: &str, arguments: &str, nth: u32) -> &'static [&'static str] {
    let descriptor = arguments.split([',', ' ', ')']).next().unwrap_or_default();
    let netlink = descriptor.contains("<NETLINK");
    match syscall {
        "sendto" | "sendmsg" if netlink => &["EPERM", "ENOBUFS"],
        "recvfrom" | "recvmsg" if netlink => &["ENOBUFS"],
        "sendto" | "sendmsg" => &["ENETDOWN"],
        "read" if descriptor.starts_with("0<") => &["EIO"],
        "read" if netlink => &["ENOBUFS"],
        "write" | "writev" | "pwrite64" => written(descriptor, netlink),
        "open" | "openat" if of_the_system(arguments) => &[],
        "open" | "openat" if arguments.contains("O_CREAT") => &["ENOSPC", "EACCES"],
        "open" | "openat" => &["EACCES"],
        "socket" => &["EMFILE"],
        "setns" | "unshare" | "mount" | "umount2" => &["EPERM"],
        "mkdir" | "mkdirat" | "link" | "linkat" | "rename" | "renameat" | "renameat2" | "symlink" | "symlinkat" => {
            &["ENOSPC"]
        }
        "unlink" | "unlinkat" | "rmdir" => &["EACCES"],
        "flock" => &["ENOLCK"],
        "ftruncate" | "fsync" | "getdents64" => &["EIO"],
        "fork" | "vfork" | "clone" | "clone3" => &["EAGAIN"],
        "execve" if nth > 1 => &["ENOENT"],
        _ => &[],
    }
}

fn written(descriptor: &str, netlink: bool) -> &'static [&'static str] {
    match descriptor.split_once('<').map(|(number, target)| (number, target.starts_with('/'))) {
        _ if netlink => &["EPERM"],
        Some(("2", _)) => &[],
        Some(("1", _)) => &["EPIPE"],
        Some((_, true)) if descriptor.contains("/proc/sys/") => &["EACCES"],
        Some((_, true)) => &["ENOSPC"],
        _ => &["EPIPE"],
    }
}

fn of_the_system(arguments: &str) -> bool {
    let path = arguments.split('"').nth(1).unwrap_or_default();
    let prefixes = ["/etc/ld.so", "/lib", "/usr/lib", "/usr/share", "/sys/kernel/mm", "/dev/null", "/proc/self/maps"];
    path.is_empty() || prefixes.iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_started_again_counts_once() {
        let write = "pwrite64(8</proc/sys/net/ipv4/ip_forward>, \"1\", 1, 0)";
        let again = "? ERESTARTNOINTR (To be restarted)";
        let trace = format!(
            "7  {write} = {again}\n7  {write} <unfinished ...>\n7  <... pwrite64 resumed>) = {again}\n7  {write} = 1\n\
             7  {write} = 1\n"
        );
        let found: Vec<u32> = parse(&trace).into_iter().map(|point| point.nth).collect();
        assert_eq!(found, [1, 2]);
    }

    #[test]
    fn points_of_a_trace() {
        let trace = "\
7  execve(\"/x\", [\"/x\"], 0x7 /* 6 vars */) = 0
7  openat(AT_FDCWD</>, \"/etc/ld.so.cache\", O_RDONLY) = 3</etc/ld.so.cache>
7  openat(AT_FDCWD</>, \"/run/l\", O_RDWR|O_CREAT) = 3</run/l>
7  sendto(3<NETLINK:[ROUTE:7]>, [{nlmsg_len=32}], 32, 0, NULL, 0 <unfinished ...>
8  sendto(3<NETLINK:[ROUTE:8]>, [{nlmsg_len=32}], 32, 0, NULL, 0) = 32
7  <... sendto resumed>) = 32
8  recvfrom(4<UNIX:[9->10]>, \"\", 8, 0, NULL, NULL) = 0
7  recvfrom(3<NETLINK:[ROUTE:7]>, [{nlmsg_len=36}], 32, 0, NULL, NULL) = 36
7  write(2</memfd:stderr>, \"x\", 1) = 1
7  write(1</memfd:stdout>, \"{\", 1) = 1
7  +++ exited with 0 +++
";
        let found: Vec<(String, u32, &[&str])> =
            parse(trace).into_iter().map(|point| (point.syscall, point.nth, point.errors)).collect();
        let expected: Vec<(String, u32, &[&str])> = vec![
            ("openat".to_owned(), 2, &["ENOSPC", "EACCES"]),
            ("recvfrom".to_owned(), 1, &[]),
            ("sendto".to_owned(), 1, &["EPERM", "ENOBUFS"]),
            ("write".to_owned(), 2, &["EPIPE"]),
        ];
        assert_eq!(found, expected);
    }
}
