//! A child process with its three pipes, served by one `poll` (poll(2), pidfd_open(2)): a child that writes before it
//! reads, never reads, or never ends cannot block us, and neither can a grandchild that inherited the pipes. A child
//! with a time limit has a process group of its own; one without stays in ours, so that whoever ends us ends it too. If
//! we are killed alone, the kernel kills the child (prctl(2), `PR_SET_PDEATHSIG`): nobody is left to hear its answer.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::process::{getpid, getppid, set_parent_process_death_signal};
use rustix::process::{kill_process, kill_process_group, pidfd_open, waitid};

/// A plugin that writes more than this, in bytes, has lost its mind.
pub const LONGEST_STDOUT: usize = 32 << 20;
/// How much of the end of stderr is kept, in bytes.
const KEPT_STDERR: usize = 64 << 10;
/// From SIGTERM to SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long pipes are still read that outlive the child.
const EXIT_GRACE: Duration = Duration::from_millis(100);
/// How often the child is looked at where there is no pidfd (Linux before 5.3, some sandboxes).
const WITHOUT_PIDFD: Duration = Duration::from_millis(10);
/// A binary that is being replaced: wait, and start it again.
const BUSY_RETRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// What to do with the child.
pub struct Run<'a> {
    pub stdin: &'a [u8],
    pub timeout: Option<Duration>,
}

/// What became of the child.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub end: End,
}

/// Why the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Itself,
    Timeout,
    Flood,
}

impl Run<'_> {
    /// Starts `command` and serves it to its end.
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        if self.timeout.is_some() {
            command.process_group(0);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = getpid();
        // SAFETY: what runs between fork and exec is two system calls, which allocate nothing.
        unsafe { command.pre_exec(move || die_with(parent)) };
        let mut child = spawn(command)?;
        let mut pipes = Pipes::of(&mut child, self.stdin);
        let pid = Pid::from_child(&child);
        let end = pipes.serve(pid, self.timeout);
        if !matches!(end, Ok(End::Itself)) {
            // The child is not reaped yet, so its number still names it, and its group, and no other.
            let _ = if self.timeout.is_some() {
                kill_process_group(pid, Signal::KILL)
            } else {
                kill_process(pid, Signal::KILL)
            };
        }
        let status = child.wait()?;
        Ok(Output { status, stdout: pipes.out, stderr: pipes.err, end: end? })
    }
}

/// In the child: be killed when the parent ends. The kernel goes by the *thread* that forked, which here is the one that
/// waits for the child's end.
fn die_with(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before this has sent no signal. One in another PID namespace has no number here.
    match getppid() {
        Some(other) if other != parent => Err(Errno::SRCH.into()),
        _ => Ok(()),
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..BUSY_RETRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(BUSY_PAUSE),
            spawned => return spawned,
        }
    }
    command.spawn()
}

struct Pipes<'a> {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    unwritten: &'a [u8],
    out: Vec<u8>,
    err: Vec<u8>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, stdin: &'a [u8]) -> Self {
        let pipes = Self {
            stdin: child.stdin.take().map(OwnedFd::from),
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
            unwritten: stdin,
            out: Vec::new(),
            err: Vec::new(),
        };
        for pipe in [&pipes.stdin, &pipes.stdout, &pipes.stderr].into_iter().flatten() {
            // Cannot fail on a pipe; were it to, we would wait longer than we should, and lose nothing.
            let _ = fcntl_setfl(pipe, OFlags::NONBLOCK);
        }
        pipes
    }

    /// Moves bytes until the child has ended and said everything, or has been told to end.
    fn serve(&mut self, pid: Pid, timeout: Option<Duration>) -> io::Result<End> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        let mut deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut end = End::Itself;
        let mut exited = false;
        loop {
            if !exited && has_exited(pid)? {
                exited = true;
                deadline = Some(Instant::now() + EXIT_GRACE);
            }
            if exited && (end != End::Itself || self.is_silent()) {
                return Ok(end);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                if exited || end != End::Itself {
                    return Ok(end);
                }
                end = End::Timeout;
                deadline = Some(Instant::now() + TERM_GRACE);
                let _ = kill_process_group(pid, Signal::TERM);
            }
            self.wait(pidfd.as_ref().filter(|_| !exited), deadline)?;
            self.transfer();
            if self.out.len() > LONGEST_STDOUT {
                return Ok(End::Flood);
            }
        }
    }

    const fn is_silent(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Sleeps until a pipe or the child has something for us, at the longest until `deadline`.
    fn wait(&self, pidfd: Option<&OwnedFd>, deadline: Option<Instant>) -> io::Result<()> {
        let mut fds = Vec::with_capacity(4);
        fds.extend(self.stdin.as_ref().map(|fd| PollFd::new(fd, PollFlags::OUT)));
        fds.extend([&self.stdout, &self.stderr].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(pidfd.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let mut longest = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if pidfd.is_none() {
            longest = Some(longest.map_or(WITHOUT_PIDFD, |longest| longest.min(WITHOUT_PIDFD)));
        }
        let longest = longest.and_then(|longest| Timespec::try_from(longest).ok());
        match poll(&mut fds, longest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn transfer(&mut self) {
        if let Some(fd) = &self.stdin {
            match rustix::io::write(fd, self.unwritten) {
                Ok(written) => self.unwritten = &self.unwritten[written..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                // EPIPE: the child does not want to read, which is its right.
                Err(_) => self.unwritten = &[],
            }
            if self.unwritten.is_empty() {
                self.stdin = None;
            }
        }
        read_some(&mut self.stdout, &mut self.out);
        let before = self.err.len();
        read_some(&mut self.stderr, &mut self.err);
        let _ = io::stderr().write_all(&self.err[before..]);
        if self.err.len() > 2 * KEPT_STDERR {
            self.err.drain(..self.err.len() - KEPT_STDERR);
        }
    }
}

/// Appends what `pipe` has, and closes it at its end.
fn read_some(pipe: &mut Option<OwnedFd>, text: &mut Vec<u8>) {
    let Some(fd) = pipe else { return };
    let mut buffer = [0; 16 << 10];
    match rustix::io::read(fd, &mut buffer) {
        Ok(0) => *pipe = None,
        Ok(length) => text.extend_from_slice(&buffer[..length]),
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(_) => *pipe = None,
    }
}

/// True if the child has ended; it stays to be reaped.
fn has_exited(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => Ok(status.is_some()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
