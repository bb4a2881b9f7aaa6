//! The configuration of `bridge`, and what is wrong with one.

use cni::{Error, code};
use kernel::mac::Mac;
use kernel::netlink::port_vlan::PortVlan;
use serde::Deserialize;

use crate::interface::Call;
use crate::masquerade::Backend;

/// The highest VLAN identifier: 4095 is reserved (IEEE 802.1Q).
const LAST_VLAN: i64 = 4094;

/// The keys of `bridge` besides those of every plugin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Conf {
    bridge: String,
    /// The bridge gets the gateway addresses.
    pub is_gateway: bool,
    /// As `is_gateway`, and the container a default route there.
    pub is_default_gateway: bool,
    /// A conflicting address of the bridge gives way.
    pub force_address: bool,
    /// Masquerade what leaves the network.
    pub ip_masq: bool,
    ip_masq_backend: Option<String>,
    mtu: i64,
    /// Frames may go back out of the port they came in by.
    pub hairpin_mode: bool,
    /// The bridge receives every frame.
    pub promisc_mode: bool,
    /// The port's access VLAN; 0 is none.
    pub vlan: i64,
    vlan_trunk: Vec<Trunk>,
    /// The port keeps the bridge's default VLAN beside its own.
    pub preserve_default_vlan: bool,
    /// The container may send from its own hardware address only.
    pub macspoofchk: bool,
    /// The kernel looks for duplicates of IPv6 addresses.
    pub enabledad: bool,
    /// The container's end stays down.
    pub disable_container_interface: bool,
    /// The port does not talk to other isolated ports.
    pub port_isolation: bool,
    /// netferry's own: the last DEL removes the bridge.
    pub remove_when_empty: bool,
    runtime_config: MacConf,
    args: Args,
}

/// One entry of `vlanTrunk`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Trunk {
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
    id: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: MacConf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MacConf {
    mac: String,
}

impl Conf {
    /// Name of the bridge.
    pub fn bridge(&self) -> &str {
        if self.bridge.is_empty() { "cni0" } else { &self.bridge }
    }

    /// True if the bridge is to have the gateway addresses.
    pub const fn is_gateway(&self) -> bool {
        self.is_gateway || self.is_default_gateway
    }

    /// Maximum transmission unit in bytes, if one is set.
    pub fn mtu(&self) -> Option<u32> {
        u32::try_from(self.mtu).ok().filter(|mtu| *mtu != 0)
    }

    /// True if ports are told apart by VLAN.
    pub fn has_vlans(&self) -> bool {
        self.vlan != 0 || !self.vlan_trunk.is_empty()
    }

    /// What makes the masquerade rules, if the configuration says.
    pub fn backend(&self) -> Option<&str> {
        self.ip_masq_backend.as_deref()
    }

    /// The VLANs that the port is to carry, ascending.
    pub fn port_vlans(&self) -> Vec<PortVlan> {
        let access = if self.vlan == 0 && !self.vlan_trunk.is_empty() { 1 } else { self.vlan };
        // DEL reads what nobody validated: what is no VLAN was never made, and each is counted once.
        let is_vlan = |id: &i64| (1..=LAST_VLAN).contains(id);
        let mut carried = [false; LAST_VLAN as usize + 1];
        for trunk in &self.vlan_trunk {
            let range = trunk.min_id.zip(trunk.max_id).map(|(min, max)| min.max(1)..=max.min(LAST_VLAN));
            for id in range.into_iter().flatten().chain(trunk.id.filter(is_vlan)) {
                carried[id as usize] = true;
            }
        }
        let ids = (1..=LAST_VLAN).filter(|id| carried[*id as usize] || *id == access);
        ids.map(|id| PortVlan { id: id as u16, pvid: id == access, untagged: id == access }).collect()
    }

    fn validate_trunk(&self) -> Result<(), String> {
        let valid = |id: Option<i64>, what: &str| match id {
            Some(id) if !(1..=LAST_VLAN).contains(&id) => Err(format!("incorrect trunk {what} parameter")),
            _ => Ok(()),
        };
        for trunk in &self.vlan_trunk {
            valid(trunk.min_id, "minID")?;
            valid(trunk.max_id, "maxID")?;
            valid(trunk.id, "id")?;
            let both = "minID and maxID should be configured simultaneously";
            match (trunk.min_id, trunk.max_id) {
                (Some(_), None) => return Err(format!("{both}, maxID is missing")),
                (None, Some(_)) => return Err(format!("{both}, minID is missing")),
                (Some(min), Some(max)) if min > max => {
                    return Err("minID is greater than maxID in trunk parameter".into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Checks what a call asks for.
pub fn validate(call: &Call<'_, Conf>) -> Result<(), Error> {
    let conf = &call.conf;
    let invalid = |text: String| Error::internal(text);
    cni::env::validate_ifname(conf.bridge())
        .map_err(|error| invalid(format!("invalid bridge name {:?}: {error}", conf.bridge())))?;
    if !(0..=LAST_VLAN).contains(&conf.vlan) {
        return Err(invalid(format!("invalid VLAN ID {} (must be between 0 and 4094)", conf.vlan)));
    }
    conf.validate_trunk().map_err(invalid)?;
    if conf.hairpin_mode && conf.promisc_mode {
        return Err(invalid("cannot set hairpin mode and promiscuous mode at the same time".into()));
    }
    if conf.disable_container_interface && !call.request.conf.ipam_type.is_empty() {
        return Err(invalid("cannot use IPAM when DisableContainerInterface flag is set".into()));
    }
    if u32::try_from(conf.mtu).is_err() {
        return Err(invalid(format!(
            "invalid mtu {}: it must be 0 (the kernel's choice) or a number of bytes",
            conf.mtu
        )));
    }
    Backend::named(conf.ip_masq_backend.as_deref())?;
    requested_mac(call).map(drop)
}

/// The hardware address that was asked for: by the runtime, by the configuration's `args`, or by `CNI_ARGS`.
pub fn requested_mac(call: &Call<'_, Conf>) -> Result<Option<Mac>, Error> {
    let known = cni::args::load(&call.request.env.args, &["MAC"]).map_err(|error| error.with_code(code::INTERNAL))?;
    let by_args = known.iter().find(|(key, _)| key == "MAC").map(|(_, value)| value.as_str());
    let conf = &call.conf;
    let wanted = [conf.runtime_config.mac.as_str(), conf.args.cni.mac.as_str(), by_args.unwrap_or_default()];
    let Some(text) = wanted.into_iter().find(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(mac) => Ok(Some(mac)),
        Err(error) => Err(Error::internal(format!("failed to parse MAC address: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlans(conf: &str) -> Vec<u16> {
        let conf: Conf = serde_json::from_str(conf).expect("a configuration");
        conf.port_vlans().iter().map(|vlan| vlan.id).collect()
    }

    #[test]
    fn what_nobody_validated_is_no_longer_than_all_vlans() {
        let range = r#"{"minID":0,"maxID":65535},{"minID":-9,"maxID":9223372036854775807},{"id":70000}"#;
        let many = vec![range; 10_000].join(",");
        let all = vlans(&format!(r#"{{"vlanTrunk":[{many}]}}"#));
        assert_eq!((all.len(), all[0], all[4093]), (4094, 1, 4094));
        assert_eq!(vlans(r#"{"vlan":5000,"vlanTrunk":[{"minID":9,"maxID":7},{"id":3},{"id":2},{"id":3}]}"#), [2, 3]);
    }
}
