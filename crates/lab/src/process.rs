//! One run of one program inside namespaces: what goes in, what came out, and an end to waiting.
//!
//! Standard streams are memory files rather than pipes, so output of any size needs no reader and a grandchild that
//! keeps a stream open blocks nobody. The program leads a process group, which is killed at the deadline, and dies
//! with the thread that waits for it, unless it is a brief one.

use crate::error::{Error, Result};
use crate::netns::Namespaces;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// A program with everything it is given. The environment is PATH and `env`, nothing else.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The program: a path, or a name searched in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment besides PATH; a PATH in here replaces ours.
    pub env: Vec<(String, String)>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// When it is killed; 20 seconds when `None`.
    pub deadline: Option<Duration>,
    /// It only looks, and ends by itself at once, whoever waits for it: so it can be started without a copy of this process.
    pub brief: bool,
}

/// How a run ended and what it said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The wait status.
    pub status: ExitStatus,
    /// Standard output, lossily as text.
    pub stdout: String,
    /// Standard error, lossily as text.
    pub stderr: String,
    /// From spawn to reap.
    pub elapsed: Duration,
    /// The program with its arguments, for messages.
    pub command: String,
}

impl Invocation {
    /// A command given as one list of words.
    pub fn command<S: AsRef<str>>(words: &[S]) -> Invocation {
        let mut words = words.iter().map(|word| word.as_ref().to_owned());
        let program = PathBuf::from(words.next().unwrap_or_default());
        Invocation { program, args: words.collect(), ..Invocation::default() }
    }

    /// The same for a program that only looks.
    pub fn look<S: AsRef<str>>(words: &[S]) -> Invocation {
        Invocation { brief: true, ..Invocation::command(words) }
    }

    /// The same run under strace with these options.
    pub fn traced(&self, options: &[String]) -> Invocation {
        let mut args = options.to_vec();
        args.push("--".to_owned());
        args.push(self.program.display().to_string());
        args.extend(self.args.iter().cloned());
        Invocation { program: PathBuf::from("strace"), args, ..self.clone() }
    }

    /// Runs it inside and waits for its end.
    ///
    /// # Errors
    /// It cannot be started, or was killed at its deadline. Any exit status is a success of this function.
    pub fn run(&self, namespaces: &Namespaces) -> Result<Output> {
        namespaces.inside(|| self.run_here())?
    }

    fn run_here(&self) -> Result<Output> {
        let name = self.line();
        let [mut stdin, mut stdout, mut stderr] = [memory(c"stdin")?, memory(c"stdout")?, memory(c"stderr")?];
        stdin.write_all(&self.stdin).and_then(|()| stdin.rewind()).map_err(Error::during(&name))?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").process_group(0);
        crate::report::mark(&mut command);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        let file = |file: &File| file.try_clone().map_err(Error::during(&name));
        command.stdin(file(&stdin)?).stdout(file(&stdout)?).stderr(file(&stderr)?);
        if !self.brief {
            let parent = std::process::id();
            // SAFETY: between fork and exec `die_with` makes system calls only and allocates nothing.
            unsafe { command.pre_exec(move || die_with(parent)) };
        }
        let started = Instant::now();
        let mut child = command.spawn().map_err(Error::during(&name))?;
        let deadline = self.deadline.unwrap_or(Duration::from_secs(20));
        let ended = wait_end(child.id(), deadline)?;
        if !ended {
            // SAFETY: kill takes integers; the group is the one this child leads.
            unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        }
        let status = child.wait().map_err(Error::during(&name))?;
        let elapsed = started.elapsed();
        let (stdout, stderr) = (text(&mut stdout)?, text(&mut stderr)?);
        if !ended {
            return Err(Error::new(format!("{name}: still running after {deadline:?}\n{stdout}{stderr}")));
        }
        Ok(Output { status, stdout, stderr, elapsed, command: name })
    }

    /// The program and its arguments on one line.
    pub fn line(&self) -> String {
        let verb = self.env.iter().find(|(key, _)| key == "CNI_COMMAND");
        let mut line = self.program.display().to_string();
        for word in self.args.iter().chain(verb.map(|(_, value)| value)) {
            line.push(' ');
            line.push_str(word);
        }
        line
    }
}

impl Output {
    /// Itself when the status is 0, else an error with everything the run said.
    pub fn success(self) -> Result<Output> {
        if self.status.success() { Ok(self) } else { Err(Error::new(self.describe())) }
    }

    /// Whether it was ended by SIGKILL.
    pub fn killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL)
    }

    /// Everything known about the run, for a message.
    pub fn describe(&self) -> String {
        format!("{}: {}\nstdout: {}\nstderr: {}", self.command, self.status, self.stdout.trim(), self.stderr.trim())
    }
}

/// A file in memory that is closed on exec.
pub(crate) fn memory(name: &CStr) -> Result<File> {
    // SAFETY: the name ends in NUL; the descriptor that is returned is owned by nobody else.
    unsafe {
        let descriptor = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 { Err(Error::last_os("memfd_create")) } else { Ok(File::from_raw_fd(descriptor)) }
    }
}

/// All of a memory file, from its start.
pub(crate) fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    read.map_err(Error::during("read the output"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the process ended before the deadline; it is not reaped.
fn wait_end(pid: u32, deadline: Duration) -> Result<bool> {
    // SAFETY: pidfd_open takes integers; the descriptor that is returned is owned by nobody else.
    let process = unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if descriptor < 0 {
            return Err(Error::last_os("pidfd_open"));
        }
        File::from_raw_fd(descriptor as i32)
    };
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut wanted = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd is passed, which lives through the call.
        match unsafe { libc::poll(&mut wanted, 1, left.as_millis() as i32 + 1) } {
            0 => return Ok(false),
            1 => return Ok(true),
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            _ => return Err(Error::last_os("poll")),
        }
    }
}

/// Has the kernel kill this process when its parent ends. Of one that has ended already the kernel says nothing.
fn die_with(parent: u32) -> std::io::Result<()> {
    // SAFETY: prctl and getppid take integers at most.
    let (returned, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
    if returned < 0 {
        return Err(std::io::Error::last_os_error());
    }
    if u32::try_from(now) == Ok(parent) { Ok(()) } else { Err(std::io::Error::from_raw_os_error(libc::ESRCH)) }
}
