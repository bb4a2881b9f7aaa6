//! Network configuration lists as a runtime loads them, and the configuration that each plugin of a list is given.
//! What plugins need not know is checked here; what only they know passes through unchanged: keys, their order, digits
//! of numbers. List-level keys are case-sensitive, the keys of a plugin are not, as in the reference implementation; a
//! name or a version that would only fail later, on DEL, is refused at once.

use serde_json::{Map, Value};

use crate::config::{Attachment, VALID_ATTACHMENTS};
use crate::env::validate_network_name;
use crate::error::{Error, code};
use crate::json::{self, get_ci};
use crate::version::{Version, parse_numbers};

/// A network: the plugins to run, in order.
#[derive(Debug, Clone)]
pub struct NetworkList {
    /// `name`, validated.
    pub name: String,
    /// The highest version among `cniVersions` and `cniVersion` that netferry speaks.
    pub cni_version: Version,
    /// `disableCheck`: CHECK succeeds without running anything.
    pub disable_check: bool,
    /// `disableGC`: so does GC.
    pub disable_gc: bool,
    /// `loadOnlyInlinedPlugins`: the drop-in directory of this network is not read.
    pub load_only_inlined_plugins: bool,
    /// The configurations of the plugins. Empty only where the list has no `plugins` and lives of drop-ins.
    pub plugins: Vec<Value>,
    /// The list as it was read, or what it would be for a single configuration.
    pub bytes: Vec<u8>,
}

/// What a runtime adds to the configuration of a plugin, depending on the verb.
#[derive(Debug, Clone, Copy, Default)]
pub struct Injection<'a> {
    /// `prevResult`.
    pub prev_result: Option<&'a Value>,
    /// Arguments for capabilities (ADD, DEL, CHECK); a plugin gets those that it has the capability for.
    pub capability_args: Option<&'a Map<String, Value>>,
    /// GC's list of attachments to keep; `None` leaves the key out.
    pub valid_attachments: Option<&'a [Attachment]>,
}

impl NetworkList {
    /// Reads a list (`.conflist`).
    ///
    /// # Errors
    /// Code 6 if `bytes` is no JSON object, 7 if something in it is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = json::parse(bytes).map_err(|error| in_list(error).with_code(code::DECODE))?;
        let map =
            value.as_object().ok_or_else(|| in_list(format_args!("expected an object, found {}", go_type(&value))))?;
        let name = match map.get("name") {
            None => return Err(in_list("no name")),
            Some(Value::String(name)) => name.clone(),
            Some(other) => return Err(in_list(format_args!("invalid name type {}", go_type(other)))),
        };
        validate_network_name(&name)?;
        let load_only_inlined_plugins = flag(map, "loadOnlyInlinedPlugins")?;
        if load_only_inlined_plugins && !map.contains_key("plugins") {
            return Err(in_list("`loadOnlyInlinedPlugins` is true, and no `plugins` key"));
        }
        Ok(Self {
            name,
            cni_version: version(map)?,
            disable_check: flag(map, "disableCheck")?,
            disable_gc: flag(map, "disableGC")?,
            load_only_inlined_plugins,
            plugins: plugins(map)?,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads the configuration of a single plugin (`.conf`, `.json`) as a list of one. Name and version are lifted out
    /// of it.
    ///
    /// # Errors
    /// Those of [`parse_plugin`] and [`NetworkList::parse`].
    pub fn from_single(bytes: &[u8]) -> Result<Self, Error> {
        let plugin = parse_plugin(bytes)?;
        let mut list = Map::new();
        for key in ["name", "cniVersion"] {
            if let Some(value) = plugin.as_object().and_then(|plugin| get_ci(plugin, key)) {
                list.insert(key.to_owned(), value.clone());
            }
        }
        list.insert("plugins".to_owned(), vec![plugin].into());
        Self::parse(Value::Object(list).to_string().as_bytes())
    }

    /// The configuration to run `plugin` with, which is one of this list or a drop-in of it.
    pub fn plugin_config(&self, plugin: &Value, injection: &Injection<'_>) -> Vec<u8> {
        let mut map = plugin.as_object().cloned().unwrap_or_default();
        let runtime_config = runtime_config(&map, injection.capability_args);
        inject(&mut map, "name", self.name.as_str().into());
        inject(&mut map, "cniVersion", self.cni_version.as_str().into());
        if !runtime_config.is_empty() {
            inject(&mut map, "runtimeConfig", runtime_config.into());
        }
        if let Some(result) = injection.prev_result {
            inject(&mut map, "prevResult", result.clone());
        }
        if let Some(attachments) = injection.valid_attachments {
            let list: Vec<Value> = attachments.iter().map(attachment).collect();
            for key in VALID_ATTACHMENTS {
                inject(&mut map, key, list.clone().into());
            }
        }
        Value::Object(map).to_string().into_bytes()
    }
}

/// Reads the configuration of one plugin: a `.conf` file, alone or as a drop-in.
///
/// # Errors
/// Code 6 if `bytes` is no JSON object, 7 if the object has no `type`.
pub fn parse_plugin(bytes: &[u8]) -> Result<Value, Error> {
    let invalid = |problem: String| Error::new(code::DECODE, format!("error parsing configuration: {problem}"));
    let value = json::parse(bytes).map_err(|error| invalid(error.to_string()))?;
    if !value.is_object() {
        return Err(invalid(format!("expected an object, found {}", go_type(&value))));
    }
    plugin_type(&value)?;
    Ok(value)
}

/// The `type` of a plugin.
///
/// # Errors
/// Of code 7, if there is none.
pub fn plugin_type(plugin: &Value) -> Result<&str, Error> {
    let text = plugin.as_object().and_then(|map| get_ci(map, "type")).and_then(Value::as_str).unwrap_or_default();
    if text.is_empty() {
        return Err(Error::new(code::INVALID_CONFIG, "error parsing configuration: missing 'type'"));
    }
    Ok(text)
}

fn plugins(map: &Map<String, Value>) -> Result<Vec<Value>, Error> {
    let Some(value) = map.get("plugins") else { return Ok(Vec::new()) };
    let Value::Array(plugins) = value else {
        return Err(in_list(format_args!("invalid 'plugins' type {}", go_type(value))));
    };
    if plugins.is_empty() {
        return Err(in_list("no plugins in list"));
    }
    for (index, plugin) in plugins.iter().enumerate() {
        plugin_type(plugin).map_err(|error| error.context(format_args!("failed to parse plugin config {index}")))?;
    }
    Ok(plugins.clone())
}

/// The highest version that the list offers and we speak.
fn version(map: &Map<String, Value>) -> Result<Version, Error> {
    let single = match map.get("cniVersion") {
        None => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(other) => return Err(in_list(format_args!("invalid cniVersion type {}", go_type(other)))),
    };
    let mut offered: Vec<&str> = single.into_iter().collect();
    match map.get("cniVersions") {
        None if offered.is_empty() => offered.push(""),
        None => {}
        Some(Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                let wrong = || in_list(format_args!("invalid type for cniVersions index {index}: {}", go_type(value)));
                offered.push(value.as_str().ok_or_else(wrong)?);
            }
        }
        Some(other) => return Err(in_list(format_args!("invalid type for cniVersions: {}", go_type(other)))),
    }
    for text in &offered {
        parse_numbers(text).map_err(in_list)?;
    }
    let best = offered.iter().filter_map(|text| Version::exact(text)).max();
    best.ok_or_else(|| {
        in_list(format_args!("no supported version among {offered:?}")).with_code(code::INCOMPATIBLE_VERSION)
    })
}

/// A boolean that some files write as text.
fn flag(map: &Map<String, Value>, key: &str) -> Result<bool, Error> {
    match map.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(Value::String(text)) => Err(in_list(format_args!("invalid value {text:?} for {key}"))),
        Some(other) => Err(in_list(format_args!("invalid type for {key}: {}", go_type(other)))),
    }
}

/// Sets `key`, and removes what a plugin would take for it.
fn inject(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.retain(|name, _| name == key || !json::same_key(name, key));
    map.insert(key.to_owned(), value);
}

fn runtime_config(plugin: &Map<String, Value>, args: Option<&Map<String, Value>>) -> Map<String, Value> {
    let capabilities = get_ci(plugin, "capabilities").and_then(Value::as_object);
    let enabled = capabilities.into_iter().flatten().filter(|(_, value)| **value == Value::Bool(true));
    let with_args = enabled.filter_map(|(name, _)| Some((name.clone(), args?.get(name)?.clone())));
    with_args.collect()
}

fn attachment(attachment: &Attachment) -> Value {
    let mut map = Map::new();
    map.insert("containerID".to_owned(), attachment.container_id.as_str().into());
    map.insert("ifname".to_owned(), attachment.ifname.as_str().into());
    map.into()
}

fn in_list(problem: impl std::fmt::Display) -> Error {
    Error::new(code::INVALID_CONFIG, format!("error parsing configuration list: {problem}"))
}

/// The type of a value in the words of the reference implementation's messages.
const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
