//! The loop: makes an input, runs the target on it, and watches for a panic, for memory and for
//! time. Memory and time cannot be handed back from the middle of an execution, so those two write
//! the input down and end the process; a panic is returned.

use std::{
    any::Any,
    cell::RefCell,
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{memory, mutate::Mutator, random::Random, targets::Target};

/// Most bytes that one execution may hold at once.
pub const MEMORY_LIMIT: usize = 64 << 20;
/// Longest execution. Far above what any decoder needs, so that a busy machine is no finding.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Executions in all, of a target whose cost is one.
    pub runs: u64,
    /// Seed of all jobs.
    pub seed: u64,
    /// Threads; each mutates from a sequence of its own.
    pub jobs: u64,
    /// Longest input in bytes.
    pub len_max: usize,
    /// Where inputs that fail are written.
    pub artifacts: PathBuf,
}

/// What was run without a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Executions, seeds included.
    pub executions: u64,
    /// Most bytes held at once by one of them.
    pub bytes_max: usize,
    /// The longest of them.
    pub time_max: Duration,
}

impl Tally {
    fn join(self, other: Self) -> Self {
        Self {
            executions: self.executions + other.executions,
            bytes_max: self.bytes_max.max(other.bytes_max),
            time_max: self.time_max.max(other.time_max),
        }
    }
}

/// An input that makes the target panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// The panic's message and place.
    pub cause: String,
}

/// What one job is doing, for the watch and for last words.
struct Current {
    target: &'static str,
    artifacts: PathBuf,
    input: Mutex<Vec<u8>>,
    since: Mutex<Option<Instant>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Current>>> = const { RefCell::new(None) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the target's seeds, then as many mutations of them over all jobs as `plan.runs` and its cost
/// say.
///
/// # Errors
/// The first finding; the other jobs stop at their next execution.
pub fn run(target: &'static Target, plan: &Plan) -> Result<Tally, Finding> {
    quiet_panics();
    let seeds = (target.seeds)();
    let currents: Vec<Arc<Current>> = (0..plan.jobs).map(|_| Current::new(target, plan)).collect();
    let stop = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| watch(&currents, &over));
        let jobs: Vec<_> = (0..plan.jobs)
            .zip(&currents)
            .map(|(index, current)| {
                let job = Job {
                    target,
                    plan,
                    seeds: &seeds,
                    index,
                    stop: &stop,
                };
                scope.spawn(move || job.run(current))
            })
            .collect();
        let ends: Vec<_> = jobs
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Release);
        ends.into_iter().try_fold(Tally::default(), |sum, end| {
            let tally = end.expect("a job catches what its target throws")?;
            Ok(sum.join(tally))
        })
    })
}

/// Runs the target on one input.
///
/// # Errors
/// The panic, if it does.
pub fn replay(target: &'static Target, input: &[u8], artifacts: &Path) -> Result<Tally, Finding> {
    quiet_panics();
    let plan = Plan {
        runs: 0,
        seed: 0,
        jobs: 1,
        len_max: usize::MAX,
        artifacts: artifacts.to_owned(),
    };
    let current = Current::new(target, &plan);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| watch(std::slice::from_ref(&current), &over));
        let end = execute(target, input, &current);
        over.store(true, Ordering::Release);
        end
    })
}

struct Job<'run> {
    target: &'static Target,
    plan: &'run Plan,
    seeds: &'run [Vec<u8>],
    index: u64,
    stop: &'run AtomicBool,
}

impl Job<'_> {
    fn run(&self, current: &Arc<Current>) -> Result<Tally, Finding> {
        let mut tally = Tally::default();
        if self.index == 0 {
            for seed in self.seeds {
                tally = tally.join(self.execute(seed, current)?);
            }
        }
        let random = Random::new(self.plan.seed, self.index);
        let mut mutator = Mutator::new(self.target, self.seeds, random, self.plan.len_max);
        let mut input = Vec::new();
        let runs = self.plan.runs.div_ceil(self.target.cost);
        let extra = u64::from(self.index < runs % self.plan.jobs);
        for _ in 0..runs / self.plan.jobs + extra {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            mutator.next_into(&mut input);
            tally = tally.join(self.execute(&input, current)?);
        }
        Ok(tally)
    }

    fn execute(&self, input: &[u8], current: &Arc<Current>) -> Result<Tally, Finding> {
        execute(self.target, input, current)
            .inspect_err(|_| self.stop.store(true, Ordering::Relaxed))
    }
}

fn execute(target: &Target, input: &[u8], current: &Arc<Current>) -> Result<Tally, Finding> {
    CURRENT.set(Some(Arc::clone(current)));
    let start = Instant::now();
    let mut copy = lock(&current.input);
    copy.clear();
    copy.extend_from_slice(input);
    drop(copy);
    *lock(&current.since) = Some(start);
    let body = || panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (outcome, bytes_max) = memory::measure(MEMORY_LIMIT, out_of_memory, body);
    *lock(&current.since) = None;
    CURRENT.set(None);
    outcome.map_err(|panic| Finding {
        input: input.to_vec(),
        cause: cause_of(&*panic),
    })?;
    Ok(Tally {
        executions: 1,
        bytes_max,
        time_max: start.elapsed(),
    })
}

fn cause_of(panic: &(dyn Any + Send)) -> String {
    let message = LAST_PANIC.take();
    let plain = panic.downcast_ref::<&str>().map_or("panic", |text| text);
    if message.is_empty() {
        plain.to_owned()
    } else {
        message
    }
}

/// Within an execution a panic is a finding to report once, not text on the terminal for each.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CURRENT.with_borrow(Option::is_some) {
                LAST_PANIC.set(info.to_string());
            } else {
                before(info);
            }
        }));
    });
}

/// Ends the process when an execution takes too long.
fn watch(currents: &[Arc<Current>], over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        if let Some(hung) = currents
            .iter()
            .find(|current| current.is_overdue(TIME_LIMIT))
        {
            hung.last_words(&format!("longer than {} s", TIME_LIMIT.as_secs()));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Called by the allocator, on the thread that asked for too much.
fn out_of_memory() {
    let current = CURRENT.with_borrow(Clone::clone);
    if let Some(current) = current {
        current.last_words(&format!("holds more than {} MiB", MEMORY_LIMIT >> 20));
    }
}

impl Current {
    fn new(target: &Target, plan: &Plan) -> Arc<Self> {
        Arc::new(Self {
            target: target.name,
            artifacts: plan.artifacts.clone(),
            input: Mutex::default(),
            since: Mutex::default(),
        })
    }

    fn is_overdue(&self, limit: Duration) -> bool {
        lock(&self.since).is_some_and(|since| since.elapsed() >= limit)
    }

    fn last_words(&self, cause: &str) {
        let finding = Finding {
            input: lock(&self.input).clone(),
            cause: cause.to_owned(),
        };
        println!("{}", report(self.target, &finding, &self.artifacts));
        process::exit(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the input of a finding into `artifacts` and says where, what, and how to repeat it.
pub fn report(target: &str, finding: &Finding, artifacts: &Path) -> String {
    let Finding { input, cause } = finding;
    let saved = save(target, input, artifacts);
    let (file, note) = match &saved {
        Ok(path) => (path.display().to_string(), String::new()),
        Err(error) => (
            "FILE".to_owned(),
            format!("\n  not saved ({error}): {input:02x?}"),
        ),
    };
    format!(
        "{target}: FINDING in {} bytes: {cause}{note}\n  again: cargo run --release -p fuzz -- replay {target} {file}",
        input.len()
    )
}

fn save(target: &str, input: &[u8], artifacts: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(artifacts)?;
    // FNV-1a: the same input gets the same name.
    let name = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let path = artifacts.join(format!("{target}-{name:016x}"));
    fs::write(&path, input)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::{Current, Finding, Plan, execute, lock, replay, report, run};
    use crate::targets::Target;

    fn plan(runs: u64, jobs: u64) -> Plan {
        let artifacts = std::env::temp_dir().join(format!("lode-fuzz-{}", std::process::id()));
        Plan {
            runs,
            seed: 1,
            jobs,
            len_max: 4096,
            artifacts,
        }
    }

    fn sum(body: &[u8]) -> u8 {
        body.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
    }

    /// A toy format: a length, a checksum, then the body. It trusts the length once the sum holds.
    fn trusting(data: &[u8]) {
        if let [len, check, body @ ..] = data
            && sum(body) == *check
        {
            assert!(usize::from(*len) <= body.len(), "reads past the end");
        }
    }

    fn seeds() -> Vec<Vec<u8>> {
        vec![vec![4, 10, 1, 2, 3, 4]]
    }

    fn mend(input: &mut Vec<u8>) {
        if let [_, check, body @ ..] = input.as_mut_slice() {
            *check = sum(body);
        }
    }

    fn harmless(data: &[u8]) {
        assert!(data.len() <= 4096);
    }

    static TRUSTING: Target = Target {
        name: "trusting",
        run: trusting,
        seeds,
        repair: Some(mend),
        cost: 1,
    };
    const HARMLESS_PLAIN: Target = Target {
        name: "harmless",
        run: harmless,
        seeds,
        repair: None,
        cost: 1,
    };
    static HARMLESS: Target = HARMLESS_PLAIN;

    /// Proves that a bug behind a checksum is found, that its input repeats it, and that it is
    /// written down.
    #[test]
    fn finds_a_bug_behind_a_checksum() {
        let plan = plan(100_000, 2);
        let finding = run(&TRUSTING, &plan).unwrap_err();
        assert!(
            finding.cause.contains("reads past the end"),
            "{}",
            finding.cause
        );
        let again = replay(&TRUSTING, &finding.input, &plan.artifacts).unwrap_err();
        assert_eq!(again.input, finding.input);
        let text = report("trusting", &finding, &plan.artifacts);
        let file: PathBuf = text.rsplit(' ').next().unwrap().into();
        assert_eq!(std::fs::read(&file).unwrap(), finding.input);
        std::fs::remove_file(file).unwrap();
    }

    /// Proves that every execution that was asked for happens, whatever the number of jobs.
    #[test]
    fn runs_what_was_asked() {
        for jobs in [1, 2, 3] {
            assert_eq!(run(&HARMLESS, &plan(1000, jobs)).unwrap().executions, 1001);
        }
    }

    /// Proves that a target that costs more is executed less often, and not never.
    #[test]
    fn costs_are_counted() {
        static DEAR: Target = Target {
            cost: 300,
            ..HARMLESS_PLAIN
        };
        for (runs, executions) in [(1, 2), (300, 2), (301, 3), (900, 4)] {
            assert_eq!(run(&DEAR, &plan(runs, 2)).unwrap().executions, executions);
        }
    }

    /// Proves that the watch sees an execution that is under way, with its input, and none after it.
    #[test]
    fn watches_the_execution_under_way() {
        let current = Current::new(&HARMLESS, &plan(1, 1));
        assert!(!current.is_overdue(Duration::ZERO));
        *lock(&current.since) = Some(std::time::Instant::now());
        assert!(current.is_overdue(Duration::ZERO));
        execute(&HARMLESS, &[1, 2], &current).unwrap();
        assert!(!current.is_overdue(Duration::ZERO));
        assert_eq!(*lock(&current.input), [1, 2]);
    }

    /// Proves that a finding names the panic even when its input is empty.
    #[test]
    fn reports_an_empty_input() {
        fn always(_: &[u8]) {
            panic!("always");
        }
        static ALWAYS: Target = Target {
            name: "always",
            run: always,
            seeds: Vec::new,
            repair: None,
            cost: 1,
        };
        let finding = replay(&ALWAYS, &[], &plan(0, 1).artifacts).unwrap_err();
        assert!(finding.cause.contains("always"));
        assert_eq!(
            finding.input,
            Finding {
                input: vec![],
                cause: String::new()
            }
            .input
        );
    }
}
