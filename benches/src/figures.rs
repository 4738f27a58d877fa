//! Figures: what was measured, by whom, how often, with the ratio to the limit that was measured
//! in the same rounds. Noise between rounds is large on shared machines, between neighbours in one
//! round it is small: ratios are taken within rounds, and then their median.

use serde::Serialize;

use crate::meter::Sample;

/// How a sample becomes a number; more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 10^6 bytes per second.
    Megabytes,
    /// Operations per second.
    Operations,
}

impl Unit {
    /// As shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Megabytes => "MB/s",
            Self::Operations => "ops/s",
        }
    }

    fn rate(self, sample: &Sample) -> f64 {
        match self {
            Self::Megabytes => sample.megabytes_per_second(),
            Self::Operations => sample.operations_per_second(),
        }
    }
}

/// Samples of one job done by one subject, one for each round.
#[derive(Clone, Debug)]
struct Row {
    what: String,
    subject: String,
    unit: Unit,
    samples: Vec<Sample>,
    ratios: Vec<f64>,
}

/// Samples as they come in.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

/// One job done by one subject, summed up.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The job.
    pub what: String,
    /// Who did it.
    pub subject: String,
    /// Unit of the rates.
    pub unit: &'static str,
    /// Median rate of all rounds.
    pub median: f64,
    /// Best rate of all rounds.
    pub best: f64,
    /// Rate of each round.
    pub rounds: Vec<f64>,
    /// Processor seconds per 10^9 bytes, median; none where nothing was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_per_gb: Option<f64>,
    /// Processor microseconds per operation, median.
    pub cpu_micros_per_operation: f64,
    /// Bytes fetched from the disk for each byte of payload, median; none where nothing was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_amplification: Option<f64>,
    /// Bytes sent to the disk for each byte of payload, median; none where nothing was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_amplification: Option<f64>,
    /// Median of the rounds' ratios to the limit; none for the limit itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_limit: Option<f64>,
}

impl Table {
    /// Adds a sample.
    pub fn push(&mut self, what: &str, subject: &str, unit: Unit, sample: Sample) {
        self.row(what, subject, unit).samples.push(sample);
    }

    /// Adds a sample and what the limit did in the minute before, which is a sample of its own.
    pub fn push_beside(
        &mut self,
        what: &str,
        limit: (&str, Sample),
        subject: &str,
        unit: Unit,
        sample: Sample,
    ) {
        let (limit, bound) = limit;
        self.push(what, limit, unit, bound);
        self.push_against(what, &bound, subject, unit, sample);
    }

    /// Adds a sample beside a limit that was added already.
    pub fn push_against(
        &mut self,
        what: &str,
        bound: &Sample,
        subject: &str,
        unit: Unit,
        sample: Sample,
    ) {
        let row = self.row(what, subject, unit);
        row.samples.push(sample);
        row.ratios.push(unit.rate(&sample) / unit.rate(bound));
    }

    fn row(&mut self, what: &str, subject: &str, unit: Unit) -> &mut Row {
        let known = self
            .rows
            .iter()
            .position(|row| row.what == what && row.subject == subject);
        let at = known.unwrap_or_else(|| {
            let (what, subject) = (what.to_owned(), subject.to_owned());
            self.rows.push(Row {
                what,
                subject,
                unit,
                samples: Vec::new(),
                ratios: Vec::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Sums up, job by job in the order of their first samples.
    pub fn figures(&self) -> Vec<Figure> {
        let mut jobs: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !jobs.contains(&row.what.as_str()) {
                jobs.push(&row.what);
            }
        }
        let of_job = |what| self.rows.iter().filter(move |row| row.what == what);
        jobs.into_iter().flat_map(of_job).map(Row::figure).collect()
    }
}

impl Row {
    fn figure(&self) -> Figure {
        let rounds: Vec<f64> = self
            .samples
            .iter()
            .map(|sample| self.unit.rate(sample))
            .collect();
        let moved = self.samples.iter().all(|sample| sample.bytes > 0);
        let each = |read: fn(&Sample) -> f64| median(self.samples.iter().map(read).collect());
        Figure {
            what: self.what.clone(),
            subject: self.subject.clone(),
            unit: self.unit.name(),
            median: median(rounds.clone()),
            best: rounds.iter().copied().fold(0.0, f64::max),
            cpu_seconds_per_gb: moved.then(|| each(Sample::cpu_seconds_per_gb)),
            cpu_micros_per_operation: each(Sample::cpu_micros_per_operation),
            read_amplification: moved.then(|| each(Sample::read_amplification)),
            write_amplification: moved.then(|| each(Sample::write_amplification)),
            of_limit: (!self.ratios.is_empty()).then(|| median(self.ratios.clone())),
            rounds,
        }
    }
}

/// The middle value, or the mean of the two middle ones; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(&high) if values.len() % 2 == 1 => high,
        Some(&high) => f64::midpoint(values[middle - 1], high),
    }
}

/// A value with so many decimals, or as many as it takes to tell it from others where it is small.
pub fn short(value: f64, decimals: usize) -> String {
    let decimals = if value < 10.0 { 2 } else { decimals };
    format!("{value:.decimals$}")
}

/// The figures as a table for a terminal.
pub fn print(figures: &[Figure]) {
    let mut last = "";
    for figure in figures {
        if figure.what != last {
            println!("\n{} ({})", figure.what, figure.unit);
            println!("{HEADINGS}");
            last = &figure.what;
        }
        let ratio = figure
            .of_limit
            .map(|ratio| format!("{:.0} %", ratio * 100.0));
        let two = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        println!(
            "  {:<28}{:>10}{:>10}{:>9}{:>10}{:>11.1}{:>8}{:>8}",
            figure.subject,
            short(figure.median, 0),
            short(figure.best, 0),
            ratio.unwrap_or_default(),
            two(figure.cpu_seconds_per_gb),
            figure.cpu_micros_per_operation,
            two(figure.read_amplification),
            two(figure.write_amplification),
        );
    }
}

const HEADINGS: &str = "                                  \
    median      best    limit  CPU s/GB  CPU µs/op  read×  write×";

#[cfg(test)]
mod tests {
    use super::{Table, Unit, median, short};
    use crate::meter::Sample;

    fn sample(operations: u64) -> Sample {
        Sample {
            operations,
            bytes: 0,
            bytes_read: 0,
            bytes_written: 0,
            seconds: 1.0,
            cpu_seconds: 0.5,
        }
    }

    /// Proves that ratios are taken between neighbours: a slow minute of both does not move them.
    #[test]
    fn pairs_neighbours() {
        let mut table = Table::default();
        for (limit, ours) in [(1000, 900), (100, 80), (2000, 1900)] {
            let limit = ("disk", sample(limit));
            table.push_beside("read", limit, "lode", Unit::Operations, sample(ours));
        }
        let figures = table.figures();
        assert_eq!(
            (figures[0].subject.as_str(), figures[0].of_limit),
            ("disk", None)
        );
        assert_eq!(
            (figures[1].subject.as_str(), figures[1].of_limit),
            ("lode", Some(0.9))
        );
        assert_eq!(figures[1].median, 900.0);
        assert_eq!(figures[1].best, 1900.0);
        assert_eq!(figures[1].rounds, [900.0, 80.0, 1900.0]);
        assert_eq!(figures[0].rounds, [1000.0, 100.0, 2000.0]);
    }

    /// Proves that small values are told apart and large ones are short.
    #[test]
    fn keeps_decimals_where_they_matter() {
        assert_eq!(short(0.614, 0), "0.61");
        assert_eq!(short(9.996, 1), "10.00");
        assert_eq!(
            (short(12.34, 0), short(12.34, 1)),
            ("12".into(), "12.3".into())
        );
    }

    /// Proves the median of odd, even and no values.
    #[test]
    fn takes_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }
}
