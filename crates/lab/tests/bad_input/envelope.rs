//! The environment: variables missing, empty, malformed, and commands that do not exist.

use crate::case::Text::{Has, Is};
use crate::case::{Case, UPSTREAM};

const INVALID_ID: &str = "invalid characters in containerID";
const LONG: &str = "interface name is too long; interface name should be less than 16 characters";
const CHARACTERS: &str = "interface name contains / or : or whitespace characters";

/// The rows.
pub fn cases() -> Vec<Case> {
    let mut cases = missing();
    cases.extend(commands());
    for id in ["../c1", "c1/../../etc", "/etc", ".hidden", "-c1", "_c1", "c 1", "c1\n", "c1;x", "ü", "c1\u{0130}"] {
        let name = format!("container ID {id:?}");
        cases.push(Case::add(&name, "bridge", 4, Has(INVALID_ID)).with("CNI_CONTAINERID", Some(id)));
    }
    for verb in ["DEL", "CHECK"] {
        let name = format!("container ID with ../ on {verb}");
        cases.push(Case::add(&name, "host-local", 4, Has(INVALID_ID)).verb(verb).with("CNI_CONTAINERID", Some("../x")));
    }
    let interfaces = [
        ("abcdefghijklmnop", LONG),
        ("üüüüüüüü", LONG),
        (".", "interface name is . or .."),
        ("..", "interface name is . or .."),
        ("../eth0", CHARACTERS),
        ("a/b", CHARACTERS),
        ("a:b", CHARACTERS),
        ("a b", CHARACTERS),
        ("a\tb", CHARACTERS),
        ("a\nb", CHARACTERS),
        ("a\u{a0}b", CHARACTERS),
        ("a\u{85}b", CHARACTERS),
    ];
    for (ifname, text) in interfaces {
        let name = format!("interface name {ifname:?}");
        cases.push(Case::add(&name, "ptp", 4, Is(text)).with("CNI_IFNAME", Some(ifname)));
    }
    let del = Case::add("interface name with ../ on DEL", "ptp", 4, Is(CHARACTERS)).verb("DEL");
    cases.push(del.with("CNI_IFNAME", Some("../eth0")));
    // What is present and invalid is told before what is missing.
    let first =
        Case::add("bad ID and nothing else", "bridge", 4, Has(INVALID_ID)).with("CNI_CONTAINERID", Some("../x"));
    cases.push(first.with("CNI_NETNS", None).with("CNI_IFNAME", None).with("CNI_PATH", None));
    cases
}

fn missing() -> Vec<Case> {
    let rows: [(&str, &[&str], &str); 10] = [
        ("ADD", &["CNI_CONTAINERID"], "required env variables [CNI_CONTAINERID] missing"),
        ("ADD", &["CNI_NETNS"], "required env variables [CNI_NETNS] missing"),
        ("ADD", &["CNI_IFNAME"], "required env variables [CNI_IFNAME] missing"),
        ("ADD", &["CNI_PATH"], "required env variables [CNI_PATH] missing"),
        (
            "ADD",
            &["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
            "required env variables [CNI_NETNS,CNI_IFNAME,CNI_PATH] missing",
        ),
        ("CHECK", &["CNI_NETNS"], "required env variables [CNI_NETNS] missing"),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"], "required env variables [CNI_CONTAINERID,CNI_IFNAME] missing"),
        ("DEL", &["CNI_PATH"], "required env variables [CNI_PATH] missing"),
        ("GC", &["CNI_PATH"], "required env variables [CNI_PATH] missing"),
        ("STATUS", &["CNI_PATH"], "required env variables [CNI_PATH] missing"),
    ];
    let mut cases = Vec::new();
    for (verb, variables, text) in rows {
        for value in [None, Some("")] {
            let name = format!("{verb} with {variables:?} {}", if value.is_none() { "missing" } else { "empty" });
            let case = Case::add(&name, "bridge", 4, Is(text)).verb(verb);
            cases.push(variables.iter().fold(case, |case, variable| case.with(variable, value)));
        }
    }
    cases
}

fn commands() -> Vec<Case> {
    vec![
        Case::add("unknown command", "bridge", 4, Is("unknown CNI_COMMAND: NOPE")).verb("NOPE"),
        Case::add("command in small letters", "bridge", 4, Is("unknown CNI_COMMAND: add")).verb("add"),
        Case::add("command with a space", "ptp", 4, Is("unknown CNI_COMMAND: ADD ")).verb("ADD "),
        Case::add("unknown command, no input", "bridge", 6, Has("error unmarshall network config"))
            .verb("NOPE")
            .stdin(""),
        Case::add("CNI_ARGS without =", "bridge", UPSTREAM, Is("ARGS: invalid pair \"x\"")).with("CNI_ARGS", Some("x")),
        Case::add("CNI_ARGS with two =", "static", UPSTREAM, Is("ARGS: invalid pair \"IP=a=b\""))
            .with("CNI_ARGS", Some("IP=a=b")),
        Case::add("CNI_ARGS ends in ;", "host-local", UPSTREAM, Is("ARGS: invalid pair \"\""))
            .with("CNI_ARGS", Some("IgnoreUnknown=1;")),
        Case::add("CNI_ARGS unknown", "bridge", UPSTREAM, Is("ARGS: unknown args [\"A=b\"]"))
            .with("CNI_ARGS", Some("A=b")),
    ]
}
