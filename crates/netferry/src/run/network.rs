//! Which networks a run joins, and whether it can: everything is known before anything is changed.

use cni::list::NetworkList;
use cni::{Error, code};
use runtime::{Capabilities, discover, status};
use serde_json::{Value, json};

use super::publish::Publish;
use super::session::Session;
use crate::options::Options;

const PORT_MAPPINGS: &str = "portMappings";

/// A network to join, and what its plugins are given.
pub struct Choice {
    /// Its configuration.
    pub list: NetworkList,
    /// Capability arguments.
    pub capabilities: Capabilities,
    /// Whether it is ours.
    pub is_builtin: bool,
}

/// The networks in `names`, or the default one. Ports are published on the first.
///
/// # Errors
/// A network does not exist or is broken; ports cannot be published on it.
pub fn choose(options: &Options, run: &Session, names: &[String], ports: &[Publish]) -> Result<Vec<Choice>, Error> {
    let mut choices = Vec::new();
    for name in names {
        choices.push(Choice { list: options.load(name)?, capabilities: Capabilities::new(), is_builtin: false });
    }
    if names.is_empty() {
        choices.push(default(options, run, !ports.is_empty())?);
    }
    if let Some(first) = choices.first_mut().filter(|_| !ports.is_empty()) {
        publish(first, ports)?;
    }
    Ok(choices)
}

fn default(options: &Options, run: &Session, with_ports: bool) -> Result<Choice, Error> {
    let is_builtin = discover::is_empty(&options.conf_dir())?;
    let list = if is_builtin { builtin(run, with_ports)? } else { options.load_default()? };
    Ok(Choice { list, capabilities: Capabilities::new(), is_builtin })
}

fn builtin(run: &Session, with_ports: bool) -> Result<NetworkList, Error> {
    let bytes = run.builtin_network().map_err(|error| Error::new(code::IO, format!("built-in network: {error}")))?;
    if !with_ports {
        return NetworkList::parse(&bytes);
    }
    if !run.finds("portmap") {
        let text = "ports cannot be published: there is no plugin \"portmap\" in the plugin path";
        return Err(Error::new(code::INVALID_CONFIG, text).with_details("name its directory with --plugin-path"));
    }
    let mut list = cni::json::parse(&bytes).map_err(|error| Error::new(code::DECODE, error.to_string()))?;
    if let Some(plugins) = list.get_mut("plugins").and_then(Value::as_array_mut) {
        if let Some(bridge) = plugins.first_mut().and_then(Value::as_object_mut) {
            // Where bridged frames pass iptables (br_netfilter), what the command sends to its own published port is turned
            // round on the bridge.
            bridge.insert("hairpinMode".to_owned(), true.into());
        }
        plugins.push(json!({ "type": "portmap", "capabilities": { PORT_MAPPINGS: true }, "snat": true }));
    }
    NetworkList::parse(list.to_string().as_bytes())
}

fn publish(choice: &mut Choice, ports: &[Publish]) -> Result<(), Error> {
    if !status::capabilities(&choice.list).iter().any(|name| name == PORT_MAPPINGS) {
        let text = format!("ports cannot be published on network {:?}", choice.list.name);
        let details = "none of its plugins has the capability portMappings; add the plugin portmap to it";
        return Err(Error::new(code::INVALID_CONFIG, text).with_details(details));
    }
    let mappings: Vec<Value> = ports.iter().map(Publish::mapping).collect();
    choice.capabilities.insert(PORT_MAPPINGS.into(), mappings.into());
    Ok(())
}
