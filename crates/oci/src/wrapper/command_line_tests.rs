use proptest::prelude::*;

use super::*;

fn call(line: &str) -> Call {
    read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
}

fn config(line: &str) -> Option<String> {
    match call(line).verb {
        Verb::Create(container) => Some(container.config.to_str().unwrap().to_owned()),
        Verb::Features | Verb::Other => None,
    }
}

#[test]
fn the_configuration_as_engines_ask_for_it() {
    for (line, expected) in [
        ("create id", "config.json"),
        ("run id", "config.json"),
        ("create --bundle /b id", "/b/config.json"),
        ("create --bundle=/b id", "/b/config.json"),
        ("create -b /b id", "/b/config.json"),
        ("create --bundle= id", "config.json"),
        // containerd, podman, CRI-O and Docker.
        (
            "--root /run/containerd/runc/k8s.io --log /l/log.json --log-format json --systemd-cgroup create \
             --bundle /b --pid-file /b/init.pid --console-socket /b/pty.sock id",
            "/b/config.json",
        ),
        ("--cgroup-manager systemd --log-format=json --log /l create --bundle /b --pid-file /p id", "/b/config.json"),
        ("--systemd-cgroup --root=/run/runc create --bundle /b --pid-file /p id", "/b/config.json"),
        ("--debug --criu /c --rootless auto --root r run -d --keep --no-pivot -b b id", "b/config.json"),
        // As Go reads flags.
        ("-debug -root=/r -log /l create -bundle /b id", "/b/config.json"),
        ("-debug=false create id -bundle=/b", "/b/config.json"),
        ("create id --preserve-fds 3 -b=/b", "/b/config.json"),
        ("create --bundle --no-pivot id", "--no-pivot/config.json"),
        ("create --bundle /a --bundle /b id", "/b/config.json"),
        // As getopt does.
        ("-vfoo create id", ""),
        ("--cgroup=cgroupfs --rootl true create --bun /b id", "/b/config.json"),
        ("create -b/b id", "/b/config.json"),
        ("run -db /b id", "/b/config.json"),
        ("run -b= id", "config.json"),
        ("run -df /c.json -b /b id", "/c.json"),
        ("create --config other.json --bundle /b id", "other.json"),
        ("create --config=config.json --bundle /b id", "/b/config.json"),
        ("create --config=./config.json --bundle /b id", "./config.json"),
        // youki.
        ("-s -r /r -l /l create -p /p -b /b id", "/b/config.json"),
        ("create -b /b -c -b id", "/b/config.json"),
        // Words that only look like flags, or like commands.
        ("--root create run -b /b id", "/b/config.json"),
        ("-- create -b /b id", "/b/config.json"),
        ("create -b /b -- -b /c", "/b/config.json"),
        ("create -b /b - id", "/b/config.json"),
        ("create --pid-file --bundle -b /b id", "/b/config.json"),
        ("create --con /c -b /b id", "/b/config.json"),
        // Nobody knows these.
        ("--new --newer=x create --newest -b /b id", "/b/config.json"),
        ("--new x create -b /b id", ""),
    ] {
        assert_eq!(config(line).unwrap_or_default(), expected, "{line}");
    }
}

#[test]
fn other_calls() {
    for line in [
        "",
        "--",
        "create",
        "create --bundle /b",
        "start id",
        "state create",
        "delete --force id",
        "exec --bundle /b id create",
        "restore --bundle /b id",
        "--version create",
        "-v create",
        "--root /r --help create",
        "create --help",
        "create -b /b -h",
        "run -d?",
        "features --help",
        "--root features",
        "createx id",
        "--bundle",
    ] {
        assert_eq!(call(line).verb, Verb::Other, "{line}");
    }
    assert_eq!(call("--root /r features").verb, Verb::Features);
    assert_eq!(call("features").verb, Verb::Features);
    // A value that is missing is for the runtime to miss.
    assert_eq!(config("create id --bundle").unwrap(), "config.json");
    assert_eq!(call("--log").log, None);
}

#[test]
fn the_container() {
    for (line, id, bundle) in [
        ("create id", "id", ""),
        ("create -b /b id --pid-file /p", "id", "/b"),
        ("run -df /c.json -b=/b -- -x", "-x", "/b"),
        ("run --new value id", "id", ""),
    ] {
        let Verb::Create(container) = call(line).verb else { panic!("{line}") };
        assert_eq!((&*container.id, container.bundle.to_str()), (id, Some(bundle)), "{line}");
    }
}

#[test]
fn the_words_before_the_subcommand() {
    for (line, expected) in [
        ("create id", ""),
        (
            "--debug --root /r -s --log /l --log-format=json --criu=x -- create --root id",
            "--debug --root /r -s --criu=x",
        ),
        ("-log=/l -new -r/r create id", "-new -r/r"),
    ] {
        let global: Vec<_> = call(line).global.into_iter().map(|word| word.into_string().unwrap()).collect();
        assert_eq!(global.join(" "), expected, "{line}");
    }
}

#[test]
fn the_log() {
    for (line, log, format) in [
        ("--log /l --log-format json create id", Some("/l"), Format::Json),
        ("--log=/l --log-format=text create id", Some("/l"), Format::Text),
        ("-log /l create --log /m id", Some("/l"), Format::Text),
        ("--log file:/l --log-format json --log-format text run id", Some("/l"), Format::Text),
        ("--log syslog:x --log-format json create id", None, Format::Json),
        ("--log journald: create id", None, Format::Text),
        ("--log= create id", None, Format::Text),
        ("create id", None, Format::Text),
    ] {
        let call = call(line);
        assert_eq!((call.log, call.format), (log.map(PathBuf::from), format), "{line}");
    }
}

/// A word, likely one that means something.
fn word() -> impl Strategy<Value = OsString> {
    use std::os::unix::ffi::OsStringExt;
    let known = ["create", "run", "features", "--", "-", "-b", "--bundle", "--bundle=/b", "-f", "--log", "-h", "=", ""];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(OsString::from),
        proptest::collection::vec(1_u8.., 0..6).prop_map(OsString::from_vec),
        proptest::collection::vec(1_u8.., 0..4).prop_map(|end| OsString::from_vec([b"--", &end[..]].concat())),
    ]
}

proptest! {
    #[test]
    fn whatever_the_words_are(words in proptest::collection::vec(word(), 0..8)) {
        read(&words);
    }

    /// What stands before the subcommand changes nothing of what stands behind it.
    #[test]
    fn flags_before_the_subcommand_are_no_others(
        known in proptest::sample::subsequence(
            vec!["--debug", "--root=/r", "--log /l", "--systemd-cgroup", "-log-format json", "--criu=x", "--new=y"], 0..7,
        ),
        words in proptest::collection::vec(word(), 0..6),
    ) {
        let behind: Vec<OsString> = std::iter::once("create".into()).chain(words).collect();
        let before = known.iter().flat_map(|flag| flag.split(' ')).map(OsString::from);
        let whole: Vec<OsString> = before.chain(behind.iter().cloned()).collect();
        prop_assert_eq!(read(&whole).verb, read(&behind).verb);
    }
}
