//! The rows of OCI containers: `run` of one whose program ends at once, with a device of the node that comes home, with one
//! that ends with it, and without any; and `create` and `delete`, of which engines make a container's life.
//!
//! The same bundle, but for names, runs by crun or runc alone, which move `linux.netDevices` themselves, and by the same behind
//! netferry. crun makes no cgroup, runc one for each container, and a run that left one is an error. Proof is by iproute2's
//! words, by what the container sees in a first, untimed call, and by the carrier that a device's peer loses when the device
//! moves. See config-linux.md of the runtime specification, and crun(1).

mod device;

use crate::bench::call::{Done, settle, timed};
use crate::bench::contender::Contender::{self, Crun, Ours, Runc};
use crate::bench::node::{PATH, run};
use crate::bench::options::{Oci, Options};
use crate::bench::stats::Results;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The rows.
const ROWS: [Row; 6] = [
    Row { key: "oci", peer: Crun, device: Device::Lent, by_hook: false },
    Row { key: "oci-home", peer: Crun, device: Device::Returned, by_hook: false },
    Row { key: "oci-given", peer: Crun, device: Device::Given, by_hook: false },
    Row { key: "oci-hook", peer: Crun, device: Device::Given, by_hook: true },
    Row { key: "oci-plain", peer: Crun, device: Device::None, by_hook: false },
    Row { key: "oci-runc", peer: Runc, device: Device::Lent, by_hook: false },
];
/// The operations, as the runtime calls them.
const RUN: &str = "run";
/// See [`RUN`].
const CREATE: &str = "create";
/// See [`RUN`].
const DELETE: &str = "delete";
/// Where the runtimes keep what they know of containers.
const ROOT: &str = "/run/bench/oci-root";
/// What names of containers begin with: nobody else on the machine may call a cgroup so.
const PREFIX: &str = "netferry-bench-oci";
/// netferry, by a name that puts it in front of a runtime.
const WRAPPER: &str = "/run/bench/netferry-runtime";
const CGROUP: &str = "/sys/fs/cgroup";
/// The kernel takes a namespace apart when its last user has gone, holding RTNL and waiting for grace periods: nobody's next
/// call is to meet that.
const TEARDOWN: Duration = Duration::from_millis(150);
/// What the container's program is in the calls that count.
const TRUE: [&str; 1] = ["/bin/true"];
/// What it is in the call that tells what the container sees.
const LOOK: [&str; 4] = ["/bin/cat", "/proc/net/dev", "/proc/net/fib_trie", "/proc/net/if_inet6"];

/// What the containers of a row have.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// What the row is called.
    key: &'static str,
    /// The runtime: alone, and behind netferry.
    peer: Contender,
    /// A device of the node.
    device: Device,
    /// The runtime alone calls our hook, which is told of the device, as CDI has it.
    by_hook: bool,
}

/// What becomes of the device of the node that a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    /// There is none.
    None,
    /// It ends with the container, for both.
    Given,
    /// netferry brings it home; with the runtime alone it ends with the container.
    Lent,
    /// Both bring it home, from a namespace that outlives the container: behind the runtime alone, iproute2 does, which counts.
    Returned,
}

/// Whether any row of this file was asked for.
pub fn is_wanted(options: &Options) -> bool {
    ROWS.iter().any(|row| options.wants(row.key))
}

/// Measures the rows that were asked for.
///
/// # Errors
/// Any call fails or did not do what it said, or one left a cgroup.
pub fn measure(options: &Options, results: &mut Results) -> Result<(), String> {
    let Some(oci) = &options.oci else { return Ok(()) };
    symlink(&oci.netferry, WRAPPER).map_err(|error| format!("{WRAPPER}: {error}"))?;
    show_cgroups()?;
    for row in ROWS.into_iter().filter(|row| options.wants(row.key)) {
        eprintln!("{}", row.key);
        compare(oci, options.n, row, results)?;
    }
    prove_no_cgroup(Path::new(CGROUP))
}

/// Lets both run the container in turn, as `rows::alternate` does; one whose device is lent is created and deleted besides.
fn compare(oci: &Oci, n: usize, row: Row, results: &mut Results) -> Result<(), String> {
    let warm = (n / 10).max(2);
    let contenders = [Ours, row.peer];
    let comes_and_goes = row.device == Device::Lent;
    let ops: &[&str] = if comes_and_goes { &[RUN, CREATE, DELETE] } else { &[RUN] };
    let mut samples = contenders.map(|_| vec![Vec::new(); ops.len()]);
    for round in 0..warm + n {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let (Some(who), Some(taken)) = (contenders.get(at), samples.get_mut(at)) else { continue };
            let container = Container { oci, who: *who, row };
            let fail = |error| format!("{}, {}: {error}", row.key, who.name());
            if round == 0 {
                container.look().map_err(fail)?;
            }
            let mut times = vec![container.run(&TRUE).map_err(fail)?.milliseconds];
            if comes_and_goes {
                times.extend(container.come_and_go().map_err(fail)?);
            }
            if round >= warm {
                taken.iter_mut().zip(times).for_each(|(taken, time)| taken.push(time));
            }
        }
    }
    for (who, taken) in contenders.iter().zip(&samples) {
        for (op, times) in ops.iter().zip(taken) {
            results.put(row.key, op, who.name(), "ms", times);
        }
        device::remove(*who)?;
    }
    Ok(())
}

/// One container, and who runs it.
struct Container<'a> {
    oci: &'a Oci,
    who: Contender,
    row: Row,
}

impl Container<'_> {
    /// Runs it with `program` to its end, proven.
    fn run(&self, program: &[&str]) -> Result<Done, String> {
        let carrier = self.make(program)?;
        let mut done = self.call(&[RUN, "--bundle", &self.bundle(), &self.id()])?;
        if self.row.device == Device::Returned && self.who != Ours {
            done.milliseconds += device::bring_home(self.who, &self.id())?;
        }
        self.prove_end(carrier)?;
        Ok(done)
    }

    /// Creates it and, as its program has yet to begin, deletes it, proven; returns the milliseconds of both.
    fn come_and_go(&self) -> Result<[f64; 2], String> {
        let carrier = self.make(&TRUE)?;
        let created = self.call(&[CREATE, "--bundle", &self.bundle(), &self.id()])?;
        let stayed = device::is_there(&self.who.device());
        // Whatever was found: nobody else would end its process.
        let deleted = self.call(&[DELETE, "--force", &self.id()])?;
        if stayed {
            return Err(format!("{} was in no container: it was still on the node", self.who.device()));
        }
        self.prove_end(carrier)?;
        Ok([created.milliseconds, deleted.milliseconds])
    }

    /// Makes what it takes; returns how often the device's peer has lost and got its carrier.
    fn make(&self, program: &[&str]) -> Result<u64, String> {
        if self.has_device() {
            device::make(self.who)?;
        }
        if self.row.device == Device::Returned {
            run(&["ip", "netns", "add", &self.id()])?;
        }
        let bundle = PathBuf::from(self.bundle());
        let config = bundle.join("config.json");
        // Ours has replaced the one before.
        let written =
            std::fs::create_dir_all(&bundle).and_then(|()| std::fs::write(&config, self.configuration(program)));
        written.map_err(|error| format!("{}: {error}", config.display()))?;
        if self.has_device() { device::carrier_changes(self.who) } else { Ok(0) }
    }

    fn has_device(&self) -> bool {
        self.row.device != Device::None
    }

    /// One call of the runtime, timed.
    fn call(&self, words: &[&str]) -> Result<Done, String> {
        timed(self.command().arg("--version"), "")?;
        settle();
        let without_cgroup = (self.row.peer == Crun).then_some("--cgroup-manager=disabled");
        timed(self.command().args(["--root", ROOT]).args(without_cgroup).args(words), "")
    }

    /// Looks whether nothing is left of it, and what has become of the device.
    fn prove_end(&self, carrier_before: u64) -> Result<(), String> {
        let left = Path::new(ROOT).join(self.id());
        if left.exists() {
            return Err(format!("{} is left of the container", left.display()));
        }
        match self.row.device {
            Device::None => {}
            Device::Lent if self.who == Ours => device::prove_home(self.who, carrier_before)?,
            Device::Given | Device::Lent => device::prove_gone(self.who)?,
            Device::Returned => {
                device::prove_home(self.who, carrier_before)?;
                run(&["ip", "netns", "delete", &self.id()])?;
            }
        }
        std::thread::sleep(TEARDOWN);
        Ok(())
    }

    /// Runs it once for what it sees: its device with both addresses, or none.
    fn look(&self) -> Result<(), String> {
        let seen = self.run(&LOOK)?.stdout;
        let subnet = self.who.subnet();
        let words = ["net0:".to_owned(), format!("10.{subnet}.3.5"), format!("fd00{subnet:0>4}0003{:0>20}", 5)];
        // runc alone loses what is not IPv4.
        let words = if self.who == Runc { &words[..2] } else { &words[..] };
        match words.iter().find(|word| seen.contains(word.as_str()) != self.has_device()) {
            Some(word) if self.has_device() => Err(format!("the container lacks {word}:\n{seen}")),
            Some(word) => Err(format!("the container has {word}:\n{seen}")),
            None => Ok(()),
        }
    }

    fn id(&self) -> String {
        format!("{PREFIX}-{}", self.who.name())
    }

    fn bundle(&self) -> String {
        format!("/run/bench/{}", self.id())
    }

    fn command(&self) -> Command {
        let runtime = if self.row.peer == Runc { &self.oci.runc } else { &self.oci.crun };
        let is_wrapped = self.who == Ours && !self.row.by_hook;
        let mut command = Command::new(if is_wrapped { Path::new(WRAPPER) } else { runtime });
        command.env_clear().env("PATH", PATH);
        if is_wrapped {
            command.env("NETFERRY_RUNTIME", runtime);
        }
        command
    }

    /// The container's `config.json`: what runs without controllers for resources.
    fn configuration(&self, program: &[&str]) -> String {
        let annotations = match self.row.device {
            Device::Given => r#","annotations":{"dev.netferry.restore":"none"}"#,
            _ => "",
        };
        let path = match self.row.device {
            Device::Returned => format!(r#","path":"/run/netns/{}""#, self.id()),
            _ => String::new(),
        };
        let (device, is_hooked) = (self.who.device(), self.who == Ours && self.row.by_hook);
        let devices = match self.has_device() && !is_hooked {
            true => format!(r#","netDevices":{{"{device}":{{"name":"net0"}}}}"#),
            false => String::new(),
        };
        let hooks = match is_hooked {
            true => format!(
                r#","hooks":{{"createRuntime":[{{"path":{:?},"args":["netferry","oci","hook","--device={device}=net0"]}}]}}"#,
                self.oci.netferry
            ),
            false => String::new(),
        };
        let program = program.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"ociVersion":"1.0.2",
"process":{{"cwd":"/","user":{{"uid":0,"gid":0}},"args":[{program}],"env":["PATH=/bin"]}},
"root":{{"path":{:?},"readonly":true}},
"mounts":[{{"destination":"/proc","type":"proc","source":"proc"}},{{"destination":"/dev","type":"tmpfs","source":"tmpfs",
"options":["nosuid","mode=755","size=64k"]}}],
"linux":{{"namespaces":[{{"type":"pid"}},{{"type":"mount"}},{{"type":"ipc"}},{{"type":"uts"}},{{"type":"network"{path}}}]{devices}}}{hooks}{annotations}}}"#,
            self.oci.rootfs
        )
    }
}

/// Shows a cgroup2 hierarchy to this mount namespace, since crun runs in no hybrid one. The kernel
/// mounts nothing upon itself: hence the tmpfs between.
fn show_cgroups() -> Result<(), String> {
    run(&["mount", "-t", "tmpfs", "tmpfs", CGROUP])?;
    run(&["mount", "-t", "cgroup2", "cgroup2", CGROUP])?;
    prove_no_cgroup(Path::new(CGROUP))
}

/// Looks whether any cgroup of the machine is called like a container of ours.
fn prove_no_cgroup(below: &Path) -> Result<(), String> {
    // Others come and go meanwhile.
    let Ok(entries) = std::fs::read_dir(below) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains(PREFIX)) {
            return Err(format!("the cgroup {} was left; remove it with rmdir", path.display()));
        }
        prove_no_cgroup(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_differ_in_names_alone() {
        let [netferry, crun, runc, rootfs] = ["/netferry", "/crun", "/runc", "/rootfs"].map(PathBuf::from);
        let oci = Oci { netferry, crun, runc, rootfs };
        for row in ROWS.into_iter().filter(|row| !row.by_hook) {
            let of = |who| Container { oci: &oci, who, row }.configuration(&TRUE);
            let device = row.peer.device();
            let name = format!("{PREFIX}-{}", row.peer.name());
            let ours = of(row.peer).replace(&device, "d-netferry").replace(&name, "netferry-bench-oci-netferry");
            assert_eq!(of(Ours), ours);
            let devices = format!(r#"}}],"netDevices":{{"{device}":{{"name":"net0"}}}}}}"#);
            assert_eq!(of(row.peer).contains(&devices), row.device != Device::None, "{row:?}");
            let gives = of(row.peer).ends_with(r#"}},"annotations":{"dev.netferry.restore":"none"}}"#);
            assert_eq!(gives, row.device == Device::Given, "{row:?}");
            let is_there = of(row.peer).contains(&format!(r#""network","path":"/run/netns/{name}""#));
            assert_eq!(is_there, row.device == Device::Returned, "{row:?}");
        }
    }
}
