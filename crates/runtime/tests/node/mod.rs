//! A node whose plugins are shell scripts: they log what they are given, and do and answer what a test says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cni::list::NetworkList;
use runtime::{Attachment, Cache, Policy, Runtime};
use serde_json::Value;

use crate::testing::Scratch;

/// Logs, then runs the hook of the verb, then fails with or answers the file of the verb, else a default.
const PLUGIN: &str = r#"#!/bin/sh
NODE='@NODE@'
me="$NODE/plugins/${0##*/}.$CNI_COMMAND"
[ "$CNI_COMMAND" = VERSION ] || input=$(cat)
printf '%s\t%s\t%s\t%s\n' "${0##*/}" "$CNI_COMMAND" "$CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS" "$input" >> "$NODE/log"
[ -e "$me.hook" ] && . "$me.hook"
[ -e "$me.fail" ] && { cat "$me.fail"; exit 1; }
[ -e "$me.answer" ] && { cat "$me.answer"; exit 0; }
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
ADD) printf '{"by":"%s"}' "${0##*/}" ;;
esac
exit 0
"#;

/// A call that a plugin logged.
#[derive(Debug)]
pub struct Call {
    plugin: String,
    verb: String,
    /// Container ID, namespace, interface and arguments.
    pub environment: String,
    /// Configuration; null for VERSION.
    pub stdin: Value,
}

/// A configuration, two plugins `a` and `b`, and a cache in a directory of their own.
pub struct Node(Scratch);

impl Node {
    pub fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let script = PLUGIN.replace("@NODE@", &scratch.path().display().to_string());
        for plugin in ["a", "b"] {
            let path = scratch.write(&format!("bin/{plugin}"), &script);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(scratch)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.0.write(name, text)
    }

    pub fn runtime(&self) -> Runtime {
        self.runtime_with(Policy::Careful)
    }

    pub fn runtime_with(&self, policy: Policy) -> Runtime {
        Runtime {
            path: vec![self.path("bin")],
            own: None,
            cache: Cache::new(self.path("cache")),
            timeout: None,
            policy,
        }
    }

    pub fn attachment(&self, container_id: &str) -> Attachment {
        Attachment::new(container_id, "/no/netns", "eth0")
    }

    pub fn list(&self, version: &str, plugins: &str) -> NetworkList {
        self.list_with(version, "", plugins)
    }

    pub fn list_with(&self, version: &str, keys: &str, plugins: &str) -> NetworkList {
        let text = format!(r#"{{"cniVersion":"{version}","name":"net",{keys}"plugins":{plugins}}}"#);
        NetworkList::parse(text.as_bytes()).unwrap()
    }

    pub fn fail(&self, plugin: &str, verb: &str, error: &str) {
        self.write(&format!("plugins/{plugin}.{verb}.fail"), error);
    }

    pub fn mend(&self, plugin: &str, verb: &str) {
        fs::remove_file(self.path(&format!("plugins/{plugin}.{verb}.fail"))).unwrap();
    }

    pub fn answer(&self, plugin: &str, verb: &str, answer: &str) {
        self.write(&format!("plugins/{plugin}.{verb}.answer"), answer);
    }

    pub fn hook(&self, plugin: &str, verb: &str, script: &str) {
        self.write(&format!("plugins/{plugin}.{verb}.hook"), script);
    }

    /// The calls since the last time, in order.
    pub fn take_log(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        text.lines().map(call).collect()
    }
}

fn call(line: &str) -> Call {
    let [plugin, verb, environment, stdin] = line.splitn(4, '\t').collect::<Vec<_>>()[..] else {
        panic!("log line {line:?}");
    };
    let stdin = if stdin.is_empty() { Value::Null } else { serde_json::from_str(stdin).unwrap() };
    Call { plugin: plugin.into(), verb: verb.into(), environment: environment.into(), stdin }
}

pub fn verbs(log: &[Call]) -> Vec<String> {
    log.iter().map(|call| format!("{} {}", call.plugin, call.verb)).collect()
}
