//! [`AddResult`] to the JSON of every version and back. Fields are emitted or omitted as the reference implementation
//! does; unlike it, fields that 1.1.0 added are not leaked into older versions. Conversion goes through [`AddResult`],
//! whose addresses know their family: the `version` of `ips` in 0.3.0 to 0.4.0 is derived, never believed.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, code};
use crate::json::{self, get_ci};
use crate::net;
use crate::result::{AddResult, Dns, Interface, IpConfig, Route};
use crate::version::{Family, Version};

/// `result` in the shape of `version`.
///
/// # Errors
/// `cannot convert: no valid IP addresses` if `version` is 0.1.0 or 0.2.0, which cannot say "no address".
pub fn to_json(result: &AddResult, version: Version) -> Result<Value, Error> {
    let mut top = Object::default();
    top.put("cniVersion", version.as_str());
    if version.family() == Family::Ip4Ip6 {
        put_ip4_ip6(&mut top, result)?;
    } else {
        top.put_list("interfaces", &result.interfaces, |interface| emit_interface(interface, version));
        top.put_list("ips", &result.ips, |ip| emit_ip(ip, version));
        top.put_list("routes", &result.routes, |route| emit_route(route, version));
    }
    if version.family() != Family::Ips {
        top.put("dns", emit_dns(&result.dns));
        return Ok(top.into());
    }
    if !result.dns.is_empty() {
        top.put("dns", emit_dns(&result.dns));
    }
    let mut value = Value::from(top);
    value.sort_all_objects();
    Ok(value)
}

/// The result in `value` and the version it has; `default` where it names none.
///
/// # Errors
/// Of code 6: a version we do not know, or a field of the wrong type.
pub fn from_json(value: &Value, default: Version) -> Result<(AddResult, Version), Error> {
    let version = version_of(value, default)?;
    let decoded = match version.family() {
        Family::Ip4Ip6 => json::decode::<Ip4Ip6>(value).map(AddResult::from),
        Family::TaggedIps | Family::Ips => json::decode::<AddResult>(value),
    };
    let result = decoded.map_err(|error| Error::new(code::DECODE, error.to_string()))?;
    Ok((result, version))
}

/// `value` as a result of version `to`; `from` is its version where it names none. Between versions of one shape the
/// fields that we do not know survive.
///
/// # Errors
/// Those of [`from_json`] and [`to_json`].
pub fn convert_value(value: &Value, from: Version, to: Version) -> Result<Value, Error> {
    let version = version_of(value, from)?;
    let Value::Object(map) = value else {
        return to_json(&from_json(value, from)?.0, to);
    };
    if version.family() != to.family() {
        return to_json(&from_json(value, from)?.0, to);
    }
    let mut map = map.clone();
    map.retain(|key, _| key == "cniVersion" || !json::same_key(key, "cniVersion"));
    map.insert("cniVersion".to_owned(), to.as_str().into());
    if to < Version::V1_1_0 {
        remove_from_items(&mut map, "interfaces", &["mtu", "socketPath", "pciID"]);
        remove_from_items(&mut map, "routes", &["mtu", "advmss", "priority", "table", "scope"]);
    }
    Ok(Value::Object(map))
}

/// The version that a result names; one that is missing, empty or no text is `default` (seen in the field).
///
/// # Errors
/// Of code 6, if the version is not one we know.
pub fn version_of(value: &Value, default: Version) -> Result<Version, Error> {
    match value.as_object().and_then(|map| get_ci(map, "cniVersion")).and_then(Value::as_str) {
        None | Some("") => Ok(default),
        Some(text) => Version::exact(text)
            .ok_or_else(|| Error::new(code::DECODE, format!("unsupported CNI result version {text:?}"))),
    }
}

fn remove_from_items(map: &mut Map<String, Value>, list: &str, fields: &[&str]) {
    for (_, value) in map.iter_mut().filter(|(key, _)| json::same_key(key, list)) {
        for item in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            item.retain(|key, _| !fields.iter().any(|field| json::same_key(key, field)));
        }
    }
}

/// A result of 0.1.0 or 0.2.0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ip4Ip6 {
    ip4: Option<FamilyConfig>,
    ip6: Option<FamilyConfig>,
    dns: Dns,
}

#[derive(Deserialize)]
struct FamilyConfig {
    #[serde(deserialize_with = "net::cidr")]
    ip: ipnet::IpNet,
    #[serde(default, deserialize_with = "net::ip")]
    gateway: Option<IpAddr>,
    #[serde(default)]
    routes: Vec<Route>,
}

impl From<Ip4Ip6> for AddResult {
    fn from(old: Ip4Ip6) -> Self {
        let mut result = Self { dns: old.dns, ..Self::default() };
        for config in [old.ip4, old.ip6].into_iter().flatten() {
            result.ips.push(IpConfig { interface: None, address: config.ip, gateway: config.gateway });
            result.routes.extend(config.routes.into_iter().map(|route| Route::new(route.dst, route.gw)));
        }
        result
    }
}

fn put_ip4_ip6(top: &mut Object, result: &AddResult) -> Result<(), Error> {
    let mut found = false;
    for (key, v4) in [("ip4", true), ("ip6", false)] {
        let Some(ip) = result.ips.iter().find(|ip| ip.address.addr().is_ipv4() == v4) else { continue };
        found = true;
        let routes: Vec<&Route> = result.routes.iter().filter(|route| route.dst.addr().is_ipv4() == v4).collect();
        let mut config = Object::default();
        config.put("ip", ip.address.to_string());
        config.put_ip("gateway", ip.gateway);
        config.put_list("routes", &routes, |route| emit_route(route, Version::V0_2_0));
        top.put(key, config);
    }
    if found { Ok(()) } else { Err(Error::internal("cannot convert: no valid IP addresses")) }
}

fn emit_interface(interface: &Interface, version: Version) -> Object {
    let mut object = Object::default();
    object.put("name", interface.name.as_str());
    object.put_text("mac", &interface.mac);
    if version >= Version::V1_1_0 {
        object.put_number("mtu", interface.mtu);
    }
    object.put_text("sandbox", &interface.sandbox);
    if version >= Version::V1_1_0 {
        object.put_text("socketPath", &interface.socket_path);
        object.put_text("pciID", &interface.pci_id);
    }
    object
}

fn emit_ip(ip: &IpConfig, version: Version) -> Object {
    let mut object = Object::default();
    if version.family() == Family::TaggedIps {
        object.put("version", if ip.address.addr().is_ipv4() { "4" } else { "6" });
    }
    if let Some(index) = ip.interface {
        object.put("interface", index);
    }
    object.put("address", ip.address.to_string());
    object.put_ip("gateway", ip.gateway);
    object
}

fn emit_route(route: &Route, version: Version) -> Object {
    let mut object = Object::default();
    object.put("dst", route.dst.to_string());
    object.put_ip("gw", route.gw);
    if version >= Version::V1_1_0 {
        object.put_number("mtu", route.mtu);
        object.put_number("advmss", route.advmss);
        object.put_number("priority", route.priority);
        if let Some(table) = route.table {
            object.put("table", table);
        }
        if let Some(scope) = route.scope {
            object.put("scope", scope);
        }
    }
    object
}

fn emit_dns(dns: &Dns) -> Object {
    let mut object = Object::default();
    object.put_list("nameservers", &dns.nameservers, |text| text.as_str());
    object.put_text("domain", &dns.domain);
    object.put_list("search", &dns.search, |text| text.as_str());
    object.put_list("options", &dns.options, |text| text.as_str());
    object
}

/// A JSON object whose fields are left out where they say nothing.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn put_text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, text);
        }
    }

    fn put_number(&mut self, key: &str, number: u32) {
        if number != 0 {
            self.put(key, number);
        }
    }

    fn put_ip(&mut self, key: &str, addr: Option<IpAddr>) {
        if let Some(addr) = addr {
            self.put(key, addr.to_string());
        }
    }

    fn put_list<'a, T, V: Into<Value>>(&mut self, key: &str, items: &'a [T], emit: impl Fn(&'a T) -> V) {
        if !items.is_empty() {
            self.put(key, items.iter().map(|item| emit(item).into()).collect::<Vec<Value>>());
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
