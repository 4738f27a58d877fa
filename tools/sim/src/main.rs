//! Runs seeds of the simulation: `sim --seeds A..B` many of them, each twice, `sim SEED` one with a
//! readable account.

use std::{ops::Range, process::ExitCode};

use sim::{
    fleet::{self, Fleet, Summary},
    plan::Profile,
};

const USAGE: &str =
    "usage: sim --seeds A..B [--jobs N] [--all] [--profile NAME]\n       sim SEED [--profile NAME]";
/// Lines of the account and of the machine's events that a finding shows.
const LINES: usize = 60;

fn main() -> ExitCode {
    match Order::parse(std::env::args().skip(1)) {
        Ok(order) => order.run(),
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
struct Order {
    seeds: Option<Range<u64>>,
    seed: Option<u64>,
    fleet: Fleet,
}

impl Order {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Order, String> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut order = Order {
            seeds: None,
            seed: None,
            fleet: Fleet {
                jobs,
                all: false,
                profile: None,
            },
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--seeds" => order.seeds = Some(range(&value()?)?),
                "--jobs" => order.fleet.jobs = number(&value()?)?,
                "--all" => order.fleet.all = true,
                "--profile" => order.fleet.profile = Some(profile(&value()?)?),
                seed => order.seed = Some(number(seed)?),
            }
        }
        match (&order.seeds, order.seed) {
            (None, None) => Err("say which seeds".to_owned()),
            _ => Ok(order),
        }
    }

    fn run(self) -> ExitCode {
        let Some(seeds) = self.seeds else {
            return tell(self.seed.unwrap_or(0), self.fleet.profile);
        };
        let mut found = Vec::new();
        for seed in regressions() {
            let report = fleet::twice(seed, None);
            found.extend(report.failure.map(|what| fleet::Finding { seed, what }));
        }
        println!("{} seeds of former findings", regressions().count());
        let mut summary = self.fleet.run(seeds);
        summary.findings.extend(found);
        print(&summary);
        if summary.findings.is_empty() {
            return ExitCode::SUCCESS;
        }
        if !self.fleet.all {
            tell(summary.findings[0].seed, self.fleet.profile);
        }
        for finding in &summary.findings {
            println!("seed {}: {}", finding.seed, finding.what);
        }
        let profile = self.fleet.profile.map(|profile| profile.name());
        println!(
            "replay with: cargo run --release -p sim -- {}{}",
            summary.findings[0].seed,
            profile.map_or_else(String::new, |name| format!(" --profile {name}"))
        );
        ExitCode::FAILURE
    }
}

/// Seeds that found something once.
fn regressions() -> impl Iterator<Item = u64> {
    include_str!("../regressions.txt")
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

fn print(summary: &Summary) {
    let seconds = summary.spent.as_secs_f64();
    println!(
        "{} seeds, each twice: {} runs in {seconds:.1} s, {} runs/s",
        summary.seeds,
        summary.runs,
        u128::from(summary.runs) * 1000 / summary.spent.as_millis().max(1)
    );
    print!("profile  ");
    for (profile, count) in &summary.profiles {
        print!(" {} {count};", profile.name());
    }
    println!("\n{}", summary.tally);
    println!(
        "{} operations, {} crashes, {} faults, {} findings",
        summary.tally.sum("op"),
        summary.tally.sum("crash"),
        summary.tally.sum("fault") + summary.tally.sum("damage"),
        summary.findings.len()
    );
}

/// Runs one seed and tells what happens.
fn tell(seed: u64, profile: Option<Profile>) -> ExitCode {
    let report = fleet::once(seed, profile, true);
    let again = fleet::once(seed, profile, false);
    let skip = match report.failure {
        Some(_) => report.log.len().saturating_sub(4 * LINES),
        None => 0,
    };
    report
        .log
        .iter()
        .skip(skip)
        .for_each(|line| println!("{line}"));
    println!("{}", report.tally);
    println!("trace {:016x}, again {:016x}", report.trace, again.trace);
    let Some(failure) = report.failure else {
        println!(
            "seed {seed}, profile {}: nothing found",
            report.profile.name()
        );
        return ExitCode::SUCCESS;
    };
    let events: Vec<&str> = report.events.lines().collect();
    println!("the machine's last events:");
    for line in &events[events.len().saturating_sub(LINES)..] {
        println!("{line}");
    }
    println!("seed {seed}, profile {}: {failure}", report.profile.name());
    ExitCode::FAILURE
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or(format!("{text} is not A..B"))?;
    Ok(number(from)?..number(to)?)
}

fn profile(name: &str) -> Result<Profile, String> {
    let known = Profile::all().find(|profile| profile.name() == name);
    known.ok_or(format!("there is no profile {name}"))
}
