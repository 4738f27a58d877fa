//! The bench against a real chain.

use super::{ONE_CORE, Settings, run};
use crate::scratch::Scratch;

/// Proves that every job runs on a real validator, that each has a rate beside its limit, and that
/// the goals stand beside what they are goals of.
#[test]
fn runs_tiny() {
    let scratch = Scratch::new("chain").unwrap();
    let settings = Settings {
        validators: vec![1],
        senders: 5,
        crowd: 20,
        transactions: 400,
        waiting: 200,
        rounds: 1,
        lode: None,
        anvil: None,
    };
    let found = run(scratch.path(), &settings).unwrap();
    let ours = |figure: &&crate::figures::Figure| figure.subject == "lode, 1 validator";
    assert_eq!(found.figures.iter().filter(ours).count(), 6);
    let limits = found.figures.iter();
    assert_eq!(
        limits.filter(|figure| figure.subject == ONE_CORE).count(),
        6
    );
    assert!(found.figures.iter().all(|figure| figure.best > 0.0));
    let gauges: Vec<serde_json::Value> = found
        .gauges
        .iter()
        .map(crate::gauge::Gauge::figure)
        .collect();
    let goals = gauges
        .iter()
        .filter(|gauge| gauge.get("at_least").is_some() || gauge.get("at_most").is_some());
    assert_eq!(goals.count(), 2, "{gauges:?}");
    assert!(
        gauges
            .iter()
            .all(|gauge| gauge["median"].as_f64() >= Some(0.0))
    );
}
