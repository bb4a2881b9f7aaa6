//! The configuration a plugin reads from stdin: the keys that every plugin shares, typed, beside the whole document,
//! which passes unchanged to delegates and from which [`PluginConf::decode`] reads the plugin's own keys. DEL must
//! work with what it gets: there, a shared key that cannot be read becomes a warning.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::env::{Command, validate_network_name};
use crate::error::{Error, code};
use crate::json::{self, DecodeError, get_ci};
use crate::result::{AddResult, Dns};
use crate::version::Version;
use crate::wire;

/// The key of GC's list, and the key that it had in the first release of 1.1.0.
pub const VALID_ATTACHMENTS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// A plugin's configuration.
#[derive(Debug, Clone)]
pub struct PluginConf {
    /// `cniVersion`; 0.1.0 where it is missing.
    pub cni_version: Version,
    /// `name` of the network, validated.
    pub name: String,
    /// `type` of the plugin.
    pub plugin_type: String,
    /// `ipam.type`; empty where there is no address management.
    pub ipam_type: String,
    /// `dns`, if it says anything, be it an empty list: then it replaces what the address management says.
    pub dns: Option<Dns>,
    /// `prevResult`.
    pub prev_result: Option<AddResult>,
    /// GC's list of attachments to keep. `None` is "no list", which must not remove anything; empty is "keep none".
    pub valid_attachments: Option<Vec<Attachment>>,
    /// `runtimeConfig`; null where it is missing.
    pub runtime_config: Value,
    /// The whole configuration.
    pub raw: Value,
    /// The whole configuration as it was read.
    pub bytes: Vec<u8>,
    /// What DEL could not read and does without; for stderr.
    pub warnings: Vec<String>,
}

/// An interface in a container, as GC names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Container ID. Not validated: it is compared, never used.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// Name of the interface. Not validated, as above.
    pub ifname: String,
}

impl PluginConf {
    /// The configuration `raw`, whose name and version have been checked.
    pub(crate) fn new(bytes: Vec<u8>, raw: Value, version: Version, command: Command) -> Result<Self, Error> {
        let empty = Map::new();
        let map = raw.as_object().unwrap_or(&empty);
        let mut keys = Keys { map, lenient: command == Command::Del, warnings: Vec::new() };
        Ok(Self {
            cni_version: version,
            name: keys.read("name", json::decode)?,
            plugin_type: keys.read("type", json::decode)?,
            ipam_type: keys.read("ipam", |value| json::decode::<IpamType>(value).map(|ipam| ipam.name))?,
            dns: keys.read("dns", said_dns)?,
            prev_result: keys.prev_result(version)?,
            valid_attachments: keys.valid_attachments()?,
            runtime_config: get_ci(map, "runtimeConfig").cloned().unwrap_or_default(),
            warnings: keys.warnings,
            bytes,
            raw,
        })
    }

    /// The configuration as a plugin's own type.
    ///
    /// # Errors
    /// Of code 6, naming the field that does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::decode(&self.raw).map_err(|error| Error::new(code::DECODE, format!("failed to load netconf: {error}")))
    }
}

/// Reads stdin as the reference `skel` does before it looks at the version.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let invalid = |problem: String| Error::new(code::DECODE, format!("error unmarshall network config: {problem}"));
    let raw = json::parse(bytes).map_err(|error| invalid(error.to_string()))?;
    let conf: Named = json::decode(&raw).map_err(|error| invalid(error.to_string()))?;
    validate_network_name(&conf.name)?;
    Ok(raw)
}

/// The text of `cniVersion`; empty where it is missing.
pub(crate) fn version_text(raw: &Value) -> Result<String, Error> {
    let conf: Versioned = json::decode(raw)
        .map_err(|error| Error::new(code::DECODE, format!("decoding version from network config: {error}")))?;
    Ok(conf.cni_version)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Versioned {
    cni_version: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpamType {
    #[serde(rename = "type")]
    name: String,
}

fn said_dns(value: &Value) -> Result<Option<Dns>, DecodeError> {
    let dns: Dns = json::decode(value)?;
    let lists = ["nameservers", "search", "options"];
    let said = value.as_object().is_some_and(|map| lists.iter().any(|key| get_ci(map, key).is_some()));
    Ok((said || !dns.domain.is_empty()).then_some(dns))
}

/// The shared keys of a configuration on their way into types.
struct Keys<'a> {
    map: &'a Map<String, Value>,
    lenient: bool,
    warnings: Vec<String>,
}

impl Keys<'_> {
    /// The value of `key`, or the default where it is missing.
    fn read<T: Default>(
        &mut self,
        key: &str,
        decode: impl FnOnce(&Value) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        let Some(value) = get_ci(self.map, key) else { return Ok(T::default()) };
        let decoded = decode(value)
            .map_err(|error| Error::new(code::DECODE, format!("failed to load netconf: {}", error.under(key))));
        self.tolerate(decoded)
    }

    fn prev_result(&mut self, version: Version) -> Result<Option<AddResult>, Error> {
        let Some(value) = get_ci(self.map, "prevResult") else { return Ok(None) };
        let parsed = parse_prev_result(value, version).map(Some);
        self.tolerate(parsed)
    }

    /// The list under either name: an array before a null, which is an empty list.
    fn valid_attachments(&mut self) -> Result<Option<Vec<Attachment>>, Error> {
        for key in VALID_ATTACHMENTS {
            if get_ci(self.map, key).is_some() {
                return self.read(key, |value| json::decode(value).map(Some));
            }
        }
        let is_null = self.map.keys().any(|name| VALID_ATTACHMENTS.iter().any(|key| json::same_key(name, key)));
        Ok(is_null.then(Vec::new))
    }

    fn tolerate<T: Default>(&mut self, decoded: Result<T, Error>) -> Result<T, Error> {
        match decoded {
            Err(error) if self.lenient => {
                self.warnings.push(error.to_string());
                Ok(T::default())
            }
            decoded => decoded,
        }
    }
}

fn parse_prev_result(value: &Value, version: Version) -> Result<AddResult, Error> {
    let context = |error: Error| error.context("could not parse prevResult");
    let (result, found) = wire::from_json(value, version).map_err(context)?;
    if found.family() == version.family() {
        return Ok(result);
    }
    let supported: Vec<&str> = version.siblings().map(Version::as_str).collect();
    let supported = supported.join(" ");
    let problem = format!("result type supports [{supported}] but unmarshalled CNIVersion is {:?}", found.as_str());
    Err(context(Error::new(code::DECODE, problem)))
}
