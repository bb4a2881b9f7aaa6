use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn read(text: &str) -> Document {
    Document::read(text.as_bytes()).unwrap()
}

fn edited(text: &str, edit: impl FnOnce(&mut Document) -> Result<()>) -> String {
    let mut document = read(text);
    edit(&mut document).unwrap();
    read(document.as_str());
    document.to_string()
}

fn set(text: &str, path: &[&str], value: &str) -> String {
    edited(text, |document| document.set(path, value))
}

fn removed(text: &str, path: &[&str]) -> String {
    let mut document = read(text);
    document.remove(path);
    read(document.as_str());
    document.to_string()
}

fn front(text: &str, path: &[&str], value: &str) -> String {
    edited(text, |document| document.push_front(path, value))
}

fn back(text: &str, path: &[&str], value: &str) -> String {
    edited(text, |document| document.push_back(path, value))
}

#[test]
fn what_is_no_object() {
    let error = |bytes: &[u8]| Document::read(bytes).unwrap_err().to_string();
    assert_eq!(error(b"{\n  \"a\": tru }"), "line 2, column 11: expected ident; correct the JSON there");
    assert_eq!(error(b"{} {}"), "line 1, column 4: trailing characters; correct the JSON there");
    assert_eq!(error(b"[]"), "line 1, column 0: invalid type: sequence, expected an object; correct the JSON there");
    assert_eq!(error(b"{\"\xff\": 1}"), "byte 2 is not UTF-8; write the JSON in UTF-8");
    assert!(error(b"\xef\xbb\xbf{}").contains("expected value"));
    for text in ["", "{", "{\"a\":1,}", "{\"a\":01}", "{\"a\":\"\t\"}", "{\"a\":\"\\ud8\"}", "{a:1}", "{\"a\":[1 2]}"] {
        assert!(matches!(Document::read(text.as_bytes()), Err(Error::Syntax { .. })), "{text}");
    }
}

#[test]
fn depth_is_bound() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let mut deepest = read(&nested(127));
    let before = deepest.clone();
    assert_eq!(Document::read(nested(128).as_bytes()), Err(Error::Deep { most: 127 }));
    assert_eq!(Document::read(nested(1_000_000).as_bytes()), Err(Error::Deep { most: 127 }));
    assert_eq!(deepest.set(&["b"], &format!("{}{}", "[".repeat(127), "]".repeat(127))), Err(Error::Deep { most: 127 }));
    assert_eq!(
        deepest.push_back(&["a"], &format!("{}{}", "[".repeat(126), "]".repeat(126))),
        Err(Error::Deep { most: 127 })
    );
    assert_eq!(deepest, before);
    read(r#"{"a": "[[{{\"[[{{", "b": "\\"}"#);
}

#[test]
fn values_as_they_are_written() {
    let document = read(r#" {"a": {"b" : 1.0e400 , "n": null}, "\u0061\ud800": 2, "c": [ {"x":1}, "]" ]} "#);
    assert_eq!(document.get(&["a", "b"]), Some("1.0e400"));
    assert_eq!(document.get(&["a", "n"]), Some("null"));
    assert_eq!(document.get(&["a", "n", "x"]), None);
    assert_eq!(document.get(&["a"]), Some(r#"{"b" : 1.0e400 , "n": null}"#));
    assert_eq!(document.get(&["c"]), Some(r#"[ {"x":1}, "]" ]"#));
    assert_eq!(document.get(&["c", "x"]), None);
    assert_eq!(document.get(&[]), Some(document.as_str().trim()));
    assert_eq!(document.elements(&["c"]), Ok(Some(vec![r#"{"x":1}"#, "\"]\""])));
    assert_eq!(document.elements(&["a", "n"]), Ok(None));
    assert_eq!(document.elements(&["a"]).unwrap_err().to_string(), "a: must be an array, and is an object");
    assert_eq!(document.members(&["a"]), Ok(Some(vec![("b".to_owned(), "1.0e400"), ("n".to_owned(), "null")])));
    assert_eq!(document.members(&["a", "n"]), Ok(None));
    assert_eq!(document.members(&["a", "b"]).unwrap_err().to_string(), "a.b: must be an object, and is 1.0e400");
    let keys: Vec<String> = document.members(&[]).unwrap().unwrap().into_iter().map(|(key, _)| key).collect();
    assert!(keys[1].starts_with("a\u{fffd}") && keys[0] == "a" && keys[2] == "c", "{keys:?}");
}

#[test]
fn duplicates_as_go_reads_them() {
    let text = r#"{"a":{"x":1},"b":0,"a":{"y":2,"y":3},"\u0061":{}}"#;
    let document = read(text);
    assert_eq!(document.get(&["a"]), Some("{}"));
    assert_eq!(document.get(&["a", "x"]), Some("1"));
    assert_eq!(document.get(&["a", "y"]), Some("3"));
    let pair = |key: &str, value| (key.to_owned(), value);
    assert_eq!(document.members(&["a"]), Ok(Some(vec![pair("x", "1"), pair("y", "2"), pair("y", "3")])));
    assert_eq!(set(text, &["a", "y"], "4"), r#"{"a":{"x":1},"b":0,"a":{"y":2,"y":4},"\u0061":{}}"#);
    assert_eq!(set(text, &["a", "z"], "4"), r#"{"a":{"x":1},"b":0,"a":{"y":2,"y":3},"\u0061":{"z":4}}"#);
    assert_eq!(removed(text, &["a", "y"]), r#"{"a":{"x":1},"b":0,"a":{},"\u0061":{}}"#);
    assert_eq!(removed(text, &["a"]), r#"{"b":0}"#);
    assert_eq!(removed(text, &["b"]), r#"{"a":{"x":1},"a":{"y":2,"y":3},"\u0061":{}}"#);
    // A null forgets.
    let text = r#"{"a":{"x":1},"a":null}"#;
    assert_eq!(read(text).get(&["a", "x"]), None);
    assert_eq!(read(text).members(&["a"]), Ok(None));
    assert_eq!(set(text, &["a", "x"], "2"), r#"{"a":{"x":1},"a":{"x":2}}"#);
    assert_eq!(removed(text, &["a", "x"]), r#"{"a":{},"a":null}"#);
    assert_eq!(removed(r#"{"a":{"b":{"x":1}},"a":null}"#, &["a", "b", "x"]), r#"{"a":{"b":{}},"a":null}"#);
    // Keys match exactly.
    assert_eq!(read(r#"{"Linux":1}"#).get(&["linux"]), None);
}

#[test]
fn new_members_look_like_those_beside_them() {
    assert_eq!(set("{}", &["a"], " 1 "), r#"{"a":1}"#);
    assert_eq!(set("{\n}\n", &["a", "b"], "1"), "{\"a\":{\"b\":1}}\n");
    assert_eq!(set(r#"{"a":1}"#, &["b", "c", "d"], "[]"), r#"{"a":1,"b":{"c":{"d":[]}}}"#);
    assert_eq!(set(r#"{ "a": 1 }"#, &["b", "\n\"é"], "2"), r#"{ "a": 1, "b": {"\n\"é": 2} }"#);
    let text = "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"e\": {}\n}\n";
    assert_eq!(
        set(text, &["a", "c"], "{\"x\":2}"),
        "{\n  \"a\": {\n    \"b\": 1,\n    \"c\": {\"x\":2}\n  },\n  \"e\": {}\n}\n"
    );
    assert_eq!(set(text, &["e", "c"], "2"), "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"e\": {\n    \"c\": 2\n  }\n}\n");
    assert_eq!(set(text, &["c"], "2"), "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"e\": {},\n  \"c\": 2\n}\n");
    assert_eq!(set("{\n\t\"a\" :{}\n}", &["a", "b"], "2"), "{\n\t\"a\" :{\n\t\t\"b\" :2\n\t}\n}");
    assert_eq!(set(r#"{"a":{"b":7},"c":8}"#, &["a"], "null"), r#"{"a":null,"c":8}"#);
    assert_eq!(set(" {\"a\":1}\n", &[], "{\"b\": 2}"), " {\"b\": 2}\n");
}

#[test]
fn members_go_with_their_comma() {
    let text = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}";
    assert_eq!(removed(text, &["a"]), "{\n  \"b\": 2,\n  \"c\": 3\n}");
    assert_eq!(removed(text, &["b"]), "{\n  \"a\": 1,\n  \"c\": 3\n}");
    assert_eq!(removed(text, &["c"]), "{\n  \"a\": 1,\n  \"b\": 2\n}");
    assert_eq!(removed("{ \"a\" : 1 }", &["a"]), "{}");
    assert_eq!(removed(r#"{"a":1,"a":2,"b":3,"a":4,"a":5}"#, &["a"]), r#"{"b":3}"#);
    let mut document = read(text);
    assert!(!document.remove(&["d"]) && !document.remove(&["a", "b"]) && !document.remove(&[]));
    assert_eq!(document.as_str(), text);
    assert!(document.remove(&["a"]) && !document.remove(&["a"]));
}

#[test]
fn elements_before_and_behind() {
    let text = "{\n  \"h\": [\n    1,\n    2\n  ],\n  \"e\": [ ],\n  \"n\": null\n}";
    assert_eq!(front(text, &["h"], "0"), text.replace("    1,", "    0,\n    1,"));
    assert_eq!(back(text, &["h"], "3"), text.replace("    2\n", "    2,\n    3\n"));
    assert_eq!(front(text, &["e"], "0"), text.replace("[ ]", "[0]"));
    assert_eq!(back(text, &["n"], "0"), text.replace("null", "[0]"));
    assert_eq!(back(text, &["n", "x"], "0"), text.replace("null", "{\"x\": [0]}"));
    assert_eq!(front("{}", &["hooks", "createRuntime"], "{}"), r#"{"hooks":{"createRuntime":[{}]}}"#);
    assert_eq!(front(r#"{"a":["[",{}]}"#, &["a"], "0"), r#"{"a":[0,"[",{}]}"#);
    assert_eq!(back(r#"{"a":["[","]"]}"#, &["a"], "0"), r#"{"a":["[","]",0]}"#);
    // Of arrays, the last one counts, wherever it is.
    assert_eq!(back(r#"{"a":{"b":[1]},"a":{}}"#, &["a", "b"], "2"), r#"{"a":{"b":[1,2]},"a":{}}"#);
}

#[test]
fn an_edit_that_fails_changes_nothing() {
    let text = r#"{"a":[1],"b":"x"}"#;
    let mut document = read(text);
    let words = |result: Result<()>| result.unwrap_err().to_string();
    assert_eq!(words(document.set(&["a", "b"], "1")), "a: must be an object, and is an array");
    assert_eq!(words(document.set(&["b", "c", "d"], "1")), "b: must be an object, and is \"x\"");
    assert_eq!(words(document.push_back(&["b"], "1")), "b: must be an array, and is \"x\"");
    assert_eq!(words(document.push_front(&[], "1")), "the JSON: must be an array, and is an object");
    assert_eq!(words(document.set(&[], "[]")), "the JSON: must be an object, and is an array");
    for wrong in ["", "1,2", "1,\"c\":2", "nul", "]", "{}}", "\"a", "/**/1"] {
        assert!(matches!(document.set(&["b"], wrong), Err(Error::Syntax { .. })), "{wrong}");
        assert!(matches!(document.push_front(&["a"], wrong), Err(Error::Syntax { .. })), "{wrong}");
    }
    assert_eq!(document.as_str(), text);
}

const WHITES: [&str; 7] = ["", "", "", " ", "\n", "\t\r\n  ", "\n    "];
const KEYS: [&str; 8] =
    [r#""a""#, r#""a""#, r#""b""#, r#""c""#, r#""\u0061""#, r#""é\u0000""#, r#""\ud800""#, r#""{[\"""#];
const LEAVES: [&str; 18] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "123456789012345678901234567890",
    "1e400",
    "-1.50E-0400",
    "18446744073709551616",
    r#""""#,
    r#""\u0000""#,
    r#""\udc00\ud800""#,
    r#""\ud83d\ude00 😀""#,
    r#""\\""#,
    r#""\"]},{[""#,
    r#""\/""#,
    r#""null""#,
];

/// Any JSON object as text: with duplicate keys, white space, and what no number type holds.
fn objects() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&LEAVES[..]).prop_map(str::to_owned);
    let value = leaf.prop_recursive(4, 48, 5, |value| {
        prop_oneof![
            3 => object(value.clone()),
            1 => prop::collection::vec((white(), value, white()), 0..4).prop_map(|elements| {
                let elements = elements.into_iter().map(|(before, value, behind)| format!("{before}{value}{behind}"));
                format!("[{}]", elements.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    (white(), object(value), white()).prop_map(|(before, object, behind)| format!("{before}{object}{behind}"))
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let key = prop::sample::select(&KEYS[..]);
    let member = ([white(), white(), white(), white()], key, value);
    (white(), prop::collection::vec(member, 0..5)).prop_map(|(empty, members)| {
        let members = members.into_iter().map(|([a, b, c, d], key, value)| format!("{a}{key}{b}:{c}{value}{d}"));
        let members = members.collect::<Vec<_>>().join(",");
        format!("{{{}}}", if members.is_empty() { empty } else { &members })
    })
}

fn white() -> prop::sample::Select<&'static str> {
    prop::sample::select(&WHITES[..])
}

fn paths() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&["a", "a", "b", "c", "é\0", "new"][..]), 1..4)
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&LEAVES[..]).prop_map(str::to_owned);
    prop_oneof![leaf, Just("{ }".to_owned()), Just(r#"{"a":{"b":[ 1e400]}}"#.to_owned()), Just("[1 ,2]".to_owned())]
}

/// The members of an object.
struct Pairs(Vec<(String, Box<RawValue>)>);
impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<Box<RawValue>, Box<RawValue>>()? {
                    // A key with half a surrogate pair is no String, and stands for itself.
                    let key = serde_json::from_str(key.get()).unwrap_or_else(|_| key.get().to_owned());
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Each value that has none below, with its path, in the order of the text. It shares nothing with what is tested.
fn leaves(text: &str) -> Vec<(Vec<String>, String)> {
    fn walk(raw: &RawValue, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
        let below: Vec<(String, Box<RawValue>)> = match raw.get().as_bytes()[0] {
            b'{' => serde_json::from_str::<Pairs>(raw.get()).unwrap().0,
            b'[' => {
                let elements: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).unwrap();
                elements.into_iter().enumerate().map(|(at, element)| (at.to_string(), element)).collect()
            }
            _ => Vec::new(),
        };
        if below.is_empty() {
            found.push((path.clone(), raw.get().to_owned()));
        }
        for (key, value) in below {
            path.push(key);
            walk(&value, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_str::<Box<RawValue>>(text).unwrap(), &mut Vec::new(), &mut found);
    found
}

/// The leaves that an edit at `path` has nothing to do with: neither below it nor above it.
fn others(text: &str, path: &[&str]) -> Vec<(Vec<String>, String)> {
    let mut leaves = leaves(text);
    leaves.retain(|(at, _)| at.iter().zip(path).any(|(ours, theirs)| ours != theirs));
    leaves
}

/// How many bytes of `before` are in the one span that was replaced.
fn replaced(before: &str, after: &str) -> usize {
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    let front = same(&mut before.bytes().zip(after.bytes()));
    let most = before.len().min(after.len()) - front;
    front.abs_diff(before.len()) - same(&mut before.bytes().rev().zip(after.bytes().rev()).take(most))
}

/// True if what is on the way to `path` keeps it from being made.
fn is_barred(document: &Document, path: &[&str]) -> bool {
    let is_other = |raw: &str| raw != "null" && !raw.starts_with('{');
    (1..path.len()).any(|length| document.get(&path[..length]).is_some_and(is_other))
}

proptest! {
    #[test]
    fn what_is_read_is_what_is_written(text in objects()) {
        prop_assert_eq!(read(&text).to_string(), text);
    }

    #[test]
    fn set_changes_one_value(text in objects(), path in paths(), value in values()) {
        let mut document = read(&text);
        let old = document.get(&path).map(str::to_owned);
        if document.set(&path, &value).is_err() {
            prop_assert!(is_barred(&document, &path));
            prop_assert_eq!(document.to_string(), text);
            return Ok(());
        }
        prop_assert!(!is_barred(&read(&text), &path));
        let after = Document::read(document.as_str().as_bytes()).unwrap();
        prop_assert_eq!(after.get(&path), Some(&*value));
        prop_assert_eq!(others(after.as_str(), &path), others(&text, &path));
        if let Some(old) = &old {
            prop_assert!(replaced(&text, after.as_str()) <= old.len());
        }
        // And away again.
        prop_assert!(document.remove(&path));
        prop_assert_eq!(document.get(&path), None);
        prop_assert_eq!(others(document.as_str(), &path), others(&text, &path));
    }

    #[test]
    fn remove_removes_all_of_one_key(text in objects(), path in paths()) {
        let mut document = read(&text);
        let had = document.get(&path).is_some();
        let is_removed = document.remove(&path);
        prop_assert!(is_removed || !had);
        prop_assert_eq!(is_removed, document.as_str() != text);
        let once = document.to_string();
        prop_assert!(read(&once).get(&path).is_none());
        prop_assert_eq!(others(&once, &path), others(&text, &path));
        let is_below = |at: &[String]| at.iter().map(String::as_str).take(path.len()).eq(path.clone());
        let is_in_array = |at: &[String]| at.iter().any(|key| key.parse::<usize>().is_ok());
        prop_assert!(!leaves(&once).iter().any(|(at, _)| is_below(at) && !is_in_array(at)));
        prop_assert!(!document.remove(&path));
        prop_assert_eq!(document.to_string(), once);
    }

    #[test]
    fn push_adds_one_element(text in objects(), path in paths(), value in values(), is_first in any::<bool>()) {
        let mut document = read(&text);
        let elements = document.elements(&path).map(|elements| {
            elements.unwrap_or_default().into_iter().map(str::to_owned).collect::<Vec<_>>()
        });
        let pushed = if is_first { document.push_front(&path, &value) } else { document.push_back(&path, &value) };
        if pushed.is_err() {
            prop_assert!(is_barred(&document, &path) || elements.is_err());
            prop_assert_eq!(document.to_string(), text);
            return Ok(());
        }
        let mut expected = elements.unwrap();
        expected.insert(if is_first { 0 } else { expected.len() }, value);
        let after = Document::read(document.as_str().as_bytes()).unwrap();
        prop_assert_eq!(after.elements(&path).unwrap().unwrap(), expected);
        prop_assert_eq!(others(after.as_str(), &path), others(&text, &path));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9a\\\\u\\-+.eE tr\n]{0,40}", bytes in any::<Vec<u8>>()) {
        let is_object = serde_json::from_str::<&RawValue>(&text).is_ok_and(|raw| raw.get().starts_with('{'));
        prop_assert_eq!(Document::read(text.as_bytes()).is_ok(), is_object);
        let _ = Document::read(&bytes);
    }
}
