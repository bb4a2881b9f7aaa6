//! `--publish HOST:CONTAINER[/PROTOCOL]`, as the `portMappings` capability wants it.

use std::str::FromStr;

use serde_json::{Value, json};

/// A port of the host that leads to one of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    host: u16,
    container: u16,
    protocol: &'static str,
}

impl Publish {
    /// An element of `portMappings`.
    pub fn mapping(&self) -> Value {
        json!({ "hostPort": self.host, "containerPort": self.container, "protocol": self.protocol })
    }
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = ["tcp", "udp", "sctp"].into_iter().find(|known| *known == protocol);
        let protocol = protocol.ok_or("the protocol is tcp, udp or sctp")?;
        let (host, container) = ports.split_once(':').ok_or("expected HOST:CONTAINER[/PROTOCOL], like 8080:80/tcp")?;
        Ok(Self { host: port(host)?, container: port(container)?, protocol })
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("\"{text}\" is no port number (1 to 65535)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let mapping = |text: &str| text.parse::<Publish>().map(|publish| publish.mapping().to_string());
        let tcp = r#"{"containerPort":80,"hostPort":8080,"protocol":"tcp"}"#;
        let sorted = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(mapping("8080:80").map(sorted), Ok(sorted(tcp.into())));
        assert_eq!(mapping("8080:80/tcp").map(sorted), Ok(sorted(tcp.into())));
        assert_eq!(sorted(mapping("53:53/udp").unwrap())["protocol"], "udp");
        for wrong in ["", "80", "80:", ":80", "0:80", "80:65536", "80:80/icmp", "80:80/", "1:2:3", "-1:80"] {
            assert!(mapping(wrong).is_err(), "{wrong}");
        }
    }
}
