//! Plugins as shell scripts: everything a foreign program can do to its caller.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by its line")]

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cni::env::{Command, Env};
use cni::exec::{Exec, find, probe};
use cni::{Error, Invocation, Request, Version, code, delegate};

/// A directory with one plugin, `plugin`, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn with(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("netferry-exec-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        // Renamed into place: a file that some thread's child still holds open for writing cannot be executed.
        let made = std::process::Command::new("sh")
            .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", script])
            .arg(dir.join("plugin"))
            .status();
        assert!(made.unwrap().success());
        Self(dir)
    }

    fn plugin(&self) -> PathBuf {
        self.0.join("plugin")
    }

    fn run(&self, stdin: &[u8], timeout: Option<Duration>) -> Result<Vec<u8>, Error> {
        Exec { program: &self.plugin(), env: &env(&self.0), stdin, timeout }.run()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn env(dir: &Path) -> Env {
    Env {
        command: Command::Gc,
        container_id: String::new(),
        netns: None,
        ifname: String::new(),
        args: String::new(),
        path: vec![dir.to_owned()],
        netns_override: false,
    }
}

fn failed(script: &str) -> (u32, String, String) {
    let error = Dir::with(script).run(b"{}", None).unwrap_err();
    (error.code, error.msg, error.details)
}

fn is_running(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits for a process that has been killed and is about to be gone.
fn ends_soon(pid_file: &Path) -> bool {
    (0..100).any(|_| {
        thread::sleep(Duration::from_millis(10));
        !is_running(pid_file)
    })
}

#[test]
fn a_plugin_is_the_first_regular_file_of_its_name() {
    let dir = Dir::with("");
    let text = |plugin: &str, dirs: &[&str]| {
        let dirs: Vec<PathBuf> = dirs.iter().map(PathBuf::from).collect();
        find(plugin, &dirs).unwrap_err().msg
    };
    assert_eq!(text("", &["/a"]), "no plugin name provided");
    assert_eq!(text("a", &[]), "no paths provided");
    for bad in ["a/b", "/a", ".", "..", "../a"] {
        assert_eq!(text(bad, &["/a"]), format!("invalid plugin name: {bad}"));
    }
    assert_eq!(text("no-such", &["/a", "/b"]), r#"failed to find plugin "no-such" in path [/a /b]"#);
    fs::create_dir_all(dir.0.join("first/plugin")).unwrap();
    std::os::unix::fs::symlink(dir.plugin(), dir.0.join("link")).unwrap();
    let dirs = [dir.0.join("none"), dir.0.join("first"), dir.0.clone()];
    assert_eq!(find("plugin", &dirs), Ok(dir.plugin()), "a directory is passed over");
    assert_eq!(find("link", &dirs), Ok(dir.0.join("link")));
}

#[test]
fn the_environment_has_all_six_variables_and_the_callers() {
    let dir = Dir::with("env | grep ^CNI_ | sort; test -n \"$PATH\" && cat");
    let stdout = String::from_utf8(dir.run(b"stdin", None).unwrap()).unwrap();
    let path = format!("CNI_PATH={}", dir.0.display());
    let lines = ["CNI_ARGS=", "CNI_COMMAND=GC", "CNI_CONTAINERID=", "CNI_IFNAME=", "CNI_NETNS=", &path, "stdin"];
    assert_eq!(stdout, lines.join("\n"));
}

#[test]
fn more_than_a_pipe_holds_goes_both_ways() {
    let large = vec![b'x'; 1 << 20];
    let dir = Dir::with("head -c 300000 /dev/zero; head -c 300000 /dev/zero | tr '\\0' '\\n' >&2; cat");
    assert_eq!(dir.run(&large, None).unwrap().len(), 300_000 + large.len());
}

#[test]
fn a_plugin_need_not_read() {
    let large = vec![b'x'; 1 << 20];
    assert_eq!(Dir::with("exec 0<&-; echo ok").run(&large, None).unwrap(), b"ok\n");
    assert_eq!(Dir::with("echo ok").run(&large, None).unwrap(), b"ok\n");
}

#[test]
fn a_grandchild_that_keeps_the_pipes_does_not_block() {
    let start = Instant::now();
    let dir = Dir::with("sleep 5 & echo $! > \"$CNI_PATH/pid\"; echo ok; echo note >&2");
    assert_eq!(dir.run(b"{}", None).unwrap(), b"ok\n");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(is_running(&dir.0.join("pid")), "a daemon that a plugin leaves is not ours to end");
    let pid = fs::read_to_string(dir.0.join("pid")).unwrap();
    assert!(std::process::Command::new("kill").arg(pid.trim()).status().unwrap().success());
}

#[test]
fn a_hanging_plugin_is_ended_with_its_children() {
    let dir = Dir::with("sleep 60 & echo $! > \"$CNI_PATH/pid\"; echo waiting >&2; wait");
    let start = Instant::now();
    let error = dir.run(b"{}", Some(Duration::from_millis(300))).unwrap_err();
    let message = format!("plugin {} did not finish within 300ms and was killed", dir.plugin().display());
    assert_eq!((error.code, error.msg, error.details.as_str()), (code::INTERNAL, message, "stderr: waiting"));
    assert!(start.elapsed() < Duration::from_millis(1900), "SIGTERM is enough here");
    assert!(ends_soon(&dir.0.join("pid")));
}

#[test]
fn sigterm_can_be_ignored_and_sigkill_cannot() {
    let dir = Dir::with("trap '' TERM; sh -c 'echo $$ > \"$CNI_PATH/pid\"; while :; do sleep 1; done'");
    let start = Instant::now();
    assert!(dir.run(b"{}", Some(Duration::from_millis(200))).is_err());
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(ends_soon(&dir.0.join("pid")));
}

#[test]
fn only_a_plugin_with_a_limit_has_a_group_of_its_own() {
    let dir = Dir::with("read -r pid comm state ppid group rest < /proc/$$/stat; echo \"$pid $ppid $group\"");
    let numbers = |timeout| -> Vec<u32> {
        let stdout = String::from_utf8(dir.run(b"", timeout).unwrap()).unwrap();
        stdout.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    let [pid, parent, group] = numbers(Some(Duration::from_secs(10)))[..] else { panic!("three numbers") };
    assert_eq!((group, parent), (pid, std::process::id()));
    let [pid, _, group] = numbers(None)[..] else { panic!("three numbers") };
    assert_ne!(group, pid);
}

/// Runs itself as a caller that is killed while its plugin, and a daemon that the plugin started, are at work.
#[test]
fn a_plugin_dies_with_its_caller_and_a_daemon_of_its_own_lives_on() {
    if let Some(dir) = std::env::var_os("EXEC_VICTIM") {
        let dir = PathBuf::from(dir);
        let timeout = std::env::var_os("EXEC_TIMEOUT").map(|_| Duration::from_secs(60));
        let _ = Exec { program: &dir.join("plugin"), env: &env(&dir), stdin: b"", timeout }.run();
        return;
    }
    for timeout in [None, Some("60")] {
        let dir = Dir::with(
            "sleep 60 & echo $! > \"$CNI_PATH/daemon\"; echo $$ > \"$CNI_PATH/new\"; mv \"$CNI_PATH/new\" \"$CNI_PATH/pid\"; wait",
        );
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "a_plugin_dies_with_its_caller_and_a_daemon_of_its_own_lives_on";
        victim.args(["--exact", name]).env("EXEC_VICTIM", &dir.0).envs(timeout.map(|limit| ("EXEC_TIMEOUT", limit)));
        let mut victim = victim.stdout(std::process::Stdio::null()).spawn().unwrap();
        assert!((0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            dir.0.join("pid").exists()
        }));
        assert!(is_running(&dir.0.join("pid")));
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(ends_soon(&dir.0.join("pid")), "with a limit of {timeout:?}");
        assert!(is_running(&dir.0.join("daemon")));
        let daemon = fs::read_to_string(dir.0.join("daemon")).unwrap();
        assert!(std::process::Command::new("kill").arg(daemon.trim()).status().unwrap().success());
    }
}

#[test]
fn an_endless_answer_is_cut() {
    let (code, message, _) = failed("exec cat /dev/zero");
    assert_eq!(code, code::INTERNAL);
    assert!(message.ends_with("wrote more than 33554432 bytes to stdout and was killed"), "{message}");
}

#[test]
fn failures_keep_code_text_and_stderr() {
    let said = |script, message: &str, details: &str| {
        assert_eq!(failed(script), (code::INTERNAL, message.to_owned(), details.to_owned()));
    };
    said("exit 1", "netplugin failed with no error message: exit status 1", "");
    said("kill -9 $$", "netplugin failed with no error message: signal: killed", "");
    said("echo oh >&2; exit 2", "netplugin failed: \"oh\\n\": exit status 2", "");
    said(
        "echo oh >&2; echo no; exit 1",
        "netplugin failed but error parsing its diagnostic message \"no\\n\": \
         invalid character 'o' in literal null (expecting 'u')",
        "stderr: oh",
    );
    let json = r#"echo '{"code":11,"msg":"later","details":"d"}'; echo why >&2; exit 1"#;
    assert_eq!(failed(json), (11, "later".to_owned(), "d; stderr: why".to_owned()));
    assert_eq!(failed("echo '{}'; exit 1"), (0, String::new(), String::new()));
}

#[test]
fn what_cannot_be_run_is_an_error() {
    let dir = Dir::with("");
    fs::set_permissions(dir.plugin(), Permissions::from_mode(0o644)).unwrap();
    let error = dir.run(b"", None).unwrap_err();
    assert!(error.msg.starts_with("failed to run plugin ") && error.msg.contains("Permission denied"), "{error}");
}

#[test]
fn a_busy_binary_is_waited_for_and_then_an_error() {
    let dir = Dir::with("echo ok");
    let writer = File::options().append(true).open(dir.plugin()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1500));
            drop(writer);
        });
        assert_eq!(dir.run(b"", None).unwrap(), b"ok\n");
    });
    let writer = File::options().append(true).open(dir.plugin()).unwrap();
    let error = dir.run(b"", None).unwrap_err();
    assert!(error.msg.contains("Text file busy"), "{error}");
    drop(writer);
}

#[test]
fn versions_are_probed() {
    let versions = |script: &str| probe(&Dir::with(script).plugin(), Some(Duration::from_secs(10)));
    let new = r#"test "$CNI_COMMAND $CNI_NETNS $CNI_IFNAME $CNI_PATH $CNI_ARGS" = 'VERSION dummy dummy dummy ' &&
        grep -q '^{"cniVersion":"1.1.0"}$' && echo '{"cniVersion":"1.1.0","supportedVersions":["0.4.0","9.9.9"]}'"#;
    assert_eq!(versions(new).unwrap(), ["0.4.0", "9.9.9"]);
    let old = r#"echo '{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}'; echo usage >&2; exit 1"#;
    assert_eq!(versions(old).unwrap(), ["0.1.0"]);
    assert_eq!(versions(r#"echo '{"cniVersion":"0.2.0"}'"#).unwrap(), ["0.1.0", "0.2.0"]);
    let message = |script| versions(script).unwrap_err().msg;
    assert_eq!(message("echo '{}'"), "decoding version info: missing field cniVersion");
    let no_list = r#"echo '{"cniVersion":"1.0.0"}'"#;
    assert_eq!(message(no_list), "decoding version info: missing field supportedVersions");
    assert_eq!(message("exit 3"), "netplugin failed with no error message: exit status 3");
}

#[test]
fn a_delegate_gets_the_callers_call() {
    let script = r#"cat > "$CNI_PATH/$CNI_COMMAND"; echo "$CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >> "$CNI_PATH/$CNI_COMMAND"
        test "$CNI_COMMAND" != DEL || { echo '{"code":11,"msg":"later"}'; exit 1; }
        echo '{"ips":[{"address":"10.0.0.2/24","interface":-1}]}'"#;
    let dir = Dir::with(script);
    let stdin = br#"{"name":"n","cniVersion":"1.1.0","ipam":{"type":"plugin","n":9007199254740993}}"#;
    let lookup = |name: &str| {
        Some(match name {
            "CNI_COMMAND" => "ADD".into(),
            "CNI_CONTAINERID" => "c1".into(),
            "CNI_IFNAME" => "eth0".into(),
            "CNI_NETNS" => "/n".into(),
            "CNI_PATH" => dir.0.clone().into_os_string(),
            _ => OsString::new(),
        })
    };
    let Ok(Invocation::Request(request)) = Request::read(lookup, || Ok(stdin.to_vec()), &Version::ALL) else {
        panic!("the call is valid");
    };
    let result = delegate::add("plugin", &request).unwrap();
    assert_eq!((result.ips[0].address.to_string().as_str(), result.ips[0].interface), ("10.0.0.2/24", Some(-1)));
    delegate::check("plugin", &request).unwrap();
    delegate::gc("plugin", &request).unwrap();
    delegate::status("plugin", &request).unwrap();
    assert_eq!(delegate::del("plugin", &request).unwrap_err(), Error::new(11, "later"));
    for verb in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
        let seen = fs::read(dir.0.join(verb)).unwrap();
        assert_eq!(seen, [&stdin[..], b"c1 eth0 /n\n"].concat(), "{verb}");
    }
    let silent = Dir::with("exit 0");
    let mut request = request;
    request.env.path = vec![silent.0.clone()];
    let message = "failed to unmarshal raw result: unexpected end of JSON input";
    assert_eq!(delegate::add("plugin", &request).unwrap_err().msg, message);
}
