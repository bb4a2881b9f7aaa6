//! What netferry sets out to reach, each a bound on ratios or counts of one run.

use crate::bench::contender::Contender;
use crate::bench::stats::Results;

/// 1.5 MB.
pub const BINARY: u64 = 1_500_000;

const OURS: &str = Contender::Ours.name();
const GO: &str = Contender::Go.name();
const LEGACY: &str = Contender::GoLegacy.name();
const SID: &str = Contender::GoSid.name();
const CRUN: &str = Contender::Crun.name();
const RUNC: &str = Contender::Runc.name();
const FLOOR: &str = Contender::Floor.name();

enum Measure {
    /// How many times as long the other takes: at least.
    Faster(&'static str, &'static str, &'static str, f64),
    /// Ours takes no longer than the other.
    NoSlower(&'static str, &'static str, &'static str),
    /// How many times as long ours takes as the other: at most.
    Within(&'static str, &'static str, &'static str, f64),
    /// How many milliseconds longer than the other ours takes: at most.
    Adds(&'static str, &'static str, &'static str, f64),
    /// How much ours grows from one line to another: at most.
    Grows((&'static str, &'static str), (&'static str, &'static str), f64),
    /// A count of ours: at most.
    Count(&'static str, &'static str, &'static str, f64),
}
use Measure::{Adds, Count, Faster, Grows, NoSlower, Within};

const TARGETS: &[(&str, Measure)] = &[
    ("VERSION", Faster("version", "VERSION", GO, 10.0)),
    ("bridge ADD", Faster("bridge", "ADD", GO, 6.0)),
    ("bridge ADD, of the floor", Within("bridge", "ADD", FLOOR, 1.6)),
    ("ptp ADD", Faster("ptp", "ADD", GO, 6.0)),
    ("ptp ADD, of the floor", Within("ptp", "ADD", FLOOR, 1.6)),
    ("masquerade ADD", Faster("masquerade", "ADD", GO, 14.0)),
    ("masquerade ADD, iptables-legacy", Faster("legacy", "ADD", LEGACY, 14.0)),
    ("bridge DEL", Faster("bridge", "DEL", GO, 10.0)),
    ("ptp DEL", Faster("ptp", "DEL", GO, 10.0)),
    ("masquerade DEL", Faster("masquerade", "DEL", GO, 25.0)),
    ("masquerade DEL, iptables-legacy", Faster("legacy", "DEL", LEGACY, 25.0)),
    ("dual-stack ptp ADD", Faster("dual-ptp", "ADD", GO, 300.0)),
    ("host-device ADD", Faster("host-device", "ADD", SID, 2.0)),
    ("host-device DEL", Faster("host-device", "DEL", SID, 2.0)),
    ("host-device ADD, older peer", NoSlower("host-device", "ADD", GO)),
    ("host-device DEL, older peer", NoSlower("host-device", "DEL", GO)),
    ("host-device ADD, of the floor", Within("host-device", "ADD", FLOOR, 1.4)),
    ("host-device DEL, of the floor", Within("host-device", "DEL", FLOOR, 1.4)),
    ("OCI container with a device", Within("oci", "run", CRUN, 1.1)),
    ("OCI container that keeps its device", Within("oci-given", "run", CRUN, 1.1)),
    ("OCI container with a device, runc", Within("oci-runc", "run", RUNC, 1.1)),
    ("OCI container without devices", Adds("oci-plain", "run", CRUN, 3.0)),
    ("host-local ADD, 20,000 reserved", Faster("host-local-20000", "ADD", GO, 50.0)),
    ("host-local ADD, from 0 to 20,000", Grows(("host-local-0", "ADD"), ("host-local-20000", "ADD"), 1.2)),
    ("host-local DEL, from 0 to 20,000", Grows(("host-local-0", "DEL"), ("host-local-20000", "DEL"), 1.2)),
    ("last of the sequential ADDs", Grows(("sequential", "first 20"), ("sequential", "last 20"), 1.15)),
    ("the same, masqueraded", Grows(("sequential-masquerade", "first 20"), ("sequential-masquerade", "last 20"), 1.15)),
    ("parallel ADDs", Faster("parallel", "ADD", GO, 3.0)),
    ("parallel ADDs, masqueraded", Faster("parallel-masquerade", "ADD", GO, 8.0)),
    ("parallel DELs", Faster("parallel", "DEL", GO, 8.0)),
    ("parallel DELs, masqueraded", Faster("parallel-masquerade", "DEL", GO, 8.0)),
    ("system calls of a bridge ADD", Count("bridge", "ADD", "calls", 149.0)),
    ("programs run by a masquerade ADD", Count("masquerade", "ADD", "programs", 1.0)),
    ("programs run by a masquerade DEL", Count("masquerade", "DEL", "programs", 1.0)),
    ("children of a bridge ADD", Count("bridge", "ADD", "children", 0.0)),
    ("children of a bridge DEL", Count("bridge", "DEL", "children", 1.0)),
    ("bytes of netferry-cni", Count("binary", "size", "bytes", (BINARY - 1) as f64)),
];

/// A target and what became of it.
pub struct Judged {
    /// What it is about.
    pub what: &'static str,
    /// The bound, as text.
    pub wanted: String,
    /// The value, as text.
    pub value: String,
    /// Whether it is met.
    pub met: bool,
}

/// Judges every target whose rows were measured.
pub fn judge(results: &Results) -> Vec<Judged> {
    TARGETS.iter().filter_map(|(what, measure)| judged(what, measure, results)).collect()
}

fn judged(what: &'static str, measure: &Measure, results: &Results) -> Option<Judged> {
    let (wanted, value, met) = match measure {
        Faster(row, op, than, bound) => {
            let ratio = results.ratio(row, op, than, OURS)?;
            (format!("{bound} x faster than {than}"), times(ratio), ratio >= *bound)
        }
        NoSlower(row, op, than) => {
            let ratio = results.ratio(row, op, than, OURS)?;
            (format!("no slower than {than}"), times(ratio), ratio >= 1.0)
        }
        Within(row, op, than, bound) => {
            let ratio = results.ratio(row, op, OURS, than)?;
            (format!("at most {bound} x the {than}"), times(ratio), ratio <= *bound)
        }
        Adds(row, op, than, bound) => {
            let median = |who| Some(results.get(row, op, who, "ms")?.median);
            let more = median(OURS)? - median(than)?;
            (format!("at most {bound} ms more than {than}"), format!("{more:.2} ms"), more <= *bound)
        }
        Grows(from, to, bound) => {
            let median = |(row, op): (&str, &str)| Some(results.get(row, op, OURS, "ms")?.median);
            let ratio = median(*to)? / median(*from)?;
            (format!("at most {bound} x"), times(ratio), ratio <= *bound)
        }
        Count(row, op, unit, bound) => {
            let count = results.get(row, op, OURS, unit)?.median;
            (format!("at most {bound:.0}"), format!("{count:.0}"), count <= *bound)
        }
    };
    Some(Judged { what, wanted, value, met })
}

/// A ratio with the digits it deserves.
pub fn times(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2} x") } else { format!("{ratio:.0} x") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_only_what_was_measured() {
        let mut results = Results::default();
        results.put("version", "VERSION", OURS, "ms", &[0.2]);
        assert!(judge(&results).is_empty());
        results.put("version", "VERSION", GO, "ms", &[2.2]);
        results.put("bridge", "ADD", OURS, "calls", &[150.0]);
        let judged: Vec<_> = judge(&results).iter().map(|one| (one.what, one.value.clone(), one.met)).collect();
        assert_eq!(
            judged,
            [("VERSION", "11 x".to_owned(), true), ("system calls of a bridge ADD", "150".to_owned(), false)]
        );
    }

    #[test]
    fn what_is_added_is_a_difference() {
        for (ours, value, met) in [(12.5, "2.50 ms", true), (13.5, "3.50 ms", false), (9.0, "-1.00 ms", true)] {
            let mut results = Results::default();
            results.put("oci-plain", "run", OURS, "ms", &[ours]);
            results.put("oci-plain", "run", CRUN, "ms", &[10.0]);
            let judged: Vec<_> = judge(&results).iter().map(|one| (one.value.clone(), one.met)).collect();
            assert_eq!(judged, [(value.to_owned(), met)]);
        }
    }

    #[test]
    fn as_fast_is_no_slower() {
        for (go, met) in [(20.0, true), (19.9, false)] {
            let mut results = Results::default();
            results.put("host-device", "DEL", OURS, "ms", &[20.0]);
            results.put("host-device", "DEL", GO, "ms", &[go]);
            let judged: Vec<_> = judge(&results).iter().map(|one| (one.what, one.met)).collect();
            assert_eq!(judged, [("host-device DEL, older peer", met)]);
        }
    }
}
