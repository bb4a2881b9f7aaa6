//! What is wrong, where callers of a runtime look for it: on stderr, and as a line of the runtime's log, the last of
//! which is what containerd, CRI-O and podman show.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use oci::wrapper::{Call, Format};
use serde_json::json;

use crate::since::rfc3339;

/// Says what is wrong, as the caller asked for it.
pub fn complain(call: &Call, problems: &[String]) {
    problems.iter().for_each(|problem| eprintln!("netferry: {problem}"));
    let Some(log) = &call.log else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let message = format!("netferry: {}", problems.join("; "));
    if let Err(error) = append(log, &line(call.format, &message, now)) {
        eprintln!("netferry: write the log {}: {error}", log.display());
    }
}

fn line(format: Format, message: &str, now: u64) -> String {
    let time = rfc3339(now);
    match format {
        Format::Json => format!("{}\n", json!({ "level": "error", "msg": message, "time": time })),
        Format::Text => format!("time=\"{time}\" level=error msg={message:?}\n"),
    }
}

fn append(log: &Path, line: &str) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).open(log)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(
            line(Format::Json, "a \"b\"\nc", 0),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
        assert_eq!(
            line(Format::Text, "a \"b\"\nc", 0),
            "time=\"1970-01-01T00:00:00Z\" level=error msg=\"a \\\"b\\\"\\nc\"\n"
        );
    }
}
