//! Bytes to [`Value`] (RFC 8259) with Go's tolerances and Go's error texts. Written out because `serde_json` refuses
//! lone surrogates and broken UTF-8, keeps the place of a replaced duplicate, and reads
//! `{"$serde_json::private::Number": ..}` as a number.

use std::fmt;

use serde_json::{Map, Number, Value};

/// Nesting beyond this is refused: a value is walked by recursion.
pub const MAX_DEPTH: usize = 256;

/// Why bytes are not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in the words of Go's decoder.
    pub problem: String,
    /// Where, in bytes from the start.
    pub offset: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for SyntaxError {}

/// The one JSON value in `bytes`.
///
/// # Errors
/// If `bytes` is not exactly one JSON value, or is nested deeper than [`MAX_DEPTH`].
pub fn parse(bytes: &[u8]) -> Result<Value, SyntaxError> {
    let mut parser = Parser { bytes, at: 0 };
    parser.skip_space();
    let value = parser.value(0)?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => parser.fail("after top-level value"),
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn fail<T>(&self, expectation: &str) -> Result<T, SyntaxError> {
        let problem = match self.peek() {
            None => "unexpected end of JSON input".to_owned(),
            Some(byte) => format!("invalid character {:?} {expectation}", char::from(byte)),
        };
        Err(SyntaxError { problem, offset: self.at })
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError { problem: "exceeded max depth".to_owned(), offset: self.at });
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => self.fail("looking for beginning of value"),
        }
    }

    fn literal(&mut self, text: &str, value: Value) -> Result<Value, SyntaxError> {
        for byte in text.bytes() {
            if !self.take(byte) {
                return self.fail(&format!("in literal {text} (expecting {:?})", char::from(byte)));
            }
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return self.fail("after array element");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.at += 1;
        let mut map = Map::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("looking for beginning of object key string");
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return self.fail("after object key");
            }
            self.skip_space();
            map.insert(key, self.value(depth + 1)?);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(map));
            }
            if !self.take(b',') {
                return self.fail("after object key:value pair");
            }
        }
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits("in numeric literal")?;
        }
        if self.take(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
        Ok(Value::Number(Number::from_string_unchecked(text)))
    }

    fn digits(&mut self, place: &str) -> Result<(), SyntaxError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail(place);
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
                self.at += 1;
            }
            push_utf8(&mut text, &self.bytes[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return self.fail("in string literal"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        self.at += 1;
        let c = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.fail("in string escape code"),
        };
        self.at += 1;
        Ok(c)
    }

    /// One UTF-16 unit, or two that form a pair; half a pair becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let first = self.hex4()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let after_first = self.at;
        if first < 0xdc00 && self.take(b'\\') && self.take(b'u') {
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        self.at = after_first;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.fail("in \\u hexadecimal character escape");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Appends `bytes`; every byte that is not part of a character becomes U+FFFD, one for one as in Go.
fn push_utf8(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().problem
    }

    #[test]
    fn what_passes_through_is_unchanged() {
        for text in [
            r#"{"z":9007199254740993,"a":[1.0,1e3,1E+3,-0,0.10,123456789012345678901234567890],"m":{}}"#,
            r#"{"$serde_json::private::Number":"7"}"#,
            r#"[true,false,null,"\"\\\b\f\n\r\t"]"#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_last_duplicate_wins() {
        assert_eq!(parse(br#"{"a":1,"b":2,"a":3}"#).unwrap()["a"], 3);
    }

    #[test]
    fn what_is_not_text_is_replaced() {
        let text = |bytes: &[u8]| parse(bytes).unwrap().as_str().unwrap().to_owned();
        assert_eq!(text(b"\"a\xe2\x82b\""), "a\u{fffd}\u{fffd}b");
        assert_eq!(text(br#""\ud800""#), "\u{fffd}");
        assert_eq!(text(br#""\ud800x""#), "\u{fffd}x");
        assert_eq!(text(br#""\udc00\ud83d\ude00""#), "\u{fffd}😀");
        assert_eq!(text(br#""\ud800\u0041""#), "\u{fffd}A");
    }

    #[test]
    fn errors_read_as_go_writes_them() {
        assert_eq!(problem(""), "unexpected end of JSON input");
        assert_eq!(problem("{"), "unexpected end of JSON input");
        assert_eq!(problem("{} {"), "invalid character '{' after top-level value");
        assert_eq!(problem("{,}"), "invalid character ',' looking for beginning of object key string");
        assert_eq!(problem("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(problem("{\"a\":1 2}"), "invalid character '2' after object key:value pair");
        assert_eq!(problem("[1,]"), "invalid character ']' looking for beginning of value");
        assert_eq!(problem("[1 2]"), "invalid character '2' after array element");
        assert_eq!(problem("nul1"), "invalid character '1' in literal null (expecting 'l')");
        assert_eq!(problem("01"), "invalid character '1' after top-level value");
        assert_eq!(problem("-x"), "invalid character 'x' in numeric literal");
        assert_eq!(problem("1.x"), "invalid character 'x' after decimal point in numeric literal");
        assert_eq!(problem("\"\\x\""), "invalid character 'x' in string escape code");
        assert_eq!(problem("\"\n\""), "invalid character '\\n' in string literal");
        assert_eq!(parse(b"\xff").unwrap_err().offset, 0);
    }

    #[test]
    fn depth_is_limited_and_size_is_not() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(100_000)).unwrap_err().problem, "exceeded max depth");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20));
        assert_eq!(parse(large.as_bytes()).unwrap()["a"].as_str().unwrap().len(), 2 << 20);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(bytes in prop::collection::vec(prop::sample::select(&b"{}[]\",:\\u0d8 1e.-tfnals"[..]), 0..24)) {
            if let Ok(theirs) = serde_json::from_slice::<Value>(&bytes) {
                let ours = parse(&bytes).unwrap().to_string();
                prop_assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), theirs);
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
