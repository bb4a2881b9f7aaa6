//! The state of a container as a runtime gives it to a hook, on standard input.
//!
//! Runtimes differ: `runc` leaves `pid` out for a hook after the end, `crun` sends 0, and only some say `creating`
//! before the container is created.
//! Fields: `runtime.md#state` of the runtime specification.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Result;
use crate::document::Document;
use crate::field::{self, Field};

/// Longer than any runtime's, in bytes.
const LONGEST_ID: usize = 1024;

/// The state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The container's name among those of its runtime: safe as a part of a path.
    pub id: String,
    /// The container's first process, as the runtime sees it; `None` if there is none (any more).
    pub pid: Option<u32>,
    /// The directory of its `config.json`, absolute.
    pub bundle: PathBuf,
    /// Where in its life it is.
    pub status: Status,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Where in its life a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is being created.
    Creating,
    /// It is created, and its program has not begun.
    Created,
    /// Its program runs.
    Running,
    /// Its program has ended.
    Stopped,
    /// A word of the runtime's own, such as `paused`.
    Other(String),
}

/// Which of a container's hooks this is. Nobody tells a hook; it follows from the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// One of `createRuntime`, or of `prestart`: the namespaces are there, the program has not begun.
    Create,
    /// One of `poststop`.
    Stop,
}

impl State {
    /// Reads what a runtime gave.
    ///
    /// # Errors
    /// What [`Document::read`] says, or [`Error::Field`](crate::Error::Field): `id`, `bundle` or `status` is missing or
    /// not as it must be, `pid` is no process.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let state = Document::read(bytes)?;
        let status = match &*required(&state, "status")?.string()? {
            "creating" => Status::Creating,
            "created" => Status::Created,
            "running" => Status::Running,
            "stopped" => Status::Stopped,
            other => Status::Other(other.to_owned()),
        };
        Ok(Self {
            id: id(&required(&state, "id")?)?,
            pid: Field::at(&state, &["pid"]).map(|field| pid(&field)).transpose()?.flatten(),
            bundle: required(&state, "bundle")?.absolute_path()?,
            status,
            annotations: field::strings(&state, &["annotations"])?,
        })
    }

    /// Which hook this is. A container that is being created without a process is still one that is being created: whoever
    /// would take it for the end would leave it without its devices. `None` if it is one of another stage, such as
    /// `poststart`.
    pub fn stage(&self) -> Option<Stage> {
        match (&self.status, self.pid) {
            (Status::Creating | Status::Created, _) => Some(Stage::Create),
            (Status::Stopped, _) | (_, None) => Some(Stage::Stop),
            (Status::Running | Status::Other(_), Some(_)) => None,
        }
    }
}

fn required<'a>(state: &'a Document, key: &str) -> Result<Field<'a>> {
    Field::at(state, &[key]).ok_or_else(|| Field::new(key.to_owned(), "missing").must("be there"))
}

fn id(field: &Field<'_>) -> Result<String> {
    let id = field.string()?;
    check_id(&id).map_err(|must| field.must(must))?;
    Ok(id)
}

/// Whether a container can be called so.
///
/// # Errors
/// What the name must do.
pub fn check_id(id: &str) -> std::result::Result<(), String> {
    if matches!(id, "" | "." | "..") || id.contains(['/', '\0']) {
        return Err("be a name that can be one of a directory".to_owned());
    }
    if id.len() > LONGEST_ID {
        return Err(format!("have no more than {LONGEST_ID} bytes"));
    }
    Ok(())
}

fn pid(field: &Field<'_>) -> Result<Option<u32>> {
    let pid = field.integer()?;
    // A process's number is a pid_t.
    let pid = u32::try_from(pid).ok().filter(|pid| i32::try_from(*pid).is_ok());
    let pid = pid.ok_or_else(|| field.must("be the number of a process, or 0 for none"))?;
    Ok((pid > 0).then_some(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<State, String> {
        State::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn as_runc_and_crun_send_it() {
        let created = read(
            r#"{"ociVersion":"1.0.2","id":"c1","status":"creating","pid":4711,"bundle":"/b","annotations":{"a":"b"}}"#,
        )
        .unwrap();
        assert_eq!(
            created,
            State {
                id: "c1".to_owned(),
                pid: Some(4711),
                bundle: PathBuf::from("/b"),
                status: Status::Creating,
                annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            }
        );
        assert_eq!(created.stage(), Some(Stage::Create));
        for (rest, expected) in [
            (r#""status":"created","pid":1,"root":"/r""#, Some(Stage::Create)),
            (r#""status":"stopped""#, Some(Stage::Stop)),
            (r#""status":"stopped","pid":0"#, Some(Stage::Stop)),
            (r#""status":"stopped","pid":12"#, Some(Stage::Stop)),
            (r#""status":"creating","pid":null"#, Some(Stage::Create)),
            (r#""status":"removed""#, Some(Stage::Stop)),
            (r#""status":"running","pid":1"#, None),
            (r#""status":"paused","pid":1"#, None),
        ] {
            let state = read(&format!(r#"{{"id":"c1","bundle":"/b",{rest}}}"#)).unwrap();
            assert_eq!(state.stage(), expected, "{rest}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let whole = [("id", r#""c1""#), ("bundle", r#""/b""#), ("status", r#""created""#), ("pid", "1")];
        let with = |key: &str, value: Option<&str>| {
            let members = whole.iter().filter_map(|(name, usual)| {
                let value = if *name == key { value? } else { usual };
                Some(format!("\"{name}\":{value}"))
            });
            read(&format!("{{{}}}", members.collect::<Vec<_>>().join(","))).err().unwrap_or_default()
        };
        for (key, value, expected) in [
            ("id", None, "id: must be there, and is missing"),
            ("bundle", None, "bundle: must be there, and is missing"),
            ("status", None, "status: must be there, and is missing"),
            ("status", Some("null"), "status: must be there, and is missing"),
            ("status", Some("1"), "status: must be a string, and is 1"),
            ("id", Some(r#""""#), "id: must be a name that can be one of a directory, and is \"\""),
            ("id", Some(r#""..""#), "id: must be a name that can be one of a directory, and is \"..\""),
            ("id", Some(r#""a\u002fb""#), "id: must be a name that can be one of a directory, and is \"a\\u002fb\""),
            ("id", Some(r#""a\u0000""#), "id: must be a name that can be one of a directory, and is \"a\\u0000\""),
            ("bundle", Some(r#""b""#), "bundle: must be an absolute path, and is \"b\""),
            ("pid", Some("-1"), "pid: must be the number of a process, or 0 for none, and is -1"),
            ("pid", Some("2147483648"), "pid: must be the number of a process, or 0 for none, and is 2147483648"),
            ("pid", Some("1.5"), "pid: must be an integer, and is 1.5"),
            ("pid", Some("1e400"), "pid: must be an integer, and is 1e400"),
            ("pid", Some(r#""1""#), "pid: must be an integer, and is \"1\""),
        ] {
            assert_eq!(with(key, value), expected, "{key} {value:?}");
        }
        assert_eq!(with("", None), "");
        assert_eq!(with("id", Some(&format!("\"{}\"", "a".repeat(1024)))), "");
        assert!(with("id", Some(&format!("\"{}\"", "a".repeat(1025)))).contains("no more than 1024 bytes"));
        assert_eq!(read("{").unwrap_err(), "line 1, column 1: EOF while parsing an object; correct the JSON there");
    }
}
