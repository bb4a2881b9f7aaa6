//! What was measured: samples of one operation, and all operations of a run.

/// A 90th percentile so many times the minimum tells of a disturbance.
const UNEVEN: f64 = 4.0;

/// The order statistics of one operation of one contender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// How many samples.
    pub n: usize,
    /// The smallest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// Nine of ten are not larger.
    pub p90: f64,
}

impl Stats {
    /// Of at least one sample; `None` of none.
    pub fn of(samples: &[f64]) -> Option<Stats> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get(((sorted.len() - 1) as f64 * share).round() as usize).copied();
        let min = *sorted.first()?;
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Stats { n: sorted.len(), min, median, p90: at(0.9)? })
    }
}

/// One line of the results.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The row's key, as `--only` takes it.
    pub row: String,
    /// What was done: `ADD`, `DEL` …
    pub op: &'static str,
    /// Who did it.
    pub who: &'static str,
    /// What the numbers are: `ms`, `calls`, `programs`, `bytes`.
    pub unit: &'static str,
    /// The numbers.
    pub stats: Stats,
}

/// Everything one run measured, in order.
#[derive(Debug, Default)]
pub struct Results {
    /// The lines.
    pub entries: Vec<Entry>,
}

impl Results {
    /// Keeps the samples of one operation; no samples, no line.
    pub fn put(&mut self, row: &str, op: &'static str, who: &'static str, unit: &'static str, samples: &[f64]) {
        if let Some(stats) = Stats::of(samples) {
            self.entries.push(Entry { row: row.to_owned(), op, who, unit, stats });
        }
    }

    /// The numbers of one operation, in one unit.
    pub fn get(&self, row: &str, op: &str, who: &str, unit: &str) -> Option<Stats> {
        let same = |entry: &&Entry| entry.row == row && entry.op == op && entry.who == who && entry.unit == unit;
        self.entries.iter().find(same).map(|entry| entry.stats)
    }

    /// Whose calls something else got in the way of: nine of ten calls of a program that does the same each time take
    /// much the same. The kernel has one network lock for all namespaces (RTNL), so priority does not help against
    /// others that make and remove namespaces meanwhile.
    pub fn disturbed(&self) -> Vec<String> {
        let uneven = |entry: &&Entry| entry.unit == "ms" && entry.stats.p90 > UNEVEN * entry.stats.min;
        self.entries.iter().filter(uneven).map(|entry| format!("{} {} of {}", entry.row, entry.op, entry.who)).collect()
    }

    /// How many times as long (or as many) `who` takes as `than`, by medians.
    pub fn ratio(&self, row: &str, op: &str, who: &str, than: &str) -> Option<f64> {
        Some(self.get(row, op, who, "ms")?.median / self.get(row, op, than, "ms")?.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uneven_row_is_disturbed() {
        let mut results = Results::default();
        results.put("ptp", "ADD", "floor", "ms", &[1.0, 1.1, 9.0]);
        results.put("ptp", "DEL", "floor", "ms", &[1.0, 1.1, 1.2]);
        assert_eq!(results.disturbed(), ["ptp ADD of floor"]);
    }

    #[test]
    fn statistics_of_few_and_many() {
        assert_eq!(Stats::of(&[]), None);
        assert_eq!(Stats::of(&[3.0]), Some(Stats { n: 1, min: 3.0, median: 3.0, p90: 3.0 }));
        let eleven: Vec<f64> = (0..11).rev().map(f64::from).collect();
        assert_eq!(Stats::of(&eleven), Some(Stats { n: 11, min: 0.0, median: 5.0, p90: 9.0 }));
        assert_eq!(Stats::of(&[1.0, 2.0]).map(|stats| stats.median), Some(1.5));
    }
}
