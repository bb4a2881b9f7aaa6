//! Bad input, by table: the specified code and text, a non-zero exit, one JSON document on standard output, no panic,
//! and nothing changed on the node or in the container.

mod case;
mod configuration;
mod envelope;
mod namespaces;
mod wire;

use case::{Case, Text};
use lab::{Attachment, Invocation, Node, Output, Plugins, Result, Snapshot, report};
use serde_json::Value;

/// What the issue asks for; the table has more.
const AT_LEAST: usize = 60;

#[test]
fn every_row_is_answered_and_changes_nothing() {
    let ours = Plugins::ours().expect("netferry's plugins");
    let cases: Vec<Case> =
        [envelope::cases(), wire::cases(), namespaces::cases(), configuration::cases()].into_iter().flatten().collect();
    assert!(cases.len() >= AT_LEAST, "{} cases", cases.len());
    let node = stage().expect("a node");
    let container = node.container("c1").expect("a container");
    // A name that is taken: ADD of `taken0` must fail.
    node.run(["ip", "link", "add", "taken0", "netns", "c1", "type", "veth", "peer", "name", "notbr"]).expect("a veth");
    let attachment = Attachment::new("c1", &container);
    // What a good call leaves for all (a bridge, a lock file) is no change that bad input made.
    for plugin in ["loopback", "bridge", "ptp", "host-local", "static"] {
        ours.add(&node, &case::good(plugin), &attachment).expect(plugin);
        ours.del(&node, &case::good(plugin), &attachment).expect(plugin);
    }
    let state = || -> Result<Snapshot> { Ok(node.snapshot()?.and("container", container.snapshot()?)) };
    let mut before = state().expect("a snapshot");
    let mut complaints = String::new();
    for case in &cases {
        let call = invocation(case, &ours, &attachment);
        let output = call.run(node.namespaces()).expect("a run");
        if let Err(complaint) = judge(case, &output) {
            complaints.push_str(&format!("{}: {complaint}\n  {}\n", case.name, one_line(&output)));
        }
        if let Some(changed) = before.diff(&state().expect("a snapshot")) {
            complaints.push_str(&format!("{}: changed\n{changed}", case.name));
            // So that the next case fails for its own reason.
            let undo = invocation(case, &ours, &attachment);
            let undo = Invocation { env: undo.env.into_iter().map(del).collect(), ..undo };
            undo.run(node.namespaces()).expect("a run");
            before = state().expect("a snapshot");
        }
    }
    println!("{} cases of bad input", cases.len());
    report::count("input", cases.len(), "table");
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn stage() -> Result<Node> {
    let node = Node::new()?;
    node.run(["mkdir", "-p", "/run/lab"])?;
    node.run(["sh", "-c", "echo plain > /run/lab/file"])?;
    Ok(node)
}

fn invocation(case: &Case, plugins: &Plugins, attachment: &Attachment) -> Invocation {
    let mut call = plugins.invocation(lab::Verb::Add, &Value::Null, attachment);
    call.program = plugins.path(case.plugin);
    call.stdin = case.stdin.clone();
    for (key, value) in case.env() {
        call.env.retain(|(name, _)| *name != key);
        call.env.extend(value.map(|value| (key, value)));
    }
    call
}

fn del((key, value): (String, String)) -> (String, String) {
    if key == "CNI_COMMAND" { (key, "DEL".to_owned()) } else { (key, value) }
}

fn judge(case: &Case, output: &Output) -> std::result::Result<(), String> {
    if output.status.success() {
        return Err("succeeded".to_owned());
    }
    if output.status.code().is_none() || output.stderr.contains("panicked") {
        return Err(format!("did not end by itself: {}", output.status));
    }
    let document: Value = serde_json::from_str(&output.stdout).map_err(|error| format!("not one document: {error}"))?;
    let field = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = document.get("code").and_then(Value::as_u64);
    if code != Some(case.code) {
        return Err(format!("code {code:?}, not {}", case.code));
    }
    let (message, details) = (field("msg"), field("details"));
    let whole = if details.is_empty() { message.clone() } else { format!("{message}; {details}") };
    let told = match case.text {
        Text::Is(text) => message == text || whole == text,
        Text::Has(text) => whole.contains(text),
    };
    if told { Ok(()) } else { Err(format!("does not say {:?}", case.text)) }
}

fn one_line(output: &Output) -> String {
    let said = output.describe().split_whitespace().collect::<Vec<_>>().join(" ");
    said.chars().take(400).collect()
}
