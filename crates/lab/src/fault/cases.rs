//! The rows of one plugin: what changes something (ADD, DEL, GC) and must be cured, what changes nothing (CHECK, STATUS,
//! PLAN) and needs no cure.

use super::{Baseline, Cure, FaultCase, MakeSteps, Steps};
use crate::error::{Error, Result};
use crate::node::{Container, Node};
use crate::plugin::{Attachment, Plugins, Verb};
use crate::process::{Invocation, Output};
use serde_json::{Value, json};
use std::path::Path;

impl FaultCase {
    /// ADD of a plugin, recovered by DEL; and DEL after an unharmed ADD, recovered by DEL again.
    pub fn changes(name: &str, plugins: &Plugins, conf: &Value, baseline: Baseline) -> [FaultCase; 2] {
        [Verb::Add, Verb::Del].map(|verb| {
            let (plugins, conf) = (plugins.clone(), conf.clone());
            let steps = move |_: &Node, container: &Container| {
                let attachment = Attachment::new("fault", container);
                let call = |verb| plugins.invocation(verb, &conf, &attachment);
                let prepare = if verb == Verb::Del { vec![call(Verb::Add)] } else { Vec::new() };
                Ok(Steps { prepare, act: call(verb), recover: Some(Cure::Command(call(Verb::Del))) })
            };
            let case = FaultCase::verb(name, verb, baseline, Box::new(steps));
            FaultCase { undoes: verb == Verb::Add, ..case }
        })
    }

    /// GC of a plugin, with a valid attachment, which stays as it is, and two stale ones, each with a configuration of its
    /// own; recovered by the next GC.
    pub fn garbage(name: &str, plugins: &Plugins, confs: [&Value; 3]) -> FaultCase {
        let (plugins, confs) = (plugins.clone(), confs.map(Value::clone));
        let steps = move |node: &Node, container: &Container| {
            let [valid, one, two] = [("valid", "eth0"), ("stale1", "eth1"), ("stale2", "eth2")].map(|(id, ifname)| {
                let attachment = Attachment::new(id, container);
                Attachment { ifname: ifname.to_owned(), ..attachment }
            });
            plugins.add(node, &confs[0], &valid)?;
            let mut collect = confs[0].clone();
            collect["cni.dev/valid-attachments"] = json!([{"containerID": "valid", "ifname": "eth0"}]);
            let stale = [(&confs[1], &one), (&confs[2], &two)];
            let prepare = stale.map(|(conf, stale)| plugins.invocation(Verb::Add, conf, stale)).to_vec();
            Ok(Steps { prepare, act: plugins.invocation(Verb::Gc, &collect, &valid), recover: None })
        };
        FaultCase::verb(name, Verb::Gc, Baseline::Warm, Box::new(steps))
    }

    /// CHECK of a plugin's attachment; STATUS and PLAN of another attachment, with a configuration of its own.
    pub fn questions(name: &str, plugins: &Plugins, conf: &Value, another: &Value) -> [FaultCase; 3] {
        [Verb::Check, Verb::Status, Verb::Plan].map(|verb| {
            let (plugins, conf, another) = (plugins.clone(), conf.clone(), another.clone());
            let steps = move |node: &Node, container: &Container| {
                let mut attachment = Attachment::new("fault", container);
                let result = plugins.add(node, &conf, &attachment)?;
                let mut asked = if verb == Verb::Check { conf.clone() } else { another.clone() };
                match verb {
                    Verb::Check => asked["prevResult"] = result,
                    _ => "another".clone_into(&mut attachment.ifname),
                }
                Ok(Steps { prepare: Vec::new(), act: plugins.invocation(verb, &asked, &attachment), recover: None })
            };
            FaultCase::verb(name, verb, Baseline::Unchanged, Box::new(steps))
        })
    }

    /// The whole process tree of `netferry run -- true`, cured by the next run, as `docs/run.md` promises.
    pub fn run(netferry: &Path) -> FaultCase {
        let act = Invocation {
            program: netferry.to_owned(),
            args: ["run", "--", "true"].map(str::to_owned).to_vec(),
            env: ["NETCONFPATH", "CNI_PATH"].map(|key| (key.to_owned(), "/run/none".to_owned())).to_vec(),
            ..Invocation::default()
        };
        let steps = move |_: &Node, _: &Container| Ok(Steps { prepare: Vec::new(), act: act.clone(), recover: None });
        let (name, steps) = ("netferry run".to_owned(), Box::new(steps));
        let baseline = Baseline::Warm;
        FaultCase { name, baseline, only: |_| true, undoes: false, answers: exit_code, setup: |_| Ok(()), steps }
    }

    /// A run and its cure that are like no other row's, on a warm node.
    pub fn of(name: &str, steps: MakeSteps) -> FaultCase {
        let (name, baseline) = (name.to_owned(), Baseline::Warm);
        FaultCase { name, baseline, only: |_| true, undoes: false, answers: one_document, setup: |_| Ok(()), steps }
    }

    fn verb(name: &str, verb: Verb, baseline: Baseline, steps: MakeSteps) -> FaultCase {
        let name = format!("{name} {} {baseline:?}", verb.name());
        FaultCase { name, baseline, only: |_| true, undoes: false, answers: one_document, setup: |_| Ok(()), steps }
    }
}

/// How `netferry run -- true` must end: as the command did, or with a code of its own and the reason.
fn exit_code(output: &Output) -> Result<()> {
    let said = !output.stderr.is_empty() && !output.stderr.contains("panicked");
    match output.status.code() {
        Some(0) => Ok(()),
        Some(125..=127) if said => Ok(()),
        // The command, killed as it began: 128 and SIGKILL.
        Some(137) => Ok(()),
        _ => Err(Error::new("neither the command's exit code nor an error of netferry's own")),
    }
}

/// What a plugin must print whatever happens to it: on success a result or nothing, else one error object.
pub fn one_document(output: &Output) -> Result<()> {
    if output.status.success() && output.stdout.is_empty() {
        return Ok(());
    }
    let document: Value = serde_json::from_str(&output.stdout).map_err(Error::during("not one JSON document"))?;
    let error = document.get("code").is_some_and(Value::is_u64) && document.get("msg").is_some_and(Value::is_string);
    if output.status.success() || error { Ok(()) } else { Err(Error::new("neither a result nor an error object")) }
}
