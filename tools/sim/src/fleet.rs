//! Many seeds, each run twice, on many threads; and one seed told in full.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lode_engine::planted::Bug;

use crate::{
    plan::Profile,
    seed::{self, Report},
    tally::Tally,
};

/// A seed that found something.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// What it found.
    pub what: String,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that ran.
    pub seeds: u64,
    /// Runs: two for each seed.
    pub runs: u64,
    /// Wall-clock time.
    pub spent: Duration,
    /// Counters of one run of each seed.
    pub tally: Tally,
    /// Seeds by profile.
    pub profiles: BTreeMap<Profile, u64>,
    /// What was found, by seed.
    pub findings: Vec<Finding>,
}

/// How to run many seeds.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Threads.
    pub jobs: usize,
    /// Go on after a finding.
    pub all: bool,
    /// Run only this profile.
    pub profile: Option<Profile>,
}

impl Fleet {
    /// Runs every seed twice.
    pub fn run(&self, seeds: Range<u64>) -> Summary {
        let started = Instant::now();
        let next = AtomicU64::new(seeds.start);
        let stop = AtomicBool::new(false);
        let summary = Mutex::new(Summary::default());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| self.work(&next, seeds.end, &stop, &summary));
            }
        });
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.spent = started.elapsed();
        summary.findings.sort_by_key(|finding| finding.seed);
        summary
    }

    fn work(&self, next: &AtomicU64, end: u64, stop: &AtomicBool, sum: &Mutex<Summary>) {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let report = twice(seed, self.profile);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.seeds += 1;
            sum.runs += 2;
            sum.tally.merge(&report.tally);
            *sum.profiles.entry(report.profile).or_default() += 1;
            if let Some(what) = report.failure {
                sum.findings.push(Finding { seed, what });
                stop.store(!self.all, Ordering::Relaxed);
            }
        }
    }
}

/// Runs a seed twice; that both runs are the same is part of what is checked.
pub fn twice(seed: u64, profile: Option<Profile>) -> Report {
    let mut first = once(seed, profile, false);
    let second = once(seed, profile, false);
    if first.failure.is_none() && (first.trace, &first.tally) != (second.trace, &second.tally) {
        first.failure = Some("two runs of this seed differ: something is not seeded".to_owned());
    }
    first
}

/// Runs a seed once; a panic is a finding.
pub fn once(seed: u64, profile: Option<Profile>, log: bool) -> Report {
    catch(seed, profile, None, log)
}

/// Runs a seed once on a store that has a bug.
pub fn with_bug(bug: Bug, seed: u64, profile: Option<Profile>) -> Report {
    catch(seed, profile, Some(bug), false)
}

fn catch(seed: u64, profile: Option<Profile>, bug: Option<Bug>, log: bool) -> Report {
    let run = || seed::run(seed, profile, bug, log);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Report {
            seed,
            profile: crate::plan::Plan::draw(seed, profile).profile,
            trace: 0,
            failure: Some(format!("panics: {}", text.unwrap_or_default())),
            tally: Tally::default(),
            log: Vec::new(),
            events: String::new(),
        }
    })
}
