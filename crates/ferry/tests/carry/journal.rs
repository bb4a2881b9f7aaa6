//! The journal's files as others may have left them: cut short, of another version, somebody else's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use ferry::recover::{self, Standing};
use ferry::{Error, Journal};

use lab::device::WHOLE;

use super::whole::similar;
use super::{Ferry, snapshot};

#[test]
fn what_is_lent_is_listed_and_lent_once() {
    Ferry::run(WHOLE, |ferry| {
        ferry.carry(&[("d0", "net1")]).unwrap();
        let listed = recover::list(&ferry.journal).unwrap();
        let [Ok(one)] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((one.entry.owner.as_str(), one.standing), ("test", Standing::Lent));
        assert_eq!((one.entry.netns.as_ref(), one.entry.lent[0].name.as_str()), (Some(&ferry.path()), "net1"));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(one.path.clone()), mode(ferry.dir.join("lent"))), (0o600, 0o700));
        let error = ferry.prepare_nothing().carry(&ferry.journal).err().expect("an error");
        assert_eq!(error.to_string(), "d0 is lent to test already; return it first");
        // Nothing is in anybody's way, and nothing is to be done.
        assert!(recover::recover(&ferry.journal, false).unwrap().is_empty());
        ferry.bring_home().unwrap();
        assert!(recover::release(&ferry.journal, "test", None).unwrap().is_none());
    });
}

#[test]
fn an_entry_that_is_in_hand_is_left_alone() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let held = ferry.journal.open("test").unwrap().unwrap();
        let listed = recover::list(&ferry.journal).unwrap();
        assert_eq!(listed[0].as_ref().unwrap().standing, Standing::Busy);
        assert!(recover::recover(&ferry.journal, false).unwrap().is_empty());
        drop(held);
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
    });
}

#[test]
fn what_was_never_finished_had_changed_nothing() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let file = ferry.dir.join("lent/test.json");
        let text = fs::read_to_string(&file).unwrap();
        ferry.bring_home().unwrap();
        let line = text.lines().next().unwrap();
        for end in [0, 1, line.len() / 2, line.len()] {
            fs::write(&file, &line[..end]).unwrap();
            assert!(recover::list(&ferry.journal).unwrap().is_empty(), "{end}");
            assert!(!file.exists());
        }
        // A mark that was not finished is none: the carry was cut off before its end.
        fs::write(&file, format!("{line}\n\"carr")).unwrap();
        assert_eq!(recover::list(&ferry.journal).unwrap()[0].as_ref().unwrap().standing, Standing::Interrupted);
        let recovered = recover::recover(&ferry.journal, false).unwrap();
        assert!(recovered[0].outcome.as_ref().unwrap().is_ok(), "{recovered:?}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

#[test]
fn what_cannot_be_read_stays_and_is_named() {
    Ferry::run(WHOLE, |ferry| {
        ferry.carry(&[("d0", "net1")]).unwrap();
        let file = ferry.dir.join("lent/test.json");
        let whole = fs::read_to_string(&file).unwrap();
        let changed = |from: &str, to: &str| whole.replacen(from, to, 1);
        for (text, why) in [
            (changed("\"version\":1", "\"version\":2"), "version: 2 is not one that can be read, which is 1"),
            (changed("\"owner\":\"test\"", "\"owner\":7"), "owner: invalid type"),
            (
                changed("\"name\":\"net1\"", "\"name\":\"../x\""),
                "lent[0]: no device is named \"../x\": no name has a '/'",
            ),
            (changed("\"mtu\":1400", "\"mtu\":-1"), "lent[0].device"),
            (changed("\"carried\"", "\"sunk\""), "mark \"sunk\": "),
            ("garbage\n".to_owned(), "expected value at line 1 column 1"),
            ("\u{0}\n".to_owned(), "expected value at line 1 column 1"),
        ] {
            fs::write(&file, &text).unwrap();
            let error = ferry.bring_home().unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert!(error.to_string().contains(why), "{why}: {error}");
            assert!(recover::list(&ferry.journal).unwrap()[0].is_err());
            assert!(recover::recover(&ferry.journal, false).unwrap()[0].outcome.as_ref().unwrap().is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        fs::write(&file, &whole).unwrap();
        // The file of another owner under this one's name, and one that is elsewhere.
        let other = ferry.dir.join("lent/other.json");
        fs::copy(&file, &other).unwrap();
        let error = recover::release(&ferry.journal, "other", None).unwrap_err();
        assert!(error.to_string().ends_with("it is of test, not of other"), "{error}");
        fs::remove_file(&other).unwrap();
        symlink(&file, &other).unwrap();
        let error = recover::release(&ferry.journal, "other", None).unwrap_err();
        assert!(error.to_string().contains("Too many levels of symbolic links"), "{error}");
        fs::remove_file(&other).unwrap();
        ferry.bring_home().unwrap();
        ferry.assert_nothing_is_lent();
    });
}

#[test]
fn nothing_outlives_the_uptime() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let file = ferry.dir.join("lent/test.json");
        let whole = fs::read_to_string(&file).unwrap();
        ferry.bring_home().unwrap();
        let at = whole.find("\"boot\":\"").unwrap() + 8;
        fs::write(&file, format!("{}00000000{}", &whole[..at], &whole[at + 8..])).unwrap();
        let recovered = recover::recover(&ferry.journal, false).unwrap();
        assert_eq!(recovered[0].why, "rebooted");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// A journal where none can be: nothing is changed without one.
#[test]
fn without_a_journal_nothing_is_carried() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        fs::write(ferry.dir.join("file"), "").unwrap();
        let error = ferry.prepare(&[("d0", "net1")]).carry(&Journal::at(ferry.dir.join("file/lent"))).err().unwrap();
        assert!(error.to_string().contains("Not a directory"), "{error}");
        similar(&before, &snapshot());
    });
}
