//! The node: this process is in a network and a mount namespace of its own, and what plays containers is in it too.
//!
//! Everything here goes with the last process: tmpfs, named namespaces, links, tables. The programs are iproute2's, so
//! that nothing measured has a part in the setting-up or in the looking.

use crate::bench::contender::Contender;
use crate::bench::options::Options;
use crate::suite::Fetched;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's containernetworking-plugins.
const GO: &str = "/usr/lib/cni";
/// Real-time priority for everybody in the race: what else a busy machine does shall not decide it (`sched(7)`).
const PREFERRED: [&str; 3] = ["chrt", "--fifo", "10"];
/// Where plugins and runtimes find the machine's programs.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the contenders are, and which there are.
pub struct Node {
    /// Our plugins, under their names.
    pub plugins: PathBuf,
    /// The floor program.
    pub floor: PathBuf,
    /// The Go plugins of Debian sid, where a row needs them.
    sid: Option<PathBuf>,
    contenders: Vec<Contender>,
}

impl Node {
    /// Sets up the namespaces that this process was started in: see [`enter`].
    ///
    /// # Errors
    /// These are the machine's own, or a mount fails.
    pub fn set_up(plugins: &Path, floor: &Path, sid: Option<&Fetched>) -> Result<Node, String> {
        let root = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        if root("self") == root("1") {
            return Err("this is the machine's own network namespace".to_owned());
        }
        for (kind, at) in [("tmpfs", "/run"), ("sysfs", "/sys"), ("tmpfs", "/var/lib/cni")] {
            if kind == "tmpfs" {
                std::fs::create_dir_all(at).map_err(|error| format!("{at}: {error}"))?;
            }
            run(&["mount", "-t", kind, "none", at])?;
        }
        run(&["ip", "link", "set", "lo", "up"])?;
        let sid = sid.map(|sid| sid.directory.join("usr/lib/cni"));
        let mut contenders = vec![Contender::Ours, Contender::Floor];
        contenders.extend(sid.iter().map(|_| Contender::GoSid));
        let mut node = Node { plugins: plugins.into(), floor: floor.into(), sid, contenders };
        std::fs::create_dir_all("/run/bench").map_err(|error| format!("/run/bench: {error}"))?;
        for (who, variant) in [(Contender::Go, "nft"), (Contender::GoLegacy, "legacy")] {
            if backend(who, variant)? {
                node.contenders.push(who);
            }
        }
        for who in &node.contenders {
            node.container(who.name())?;
            node.container(who.resident())?;
        }
        // The plugins make their own.
        run(&["ip", "link", "add", &Contender::Floor.bridge(), "type", "bridge"])?;
        run(&["ip", "link", "set", &Contender::Floor.bridge(), "up"])?;
        Ok(node)
    }

    /// Makes a container's namespace.
    ///
    /// # Errors
    /// iproute2's words.
    pub fn container(&self, name: &str) -> Result<(), String> {
        run(&["ip", "netns", "add", name]).map(drop)
    }

    /// Whether this machine has `who`.
    pub fn has(&self, who: Contender) -> bool {
        self.contenders.contains(&who)
    }

    /// A command that is `plugin` of `who`, with an environment that is the same but for the search paths.
    pub fn plugin(&self, who: Contender, plugin: &str) -> Command {
        let directory = match (who, &self.sid) {
            (Contender::Ours, _) => &self.plugins,
            (Contender::GoSid, Some(sid)) => sid,
            _ => Path::new(GO),
        };
        let mut command = Command::new(directory.join(plugin));
        command.env_clear().env("CNI_PATH", directory);
        command.env("PATH", format!("{}:{PATH}", backend_directory(who)));
        command
    }
}

/// The same program again, in namespaces of its own.
///
/// # Errors
/// It failed, and has said why.
pub fn enter(plugins: &Path, floor: &Path, options: &Options) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("unshare");
    if run(&[&PREFERRED[..], &["true"]].concat()).is_ok() {
        command = Command::new(PREFERRED[0]);
        command.args(&PREFERRED[1..]).arg("unshare");
    }
    command.args(["--net", "--mount", "--propagation", "private", "--"]).arg(this);
    command.arg("bench").arg("--inside").args([plugins, floor]).args(["--n", &options.n.to_string()]);
    if let Some(sid) = &options.sid {
        command.arg("--sid").arg(&sid.directory).arg(&sid.version);
    }
    if let Some(oci) = &options.oci {
        command.arg("--oci").args([&oci.netferry, &oci.crun, &oci.runc, &oci.rootfs]);
    }
    command.args(options.only.iter().flat_map(|only| ["--only", only]));
    command.args(options.quick.then_some("--quick")).args(options.json.then_some("--json"));
    let status = command.status().map_err(|error| format!("unshare: {error}"))?;
    if status.success() { Ok(()) } else { Err("the measurement failed".to_owned()) }
}

/// Runs a program of the machine and returns what it printed.
///
/// # Errors
/// It failed; with its words.
pub fn run(words: &[&str]) -> Result<String, String> {
    let line = words.join(" ");
    let (program, arguments) = words.split_first().ok_or("nothing to run")?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Makes `iptables` mean one of its two programs for `who`; false if the machine lacks it.
fn backend(who: Contender, variant: &str) -> Result<bool, String> {
    let directory = backend_directory(who);
    std::fs::create_dir_all(&directory).map_err(|error| format!("{directory}: {error}"))?;
    for name in ["iptables", "ip6tables"] {
        let program = format!("/usr/sbin/{name}-{variant}");
        if !Path::new(&program).exists() || !Path::new(GO).join("bridge").exists() {
            return Ok(false);
        }
        let link = format!("{directory}/{name}");
        std::os::unix::fs::symlink(&program, &link).map_err(|error| format!("{link}: {error}"))?;
    }
    Ok(true)
}

fn backend_directory(who: Contender) -> String {
    format!("/run/bench/path-{}", who.name())
}
