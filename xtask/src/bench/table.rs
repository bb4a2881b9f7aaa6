//! The same table for a terminal, for a page and for a program.

use crate::bench::contender::Contender;
use crate::bench::stats::{Results, Stats};
use crate::bench::target::{Judged, times};

/// Rows of cells under a heading; numbers are aligned to the right.
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The times: one line for an operation, netferry against whoever else did it.
    pub fn times(results: &Results) -> Table {
        let heading = vec!["row", "op", "netferry", "min..p90", "peer", "", "min..p90", "ratio", "floor", "of it"];
        let mut rows = Vec::new();
        for entry in results.entries.iter().filter(|entry| entry.unit == "ms" && entry.who == Contender::Ours.name()) {
            let of = |who: Contender| results.get(&entry.row, entry.op, who.name(), "ms");
            let floor = of(Contender::Floor);
            let peers = [Contender::Go, Contender::GoLegacy, Contender::GoSid, Contender::Crun, Contender::Runc]
                .map(|who| (who, of(who)));
            let peers: Vec<_> = peers.into_iter().filter_map(|(who, stats)| Some((who.name(), stats?))).collect();
            for (who, peer) in peers {
                let mut row = vec![entry.row.clone(), entry.op.to_owned()];
                row.extend([milliseconds(entry.stats.median), spread(entry.stats), who.to_owned()]);
                row.extend([milliseconds(peer.median), spread(peer), times(peer.median / entry.stats.median)]);
                row.push(floor.map_or(String::new(), |floor| milliseconds(floor.median)));
                row.push(floor.map_or(String::new(), |floor| times(entry.stats.median / floor.median)));
                rows.push(row);
            }
        }
        Table { heading, rows }
    }

    /// System calls and processes.
    pub fn counts(results: &Results) -> Table {
        let heading = vec!["row", "op", "who", "system calls", "programs", "children"];
        let mut rows = Vec::new();
        for entry in results.entries.iter().filter(|entry| entry.unit == "calls") {
            let of = |unit| results.get(&entry.row, entry.op, entry.who, unit);
            let count = |unit| of(unit).map_or(String::new(), |stats| format!("{:.0}", stats.median));
            let names = [entry.row.clone(), entry.op.to_owned(), entry.who.to_owned()];
            rows.push(names.into_iter().chain([count("calls"), count("programs"), count("children")]).collect());
        }
        Table { heading, rows }
    }

    /// The targets.
    pub fn targets(judged: &[Judged]) -> Table {
        let row = |one: &Judged| {
            let met = if one.met { "met" } else { "NOT MET" };
            vec![one.what.to_owned(), one.wanted.clone(), one.value.clone(), met.to_owned()]
        };
        Table { heading: vec!["target", "wanted", "measured", ""], rows: judged.iter().map(row).collect() }
    }

    /// For a terminal.
    pub fn aligned(&self) -> String {
        let row = |cells: Vec<(usize, &str)>| {
            let padded = cells.iter().enumerate().map(|(at, (width, cell))| {
                if numeric(cell) && at > 0 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let widths = self.widths();
        let with_widths = |cells: Vec<&str>| row(widths.iter().copied().zip(cells).collect());
        let heading = with_widths(self.heading.clone());
        self.rows.iter().fold(heading, |text, cells| text + &with_widths(cells.iter().map(String::as_str).collect()))
    }

    /// For a page.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let widths = self.widths();
        let padded =
            |cells: Vec<&str>| line(cells.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect());
        let rule = line(widths.iter().map(|width| "-".repeat((*width).max(3))).collect());
        let heading = padded(self.heading.clone()) + &rule;
        self.rows.iter().fold(heading, |text, cells| text + &padded(cells.iter().map(String::as_str).collect()))
    }

    fn widths(&self) -> Vec<usize> {
        let column = |at: usize| self.rows.iter().filter_map(move |row| row.get(at)).map(|cell| cell.chars().count());
        self.heading.iter().enumerate().map(|(at, name)| column(at).fold(name.len(), usize::max)).collect()
    }
}

/// For a program: every line as it was measured, and every target.
pub fn json(results: &Results, judged: &[Judged]) -> String {
    let entries = results.entries.iter().map(|entry| {
        let Stats { n, min, median, p90 } = entry.stats;
        format!(
            r#"{{"row":"{}","op":"{}","who":"{}","unit":"{}","n":{n},"min":{min:.4},"median":{median:.4},"p90":{p90:.4}}}"#,
            entry.row, entry.op, entry.who, entry.unit
        )
    });
    let targets = judged.iter().map(|one| {
        format!(r#"{{"target":"{}","wanted":"{}","measured":"{}","met":{}}}"#, one.what, one.wanted, one.value, one.met)
    });
    let list = |lines: Vec<String>| lines.join(",\n  ");
    format!("{{\"results\":[\n  {}\n],\"targets\":[\n  {}\n]}}\n", list(entries.collect()), list(targets.collect()))
}

fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.3} ms") } else { format!("{value:.1} ms") }
}

fn spread(stats: Stats) -> String {
    if stats.median < 10.0 {
        format!("{:.2}..{:.2}", stats.min, stats.p90)
    } else {
        format!("{:.1}..{:.1}", stats.min, stats.p90)
    }
}

fn numeric(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit()) && !cell.contains("faster")
}
