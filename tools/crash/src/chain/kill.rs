//! `crash chain`: SIGKILL of validators at random moments under load, restart on the same folders.
//!
//! One cycle: load for up to a second → SIGKILL of one, of two, or of all → the rest goes on, or
//! halts → restart, sometimes killed before it is done → every block that had been shown is there,
//! the chain goes on.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    check, load,
    network::{Network, places},
    watch::{self, Shared},
};
use crate::{
    failure::{Failure, Outcome},
    kill::Report,
    noise::Noise,
    setup::Setup,
};

/// A load runs this long before the kill, in ms, at least and at most.
const LOAD_MS: (u64, u64) = (50, 1000);
/// Of a hundred restarts, this many are killed before they are done.
const KILLED_RESTARTS: u64 = 15;
/// Such a restart lives at most this long, in ms.
const RESTART_MS: u64 = 200;
/// Of a hundred cycles of a network, this many kill all of it.
const ALL: u64 = 25;
/// Of the others, this many kill more than it can do without.
const TOO_MANY: u64 = 15;
/// Cycles after which states are proven.
const PROVE_EVERY: u32 = 5;
/// Blocks that a chain makes to show that it goes on.
const FURTHER: u64 = 2;

/// What is counted.
#[derive(Clone, Debug, Default)]
struct Tally {
    killed: u64,
    killed_restarts: u64,
    all: u64,
    halts: u64,
    compared: u64,
    proven: u64,
    ready_ms: Vec<u64>,
}

/// Runs `cycles` kills of a network of each size.
pub fn run(setup: &Setup, cycles: u32, sizes: &[u16]) -> Outcome<Report> {
    let mut texts = Vec::new();
    let mut results = Vec::new();
    for size in sizes {
        let (json, text) = one_size(setup, cycles, usize::from(*size))?;
        results.push(json);
        texts.push(text);
    }
    Ok(Report {
        json: json!({ "networks": results, "seed": setup.seed, "lost": 0 }),
        text: texts.join("\n"),
    })
}

fn one_size(setup: &Setup, cycles: u32, size: usize) -> Outcome<(Value, String)> {
    let began = Instant::now();
    let dir = setup.dir().join(format!("chain-{size}"));
    let mut network = Network::new(setup, &dir, places(size)?)?;
    let everybody: Vec<usize> = (0..size).collect();
    network.start(setup, &everybody)?;
    let (shared, taken) = (Shared::default(), AtomicU64::new(0));
    let addresses = network.addresses();
    let mut tally = Tally::default();
    let mut dice = Noise::new(setup.seed);
    thread::scope(|scope| {
        watch::start(scope, &addresses, &shared);
        load::start(scope, &addresses, &shared, &taken);
        let mut act = || -> Outcome<()> {
            check::goes_on(setup, &mut network, &shared, &everybody, FURTHER)?;
            for number in 1..=cycles {
                cycle(setup, &mut network, &shared, &mut dice, &mut tally)?;
                if number % PROVE_EVERY == 0 || number == cycles {
                    for validator in &everybody {
                        let rpc = network.rpc(*validator);
                        tally.proven += check::state(&rpc, *validator, &mut dice)?;
                    }
                }
                if number % 10 == 0 || number == cycles {
                    let (blocks, transactions) = shared.book(|book| book.count());
                    setup.tell(&format!(
                        "{size} validators, cycle {number}/{cycles}: {blocks} blocks with \
                         {transactions} transactions seen, 0 lost"
                    ));
                }
            }
            Ok(())
        };
        let acted = act();
        // Also where it failed: the scope waits for every thread.
        shared.over.store(true, Relaxed);
        acted
    })?;
    tally.compared += compare_all(&mut network, &shared, &mut dice)?;
    let (blocks, transactions) = shared.book(|book| book.count());
    if transactions == 0 {
        return Err(Failure::Method("no transaction was in a block".to_owned()));
    }
    Ok(tally.report(
        size,
        cycles,
        (blocks, transactions),
        taken.load(Relaxed),
        began,
    ))
}

/// Everybody's whole chain against the book, when nothing happens any more.
fn compare_all(network: &mut Network, shared: &Shared, dice: &mut Noise) -> Outcome<u64> {
    network.expect_running()?;
    let mut compared = 0;
    for number in 0..network.len() {
        compared += check::blocks(&network.rpc(number), number, shared, dice, true)?;
    }
    check::kept(shared)?;
    Ok(compared)
}

fn cycle(
    setup: &Setup,
    network: &mut Network,
    shared: &Shared,
    dice: &mut Noise,
    tally: &mut Tally,
) -> Outcome<()> {
    setup.sleep(Duration::from_millis(dice.between(LOAD_MS.0, LOAD_MS.1)))?;
    let victims = victims(network.len(), dice);
    network.kill(&victims)?;
    tally.killed += count(&victims);
    let rest: Vec<usize> = (0..network.len())
        .filter(|number| !victims.contains(number))
        .collect();
    if rest.is_empty() {
        tally.all += 1;
    } else if is_quorum(rest.len(), network.len()) {
        let tip = shared.book(|book| book.tip());
        check::goes_on(setup, network, shared, &rest, tip + FURTHER)?;
    } else {
        check::halts(
            setup,
            shared,
            &format!("validators {victims:?} were killed"),
        )?;
        tally.halts += 1;
    }
    for victim in &victims {
        if dice.chance(KILLED_RESTARTS) {
            let span = Duration::from_millis(dice.below(RESTART_MS));
            network.start_and_kill(setup, *victim, span)?;
            tally.killed_restarts += 1;
        }
    }
    tally.ready_ms.push(network.start(setup, &victims)?);
    for victim in &victims {
        let rpc = network.rpc(*victim);
        tally.compared += check::blocks(&rpc, *victim, shared, dice, false)?;
    }
    let everybody: Vec<usize> = (0..network.len()).collect();
    let tip = shared.book(|book| book.tip());
    check::goes_on(setup, network, shared, &everybody, tip + FURTHER)
}

/// Whom it hits: one most often, sometimes all, sometimes one more than the rest can do without.
fn victims(size: usize, dice: &mut Noise) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..size).collect();
    let mut order = Vec::new();
    while let Some(at) = dice.index(numbers.len()) {
        order.push(numbers.swap_remove(at));
    }
    let spare = (size - 1) / 3;
    let hit = if size == 1 || dice.chance(ALL) {
        size
    } else if dice.chance(TOO_MANY) {
        spare + 1
    } else {
        1
    };
    order.truncate(hit);
    order
}

/// Whether so many of `size` can go on: all but a third.
fn is_quorum(running: usize, size: usize) -> bool {
    running >= size - (size - 1) / 3
}

fn count<T>(things: &[T]) -> u64 {
    u64::try_from(things.len()).unwrap_or(u64::MAX)
}

impl Tally {
    fn report(
        &self,
        size: usize,
        cycles: u32,
        (blocks, transactions): (u64, u64),
        taken: u64,
        began: Instant,
    ) -> (Value, String) {
        let mut ready = self.ready_ms.clone();
        ready.sort_unstable();
        let median = ready.get(ready.len() / 2).copied().unwrap_or(0);
        let longest = ready.last().copied().unwrap_or(0);
        let seconds = began.elapsed().as_secs();
        let json = json!({
            "validators": size, "cycles": cycles, "killed": self.killed,
            "killed_restarts": self.killed_restarts, "all_killed": self.all,
            "halts_seen": self.halts, "blocks": blocks, "transactions": transactions,
            "taken": taken, "blocks_compared": self.compared, "accounts_proven": self.proven,
            "restart_ms_median": median, "restart_ms_max": longest, "seconds": seconds, "lost": 0,
        });
        let text = format!(
            "{size} validators: {cycles} cycles in {seconds} s, {} killed and {} more during restart; \
             all of them {} times; {} halts without a quorum\n\
             seen     {blocks} blocks with {transactions} transactions, of {taken} taken\n\
             checked  {} blocks against what had been shown, {} accounts against state roots\n\
             restart  {median} ms (median), {longest} ms (longest)\n\
             lost     0",
            self.killed, self.killed_restarts, self.all, self.halts, self.compared, self.proven,
        );
        (json, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is hit: each kind of kill of four happens, nobody twice, and one alone is always hit.
    #[test]
    fn kinds_of_kills() {
        let mut dice = Noise::new(1);
        let mut kinds = [0; 5];
        for _ in 0..200 {
            let mut hit = victims(4, &mut dice);
            kinds[hit.len()] += 1;
            hit.sort_unstable();
            hit.dedup();
            assert!(hit.iter().all(|number| *number < 4));
            assert_eq!(victims(1, &mut dice), [0]);
        }
        assert!(kinds[1] > 50 && kinds[2] > 5 && kinds[4] > 20, "{kinds:?}");
        assert_eq!((kinds[0], kinds[3]), (0, 0));
        assert!(is_quorum(3, 4) && !is_quorum(2, 4) && is_quorum(1, 1));
    }
}
