//! netferry in front of a runtime: what the runtime is given, what becomes of `config.json`, and what callers are told.
//! The runtime writes down everything that it can see of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A runtime called `rt` that records what it is given in /run/seen, and a bundle that asks for a device.
const SETUP: &str = r#"
ip link add eth1 type veth peer name p1; ip link add eth2 type veth peer name p2
mkdir /run/rt /run/seen /run/b; ln -s "$NETFERRY" /run/bin/netferry-rt; PATH=/run/rt:/run/bin:$PATH
cat > /run/rt/rt <<'END'
#!/bin/sh
cd -P . && pwd > /run/seen/cwd; echo $$ > /run/seen/pid; for word in "$@"; do printf '[%s]' "$word"; done > /run/seen/args
cat /proc/$$/environ > /run/seen/env; umask > /run/seen/umask
exit 42
END
chmod +x /run/rt/rt
cat > /run/b/config.json <<'END'
{
  "ociVersion": "1.3.0",
  "linux": {
    "namespaces": [{"type": "network"}],
    "netDevices": {"eth1": {"name": "net%d"}, "eth2": {}}
  },
  "number": 1e400
}
END
cp /run/b/config.json /run/asked
identity() { stat -c '%i %a %u %g' /run/b/config.json; }
hook() { tr -d '\n ' < /run/b/config.json | grep -o "\"$1\":\[\({[^}]*},*\)*\]" | sed 's/"path":"[^"]*",//g'; }
seen() { cat /run/seen/args; rm /run/seen/args; }
"#;

/// Runs `script` after [`SETUP`]; it must print `expected`.
fn expect(script: &str, expected: &str) -> host::Ended {
    host::expect(&format!("{SETUP}{script}"), expected)
}

#[test]
fn the_runtime_is_given_everything_as_if_nobody_stood_before_it() {
    let script = r#"
        echo '{}' > /run/b/config.json; cd /run/conf; umask 27
        both() {
            for way in rt netferry-rt; do
                env -i PATH="$PATH" A= 'B=x y' $way "$@"
                echo $?; rm /run/seen/pid; mkdir /run/seen-$way; mv /run/seen/* /run/seen-$way
            done
            diff -r /run/seen-rt /run/seen-netferry-rt && echo same $(ls /run/seen-rt | wc -l); rm -r /run/seen-*
        }
        both create --bundle /run/b --console-socket /run/pty.sock 'a  b' ''; both --root /r state id; both; both --new --bundle; both features x
        sh -c 'echo $$; exec netferry-rt start' > /run/pid; cmp /run/pid /run/seen/pid && echo one process
        # A shell has signals and descriptors of its own.
        for word in grep ls; do ln -s "$NETFERRY" /run/bin/netferry-$word; done
        status() { env --block-signal=USR1 --ignore-signal=HUP --default-signal=PIPE $1 'Sig[BI]\|NoNew\|CapAmb' /proc/self/status; }
        status grep > /run/1; status netferry-grep > /run/2; cmp /run/1 /run/2 && grep Sig /run/2 | grep -o '....$'
        open() { $1 -l /proc/self/fd 7> /run/seven 9< /run/1 | grep -o '[0-9]* -> [^0-9]*'; }
        open ls > /run/1; open netferry-ls > /run/2; cmp /run/1 /run/2 && grep -c '^[79] ' /run/2"#;
    expect(script, &format!("{}one process\n0200\n0001\n2", "42\n42\nsame 4\n".repeat(5)));
}

#[test]
fn signals_reach_the_runtime_and_its_end_the_caller() {
    let script = r#"
        printf '#!/bin/sh\ntrap "exit 7" TERM; echo ready; while :; do sleep 0.01; done\n' > /run/rt/rt
        mkfifo /run/pipe; netferry-rt run id > /run/pipe & read ready < /run/pipe; kill -TERM $!; wait $!; echo $?
        printf '#!/bin/sh\nkill -KILL $$\n' > /run/rt/rt; (netferry-rt start id) 2> /dev/null; echo $?
        printf '#!/bin/sh\nyes | head -1; kill -PIPE $$; echo ignored\n' > /run/rt/rt; (netferry-rt start id) 2> /dev/null; echo $?"#;
    expect(script, "7\n137\ny\n141");
}

/// netferry is beside it then, and what it is given is the same but for its process.
#[test]
fn a_runtime_that_creates_a_container_with_devices_is_given_everything_too() {
    let script = r#"
        netferry-rt create -b /run/b id > /dev/null; rm /run/seen/*; cd /run/conf; umask 27
        # A shell has signals of its own once it has had a child.
        sed -i 's,^cd,while read line; do case $line in Sig[BI]*|NoNew*|CapAmb*) echo $line;; esac; done < /proc/$$/status > /run/seen/status\n&,' /run/rt/rt
        sed -i 's,^exit,ls -l /proc/$$/fd | grep -o " [79] -> [^0-9]*" > /run/seen/open; cat; &,' /run/rt/rt
        both() {
            for way in rt netferry-rt; do
                echo said | env -i PATH="$PATH" LISTEN_PID=1 env --block-signal=USR1 --ignore-signal=HUP --default-signal=PIPE $way "$@" 7> /run/seven 9< /run/asked
                echo $?; rm /run/seen/pid; mkdir /run/seen-$way; mv /run/seen/* /run/seen-$way
            done
            diff -r /run/seen-rt /run/seen-netferry-rt && echo same $(ls /run/seen-rt | wc -l); grep Sig /run/seen-rt/status | grep -o '....$'; cat /run/seen-rt/open; rm -r /run/seen-*
        }
        both --debug create --bundle /run/b --console-socket /run/pty.sock 'a  b'; both run -b /run/b id"#;
    let seen = "said\n42\nsaid\n42\nsame 6\n0200\n0001\n 7 -> /run/seven\n 9 -> /run/asked\n";
    expect(script, &seen.repeat(2));
}

/// One that dies takes the runtime along; one that is told something tells the runtime.
#[test]
fn netferry_beside_a_runtime_is_as_the_runtime_to_its_caller() {
    let script = r#"
        netferry-rt create -b /run/b id > /dev/null; rt() { printf '#!/bin/sh\n%s\n' "$1" > /run/rt/rt; }; create="netferry-rt create -b /run/b id"; mkfifo /run/pipe
        rt 'trap "exit 7" TERM; trap "exit 8" RTMIN+3; echo ready; while :; do sleep 0.01; done'; sed -i 's|/bin/sh|/bin/bash|' /run/rt/rt
        $create > /run/pipe & read ready < /run/pipe; kill -TERM $!; wait $!; echo $?
        $create > /run/pipe & read ready < /run/pipe; kill -RTMIN+3 $!; wait $!; echo $?
        rt 'kill -KILL $$'; ($create) 2> /dev/null; echo $?
        rt 'kill -PIPE $$; echo ignored'; ($create) 2> /dev/null; echo $?
        rt 'echo $$; exec sleep 1000'; $create > /run/pipe & read pid < /run/pipe; kill -KILL $!; wait $! 2> /dev/null; echo $?
        for turn in $(seq 500); do [ -e /proc/$pid ] || break; sleep 0.01; done; [ -e /proc/$pid ] || echo gone
        rt 'echo $LISTEN_PID $$'; cat > /run/listen <<'END'
LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"
END
        set -- $(sh /run/listen $create); [ $1 = $2 ] && echo for the runtime
        set -- $(LISTEN_PID=1 $create); echo $1
        NETFERRY_RUNTIME=/run/asked $create 2>&1; echo $?
        cp /run/asked /run/b/config.json; rt 'grep -c "pins/oci%2Fid%2Feth1%2Ceth2" /run/b/config.json; sleep 0.2'; $create 2>&1
        grep -c pins /run/b/config.json; ip -o link show eth1 | grep -c eth1; ls -A /run/netferry/lent"#;
    let refused = "netferry: run the runtime /run/asked: Permission denied (os error 13)\n1";
    let idle = "1\nnetferry: /run/rt/rt has called no hook: the container's devices are home again\n0\n1";
    expect(script, &format!("7\n8\n137\n141\n137\ngone\nfor the runtime\n1\n{refused}\n{idle}"));
}

#[test]
fn devices_become_hooks_and_nothing_else_changes() {
    let script = r#"
        chmod 640 /run/b/config.json; chown 1:2 /run/b/config.json; echo left > /run/b/.config.json.netferry; chmod 777 /run/b/.config.json.netferry
        netferry-rt --debug create -b /run/b id; echo $?; seen; echo; ls -A /run/b; identity | cut -d' ' -f2-
        hook createRuntime; hook poststop; grep -o '"path":"[^"]*"' /run/b/config.json | sort -u | cut -d'"' -f4 | xargs -I{} cmp {} "$NETFERRY" && echo itself
        diff /run/asked /run/b/config.json | grep '^[<>]' | cut -c-30
        before=$(identity); cd /run/b; netferry-rt run id; netferry-rt create -b .. id; [ "$before" = "$(identity)" ] && echo untouched"#;
    let hook = r#":[{"args":["netferry","oci","hook","--device=eth1=net%d","--device=eth2"]}]"#;
    let changes = [
        "<     \"namespaces\": [{\"type\": ",
        "<     \"netDevices\": {\"eth1\": {",
        ">     \"namespaces\": [{\"type\": ",
        "<   \"number\": 1e400",
        ">   \"number\": 1e400,",
        ">   \"hooks\": {\"createRuntime\":",
    ]
    .join("\n");
    let expected = format!(
        "42\n[--debug][create][-b][/run/b][id]\nconfig.json\n640 1 2\n\"createRuntime\"{hook}\n\"poststop\"{hook}\nitself\n{changes}\nuntouched"
    );
    expect(script, &expected);
}

#[test]
fn the_hook_is_first_when_the_namespaces_are_there_and_last_when_they_are_gone() {
    let script = r#"
        other='"poststop": [{"path": "/a", "args": ["a"]}]'
        with() { sed "s|^  \"number\"|  \"hooks\": {$1$other},\n&|" /run/asked > /run/b/config.json; netferry-rt create -b /run/b id; hook poststop | cut -c-24; }
        with '"createRuntime": [{"path": "/a", "args": ["a"]}], '; hook createRuntime | grep -o '"netferry"\|"a"'
        with '"prestart": [{"path": "/a", "args": ["a"]}], "createRuntime": [], '; hook prestart | grep -o '"netferry"\|"a"'; hook createRuntime
        cp /run/asked /run/b/config.json; NETFERRY_JOURNAL=j netferry-rt create -b /run/b id; grep -o '"env":[^]]*.' /run/b/config.json; pwd"#;
    let script = script.replace("pwd", "cd /; pwd");
    let ended = host::run(&format!("{SETUP}cd /run\n{script}"));
    let first = "\"poststop\":[{\"args\":[\"a\"\n\"netferry\"\n\"a\"\n";
    let journal = "\"env\":[\"NETFERRY_JOURNAL=/run/j\"]\n";
    assert_eq!(ended.stdout, format!("{first}{first}\"createRuntime\":[]\n{journal}{journal}/\n"), "{}", ended.stderr);
}

#[test]
fn the_file_that_the_runtime_reads_is_the_one_that_is_written() {
    let script = r#"
        asks() { grep -c netDevices "$@"; }
        mkdir /run/c; cp /run/asked /run/c/other.json; cd /run/c; netferry-rt run -b /run/b -f other.json id; asks /run/c/other.json /run/b/config.json; ls -A
        cp /run/asked /run/c/real.json; ln -sf ../c/real.json /run/b/config.json; netferry-rt create --bundle=/run/b id; asks /run/c/real.json; readlink /run/b/config.json; ls -A /run/b
        cp /run/asked /run/c/config.json; netferry-rt create id; asks config.json; seen"#;
    let expected =
        "/run/c/other.json:0\n/run/b/config.json:1\nother.json\n0\n../c/real.json\nconfig.json\n0\n[create][id]";
    expect(script, expected);
}

#[test]
fn what_is_wrong_stops_everything_and_is_in_the_log() {
    let script = r#"
        refuse() { before=$(identity); cp /run/b/config.json /run/now; netferry-rt "$@" create -b /run/b id; echo $?; cmp /run/now /run/b/config.json; [ "$before" = "$(identity)" ] && ls -A /run/b /run/seen; }
        sed -i 's/net%d/a b/; s/"eth2": {}/"eth2": {"name": ""}/' /run/b/config.json; refuse --log /run/log --log-format json; cat /run/log | sed 's/"20[^"]*Z"/"NOW"/'
        refuse --log=/run/text; grep -c '^time="20.*Z" level=error msg="netferry: /run/b/config.json: .*"$' /run/text
        echo '{"linux": {"netDevices": [' > /run/b/config.json; refuse --log /nowhere/log
        sed 's/"type": "network"/"type": "network", "path": "\/proc\/self\/ns\/net"/' /run/asked > /run/b/config.json; refuse
        sed 's/"number"/"annotations": {"dev.netferry.carry": "x"}, &/' /run/asked > /run/b/config.json; refuse
        sed 's/eth2/a=b/' /run/asked > /run/b/config.json; refuse
        cp /run/asked /run/b/config.json; chmod 711 /run; chmod 777 /run/b; setpriv --reuid 65534 --regid 65534 --clear-groups netferry-rt create -b /run/b id; echo $?; cmp /run/asked /run/b/config.json
        truncate -s 17M /run/b/config.json; refuse; rm /run/b/config.json; mkfifo /run/b/config.json; netferry-rt create -b /run/b id; echo $?
        rm /run/b/config.json; netferry-rt create -b /run/b id; echo $?; netferry-rt create -b /run/in/x id; echo $?"#;
    let refused = "1\n/run/b:\nconfig.json\n\n/run/seen:\n";
    let name = "no device can be named \\\"a b\\\": no name has the byte 0x20; choose another name";
    let empty = "must not be empty; leave it out to keep the name";
    let logged = format!(
        r#"{{"level":"error","msg":"netferry: /run/b/config.json: linux.netDevices.eth1.name: {name}; /run/b/config.json: linux.netDevices.eth2.name: {empty}","time":"NOW"}}"#
    );
    let expected = format!("{refused}{logged}\n{refused}1\n{refused}{refused}{refused}{refused}1\n{refused}1\n42\n42");
    let ended = expect(script, &expected);
    for words in [
        "netferry: /run/b/config.json: linux.netDevices.eth1.name: no device can be named \"a b\"",
        "netferry: /run/b/config.json: line 2, column 0: EOF while parsing a list; correct the JSON there",
        "netferry: write the log /nowhere/log: No such file or directory",
        "the network namespace /proc/self/ns/net is the one that the devices are in already",
        "annotation dev.netferry.carry: \"x\" says nothing",
        "linux.netDevices: a=b has a =, which the hook cannot be told",
        "it has more than 16777216 bytes",
        "it is no regular file",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_as_it_was() {
    let script = r#"
        mkdir /run/b/.config.json.netferry; netferry-rt create -b /run/b id; echo $?; rmdir /run/b/.config.json.netferry
        ln -s /run/elsewhere /run/b/.config.json.netferry; netferry-rt create -b /run/b id; echo $?; ls /run/elsewhere /run/b/.config.json.netferry 2>&1 | grep -c 'No such'
        mount --bind /run/b /run/b; mount -o remount,bind,ro /run/b; netferry-rt create -b /run/b id; echo $?; umount /run/b
        cmp /run/asked /run/b/config.json && ls -A /run/b; ls /run/seen"#;
    let ended = expect(script, "1\n1\n2\n1\nconfig.json");
    for words in ["Is a directory", "Too many levels of symbolic links", "Read-only file system"] {
        let line = format!("netferry: write /run/b/.config.json.netferry: {words}");
        assert!(ended.stderr.contains(&line), "{line} is not in {}", ended.stderr);
    }
}

#[test]
fn features_say_that_devices_are_taken_care_of() {
    let script = r#"
        say() { printf '#!/bin/sh\n[ "$*" = "--root /r features" ] || exit 9\necho words >&2\n%s\n' "$1" > /run/rt/rt; netferry-rt --root /r features; echo $?; }
        say "printf '{\n  \"linux\": {\n    \"a\": 1\n  }\n}\n'"; say "echo '{\"linux\":{\"netDevices\":{\"enabled\":false}}}'"
        say "echo unknown"; say "echo '{}'; exit 3"; say "echo '{}'; kill -TERM \$\$"; say "printf '\377'" | od -c | head -1"#;
    let expected = "{\n  \"linux\": {\n    \"a\": 1,\n    \"netDevices\": {\"enabled\": true}\n  }\n}\n0\n\
        {\"linux\":{\"netDevices\":{\"enabled\":true}}}\n0\nunknown\n0\n{}\n3\n{}\n143\n0000000 377   0  \\n";
    let ended = expect(script, expected);
    assert_eq!(ended.stderr, "words\n".repeat(6));
}

#[test]
fn the_runtime_is_never_netferry_itself() {
    let script = r#"
        mkdir /run/first /run/x; ln -s "$NETFERRY" /run/first/rt; touch /run/x/rt; PATH=/run/first:relative:/run/x:$PATH; netferry-rt one; seen; echo
        NETFERRY_RUNTIME=/run/rt/rt /run/bin/netferry-rt two; seen; echo; ln -s /run/rt/rt /run/rt/other; NETFERRY_RUNTIME=other netferry-rt three; seen; echo
        ln -s "$NETFERRY" /run/bin/netferry-nosuch; netferry-nosuch x; echo $?; NETFERRY_RUNTIME=/run/first/rt netferry-rt x; echo $?
        NETFERRY_RUNTIME=/nowhere netferry-rt --log /run/log --log-format json x; echo $?; grep -c 'runtime /nowhere: No such file' /run/log; NETFERRY_RUNTIME=nowhere netferry-rt x; echo $?
        $NETFERRY oci runtime --runtime /run/rt/rt -- --debug start id --runtime; echo $?; seen; echo; NETFERRY_RUNTIME=rt $NETFERRY oci runtime -- -v; seen; echo
        $NETFERRY oci runtime --runtime rt -- create -b /run/b id; echo $?; hook poststop
        ln -s /run/rt/rt /run/rt/crun; ln -s "$NETFERRY" /run/first/crun; PATH=/run/first:/run/rt:/bin:/usr/bin $NETFERRY oci runtime -- list; seen"#;
    let script = script.replace(
        "PATH=/run/first:/run/rt:/bin:/usr/bin",
        "ln -s /usr/bin/cat /usr/bin/readlink /usr/bin/grep /run/x; PATH=/run/first:/run/rt:/run/x",
    );
    let hook = r#""poststop":[{"args":["netferry","oci","hook","--device=eth1=net%d","--device=eth2"]}]"#;
    let expected =
        format!("[one]\n[two]\n[three]\n1\n1\n1\n1\n1\n42\n[--debug][start][id][--runtime]\n[-v]\n42\n{hook}\n[list]");
    let ended = expect(&script, &expected);
    for words in [
        "netferry: there is no nosuch on PATH but netferry itself; install it, or name another by NETFERRY_RUNTIME",
        "netferry: the runtime /run/first/rt is netferry itself",
        "netferry: look for the runtime /nowhere: No such file or directory",
        "netferry: there is no nowhere on PATH but netferry itself",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

/// A directory with netferry as `netferry-rt` and a runtime that prints its arguments; it goes with this.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let place = Self(std::env::temp_dir().join(format!("netferry-wrapper-{}", std::process::id())));
        std::fs::create_dir(&place.0).unwrap();
        let runtime = place.0.join("rt");
        std::fs::write(&runtime, "#!/bin/sh\nprintf '[%s]\\0' \"$@\"\n").unwrap();
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink(env!("CARGO_BIN_EXE_netferry"), place.0.join("netferry-rt")).unwrap();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn word() -> impl Strategy<Value = OsString> {
    let known = ["create", "run", "features", "--", "-b", "--bundle", "--bundle=.", "--log", "--version", "-h", ""];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(OsString::from),
        proptest::collection::vec(1_u8.., 0..9).prop_map(OsString::from_vec),
    ]
}

#[test]
fn whatever_the_arguments_are_the_runtime_is_given_them() {
    let place = Place::new();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(word(), 1..7), |words| {
        let mut command = Command::new(place.0.join("netferry-rt"));
        let output = command.args(&words).current_dir(&place.0).env("PATH", &place.0).output().unwrap();
        let expected: Vec<u8> = words.iter().flat_map(|word| [b"[", word.as_bytes(), b"]\0"].concat()).collect();
        prop_assert_eq!(output.stdout, expected);
        Ok(())
    });
    outcome.unwrap();
}
