//! What the tests share: a directory of their own, requests, and plugins as processes (ours and the reference's).

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use cni::request::{Invocation, Request};
use cni::{AddResult, Version};
use serde_json::{Value, json};

/// The reference implementation of Debian's package `containernetworking-plugins`.
pub const REFERENCE: &str = "/usr/lib/cni/host-local";

/// A directory that goes when the test ends.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netferry-ipam-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn net(&self) -> PathBuf {
        self.0.join("net1")
    }

    pub fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.net()).unwrap();
        fs::write(self.net().join(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.net().join(name)).ok()
    }

    /// The reservations as the files say it: address to content.
    pub fn reservations(&self) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.net()) else { return BTreeMap::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let addresses = names.filter(|name| name.parse::<std::net::IpAddr>().is_ok());
        addresses.map(|name| (name.clone(), self.read(&name).unwrap())).collect()
    }

    /// The entries of the index: owner to addresses.
    pub fn index(&self) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.0.join(".netferry/net1")) else { return BTreeMap::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let links = paths.filter(|path| name(path) != ":stamp");
        links.map(|path| (name(&path), fs::read_link(&path).unwrap().to_str().unwrap().to_owned())).collect()
    }

    /// A configuration with `ipam` as its range sets and more.
    pub fn conf(&self, ipam: Value) -> Value {
        let mut ipam = ipam;
        ipam["type"] = json!("host-local");
        ipam["dataDir"] = json!(self.0);
        json!({"cniVersion": "1.1.0", "name": "net1", "type": "bridge", "ipam": ipam})
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// One call: verb, container, interface, `CNI_ARGS`.
#[derive(Clone, Copy)]
pub struct Call<'a>(pub &'a str, pub &'a str, pub &'a str, pub &'a str);

impl Call<'_> {
    fn variables(&self) -> [(&'static str, String); 6] {
        let Self(verb, id, ifname, args) = *self;
        [
            ("CNI_COMMAND", verb.into()),
            ("CNI_CONTAINERID", id.into()),
            ("CNI_IFNAME", ifname.into()),
            ("CNI_ARGS", args.into()),
            ("CNI_NETNS", "/run/netns/none".into()),
            ("CNI_PATH", "/usr/lib/cni".into()),
        ]
    }

    /// The call as a plugin sees it in-process.
    pub fn request(&self, conf: &Value) -> Request {
        let variables = self.variables();
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| OsString::from(value))
        };
        match Request::read(lookup, || Ok(conf.to_string().into_bytes()), &Version::ALL).unwrap() {
            Invocation::Request(request) => *request,
            _ => panic!("not a request"),
        }
    }

    /// The call to a process; its standard output, and whether it succeeded.
    pub fn run(&self, plugin: &[&str], conf: &Value) -> (bool, String) {
        let mut child = Command::new(plugin[0])
            .args(&plugin[1..])
            .env_clear()
            .envs(self.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; install containernetworking-plugins and strace", plugin[0]));
        child.stdin.take().unwrap().write_all(conf.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }
}

/// The plugin of this crate's example, as a process.
pub fn ours() -> String {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples/ipam");
    assert!(path.exists(), "build it first: cargo build -p ipam --example ipam");
    path.to_str().unwrap().to_owned()
}

/// The addresses of a result, with their prefix lengths.
pub fn addresses(result: &AddResult) -> Vec<String> {
    result.ips.iter().map(|ip| ip.address.to_string()).collect()
}

/// The addresses that a plugin printed.
pub fn printed(text: &str) -> Vec<String> {
    let result: Value = serde_json::from_str(text).unwrap();
    let ips = result["ips"].as_array().unwrap_or_else(|| panic!("no ips: {text}"));
    ips.iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect()
}
