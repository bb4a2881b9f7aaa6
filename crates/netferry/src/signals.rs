//! Signals while another program runs for us: netferry outlives them, passes them on, and cleans up after the program's end.
//!
//! They are blocked and taken one at a time, so that no handler ever runs. What the terminal sends (`^C`) reaches the
//! program by itself, being in the same process group; only what was sent to netferry alone is passed on. Stopping
//! (`^Z`) and continuing are left to the kernel.

use std::io;
use std::mem::MaybeUninit;

use rustix::process::Pid;

/// What is passed on to the program, besides all real-time signals: systemd, as a container's first process, is asked to
/// shut down by one.
const FORWARDED: [libc::c_int; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGWINCH,
    libc::SIGPWR,
];
/// What ends a run that has not started its command yet.
const ENDING: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The signals of this process, blocked for as long as it lives.
#[derive(Clone, Copy)]
pub struct Signals {
    taken: libc::sigset_t,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks the signals that are forwarded, and SIGCHLD.
    ///
    /// # Errors
    /// Whatever the system said.
    pub fn block() -> io::Result<Self> {
        let taken = set(FORWARDED.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGCHLD]));
        // Whoever started netferry may ignore it, and then nobody could be waited for.
        // SAFETY: the default disposition runs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are valid for the call; the kernel fills `before`.
        let status = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const taken, before.as_mut_ptr()) };
        match status {
            // SAFETY: the call succeeded, so it has written the set.
            0 => Ok(Self { taken, before: unsafe { before.assume_init() } }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Restores the mask of before. Safe between fork and exec.
    ///
    /// # Errors
    /// Whatever the system said.
    pub fn unblock(&self) -> io::Result<()> {
        // SAFETY: the set is valid, and the call is async-signal-safe.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Ends this process by `signal`, as another was ended by it; comes back only if that ends nobody.
    pub fn end_by(&self, signal: i32) {
        // SAFETY: the default disposition runs no code, and no memory is involved in the rest.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
        }
        // If it was blocked, it comes now.
        let _ = self.unblock();
    }

    /// A signal that asks this process to end, if one came since they are blocked. It is taken off the queue.
    pub fn ending(&self) -> Option<i32> {
        let ending = set(ENDING);
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time are valid; no information is asked for.
        let signal = unsafe { libc::sigtimedwait(&raw const ending, std::ptr::null_mut(), &raw const now) };
        Some(signal).filter(|signal| *signal > 0)
    }

    /// Waits for the next signal and passes it on to `program`, unless it was SIGCHLD or the terminal's.
    pub fn wait_and_forward(&self, program: Pid) {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the set is valid, and `info` has room for what the kernel writes.
        let signal = unsafe { libc::sigwaitinfo(&raw const self.taken, info.as_mut_ptr()) };
        // SAFETY: all zeroes are a valid siginfo_t, should the call have been interrupted.
        let info = unsafe { info.assume_init() };
        // Codes above zero are the kernel's own, SI_KERNEL for the terminal.
        if signal > 0 && signal != libc::SIGCHLD && info.si_code <= 0 {
            // SAFETY: no memory is involved. The program is a child that was not waited for, so the number is still its own.
            unsafe { libc::kill(program.as_raw_pid(), signal) };
        }
    }
}

fn set(signals: impl IntoIterator<Item = libc::c_int>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set is initialised and the numbers are signals.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: initialised above.
    unsafe { set.assume_init() }
}
