//! Values that are no rates: memory, costs and ratios, beside the bound that the project sets
//! itself where there is one. A bound that is missed is shown, never enforced: a slow machine is no
//! fault of the code.

use serde_json::{Value, json};

use crate::figures::{median, short};

/// What a value is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
    /// Shown so that the others can be understood. Less is better.
    None,
}

/// Values of one kind of one subject, one for each round.
#[derive(Clone, Debug)]
pub struct Gauge {
    what: &'static str,
    subject: String,
    unit: &'static str,
    bound: Bound,
    rounds: Vec<f64>,
}

/// Gauges as values come in.
#[derive(Clone, Debug, Default)]
pub struct Gauges(Vec<Gauge>);

impl Gauges {
    /// Adds a value.
    pub fn push(
        &mut self,
        what: &'static str,
        subject: &str,
        unit: &'static str,
        bound: Bound,
        value: f64,
    ) {
        let same = |gauge: &&mut Gauge| gauge.what == what && gauge.subject == subject;
        match self.0.iter_mut().find(same) {
            Some(gauge) => gauge.rounds.push(value),
            None => self.0.push(Gauge {
                what,
                subject: subject.to_owned(),
                unit,
                bound,
                rounds: vec![value],
            }),
        }
    }

    /// All of them, kind by kind in the order of their first values.
    pub fn all(mut self) -> Vec<Gauge> {
        let mut kinds: Vec<&str> = Vec::new();
        for gauge in &self.0 {
            if !kinds.contains(&gauge.what) {
                kinds.push(gauge.what);
            }
        }
        let place = |gauge: &Gauge| kinds.iter().position(|kind| *kind == gauge.what);
        self.0.sort_by_key(place);
        self.0
    }
}

impl Gauge {
    fn best(&self) -> f64 {
        let rounds = self.rounds.iter().copied();
        match self.bound {
            Bound::AtLeast(_) => rounds.fold(f64::NEG_INFINITY, f64::max),
            Bound::AtMost(_) | Bound::None => rounds.fold(f64::INFINITY, f64::min),
        }
    }

    fn worst(&self) -> f64 {
        let rounds = self.rounds.iter().copied();
        match self.bound {
            Bound::AtLeast(_) => rounds.fold(f64::INFINITY, f64::min),
            Bound::AtMost(_) | Bound::None => rounds.fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Whether the median keeps to the bound.
    pub fn is_met(&self) -> Option<bool> {
        let median = median(self.rounds.clone());
        match self.bound {
            Bound::AtMost(bound) => Some(median <= bound),
            Bound::AtLeast(bound) => Some(median >= bound),
            Bound::None => None,
        }
    }

    /// In the form of the figures.
    pub fn figure(&self) -> Value {
        let median = median(self.rounds.clone());
        let mut figure = json!({
            "what": self.what, "subject": self.subject, "unit": self.unit, "rounds": self.rounds,
            "median": median, "best": self.best(), "worst": self.worst(),
        });
        let (name, bound) = match self.bound {
            Bound::AtMost(bound) => ("at_most", bound),
            Bound::AtLeast(bound) => ("at_least", bound),
            Bound::None => return figure,
        };
        figure[name] = json!(bound);
        figure["of_limit"] = json!(median / bound);
        figure
    }
}

/// The gauges as a table for a terminal.
pub fn print(gauges: &[Gauge]) {
    let mut last = "";
    for gauge in gauges {
        if gauge.what != last {
            println!("\n{} ({})", gauge.what, gauge.unit);
            println!("                                  median     worst  target");
            last = gauge.what;
        }
        let target = match gauge.bound {
            Bound::AtMost(bound) => format!("at most {bound}"),
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::None => String::new(),
        };
        let end = match gauge.is_met() {
            Some(true) => ": met",
            Some(false) => ": missed",
            None => "",
        };
        println!(
            "  {:<28}{:>10}{:>10}  {target}{end}",
            gauge.subject,
            short(median(gauge.rounds.clone()), 1),
            short(gauge.worst(), 1),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Gauges};

    /// Proves which end of the rounds is the worst, and that the median is held to the bound.
    #[test]
    fn holds_values_to_bounds() {
        let mut gauges = Gauges::default();
        for value in [90.0, 120.0, 200.0] {
            gauges.push("cost", "node", "µs", Bound::AtMost(130.0), value);
            gauges.push("ratio", "gets", "%", Bound::AtLeast(130.0), value);
            gauges.push("cost", "client", "µs", Bound::None, value);
        }
        let all = gauges.all();
        let subjects: Vec<&str> = all.iter().map(|gauge| gauge.subject.as_str()).collect();
        assert_eq!(subjects, ["node", "client", "gets"]);
        let met: Vec<Option<bool>> = all.iter().map(super::Gauge::is_met).collect();
        assert_eq!(met, [Some(true), None, Some(false)]);
        let [node, client, gets] = [0, 1, 2].map(|at: usize| all[at].figure());
        assert_eq!(node["median"], 120.0);
        assert_eq!(
            (&node["best"], &node["worst"]),
            (&90.0.into(), &200.0.into())
        );
        assert_eq!(
            (&gets["best"], &gets["worst"]),
            (&200.0.into(), &90.0.into())
        );
        assert_eq!(node["at_most"], 130.0);
        assert!(client.get("of_limit").is_none());
    }
}
