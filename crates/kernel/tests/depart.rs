//! Removal without the wait, against the running kernel: what is done when it returns, what is still to be reported,
//! what the detached child holds and what becomes of it. Every test plays the host in a namespace of its own thread;
//! what may be killed is a process of its own, which strace makes fail at a chosen system call.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kernel::depart::Nft;
use kernel::netlink::link::{self, Kind, Link, NewLink, NewPeer};
use kernel::netns::{Lock, Netns};
use kernel::nft::{Set, Table, Transaction};
use kernel::{Error, Family, Socket, depart, nft};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities, unshare_unsafe};

/// Says to a copy of this program which link to remove.
const VICTIM: &str = "DEPART_VICTIM";

/// Runs `test` on a thread of its own, in a fresh network namespace, with a socket in it.
fn in_netns<T: Send + 'static>(test: impl FnOnce(&mut Socket) -> T + Send + 'static) -> T {
    let thread = thread::spawn(|| {
        // SAFETY: no descriptor table is unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("these tests need root");
        test(&mut Socket::open(Family::Route).unwrap())
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A veth whose other end is in `peer`.
fn veth(socket: &mut Socket, peer: Option<&Netns>) -> Link {
    let end = NewPeer { name: "there", mac: None, mtu: None, netns: peer.map(AsFd::as_fd) };
    let new = NewLink { up: true, peer: Some(end), ..NewLink::new("here", &Kind::Veth) };
    link::add(socket, &new).unwrap();
    link::get(socket, "here").unwrap().unwrap()
}

/// The children of the calling thread that have not ended.
fn children() -> Vec<Pid> {
    let listed = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let pids = listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap()));
    pids.filter(|pid| state(*pid).is_some_and(|state| state != 'Z')).collect()
}

fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn absent(socket: &mut Socket, name: &str) -> bool {
    link::get(socket, name).unwrap().is_none()
}

#[test]
fn it_returns_before_the_answer_and_the_name_is_free_at_once() {
    in_netns(|socket| {
        let elsewhere = thread::spawn(|| in_netns(|_| Netns::current().unwrap())).join().unwrap();
        let home = Netns::current().unwrap();
        let mut there = elsewhere.run(&home, || Socket::open(Family::Route)).unwrap();
        let mut early = 0;
        for _ in 0..60 {
            let made = veth(socket, Some(&elsewhere));
            depart::remove(socket, made.index, "here", None).unwrap();
            early += usize::from(!children().is_empty());
            assert!(absent(socket, "here"), "unlisted");
            assert!(link::get_by_index(socket, made.index).unwrap().is_none());
            assert!(absent(&mut there, "there"), "and so is its other end");
        }
        assert!(early > 30, "the child was still waiting in {early} rounds of 60");
    });
}

#[test]
fn refusals_are_reported_in_the_words_of_the_kernel() {
    in_netns(|socket| {
        let error = depart::remove(socket, 4711, "gone", None).unwrap_err();
        assert_eq!(error.to_string(), "delete link gone: No such device");
        assert!(error.is_absent());
        let lo = link::get(socket, "lo").unwrap().unwrap();
        let error = depart::remove(socket, lo.index, "lo", None).unwrap_err();
        assert_eq!(error, Error::new("delete link lo", 95), "EOPNOTSUPP");
        let made = veth(socket, None);
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).unwrap();
        let error = depart::remove(socket, made.index, "here", None).unwrap_err();
        assert_eq!(error.to_string(), "delete link here: Operation not permitted");
        assert!(!absent(socket, "here"));
    });
}

/// What a copy of this program does in place of the test.
fn victim(index: &str) {
    let mut socket = Socket::open(Family::Route).unwrap();
    depart::remove(&mut socket, index.parse().unwrap(), "here", None).unwrap();
    assert!(absent(&mut socket, "here"));
}

/// Runs that copy in the calling thread's namespace, under strace with the fault `inject`.
fn with_fault(inject: &str, index: u32) -> Output {
    let system_call = inject.split(':').next().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/stderr", "-e", &format!("trace={system_call}")]);
    strace.args(["-e", &format!("inject={inject}")]).arg(std::env::current_exe().unwrap());
    strace
        .args(["--exact", "whatever_fails_the_link_goes_and_nobody_complains", "--nocapture"])
        .env(VICTIM, index.to_string());
    strace.output().expect("install strace")
}

#[test]
fn whatever_fails_the_link_goes_and_nobody_complains() {
    if let Ok(index) = std::env::var(VICTIM) {
        return victim(&index);
    }
    let faults = [
        // Killed before it does anything, before it sends, and before it reports.
        ("close_range:signal=KILL:when=1", "SIGKILL"),
        ("sendto:signal=KILL:when=1", "SIGKILL"),
        ("sendto:signal=KILL:when=2", "SIGKILL"),
        // No announcement can be read, and the child's answer neither.
        ("recvfrom:error=ENOBUFS:when=1", "ENOBUFS"),
        // No descriptor, no process.
        ("socketpair:error=EMFILE:when=1", "EMFILE"),
        ("clone:error=EAGAIN:when=1", "EAGAIN"),
        ("bind:error=ENOMEM:when=1", "ENOMEM"),
        ("poll:error=ENOMEM:when=1", "ENOMEM"),
    ];
    for (inject, seen) in faults {
        in_netns(move |socket| {
            let made = veth(socket, None);
            let output = with_fault(inject, made.index);
            let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(stderr.contains(seen), "{inject} hit nothing: {stderr}");
            assert!(output.status.success(), "{inject}: {stdout}{stderr}");
            assert!(absent(socket, "here") && absent(socket, "there"), "{inject}");
        });
    }
}

#[test]
fn a_child_that_is_killed_at_any_moment_changes_nothing() {
    in_netns(|socket| {
        let done = &AtomicBool::new(false);
        let killed = thread::scope(|scope| {
            let list = format!("/proc/self/task/{}/children", rustix::thread::gettid().as_raw_nonzero());
            let killer = scope.spawn(move || {
                let mut killed = 0;
                while !done.load(Ordering::Relaxed) {
                    for pid in std::fs::read_to_string(&list).unwrap_or_default().split_whitespace() {
                        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
                        killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
                    }
                }
                killed
            });
            for _ in 0..60 {
                let made = veth(socket, None);
                depart::remove(socket, made.index, "here", None).unwrap();
                assert!(absent(socket, "here") && absent(socket, "there"));
            }
            done.store(true, Ordering::Relaxed);
            killer.join().unwrap()
        });
        assert!(killed > 0, "nothing was killed");
    });
}

#[test]
fn a_storm_of_announcements_drowns_nothing() {
    in_netns(|socket| {
        let kind = Kind::Bridge { vlan_filtering: false };
        let done = &AtomicBool::new(false);
        thread::scope(|scope| {
            for name in ["storm0", "storm1", "storm2"] {
                let index = link::add(socket, &NewLink::new(name, &kind)).unwrap().unwrap().index;
                scope.spawn(move || {
                    let mut socket = Socket::open(Family::Route).unwrap();
                    for round in 0.. {
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                        let alias = format!("round {round}");
                        let change = link::Change { alias: Some(&alias), ..link::Change::default() };
                        link::set(&mut socket, index, name, &change).unwrap();
                    }
                });
            }
            for _ in 0..30 {
                let made = veth(socket, None);
                depart::remove(socket, made.index, "here", None).unwrap();
                assert!(absent(socket, "here") && absent(socket, "there"));
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn the_child_holds_no_lock_and_no_pipe_of_the_caller() {
    in_netns(|socket| {
        let mut early = 0;
        for _ in 0..20 {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let open = || rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty()).unwrap();
            let (lock, other): (OwnedFd, OwnedFd) = (open(), open());
            flock(&lock, FlockOperation::LockExclusive).unwrap();
            let (mut reader, writer) = std::io::pipe().unwrap();
            let made = veth(socket, None);
            depart::remove(socket, made.index, "here", None).unwrap();
            drop((lock, writer));
            // Children of other tests of this process hold them for the moment until they close what is not theirs.
            flock(&other, FlockOperation::LockExclusive).unwrap();
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            early += usize::from(!children().is_empty());
        }
        assert!(early > 10, "the child was still waiting in {early} rounds of 20");
    });
}

#[test]
fn the_close_of_an_nfnetlink_socket_is_the_childs() {
    in_netns(|_| {
        let mut early = 0;
        for _ in 0..20 {
            let mut socket = Socket::open(Family::Netfilter).unwrap();
            let table = Table::new(nft::Family::Inet, "departing");
            let mut transaction = Transaction::new();
            transaction.add_table(&table).add_set(&table, &Set::new("set", [nft::Field::Ipv4Addr]));
            transaction.commit(&mut socket).unwrap();
            let mut transaction = Transaction::new();
            transaction.push(nft::Change::DeleteTable { table });
            transaction.commit(&mut socket).unwrap();
            depart::let_go_nft(Nft { socket: &socket, deleted: true }).unwrap();
            drop(socket);
            early += usize::from(!children().is_empty());
        }
        assert!(early > 10, "the child was still closing in {early} rounds of 20");
    });
}

/// Transactions wait for a close that waits, so there is one time for all of them.
#[test]
fn nfnetlink_sockets_are_closed_on_the_beat() {
    let seconds = || rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    in_netns(move |socket| {
        let made = veth(socket, None);
        let before = seconds();
        let lock = Lock::open().unwrap();
        assert!(!lock.is_marked().unwrap());
        let [one, other] = [(); 2].map(|()| Socket::open(Family::Netfilter).unwrap());
        depart::remove(socket, made.index, "here", Some(Nft { socket: &one, deleted: false })).unwrap();
        depart::let_go_nft(Nft { socket: &other, deleted: true }).unwrap();
        assert!(lock.is_marked().unwrap(), "whoever closes a socket now waits for what was deleted");
        let start = Instant::now();
        while children().len() == 2 && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(seconds() > before, "one of them has ended before a second was full");
        while !children().is_empty() && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(children(), Vec::new(), "after {:?}", start.elapsed());
        assert!(!lock.is_marked().unwrap());
    });
}

#[test]
fn a_caller_that_lives_on_keeps_no_more_than_the_last_zombie() {
    in_netns(|socket| {
        let listed = || std::fs::read_to_string("/proc/thread-self/children").unwrap().split_whitespace().count();
        for _ in 0..10 {
            let made = veth(socket, None);
            depart::remove(socket, made.index, "here", None).unwrap();
            let start = Instant::now();
            while !children().is_empty() && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(1));
            }
            assert!(listed() <= 1, "at most the one that has just ended, which another thread may have noted");
        }
    });
}
