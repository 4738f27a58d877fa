//! What happened over many runs, in counters: a simulation that injects nothing finds nothing.

use std::{collections::BTreeMap, fmt};

use lode_world::sim::Counts;

/// Sums over runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counters: BTreeMap<(&'static str, &'static str), u64>,
}

impl Tally {
    /// Counts one.
    pub fn one(&mut self, group: &'static str, what: &'static str) {
        self.add(group, what, 1);
    }

    /// Counts many.
    pub fn add(&mut self, group: &'static str, what: &'static str, count: u64) {
        *self.counters.entry((group, what)).or_default() += count;
    }

    /// A counter.
    pub fn count(&self, group: &'static str, what: &'static str) -> u64 {
        self.counters.get(&(group, what)).copied().unwrap_or(0)
    }

    /// Sum of a group.
    pub fn sum(&self, group: &'static str) -> u64 {
        let counters = self.counters.iter();
        let group = counters.filter(|((of, _), _)| *of == group);
        group.map(|(_, count)| count).sum()
    }

    /// Adds all counters of another tally.
    pub fn merge(&mut self, other: &Tally) {
        for ((group, what), count) in &other.counters {
            self.add(group, what, *count);
        }
    }

    /// Adds what a machine counted.
    pub fn machine(&mut self, counts: &Counts) {
        let faults = [
            ("torn writes", counts.torn),
            ("lost writes", counts.lost_writes),
            ("lost names", counts.lost_names),
            ("stalls", counts.stalls),
            ("rotten bits", counts.rots),
            ("misdirected writes", counts.misdirected),
            ("read errors", counts.read_errors),
            ("write errors", counts.write_errors),
            ("sync errors", counts.sync_errors),
            ("full disk", counts.fulls),
        ];
        for (what, count) in faults {
            self.add("fault", what, count);
        }
        self.add("io", "all", counts.ios);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for ((of, what), count) in &self.counters {
            if *of != group {
                write!(out, "{}{of:<9}", if group.is_empty() { "" } else { "\n" })?;
                group = of;
            }
            write!(out, " {what} {count};")?;
        }
        Ok(())
    }
}
