//! Masquerading with iptables, in the rules that the Go plugins write: what either adds, the other deletes.
//!
//! A chain named by a hash of network and container ID accepts what stays within the container's prefix and masquerades
//! the rest; a rule of POSTROUTING for each address jumps there. Adding is one `iptables-restore` for each family.
//! Presence and removal are netlink on a host whose iptables is nf_tables, so that one without such rules pays one
//! question for each family; programs are run only where the legacy tables are in use.
//! Format: `iptables-restore(8)`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use ipnet::IpNet;
use sha2::{Digest, Sha512};

use crate::error::{Error, Result};
use crate::netlink::Socket;
use crate::nft::{Change, Family, Table, Transaction, query};

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
/// of the family. A chain that is there already begins anew.
pub fn masquerade_text(family: Family, network: &str, id: &str, addresses: &[IpNet]) -> Option<String> {
    let variant = FAMILIES.iter().find(|variant| variant.family == family)?;
    let (chain, comment) = (chain(network, id), quoted(&comment(network, id)));
    let (mut within, mut jumps) = (String::new(), String::new());
    for net in addresses.iter().filter(|net| matches!(net.addr(), IpAddr::V4(_)) == (family == Family::Ip)) {
        let (address, net) = (net.addr(), net.trunc());
        within += &format!("-A {chain} -d {net} -m comment --comment {comment} -j ACCEPT\n");
        jumps += &format!("-A {POSTROUTING} -s {address} -m comment --comment {comment} -j {chain}\n");
    }
    let multicast = variant.multicast;
    let outside = format!("-A {chain} ! -d {multicast} -m comment --comment {comment} -j MASQUERADE\n");
    (!jumps.is_empty()).then(|| format!("*nat\n:{chain} - [0:0]\n{within}{outside}{jumps}COMMIT\n"))
}

/// What `iptables-restore --noflush` reads to delete `chain` and the jumps to it that `saved`, the output of
/// `iptables-save -t nat`, has; `None` if the chain is not there.
pub fn removal_text(saved: &str, chain: &str) -> Option<String> {
    let declared = |line: &str| line.strip_prefix(':').and_then(|rest| rest.split(' ').next()) == Some(chain);
    saved.lines().any(declared).then(|| {
        let jumps = saved.lines().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| jumps_to(rule, chain));
        let jumps: String = jumps.map(|rule| format!("-D {rule}\n")).collect();
        format!("*nat\n:{chain} - [0:0]\n{jumps}-X {chain}\nCOMMIT\n")
    })
}

/// Masquerades what `addresses` send out of their prefixes. What was there for this container and network is replaced.
///
/// # Errors
/// What `iptables-restore` says, in the error's extack; `ENOENT` without such a program.
pub fn add_masquerade(socket: &mut Socket, network: &str, id: &str, addresses: &[IpNet]) -> Result<()> {
    remove_masquerade(socket, &chain(network, id))?;
    for variant in &FAMILIES {
        if let Some(text) = masquerade_text(variant.family, network, id, addresses) {
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
        if query::chain(socket, &variant.table(), chain)?.is_some() {
            return Ok(true);
        }
        if variant.legacy_in_use() && removal_text(&variant.legacy_save()?, chain).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the chain of that name and every jump to it, and says whether there was one.
///
/// # Errors
/// What the kernel or the programs say; of a family all is deleted or nothing.
pub fn remove_masquerade(socket: &mut Socket, chain: &str) -> Result<bool> {
    let mut found = false;
    for variant in &FAMILIES {
        found |= variant.remove_nft(socket, chain)?;
        if variant.legacy_in_use()
            && let Some(text) = removal_text(&variant.legacy_save()?, chain)
        {
            variant.legacy_restore(&text)?;
            found = true;
        }
    }
    Ok(found)
}

impl Variant {
    fn table(&self) -> Table {
        Table::new(self.family, "nat")
    }

    fn remove_nft(&self, socket: &mut Socket, chain: &str) -> Result<bool> {
        let table = self.table();
        if query::chain(socket, &table, chain)?.is_none() {
            return Ok(false);
        }
        let mut transaction = Transaction::new();
        for rule in query::rules(socket, &table, POSTROUTING)? {
            if rule.target.as_deref() == Some(chain) {
                transaction.delete_rule(&table, POSTROUTING, rule.handle);
            }
        }
        transaction.push(Change::FlushChain { table: table.clone(), chain: chain.to_owned() });
        transaction.push(Change::DeleteChain { table, chain: chain.to_owned() });
        transaction.commit(socket)?;
        Ok(true)
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

/// True if a rule, as `iptables-save` prints it, ends by jumping to `chain`.
fn jumps_to(rule: &str, chain: &str) -> bool {
    rule.strip_suffix(chain).is_some_and(|head| head.ends_with(" -j ") || head.ends_with(" -g "))
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
        let text = masquerade_text(Family::Ip, "mynet", "cid-1", &addresses()).expect("an IPv4 address");
        expect![[r#"
            *nat
            :CNI-d976123710b0229df0e9617c - [0:0]
            -A CNI-d976123710b0229df0e9617c -d 10.77.0.0/24 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
            -A CNI-d976123710b0229df0e9617c ! -d 224.0.0.0/4 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
            -A POSTROUTING -s 10.77.0.2 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
            COMMIT
        "#]].assert_eq(&text);
        let text = masquerade_text(Family::Ip6, "mynet", "cid-1", &addresses()).expect("an IPv6 address");
        expect![[r#"
            *nat
            :CNI-d976123710b0229df0e9617c - [0:0]
            -A CNI-d976123710b0229df0e9617c -d fd77::/64 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
            -A CNI-d976123710b0229df0e9617c ! -d ff00::/8 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
            -A POSTROUTING -s fd77::2 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
            COMMIT
        "#]].assert_eq(&text);
        assert_eq!(masquerade_text(Family::Ip6, "mynet", "cid-1", &addresses()[..1]), None);
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
        .assert_eq(&removal_text(saved, "CNI-a").expect("it is there"));
        assert_eq!(removal_text(saved, "CNI"), None);
    }

    #[test]
    fn a_comment_survives_the_splitting_of_lines() {
        assert_eq!(quoted(&comment("a\nb", "c")), r#""name: \"a\\nb\" id: \"c\"""#);
    }
}
