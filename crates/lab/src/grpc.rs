//! A call of a gRPC service on a Unix socket, by curl: one message there, one back.
//!
//! Contract: a message is written field by field, by the numbers of the service's `.proto`; of the reply only the first field is
//! read, and as text: what makes something answers with its id. See curl(1), PROTOCOL-HTTP2.md of gRPC, and "Encoding" of
//! Protocol Buffers.

use crate::error::{Error, Result};
use crate::netns::Namespaces;
use crate::process::Invocation;

/// Before each message: not compressed, and four bytes for its length.
const PREFIX: usize = 5;

/// A protobuf message.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// The same with a field more, behind the others: a text, bytes, or a message.
    #[must_use]
    pub fn with(mut self, field: u32, value: impl AsRef<[u8]>) -> Message {
        const LENGTH_DELIMITED: usize = 2;
        let value = value.as_ref();
        self.varint((field as usize) << 3 | LENGTH_DELIMITED);
        self.varint(value.len());
        self.0.extend(value);
        self
    }

    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Calls `method`, written `PACKAGE.SERVICE/METHOD`, of whoever listens on `socket`, with these headers of HTTP.
///
/// # Errors
/// Nobody answers, or the call fails: the text has the service's own.
pub(crate) fn call(
    namespaces: &Namespaces,
    socket: &str,
    method: &str,
    headers: &[&str],
    message: &Message,
) -> Result<String> {
    let url = format!("http://localhost/{method}");
    let mut words = vec!["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", socket];
    words.extend(["--dump-header", "/dev/stderr", "--data-binary", "@-", &url]);
    for header in ["content-type: application/grpc", "te: trailers"].iter().chain(headers) {
        words.extend(["--header", header]);
    }
    let length = u32::try_from(message.0.len()).map_err(Error::during(method))?;
    let stdin = [&[0], length.to_be_bytes().as_slice(), &message.0].concat();
    let output = Invocation { stdin, ..Invocation::command(&words) }.run(namespaces)?.success()?;
    let trailer = |name: &str| output.stderr.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match trailer("grpc-status:") {
        Some("0") => Ok(first_field(&output.stdout)),
        _ => Err(Error::new(format!("{method}: {}", trailer("grpc-message:").unwrap_or(&output.stderr)))),
    }
}

/// The first field of a reply, if it has less than 128 bytes; nothing of an empty one.
fn first_field(reply: &str) -> String {
    let field = reply.as_bytes().get(PREFIX + 1..).unwrap_or_default();
    let text = field.split_first().and_then(|(length, rest)| rest.get(..usize::from(*length)));
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbers_and_lengths() {
        let inner = Message::default().with(1, "testing");
        assert_eq!(inner.as_ref(), b"\x0a\x07testing");
        let outer = Message::default().with(17, &inner).with(2, "x".repeat(300));
        assert_eq!(outer.as_ref()[..15], *b"\x8a\x01\x09\x0a\x07testing\x12\xac\x02");
        assert_eq!(first_field("\0\0\0\0\x09\x0a\x07testing"), "testing");
        assert_eq!(first_field("\0\0\0\0\0"), "");
    }
}
