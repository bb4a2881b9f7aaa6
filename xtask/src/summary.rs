//! What ran: the runner's own count of tests, and what the tests reported about themselves.
//!
//! Tests append lines `KIND COUNT NAME` to the file named by `NETFERRY_TEST_REPORT` (see `lab::report`); a line that
//! comes twice, from a test with two nodes, counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The variable that names the file.
pub const REPORT: &str = "NETFERRY_TEST_REPORT";

/// Counts by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many tests passed, as the runner said.
    pub passed: u32,
    /// How many failed.
    pub failed: u32,
    rows: BTreeMap<String, (usize, usize)>,
}

impl Summary {
    /// Reads the runner's output (cargo-nextest's or libtest's) and the report.
    pub fn read(runner: &str, report: &str) -> Summary {
        let mut summary = Summary::default();
        // nextest: `Summary [ 1.2s] 9 tests run: 8 passed (1 slow), 1 failed, 0 skipped`; it also shows, indented, what
        // a failed test printed. libtest: one `test result:` for each binary.
        let nextest = |line: &&str| line.trim_start().starts_with("Summary [");
        let counts: Vec<&str> = match runner.lines().find(nextest) {
            Some(line) => vec![line],
            None => runner.lines().filter(|line| line.starts_with("test result:")).collect(),
        };
        for line in counts {
            summary.passed += before(line, "passed");
            summary.failed += before(line, "failed") + before(line, "timed out");
        }
        let lines: BTreeSet<&str> = report.lines().collect();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let (Some(kind), Some(count), Some(_)) = (words.next(), words.next(), words.next()) else { continue };
            let row = summary.rows.entry(kind.to_owned()).or_default();
            *row = (row.0 + 1, row.1 + count.parse().unwrap_or(0));
        }
        summary
    }

    /// Counts what another runner did as well.
    pub fn add(&mut self, other: Summary) {
        self.passed += other.passed;
        self.failed += other.failed;
        for (kind, (rows, count)) in other.rows {
            let row = self.rows.entry(kind).or_default();
            *row = (row.0 + rows, row.1 + count);
        }
    }
}

/// The number that stands before `word`.
fn before(line: &str, word: &str) -> u32 {
    let words: Vec<&str> = line.split([' ', ',', ';', ':']).filter(|word| !word.is_empty()).collect();
    let wanted: Vec<&str> = word.split(' ').collect();
    let at = words.windows(wanted.len()).position(|window| window == wanted);
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, (rows, count)) in &self.rows {
            match kind.as_str() {
                "namespace" => writeln!(f, "namespace tests: {rows}")?,
                "swap" => writeln!(f, "swap tests: {rows} (a network, an adder, a deleter)")?,
                "input" => writeln!(f, "bad input: {count} cases")?,
                "fault" => writeln!(f, "fault tests: {rows} runs, {count} injected faults")?,
                other => writeln!(f, "{other}: {count}")?,
            }
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let nextest = "    test result: FAILED. 0 passed; 1 failed\n     Summary [  17.6s] 13 tests run: 11 passed (2 slow), 2 failed, 3 skipped";
        let libtest = "test result: ok. 4 passed; 0 failed; 0 ignored\ntest result: FAILED. 7 passed; 2 failed; 0";
        assert_eq!((Summary::read(nextest, "").passed, Summary::read(nextest, "").failed), (11, 2));
        assert_eq!((Summary::read(libtest, "").passed, Summary::read(libtest, "").failed), (11, 2));
    }

    #[test]
    fn two_runs_are_added() {
        let mut one = Summary::read("test result: ok. 4 passed; 1 failed", "swap 1 a\n");
        one.add(Summary::read("test result: ok. 2 passed; 0 failed", "swap 1 b\ninput 5 c\n"));
        let expected = "bad input: 5 cases\nswap tests: 2 (a network, an adder, a deleter)\n6 passed, 1 failed";
        assert_eq!(one.to_string(), expected);
    }

    #[test]
    fn reports_are_counted_by_kind() {
        let report = "namespace 1 a\nnamespace 1 a\nnamespace 1 b\nfault 40 bridge ADD Warm\nfault 2 ptp\n";
        let text = Summary::read("", report).to_string();
        let expected = "fault tests: 2 runs, 42 injected faults\nnamespace tests: 2\n0 passed, 0 failed";
        assert_eq!(text, expected);
    }
}
