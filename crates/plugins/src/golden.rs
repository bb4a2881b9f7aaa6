//! Golden cases: what a plugin makes of a configuration, without a kernel. `tests/golden/<plugin>/<case>/` has
//! `conf.json` (stdin), `facts.json` (what was observed, what the address management gave, and in `env` variables of
//! the call), and the outcome: `plan.txt` (the steps, or the error) and `result.json`. `UPDATE_EXPECT=1` writes the
//! outcomes anew: read the difference before you believe it.

use std::fmt::Write;
use std::path::Path;

use cni::{AddResult, Command, Error, Interface, Invocation, Request, Version, render, wire};
use expect_test::expect_file;
use plan::{Plan, Side};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::interface::{Call, InterfacePlugin, own_part};

/// Goes through every case of `plugin`; `facts` reads what the plugin itself observes.
pub fn check<P: InterfacePlugin>(plugin: &str, facts: impl Fn(&Value) -> P::Facts) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(plugin);
    let mut cases: Vec<_> = root.read_dir().expect("cases").map(|case| case.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() > 5, "the cases of {plugin} are gone");
    for case in cases {
        let conf = std::fs::read(case.join("conf.json")).expect("conf.json");
        let observed: Value = serde_json::from_slice(&std::fs::read(case.join("facts.json")).expect("facts.json"))
            .expect("facts.json is JSON");
        let (steps, result) = match outcome::<P>(&conf, &observed, &facts) {
            Ok((plan, result)) => (in_words(&plan), result),
            Err(error) => (format!("error {}: {error}\n", error.code), String::new()),
        };
        expect_file![case.join("plan.txt")].assert_eq(&steps);
        expect_file![case.join("result.json")].assert_eq(&result);
    }
}

/// A list of strings; empty where there is none.
pub fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// The request that a plugin would read from `conf`, with the variables of `env` beside the usual ones.
pub fn request(conf: &[u8], env: &Value) -> Result<Request, Error> {
    let usual = |name: &str| match name {
        "CNI_COMMAND" => Some("ADD"),
        "CNI_CONTAINERID" => Some("0123456789ab"),
        "CNI_NETNS" => Some("/run/netns/box"),
        "CNI_IFNAME" => Some("eth0"),
        "CNI_PATH" => Some("/opt/cni/bin"),
        _ => None,
    };
    let lookup = |name: &str| env[name].as_str().or_else(|| usual(name)).map(Into::into);
    match Request::read(lookup, || Ok(conf.to_vec()), &Version::ALL)? {
        Invocation::Request(request) => Ok(*request),
        other => panic!("{other:?} is about no network"),
    }
}

fn outcome<P: InterfacePlugin>(
    conf: &[u8],
    observed: &Value,
    facts: &impl Fn(&Value) -> P::Facts,
) -> Result<(Plan, String), Error> {
    let request = request(conf, &observed["env"])?;
    let call = Call { request: &request, conf: request.conf.decode()?, attachment: Attachment::of(&request) };
    let (facts, mut given) = match (request.env.command, &request.conf.prev_result) {
        (Command::Add, _) => (facts(observed), given(&observed["ipam"])?),
        (Command::Check, Some(previous)) => (facts(observed), own_part(&call.attachment.ifname, previous)),
        (_, Some(previous)) => (P::Facts::default(), own_part(&call.attachment.ifname, previous)),
        (_, None) => (P::Facts::default(), given(&observed["ipam"])?),
    };
    if request.env.command != Command::Del {
        P::validate(&call)?;
    }
    if request.env.command == Command::Add {
        P::complete(&call, &facts, &mut given)?;
    }
    let mut plan = P::links(&call, &facts);
    plan.extend(P::layer3(&call, &facts, &given));
    let result = wire::to_json(&described::<P>(&call, given), Version::LATEST)?;
    Ok((plan, render::pretty(&result) + "\n"))
}

fn given(ipam: &Value) -> Result<AddResult, Error> {
    if ipam.is_null() { Ok(AddResult::default()) } else { Ok(wire::from_json(ipam, Version::LATEST)?.0) }
}

/// The interfaces as the plugin names them, and the rest as it completed it.
fn described<P: InterfacePlugin>(call: &Call<'_, P::Conf>, given: AddResult) -> AddResult {
    let interface = |(side, name): (Side, String)| Interface {
        mac: P::mac(call, side, &name, &given).map(|mac| mac.to_string()).unwrap_or_default(),
        sandbox: if side == Side::Container { "/run/netns/box".to_owned() } else { String::new() },
        name,
        ..Interface::default()
    };
    AddResult { interfaces: P::interfaces(call, &given).into_iter().map(interface).collect(), ..given }
}

fn in_words(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let shared = if step.shared { "shared" } else { "own" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<9} {shared:<6} {:<8} {}", step.side.to_string(), step.op.object(), step.op);
    }
    text
}
