//! Masquerading with iptables, in the rules that the Go plugins write: what either adds, the other deletes.
//!
//! A chain named by a hash of network and container ID accepts what stays within the container's prefix and masquerades
//! the rest; a rule of POSTROUTING for each address jumps there. Interfaces of one container on one network share the
//! chain: it stays while an address of another of them (`others`) jumps there. Adding is one `iptables-restore` for each family.
//! Presence and removal are netlink on a host whose iptables is nf_tables, so that one without such rules pays one
//! question for each family; programs are run only where the legacy tables are in use.
//! Format: `iptables-restore(8)`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use ipnet::IpNet;
use rustix::process::{Signal, set_parent_process_death_signal};
use sha2::{Digest, Sha512};

use crate::error::{Error, Result};
use crate::netlink::Socket;
use crate::nft::query::{self, Listed};
use crate::nft::{Change, Family, Table, Transaction};

/// How long `iptables-restore` waits for another that holds the lock.
const WAIT_SECONDS: &str = "10";
const POSTROUTING: &str = "POSTROUTING";

/// The families of iptables, with what differs between them.
const FAMILIES: [Variant; 2] = [
    Variant { family: Family::Ip, programs: "iptables", multicast: "224.0.0.0/4", legacy_tables: "ip_tables_names" },
    Variant { family: Family::Ip6, programs: "ip6tables", multicast: "ff00::/8", legacy_tables: "ip6_tables_names" },
];

struct Variant {
    family: Family,
    programs: &'static str,
    multicast: &'static str,
    /// The file that lists the tables in use, if the legacy kernel module is there at all.
    legacy_tables: &'static str,
}

/// The chain of a container on a network.
pub fn chain(network: &str, id: &str) -> String {
    let hash = Sha512::new().chain_update(network).chain_update(id).finalize();
    hash[..12].iter().fold("CNI-".to_owned(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// The comment of the rules of a container on a network.
pub fn comment(network: &str, id: &str) -> String {
    format!("name: {network:?} id: {id:?}")
}

/// What `iptables-restore --noflush` reads to masquerade `addresses`, each with its prefix; `None` without an address
/// of the family. A chain that is there already begins anew, with the prefixes of `others`, whose jumps there stay.
pub fn masquerade_text(
    family: Family,
    network: &str,
    id: &str,
    addresses: &[IpNet],
    others: &[IpNet],
) -> Option<String> {
    let variant = FAMILIES.iter().find(|variant| variant.family == family)?;
    let (chain, comment) = (chain(network, id), quoted(&comment(network, id)));
    let jumps: String = variant
        .own(addresses)
        .map(|net| format!("-A {POSTROUTING} -s {} -m comment --comment {comment} -j {chain}\n", net.addr()))
        .collect();
    let mut prefixes: Vec<IpNet> = variant.own(addresses).chain(variant.own(others)).map(IpNet::trunc).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let within = prefixes.iter().map(|net| format!("-A {chain} -d {net} -m comment --comment {comment} -j ACCEPT\n"));
    let within: String = within.collect();
    let multicast = variant.multicast;
    let outside = format!("-A {chain} ! -d {multicast} -m comment --comment {comment} -j MASQUERADE\n");
    (!jumps.is_empty()).then(|| format!("*nat\n:{chain} - [0:0]\n{within}{outside}{jumps}COMMIT\n"))
}

/// What `iptables-restore --noflush` reads to delete the jumps to `chain` that `saved`, the output of
/// `iptables-save -t nat`, has of other addresses than `others`, and the chain with the last; `None` if there is nothing
/// to delete.
pub fn removal_text(saved: &str, chain: &str, others: &[IpNet]) -> Option<String> {
    let (stay, go): (Vec<&str>, Vec<&str>) = jumps_in(saved, chain).partition(|rule| is_of(saved_source(rule), others));
    if !declares(saved, chain) || (go.is_empty() && !stay.is_empty()) {
        return None;
    }
    let jumps: String = go.iter().map(|rule| format!("-D {rule}\n")).collect();
    let (flush, delete) =
        if stay.is_empty() { (format!(":{chain} - [0:0]\n"), format!("-X {chain}\n")) } else { <_>::default() };
    Some(format!("*nat\n{flush}{jumps}{delete}COMMIT\n"))
}

/// Masquerades what `addresses` send out of their prefixes. What was there for this container and network is replaced,
/// but for the part of `others`, the addresses of the container's other interfaces.
///
/// # Errors
/// What `iptables-restore` says, in the error's extack; `ENOENT` without such a program.
pub fn add_masquerade(
    socket: &mut Socket,
    network: &str,
    id: &str,
    addresses: &[IpNet],
    others: &[IpNet],
) -> Result<()> {
    let chain = chain(network, id);
    remove_masquerade(socket, &chain, others)?;
    for variant in &FAMILIES {
        let sharing = variant.look(socket, &chain)?.map(|found| found.sources).unwrap_or_default();
        let sharing: Vec<IpNet> = others.iter().filter(|net| sharing.contains(&Some(net.addr()))).copied().collect();
        if let Some(text) = masquerade_text(variant.family, network, id, addresses, &sharing) {
            restore(&format!("{}-restore", variant.programs), &text)?;
        }
    }
    Ok(())
}

/// True if the chain of that name is there, in either family, with nf_tables or legacy.
///
/// # Errors
/// What the kernel or `iptables-save` says.
pub fn masquerade_present(socket: &mut Socket, chain: &str) -> Result<bool> {
    for variant in &FAMILIES {
        if variant.look(socket, chain)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is missing of the masquerading of `addresses` by the chain of that name, in words.
///
/// # Errors
/// What the kernel or `iptables-save` says.
pub fn masquerade_missing(socket: &mut Socket, chain: &str, addresses: &[IpNet]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for variant in &FAMILIES {
        let own: Vec<IpAddr> = variant.own(addresses).map(IpNet::addr).collect();
        if own.is_empty() {
            continue;
        }
        let program = variant.programs;
        let Some(found) = variant.look(socket, chain)? else {
            missing.push(format!("{program} chain {chain}"));
            continue;
        };
        if found.is_empty {
            missing.push(format!("every rule of {program} chain {chain}"));
        }
        // Old releases of the Go plugins wrote the prefix, which says nothing of one address.
        let jumps =
            |address: &IpAddr| found.sources.iter().any(|source| source.is_none_or(|source| source == *address));
        let absent = own.iter().filter(|address| !jumps(address));
        missing.extend(absent.map(|address| format!("{program} rule {POSTROUTING} -s {address} -j {chain}")));
    }
    Ok(missing)
}

/// Deletes every jump to the chain of that name but those of `others`, the addresses of the container's other interfaces,
/// and the chain with the last; says whether there was one.
///
/// # Errors
/// What the kernel or the programs say; of a family all is deleted or nothing.
pub fn remove_masquerade(socket: &mut Socket, chain: &str, others: &[IpNet]) -> Result<bool> {
    let mut found = false;
    for variant in &FAMILIES {
        found |= variant.remove_nft(socket, chain, others)?;
        if variant.legacy_in_use()
            && let Some(text) = removal_text(&variant.legacy_save()?, chain, others)
        {
            variant.legacy_restore(&text)?;
            found = true;
        }
    }
    Ok(found)
}

/// A chain that is there.
struct Found {
    is_empty: bool,
    /// The source address of each jump there, where it is one address.
    sources: Vec<Option<IpAddr>>,
}

impl Variant {
    fn table(&self) -> Table {
        Table::new(self.family, "nat")
    }

    /// Those of `addresses` that are of this family.
    fn own<'a>(&self, addresses: &'a [IpNet]) -> impl Iterator<Item = &'a IpNet> {
        let is_ipv4 = self.family == Family::Ip;
        addresses.iter().filter(move |net| net.addr().is_ipv4() == is_ipv4)
    }

    /// The jumps of `POSTROUTING` to `chain`.
    fn jumps(&self, socket: &mut Socket, chain: &str) -> Result<Vec<Listed>> {
        let mut rules = query::rules(socket, &self.table(), POSTROUTING)?;
        rules.retain(|rule| rule.target.as_deref() == Some(chain));
        Ok(rules)
    }

    fn look(&self, socket: &mut Socket, chain: &str) -> Result<Option<Found>> {
        if query::chain(socket, &self.table(), chain)?.is_some() {
            let is_empty = query::rules(socket, &self.table(), chain)?.is_empty();
            let sources = self.jumps(socket, chain)?.iter().map(listed_source).collect();
            return Ok(Some(Found { is_empty, sources }));
        }
        if !self.legacy_in_use() {
            return Ok(None);
        }
        let saved = self.legacy_save()?;
        let own = format!("-A {chain} ");
        Ok(declares(&saved, chain).then(|| Found {
            is_empty: !saved.lines().any(|line| line.starts_with(&own)),
            sources: jumps_in(&saved, chain).map(saved_source).collect(),
        }))
    }

    fn remove_nft(&self, socket: &mut Socket, chain: &str, others: &[IpNet]) -> Result<bool> {
        let table = self.table();
        if query::chain(socket, &table, chain)?.is_none() {
            return Ok(false);
        }
        let mut transaction = Transaction::new();
        let (stay, go): (Vec<Listed>, Vec<Listed>) =
            self.jumps(socket, chain)?.into_iter().partition(|rule| is_of(listed_source(rule), others));
        for rule in &go {
            transaction.delete_rule(&table, POSTROUTING, rule.handle);
        }
        if stay.is_empty() {
            transaction.push(Change::FlushChain { table: table.clone(), chain: chain.to_owned() });
            transaction.push(Change::DeleteChain { table, chain: chain.to_owned() });
        }
        transaction.commit(socket)?;
        Ok(stay.is_empty() || !go.is_empty())
    }

    /// True if this namespace has a legacy `nat` table.
    fn legacy_in_use(&self) -> bool {
        std::fs::read_to_string(format!("/proc/thread-self/net/{}", self.legacy_tables))
            .is_ok_and(|tables| tables.lines().any(|table| table == "nat"))
    }

    /// Runs the first of the two names that the host has: only one with both flavours names the legacy one apart.
    fn legacy<T>(&self, verb: &str, run: impl Fn(&str) -> Result<T>) -> Result<T> {
        match run(&format!("{}-legacy-{verb}", self.programs)) {
            Err(error) if error.errno == libc::ENOENT => run(&format!("{}-{verb}", self.programs)),
            outcome => outcome,
        }
    }

    fn legacy_save(&self) -> Result<String> {
        self.legacy("save", |program| finish(program, Command::new(program).args(["-t", "nat"]), ""))
    }

    fn legacy_restore(&self, text: &str) -> Result<()> {
        self.legacy("restore", |program| restore(program, text))
    }
}

/// True if `saved` has the chain.
fn declares(saved: &str, chain: &str) -> bool {
    saved.lines().any(|line| line.strip_prefix(':').and_then(|rest| rest.split(' ').next()) == Some(chain))
}

/// The rules of `saved` that end by jumping to `chain`, without their `-A`.
fn jumps_in<'a>(saved: &'a str, chain: &'a str) -> impl Iterator<Item = &'a str> {
    let jumps = move |rule: &&str| {
        rule.strip_suffix(chain).is_some_and(|head| head.ends_with(" -j ") || head.ends_with(" -g "))
    };
    saved.lines().filter_map(|line| line.strip_prefix("-A ")).filter(jumps)
}

/// The one address whose packets a rule is about, as `iptables-save` prints it.
fn saved_source(rule: &str) -> Option<IpAddr> {
    let net: IpNet = rule.split(" -s ").nth(1)?.split(' ').next()?.parse().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

/// The same of a rule of nf_tables: its first comparison, if that is with a whole address.
fn listed_source(rule: &Listed) -> Option<IpAddr> {
    let bytes = rule.compared.as_deref()?;
    let ipv4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    ipv4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn is_of(source: Option<IpAddr>, others: &[IpNet]) -> bool {
    source.is_some_and(|source| others.iter().any(|net| net.addr() == source))
}

/// An argument as `iptables-restore` splits lines.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn restore(program: &str, text: &str) -> Result<()> {
    finish(program, Command::new(program).args(["--noflush", "-w", WAIT_SECONDS]), text).map(drop)
}

/// Runs a program with `input` and returns its output; its complaint is the error's extack.
fn finish(program: &str, command: &mut Command, input: &str) -> Result<String> {
    let failed = |error: io::Error| Error::io(format_args!("run {program}"), &error);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Killed with us, lest it add rules behind the back of the DEL that follows. If we die before this, it reads no rules.
    // SAFETY: what runs between fork and exec is a system call, which allocates nothing.
    unsafe { pipes.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    let mut child = pipes.spawn().map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that ends without reading says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error { extack: Some(complaint), ..Error::new(format_args!("run {program}"), libc::EIO) })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn addresses() -> [IpNet; 2] {
        ["10.77.0.2/24", "fd77::2/64"].map(|net| net.parse().expect("a prefix"))
    }

    #[test]
    fn the_chain_is_the_one_that_the_go_plugin_makes() {
        assert_eq!(chain("mynet", "cid-1"), "CNI-d976123710b0229df0e9617c");
    }

    #[test]
    fn set_up() {
        let text = masquerade_text(Family::Ip, "mynet", "cid-1", &addresses(), &[]).expect("an IPv4 address");
        expect![[r#"
            *nat
            :CNI-d976123710b0229df0e9617c - [0:0]
            -A CNI-d976123710b0229df0e9617c -d 10.77.0.0/24 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
            -A CNI-d976123710b0229df0e9617c ! -d 224.0.0.0/4 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
            -A POSTROUTING -s 10.77.0.2 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
            COMMIT
        "#]].assert_eq(&text);
        let text = masquerade_text(Family::Ip6, "mynet", "cid-1", &addresses(), &[]).expect("an IPv6 address");
        expect![[r#"
            *nat
            :CNI-d976123710b0229df0e9617c - [0:0]
            -A CNI-d976123710b0229df0e9617c -d fd77::/64 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
            -A CNI-d976123710b0229df0e9617c ! -d ff00::/8 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
            -A POSTROUTING -s fd77::2 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
            COMMIT
        "#]].assert_eq(&text);
        assert_eq!(masquerade_text(Family::Ip6, "mynet", "cid-1", &addresses()[..1], &[]), None);
    }

    #[test]
    fn tear_down() {
        let saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n:CNI-a - [0:0]\n:CNI-ab - [0:0]\n\
            -A POSTROUTING -s 10.0.0.1/32 -m comment --comment \"name: \\\"n\\\" id: \\\"c\\\"\" -j CNI-a\n\
            -A POSTROUTING -s 10.0.0.2/32 -j CNI-ab\n-A CNI-a -j ACCEPT\nCOMMIT\n";
        expect![[r#"
            *nat
            :CNI-a - [0:0]
            -D POSTROUTING -s 10.0.0.1/32 -m comment --comment "name: \"n\" id: \"c\"" -j CNI-a
            -X CNI-a
            COMMIT
        "#]]
        .assert_eq(&removal_text(saved, "CNI-a", &[]).expect("it is there"));
        assert_eq!(removal_text(saved, "CNI", &[]), None);
    }

    #[test]
    fn tear_down_beside_another_interface() {
        let saved = "*nat\n:CNI-a - [0:0]\n-A POSTROUTING -s 10.0.0.1/32 -j CNI-a\n\
            -A POSTROUTING -s 10.0.0.2/32 -j CNI-a\n-A CNI-a -j ACCEPT\nCOMMIT\n";
        let others = ["10.0.0.2/24".parse().expect("a prefix")];
        let text = removal_text(saved, "CNI-a", &others).expect("it is there");
        assert_eq!(text, "*nat\n-D POSTROUTING -s 10.0.0.1/32 -j CNI-a\nCOMMIT\n");
    }

    #[test]
    fn a_comment_survives_the_splitting_of_lines() {
        assert_eq!(quoted(&comment("a\nb", "c")), r#""name: \"a\\nb\" id: \"c\"""#);
    }
}
