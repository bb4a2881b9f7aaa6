//! Devices carried and brought home on the running kernel: everything that they had is there again, whatever has become
//! of them, of their namespace and of whoever carried them. Home and target are network namespaces of a test's own
//! threads; the journal is in a directory of the test's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal;
mod partial;
mod settings;
mod several;
mod share;
mod traffic;
mod whole;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use ferry::{Error, Journal, Order, Policy, Prepared, Restore, Wanted, carry, prepare, recover};
use kernel::netns::Netns;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A home and a target, in a mount namespace of their own, and a journal.
struct Ferry {
    dir: PathBuf,
    journal: Journal,
    home: Netns,
    away: Netns,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Ferry {
    /// Runs `test` on a thread of its own that is at home, after `script`.
    fn run(script: &str, test: impl FnOnce(&Self) + Send + 'static) {
        let script = script.to_owned();
        let thread = thread::spawn(move || {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("ferry-{}-{number}", std::process::id()));
            leave(UnshareFlags::NEWNS);
            sh("mount --make-rprivate /");
            std::fs::create_dir(&dir).unwrap();
            let _cleared = Cleared(dir.clone());
            for name in ["world", "away"] {
                leave(UnshareFlags::NEWNET);
                sh(&format!("ip link set lo up; {QUIET}"));
                std::fs::write(dir.join(name), "").unwrap();
                Netns::current().unwrap().pin(&dir.join(name)).unwrap();
            }
            let away = Netns::current().unwrap();
            leave(UnshareFlags::NEWNET);
            // Other tests run at the same time, and a device that is not where it was is looked for everywhere.
            let mac = mac();
            sh(&format!("WORLD={}/world; MAC={mac}; ip link set lo up; {QUIET}; {script}", dir.display()));
            let journal = Journal::at(dir.join("lent"));
            let ferry = Self { home: Netns::current().unwrap(), away, journal, dir };
            test(&ferry);
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    fn path(&self) -> PathBuf {
        self.dir.join("away")
    }

    /// Runs a script in the target.
    fn away(&self, script: &str) -> String {
        self.away.run(&self.home, || Ok(sh(script))).unwrap()
    }

    /// Carries devices, each under another name, with all that may go along.
    fn carry(&self, devices: &[(&str, &str)]) -> Result<(), Error> {
        self.carry_to(&self.path(), devices, true)
    }

    /// The same, to another place.
    fn carry_to(&self, path: &Path, devices: &[(&str, &str)], pin: bool) -> Result<(), Error> {
        let (wanted, netns) = (wanted(devices), Netns::open(path).unwrap());
        let order = Order { owner: "test", path: Some(path), bundle: None, devices: &wanted, allow_uplink: true, pin };
        carry(&self.journal, netns, &order)?.commit()
    }

    /// Devices that are ready to be carried.
    fn prepare(&self, devices: &[(&str, &str)]) -> Prepared {
        let (wanted, path) = (wanted(devices), self.path());
        let order =
            Order { owner: "test", path: Some(&path), bundle: None, devices: &wanted, allow_uplink: true, pin: true };
        let prepared = prepare(self.away.try_clone().unwrap(), &order).unwrap();
        assert_eq!(prepared.obstacles, []);
        prepared
    }

    /// An order of no device, for the same owner.
    fn prepare_nothing(&self) -> Prepared {
        self.prepare(&[])
    }

    /// Brings home what [`Ferry::carry`] carried.
    fn bring_home(&self) -> Result<Vec<ferry::Returned>, Error> {
        Ok(recover::release(&self.journal, "test", None)?.expect("something is lent"))
    }

    /// Nothing is lent, and nothing is kept.
    fn assert_nothing_is_lent(&self) {
        let left: Vec<_> =
            std::fs::read_dir(self.dir.join("lent")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The kernel makes no address by itself in the middle of a test.
const QUIET: &str = "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode";

/// Moves the calling thread into a fresh namespace.
fn leave(namespace: UnshareFlags) {
    // SAFETY: no descriptor table is unshared.
    unsafe { unshare_unsafe(namespace) }.unwrap();
}

/// A directory of a test, until it is dropped: whatever became of the test, nothing of it is left.
struct Cleared(PathBuf);

impl Drop for Cleared {
    fn drop(&mut self) {
        let clear = "umount -lR lent/pins 2> /dev/null; umount -l away world 2> /dev/null";
        let script = format!("cd {0} && {{ {clear}; rm -r {0}; }}", self.0.display());
        drop(Command::new("sh").args(["-c", &script]).status());
    }
}

/// Orders with everything of layer 3 that goes by default.
fn wanted<'a>(devices: &'a [(&str, &str)]) -> Vec<Wanted<'a>> {
    let wanted = |(device, name): &(&'a str, &'a str)| Wanted {
        device,
        name,
        policy: Some(Policy::default()),
        sysctls: true,
        restore: Restore::Auto,
    };
    devices.iter().map(wanted).collect()
}

/// A hardware address that no other test has.
fn mac() -> String {
    let [a, b, c, _] = std::process::id().to_le_bytes();
    format!("02:fc:{c:02x}:{b:02x}:{a:02x}:{:02x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Runs a script in the calling thread's namespace, and returns what it prints; none of its commands may fail.
fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a carry changes, of the calling thread's namespace: once nothing is on its way any more.
fn snapshot() -> String {
    sh("for turn in $(seq 200); do
            ip -6 address | grep -q tentative || ! ip link | grep -q 'state LOWERLAYERDOWN' && break; sleep 0.01
        done
        ip -d link; ip -d address; ip -d route show table all; ip -d -6 route show table all; ip rule; ip -6 rule
        ip neighbour show nud permanent; ip neighbour show proxy
        find /proc/sys/net/ipv[46] -type f -name '[a-z]*' -path '*d0*' | sort | xargs grep -H . 2> /dev/null || true")
}

/// True if `there` has everything that `wanted` says, each as a line's part.
fn assert_says(there: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(there.contains(part), "{part} is not in\n{there}");
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
