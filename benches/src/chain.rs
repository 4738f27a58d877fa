//! The settlement chain through its RPC, by the method of 0G's `evmchainbench`: many senders with
//! transactions that are signed before, sent over HTTP connections that stay open, a bound on what
//! waits in the mempool, and blocks heard of by `eth_subscribe newHeads` over WebSocket.
//!
//! | figure | how it is taken |
//! |---|---|
//! | transactions per second | in blocks between the first and the last of a job, by when these came |
//! | limit | the same transactions on one core without a chain, in this process and round (`limit`) |
//! | at low rate | one transaction at a time, until there is a receipt |
//! | at full load, first in line | one every 50 ms with a higher tip, until the head of its block came |
//! | at full load, in the crowd | all others: mostly they wait for each other, as many as may wait |
//! | 300, 1000 waiting at most | full load without a queue: the rate and the time are of one run |
//! | CPU, memory | of the chain's processes, by the kernel's account |
//!
//! Subjects: one validator, four on this machine, and anvil where it is given. Every subject begins
//! anew each round and gets the same transactions. What the RPC shows of ours is final, so the times
//! are times to finality; anvil has none.

mod gate;
mod heads;
mod limit;
mod load;
mod network;
mod rpc;
mod script;

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use self::{
    limit::Machine,
    load::{Outcome, percentile},
    network::{Mining, Network, Spent},
    script::{Job, Kind, Script, Signed, send_request},
};
use crate::{
    error::{Error, Result},
    figures::{self, Figure, Table, Unit},
    gauge::{self, Bound, Gauge, Gauges},
    http::node,
    meter::{Sample, float},
    scratch::Scratch,
};

/// Name among errors.
pub const NAME: &str = "chain";

const ONE_CORE: &str = "one core, no chain";
const KNOWN: &str = "  senders known";
const RECOVERY: &str = "  senders alone";

const TRANSFERS: &str = "transfers, batches of 100 on 2 connections";
const SINGLE: &str = "transfers, one a request on 4 connections";
const TOKENS: &str = "ERC-20 transfers, batches of 100 on 2 connections";
const CROWD: &str = "transfers of many senders, batches of 100 on 2 connections";
const SHORT: &str = "transfers, 300 waiting at most, batches of 50";
const LONGER: &str = "transfers, 1000 waiting at most, batches of 50";

/// Transfers per second of one validator.
const ALONE: Bound = Bound::AtLeast(10_000.0);
/// Transfers per second of four on one machine.
const TOGETHER: Bound = Bound::AtLeast(5_000.0);
/// Times anvil's.
const BESIDE: Bound = Bound::AtLeast(2.0);
/// Milliseconds to finality at full load.
const FINAL: Bound = Bound::AtMost(30.0);

/// Transactions of a set-up request.
const SETUP_BATCH: usize = 100;
/// Transactions at low rate.
const IDLE_COUNT: u32 = 50;
/// Kinds of threads that are shown.
const THREADS_SHOWN: usize = 8;

/// How much of everything, and against whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Validators of each network of ours.
    pub validators: Vec<usize>,
    /// Accounts that send.
    pub senders: u64,
    /// Accounts that send where there are many.
    pub crowd: u64,
    /// Transactions of the first job; the others have a part of it.
    pub transactions: u64,
    /// Transactions that may wait in the mempool.
    pub waiting: u64,
    /// Rounds over all subjects.
    pub rounds: u32,
    /// The `lode` command; none: the one beside this program.
    pub lode: Option<PathBuf>,
    /// The `anvil` command; none: nothing beside ours.
    pub anvil: Option<PathBuf>,
}

/// What was found.
pub struct Found {
    /// Rates.
    pub figures: Vec<Figure>,
    /// Everything else.
    pub gauges: Vec<Gauge>,
    /// Shares of processor time by kinds of threads, of each subject's first job.
    pub threads: Value,
}

/// Runs all jobs on all subjects in `dir`.
///
/// # Errors
/// The first refusal of a subject.
pub fn run(dir: &Path, settings: &Settings) -> Result<Found> {
    let lode = match &settings.lode {
        Some(lode) => lode.clone(),
        None => node::program()?,
    };
    if settings.anvil.is_none() {
        eprintln!("anvil skipped: name it by --anvil or ANVIL");
    }
    eprintln!("signing");
    let script = Script::write(&jobs(settings)?)?;
    let mut bench = Bench {
        lode,
        scratch: Scratch::within(dir, NAME).map_err(Error::io("make a folder in", dir))?,
        settings: settings.clone(),
        setup: setup_requests(&script),
        script,
        table: Table::default(),
        gauges: Gauges::default(),
        threads: BTreeMap::new(),
    };
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        bench.round(round)?;
    }
    Ok(Found {
        figures: bench.table.figures(),
        gauges: bench.gauges.all(),
        threads: json!(bench.threads),
    })
}

/// Prints rates, then the rest.
pub fn print(found: &Found) {
    figures::print(&found.figures);
    gauge::print(&found.gauges);
    println!("\nwhere the processor time goes, in % of a subject's (transfers)");
    for (subject, shares) in found.threads.as_object().into_iter().flatten() {
        let shares = shares.as_array().into_iter().flatten();
        let shares = shares.map(|share| {
            let percent = share["percent"].as_f64().unwrap_or(0.0);
            format!("{} {percent:.0}", share["thread"].as_str().unwrap_or(""))
        });
        println!("  {subject:<28}{}", shares.collect::<Vec<_>>().join(", "));
    }
}

fn jobs(settings: &Settings) -> Result<Vec<Job>> {
    let job = |name, kind, senders: u64, part: u64, batch, lanes, waiting: u64| {
        let none = || Error::Usage("nobody sends nothing".to_owned());
        let each = (settings.transactions / part).checked_div(senders);
        Ok(Job {
            name,
            kind,
            senders,
            each: each.ok_or_else(none)?.max(1),
            batch: NonZeroUsize::new(batch).ok_or_else(none)?,
            lanes: NonZeroUsize::new(lanes).ok_or_else(none)?,
            waiting: waiting.min(settings.waiting),
        })
    };
    let (few, many, all) = (settings.senders, settings.crowd, settings.waiting);
    Ok(vec![
        job(TRANSFERS, Kind::Ether, few, 1, 100, 2, all)?,
        job(SHORT, Kind::Ether, few, 2, 50, 2, 300)?,
        job(LONGER, Kind::Ether, few, 2, 50, 2, 1000)?,
        job(SINGLE, Kind::Ether, few, 5, 1, 4, all)?,
        job(TOKENS, Kind::Tokens, few, 2, 100, 2, all)?,
        job(CROWD, Kind::Ether, many, 2, 100, 2, all)?,
    ])
}

fn setup_requests(script: &Script) -> Vec<Vec<u8>> {
    let batches = script.setup.chunks(SETUP_BATCH);
    batches
        .map(|batch| send_request(batch.iter(), false))
        .collect()
}

struct Bench {
    lode: PathBuf,
    scratch: Scratch,
    settings: Settings,
    script: Script,
    setup: Vec<Vec<u8>>,
    table: Table,
    gauges: Gauges,
    threads: BTreeMap<String, Value>,
}

/// Who is measured.
#[derive(Clone, Copy)]
enum Subject {
    Ours(usize),
    Anvil(Mining),
}

impl Bench {
    /// All subjects: the limit first, from which the others are measured; then anvil, beside which
    /// ours are.
    fn round(&mut self, round: u32) -> Result<()> {
        let limits = self.limits(round)?;
        let mut rates = BTreeMap::new();
        if self.settings.anvil.is_some() {
            for mining in [Mining::EachSecond, Mining::AtOnce] {
                let found = self.subject(round, Subject::Anvil(mining), &limits)?;
                if let Mining::EachSecond = mining {
                    rates = found;
                }
            }
        }
        for validators in self.settings.validators.clone() {
            let subject = Subject::Ours(validators);
            let found = self.subject(round, subject, &limits)?;
            for (job, rate) in found {
                if let Some(anvil) = rates.get(job).filter(|rate| **rate > 0.0) {
                    let beside = rate / anvil;
                    let what = "times anvil's rate, block time 1 s";
                    let bound = match (job, validators) {
                        (TRANSFERS, 1) => BESIDE,
                        _ => Bound::None,
                    };
                    let subject = format!("{}: {}", subject.name(), short(job));
                    self.gauges.push(what, &subject, "×", bound, beside);
                }
            }
        }
        Ok(())
    }

    /// What one core does with each job.
    fn limits(&mut self, round: u32) -> Result<Vec<Sample>> {
        eprintln!("  {ONE_CORE}");
        let dir = self.scratch.path().join(format!("limit-{round}"));
        // The same genesis file as of the networks, which this makes one of.
        let network = Network::validators(&self.lode, &dir, 1)?;
        network.stop(true)?;
        let mut machine = Machine::new(&dir.join("genesis.json"), &self.script.setup)?;
        let mut limits = Vec::new();
        for signed in &self.script.jobs {
            let limit = machine.run(signed)?;
            let (what, unit) = (signed.job.name, Unit::Operations);
            self.table.push(what, ONE_CORE, unit, limit.both);
            for (subject, sample) in [(KNOWN, limit.execution), (RECOVERY, limit.recovery)] {
                self.table
                    .push_against(what, &limit.both, subject, unit, sample);
            }
            limits.push(limit.both);
        }
        remove(&dir)?;
        Ok(limits)
    }

    /// All jobs on a fresh network; the rate of each.
    fn subject(
        &mut self,
        round: u32,
        subject: Subject,
        limits: &[Sample],
    ) -> Result<BTreeMap<&'static str, f64>> {
        let name = subject.name();
        eprintln!("  {name}");
        let dir = self.scratch.path().join(format!("{name}-{round}"));
        fs::create_dir_all(&dir).map_err(Error::io("make", &dir))?;
        let network = self.start(subject, &dir)?;
        let count = crate::meter::bytes_of(self.script.setup.len());
        network.set_up(&self.setup, count)?;
        self.idle(&network, &name)?;
        let mut rates = BTreeMap::new();
        let mut whole = true;
        let jobs = std::mem::take(&mut self.script.jobs);
        let mut done = Ok(());
        for (signed, limit) in jobs.iter().zip(limits) {
            if !whole {
                eprintln!("    {} left out: the chain has stopped", signed.job.name);
                continue;
            }
            eprintln!("    {}", signed.job.name);
            match self.job(&network, subject, signed, limit) {
                Ok((rate, all)) => {
                    rates.insert(signed.job.name, rate);
                    whole = all;
                }
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        self.script.jobs = jobs;
        done?;
        let peak = network.peak_mebibytes()?;
        let what = "peak of memory, of all processes";
        self.gauges.push(what, &name, "MiB", Bound::None, peak);
        network.stop(matches!(subject, Subject::Ours(_)))?;
        remove(&dir)?;
        Ok(rates)
    }

    fn start(&self, subject: Subject, dir: &Path) -> Result<Network> {
        match (subject, &self.settings.anvil) {
            (Subject::Anvil(mining), Some(anvil)) => Network::anvil(anvil, dir, mining),
            (Subject::Anvil(_), None) => Err(Error::Usage("there is no anvil".to_owned())),
            (Subject::Ours(count), _) => Network::validators(&self.lode, dir, count),
        }
    }

    fn idle(&mut self, network: &Network, name: &str) -> Result<()> {
        let times = load::idle(network.first(), IDLE_COUNT)?;
        for (percent, what) in [(50, "p50"), (99, "p99")] {
            let subject = format!("{name}, {what}");
            let time = percentile(&times, percent);
            let what = "to the receipt, at low rate";
            self.gauges.push(what, &subject, "ms", Bound::None, time);
        }
        Ok(())
    }

    /// One job: its rate, and whether all of it was mined.
    fn job(
        &mut self,
        network: &Network,
        subject: Subject,
        signed: &Signed,
        limit: &Sample,
    ) -> Result<(f64, bool)> {
        let meter = crate::meter::Meter::start();
        let (outcome, spent) = network.time(|| load::run(network, signed))?;
        let client = meter.stop(0, 0);
        let name = subject.name();
        let (operations, seconds) = outcome.counted;
        let part = float(operations) / float(outcome.mined.max(1));
        let sample = Sample {
            operations,
            seconds,
            cpu_seconds: spent.sample.cpu_seconds * part,
            ..Sample::default()
        };
        let unit = Unit::Operations;
        self.table
            .push_against(signed.job.name, limit, &name, unit, sample);
        let rate = sample.operations_per_second();
        if signed.job.name == TRANSFERS {
            let bound = match subject {
                Subject::Ours(1) => ALONE,
                Subject::Ours(4) => TOGETHER,
                _ => Bound::None,
            };
            let what = "transfers per second, beside the goal";
            self.gauges.push(what, &name, "tx/s", bound, rate);
            self.threads.insert(name.clone(), shares(&spent));
        }
        self.times(subject, signed, &outcome);
        self.costs(&name, signed, &outcome, &spent, client);
        Ok((rate, outcome.whole))
    }

    fn times(&mut self, subject: Subject, signed: &Signed, outcome: &Outcome) {
        let job = short(signed.job.name);
        let goal = match (subject, signed.job.name) {
            (Subject::Ours(_), SHORT) => FINAL,
            _ => Bound::None,
        };
        let first = "to the head of its block at full load, first in line";
        let crowd = "to the head of its block at full load, in the crowd";
        for (what, times, bound) in [
            (first, &outcome.first_ms, Bound::None),
            (crowd, &outcome.crowd_ms, goal),
        ] {
            for (percent, bound) in [(50, bound), (99, Bound::None)] {
                let subject = format!("{}, p{percent}: {job}", subject.name());
                let time = percentile(times, percent);
                self.gauges.push(what, &subject, "ms", bound, time);
            }
        }
    }

    fn costs(
        &mut self,
        name: &str,
        signed: &Signed,
        outcome: &Outcome,
        spent: &Spent,
        client: Sample,
    ) {
        let thousands = float(outcome.mined.max(1)) / 1000.0;
        let sample = &spent.sample;
        let subject = format!("{name}: {}", short(signed.job.name));
        for (what, unit, value) in [
            (
                "CPU of the chain per 1000 transactions",
                "s",
                sample.cpu_seconds / thousands,
            ),
            (
                "CPU of the client per 1000 transactions",
                "s",
                client.cpu_seconds / thousands,
            ),
            (
                "written by the chain per transaction",
                "bytes",
                float(sample.bytes_written) / thousands / 1000.0,
            ),
            ("transactions of a block", "mean", outcome.per_block()),
            (
                "blocks per second",
                "mean",
                float(outcome.blocks) / sample.seconds,
            ),
        ] {
            self.gauges.push(what, &subject, unit, Bound::None, value);
        }
        if !outcome.whole {
            let lost = float(outcome.sent.saturating_sub(outcome.mined));
            let what = "taken and never mined: the chain stopped";
            self.gauges.push(what, &subject, "tx", Bound::None, lost);
        }
    }
}

impl Subject {
    fn name(self) -> String {
        match self {
            Subject::Ours(1) => "lode, 1 validator".to_owned(),
            Subject::Ours(count) => format!("lode, {count} validators"),
            Subject::Anvil(Mining::EachSecond) => "anvil, block time 1 s".to_owned(),
            Subject::Anvil(Mining::AtOnce) => "anvil, automine".to_owned(),
        }
    }
}

/// A job's name where there is little room.
fn short(job: &str) -> &str {
    match job {
        TRANSFERS => "transfers",
        SINGLE => "one a request",
        TOKENS => "ERC-20",
        CROWD => "many senders",
        SHORT => "300 waiting",
        LONGER => "1000 waiting",
        other => other,
    }
}

/// Who spends the processor time.
fn shares(spent: &Spent) -> Value {
    let all: Duration = spent.threads.iter().map(|(_, time)| *time).sum();
    let all = all.as_secs_f64().max(f64::MIN_POSITIVE);
    let shown = spent.threads.iter().take(THREADS_SHOWN);
    shown
        .map(|(name, time)| json!({"thread": name, "percent": 100.0 * time.as_secs_f64() / all}))
        .collect()
}

fn remove(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir).map_err(Error::io("remove", dir))
}

#[cfg(test)]
#[path = "chain/tests.rs"]
mod tests;
