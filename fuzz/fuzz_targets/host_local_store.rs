//! The directory of host-local's reservations, and the index beside it, as anybody may have left them: no verb panics,
//! hangs or leaves the directory; ADD gives what is in the ranges, free and no gateway; a lost index changes nothing.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cni::Request;
use ipam::host_local::{self, fuzzing::Owner};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use netferry_fuzz::Scratch;
use rustix::fs::{CWD, FileType, Mode, mknodat};

#[derive(Debug, Arbitrary)]
struct Input {
    reservations: Vec<(Name, File)>,
    index: Vec<(Name, File)>,
    steps: Vec<(Verb, u8, u8)>,
}

#[derive(Debug, Arbitrary)]
enum Name {
    Address(u8),
    Cursor(u8),
    Lock,
    Stamp,
    Entry(u8),
    New,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum File {
    Of(u8),
    OfOld(u8),
    Address(u8),
    Text(Vec<u8>),
    Link(String),
    LinkOutside,
    Endless,
    Directory,
    Pipe,
}

#[derive(Debug, Clone, Copy, PartialEq, Arbitrary)]
enum Verb {
    Add,
    Ask,
    Preview,
    Check,
    Del,
    Gc,
    Status,
    LoseIndex,
}

const RANGE: &str = r#"[{"subnet":"10.9.0.0/24","rangeStart":"10.9.0.1","rangeEnd":"10.9.0.8","gateway":"10.9.0.3"}],
    [{"subnet":"fd09::/64","rangeEnd":"fd09::6"}]"#;
const SECRET: &str = "nobody's business";

fuzz_target!(|input: Input| {
    let node = Node::new(&input);
    for (verb, owner, wanted) in input.steps.iter().take(12) {
        node.step(*verb, *owner % 4, *wanted);
    }
    node.is_kept();
});

struct Node {
    scratch: Scratch,
    data: PathBuf,
    net: PathBuf,
}

impl Node {
    fn new(input: &Input) -> Self {
        let scratch = Scratch::new();
        let data = scratch.path().join("data");
        let net = data.join("net");
        scratch.write("outside/secret", SECRET.as_bytes());
        for (directory, files) in [(net.clone(), &input.reservations), (data.join(".netferry/net"), &input.index)] {
            fs::create_dir_all(&directory).expect("a directory");
            files.iter().take(16).for_each(|(name, file)| file.make(&directory, name, scratch.path()));
        }
        Self { scratch, data, net }
    }

    fn step(&self, verb: Verb, owner: u8, wanted: u8) {
        let request = |verb: &str| self.request(verb, owner, wanted);
        match verb {
            Verb::Add => self.add(&request("ADD")),
            Verb::Ask => self.same_without_index(&request("DEL")),
            Verb::Preview => drop(host_local::preview(&request("PLAN"))),
            Verb::Check => drop(host_local::check(&request("CHECK"))),
            Verb::Del => self.del(&request("DEL")),
            Verb::Gc => self.gc(&request("GC"), owner),
            Verb::Status => drop(host_local::status(&request("STATUS"))),
            Verb::LoseIndex => drop(fs::remove_dir_all(self.data.join(".netferry"))),
        }
    }

    fn add(&self, request: &Request) {
        let before = self.reserved();
        let Ok(given) = host_local::add(request) else {
            // Blank files are nobody's, and go when they are met.
            let kept = self.reserved();
            return assert!(before.iter().all(|(ip, owner)| kept.get(ip) == Some(owner)), "{before:?} became {kept:?}");
        };
        let owner = Owner::new(&request.env.container_id, &request.env.ifname);
        let after = self.reserved();
        for ip in given.ips.iter().map(|ip| ip.address.addr()) {
            assert!(!before.contains_key(&ip), "{ip} was given twice");
            assert!(ip != gateway(ip) && in_range(ip), "{ip}");
            assert_eq!(after.get(&ip), Some(&owner.content().into_bytes()));
        }
    }

    fn del(&self, request: &Request) {
        let before = self.reserved();
        let done = host_local::del(request);
        let owner = Owner::new(&request.env.container_id, &request.env.ifname);
        let of_others = |content: &Vec<u8>| Owner::parse(content).is_none_or(|found| found.id != owner.id);
        let after = self.reserved();
        assert!(before.iter().all(|(ip, content)| !of_others(content) || after.get(ip) == Some(content)));
        if done.is_ok() {
            fs::remove_dir_all(self.data.join(".netferry")).ok();
            assert_eq!(host_local::del(request), Ok(()));
        }
    }

    fn gc(&self, request: &Request, owner: u8) {
        let before = self.reserved();
        let _ = host_local::gc(request);
        let after = self.reserved();
        let stays = |content: &Vec<u8>| Owner::parse(content).is_none_or(|found| found.id == format!("c{owner}"));
        assert!(before.iter().all(|(ip, content)| !stays(content) || after.get(ip) == Some(content)));
    }

    /// What an attachment holds does not depend on the index, once somebody of ours has seen the directory.
    fn same_without_index(&self, request: &Request) {
        fs::remove_dir_all(self.data.join(".netferry")).ok();
        let sorted = |mut ips: Vec<IpAddr>| {
            ips.sort();
            ips
        };
        let walked = host_local::owned(request).map(sorted);
        let _ = host_local::del(&self.request("DEL", 18, 0));
        assert_eq!(host_local::owned(request).map(sorted), walked);
    }

    /// The files that are addresses and not blank, and what is in them.
    fn reserved(&self) -> BTreeMap<IpAddr, Vec<u8>> {
        let names = fs::read_dir(&self.net).into_iter().flatten().flatten();
        let addresses = names.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
        let regular = addresses.filter(|(_, path)| fs::metadata(path).is_ok_and(|found| found.is_file()));
        let read = regular.filter_map(|(ip, path)| Some((ip, fs::read(path).ok()?)));
        read.filter(|(_, content)| content.iter().any(|byte| *byte != 0 && !byte.is_ascii_whitespace())).collect()
    }

    fn is_kept(&self) {
        let outside = self.scratch.path().join("outside");
        assert_eq!(fs::read_to_string(outside.join("secret")).ok().as_deref(), Some(SECRET));
        assert_eq!(fs::read_dir(outside).expect("it is there").count(), 1);
        assert_eq!(fs::read_dir(self.scratch.path()).expect("it is there").count(), 2);
    }

    fn request(&self, verb: &str, owner: u8, wanted: u8) -> Request {
        let args = if wanted % 4 == 1 { format!("IP=10.9.0.{}", wanted / 4) } else { String::new() };
        let valid =
            format!(r#"[{{"containerID":"c{owner}","ifname":"eth0"}},{{"containerID":"c{owner}","ifname":"eth1"}}]"#);
        let conf = format!(
            r#"{{"cniVersion":"1.1.0","name":"net","type":"x","cni.dev/valid-attachments":{valid},
            "ipam":{{"type":"host-local","dataDir":"{}","ranges":[{RANGE}]}}}}"#,
            self.data.display()
        );
        let mut request = netferry_fuzz::request(format!("{verb} {args}\n{conf}").as_bytes()).expect("a request");
        request.env.container_id = format!("c{}", owner / 2);
        request.env.ifname = format!("eth{}", owner % 2);
        request
    }
}

impl File {
    fn make(&self, directory: &Path, name: &Name, scratch: &Path) {
        let name = name.text();
        if name.is_empty() || name.len() > 200 || name.contains(['/', '\0']) || name == "." || name == ".." {
            return;
        }
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            return;
        }
        let _ = match self {
            Self::Of(owner) => fs::write(path, format!("c{}\r\neth{}", owner / 2 % 2, owner % 2)),
            Self::OfOld(owner) => fs::write(path, format!("c{}", owner % 2)),
            Self::Address(host) => symlink(format!("10.9.0.{}", host % 12), path),
            Self::Text(bytes) => fs::write(path, bytes),
            Self::Link(to) if !to.contains(['/', '\0']) => symlink(to, path),
            Self::Link(_) | Self::Directory => fs::create_dir(path),
            Self::LinkOutside => symlink(scratch.join("outside/secret"), path),
            Self::Endless => symlink("/dev/zero", path),
            Self::Pipe => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(Into::into),
        };
    }
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Address(host) if *host >= 128 => format!("fd09::{:x}", host % 12),
            Self::Address(host) => format!("10.9.0.{}", host % 12),
            Self::Cursor(set) => format!("last_reserved_ip.{}", set % 2),
            Self::Lock => "lock".to_owned(),
            Self::Stamp => ":stamp".to_owned(),
            Self::Entry(owner) => format!("c{}:eth{}", owner / 2 % 2, owner % 2),
            Self::New => ":new".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }
}

fn gateway(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { [10, 9, 0, 3].into() } else { [0xfd09, 0, 0, 0, 0, 0, 0, 1].into() }
}

fn in_range(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => (1..=8).contains(&ip.octets()[3]) && ip.octets()[..3] == [10, 9, 0],
        IpAddr::V6(ip) => (1..=6).contains(&ip.segments()[7]) && ip.segments()[..7] == [0xfd09, 0, 0, 0, 0, 0, 0],
    }
}
