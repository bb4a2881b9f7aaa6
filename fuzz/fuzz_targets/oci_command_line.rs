//! The command line of a runtime that the wrapper stands in front of, words with a NUL between: what is read of it was in it,
//! and whatever a value looks like, it is the value.
#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use oci::wrapper::{Call, Container, Format, Verb, read};

const CONFIG: &str = "config.json";

fn line(words: &[&OsStr]) -> Call {
    read(&words.iter().map(OsString::from).collect::<Vec<_>>())
}

fn created(words: &[&OsStr]) -> Verb {
    line(&[&["--root".as_ref(), "/r".as_ref(), "create".as_ref()], words, &["id".as_ref()]].concat()).verb
}

fn container(bundle: &OsStr) -> Verb {
    let bundle = Path::new(bundle).to_owned();
    Verb::Create(Container { id: "id".to_owned(), config: bundle.join(CONFIG), bundle })
}

fuzz_target!(|data: &[u8]| {
    let words: Vec<&OsStr> = data.split(|byte| *byte == 0).map(OsStr::from_bytes).collect();
    let call = line(&words);
    let is_in = |part: &[u8]| words.iter().any(|word| word.as_bytes().ends_with(part));
    assert!(call.log.as_deref().map(|log| log.as_os_str().as_bytes()).is_none_or(|log| !log.is_empty() && is_in(log)));
    assert!(call.format == Format::Text || is_in(b"json"));
    match &call.verb {
        Verb::Create(container) => {
            assert!(words.iter().any(|word| *word == "create" || *word == "run"));
            assert!(words.iter().any(|word| *word == OsStr::new(&container.id)));
            assert!(call.global.iter().all(|word| words.contains(&word.as_os_str())));
            let config = container.config.as_os_str().as_bytes();
            let bundle = config.strip_suffix(CONFIG.as_bytes());
            let is_bundles = |path: &[u8]| is_in(path) || path.strip_suffix(b"/").is_some_and(is_in);
            assert!(is_in(config) || bundle.is_some_and(is_bundles));
        }
        Verb::Features => assert!(words.last().is_some_and(|word| *word == "features")),
        Verb::Other => {}
    }
    for value in words.into_iter().take(8) {
        let bundle = container(value);
        let joined = |flag: &str| [flag.as_bytes(), value.as_bytes()].concat();
        let [long, single] = ["--bundle=", "-bundle="].map(joined);
        let forms: [&[&OsStr]; 5] = [
            &["--bundle".as_ref(), value],
            &["-bundle".as_ref(), value],
            &["-b".as_ref(), value],
            &[OsStr::from_bytes(&long)],
            &[OsStr::from_bytes(&single)],
        ];
        for words in forms {
            assert_eq!(created(words), bundle, "{words:?}");
        }
        // What is before the subcommand is no bundle, and what is behind `--` is none.
        let root = line(&["--root".as_ref(), value, "create".as_ref(), "-b".as_ref(), "/b".as_ref(), "id".as_ref()]);
        assert_eq!(root.verb, container("/b".as_ref()));
        assert_eq!(created(&["-b".as_ref(), "/b".as_ref(), "--".as_ref(), value]), root.verb);
    }
});
