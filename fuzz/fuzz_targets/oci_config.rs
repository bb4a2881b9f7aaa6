//! The configuration of a container: whatever it says, reading it, judging it and editing it ends, and an edit does
//! what it says and is undone by its opposite. The first line is a path, the second a value, the rest the
//! configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Circumstances, Document, Spec, Wishes, features, validate};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (Some(path), Some(value), Some(text)) = (lines.next(), lines.next(), lines.next()) else { return };
    let (Ok(path), Ok(value)) = (std::str::from_utf8(path), std::str::from_utf8(value)) else { return };
    let Ok(document) = Document::read(text) else { return };
    assert_eq!(document.as_str().as_bytes(), text);
    judge(&document);
    let path: Vec<&str> = path.split(' ').collect();
    set(&document, &path, value);
    push(&document, &path, value);
    remove(document, &path);
});

fn judge(document: &Document) {
    let _ = features::support(document.as_str().as_bytes());
    if let Ok(merged) = features::merge(document.as_str().as_bytes()) {
        assert_eq!(features::support(merged.as_bytes()), Ok(features::Support::Known(true)));
    }
    let Ok(spec) = Spec::read(document) else { return };
    let _ = Wishes::read(&spec.annotations);
    let circumstances = Circumstances { is_host_netns: Some(false), owns_namespaces: true };
    match validate(&spec, &circumstances) {
        Ok(()) => {
            assert!(
                spec.devices.iter().filter_map(|device| device.new_name()).all(|name| ferry::name::check(name).is_ok())
            );
        }
        Err(problems) => assert!(problems.iter().all(|problem| !problem.to_string().is_empty())),
    }
}

fn set(document: &Document, path: &[&str], value: &str) {
    let mut edited = document.clone();
    if edited.set(path, value).is_err() {
        assert_eq!(&edited, document);
        return;
    }
    let mut edited = Document::read(edited.as_str().as_bytes()).expect("an edited text is read");
    assert_eq!(edited.get(path), Some(value.trim_matches([' ', '\t', '\r', '\n'])));
    remove(edited.clone(), path);
    // What has no such member has it no more, and its other members as they were.
    if path.len() == 1 && document.get(path).is_none() {
        assert!(edited.remove(path));
        assert_eq!(edited.members(&[]), document.members(&[]));
    }
}

fn push(document: &Document, path: &[&str], value: &str) {
    let elements = |document: &Document| {
        let elements = document.elements(path).ok()?.unwrap_or_default();
        Some(elements.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    for is_first in [true, false] {
        let mut edited = document.clone();
        let pushed = if is_first { edited.push_front(path, value) } else { edited.push_back(path, value) };
        if pushed.is_err() {
            assert_eq!(&edited, document);
            continue;
        }
        let edited = Document::read(edited.as_str().as_bytes()).expect("an edited text is read");
        let mut expected = elements(document).expect("there was an array, or nothing");
        let value = value.trim_matches([' ', '\t', '\r', '\n']).to_owned();
        expected.insert(if is_first { 0 } else { expected.len() }, value);
        assert_eq!(elements(&edited), Some(expected));
    }
}

fn remove(mut document: Document, path: &[&str]) {
    document.remove(path);
    let mut again = Document::read(document.as_str().as_bytes()).expect("what is left is read");
    assert_eq!(again.get(path), None);
    assert!(!again.remove(path));
    assert_eq!(again, document);
}
