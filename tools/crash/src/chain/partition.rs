//! `crash chain-partition`: four validators, each in a network namespace of its own, that are cut off
//! from each other by moving their [`links`](crate::links) between two switches.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    check, load,
    network::{Network, Place},
    watch::{self, Shared},
};
use crate::{
    failure::{Failure, Outcome},
    kill::Report,
    links::{self, AWAY, TOGETHER, plug},
    noise::Noise,
    setup::Setup,
};

/// Validators.
const COUNT: u8 = 4;
/// Where each listens for the others, and for this program.
const PORTS: (u16, u16) = (30_400, 8_545);
/// Blocks that a chain makes to show that it goes on.
const FURTHER: u64 = 5;
/// Time that each state of the network lasts, at least.
const STATE_TIME: Duration = Duration::from_secs(3);

/// Splits and heals `rounds` times in each way.
pub fn run(setup: &Setup, rounds: u32) -> Outcome<Report> {
    let began = Instant::now();
    links::link(COUNT)?;
    let places = (0..COUNT).map(place).collect();
    let mut network = Network::new(setup, &setup.dir().join("chain"), places)?;
    let everybody: Vec<usize> = (0..network.len()).collect();
    network.start(setup, &everybody)?;
    let (shared, taken) = (Shared::default(), AtomicU64::new(0));
    let addresses = network.addresses();
    let mut dice = Noise::new(setup.seed);
    thread::scope(|scope| {
        watch::start(scope, &addresses, &shared);
        load::start(scope, &addresses, &shared, &taken);
        let mut act = || -> Outcome<()> {
            check::goes_on(setup, &mut network, &shared, &everybody, FURTHER)?;
            for round in 1..=rounds {
                halves(setup, &mut network, &shared, &mut dice)?;
                one_alone(setup, &mut network, &shared, &mut dice)?;
                let (blocks, transactions) = shared.book(|book| book.count());
                setup.tell(&format!(
                    "round {round}/{rounds}: {blocks} blocks with {transactions} transactions seen, \
                     no two of a height"
                ));
            }
            Ok(())
        };
        let acted = act();
        // Also where it failed: the scope waits for every thread.
        shared.over.store(true, Relaxed);
        acted
    })?;
    let mut compared = 0;
    let mut proven = 0;
    for number in everybody {
        let rpc = network.rpc(number);
        compared += check::blocks(&rpc, number, &shared, &mut dice, true)?;
        proven += check::state(&rpc, number, &mut dice)?;
    }
    check::kept(&shared)?;
    Ok(report(setup, rounds, &shared, (compared, proven), began))
}

/// Two and two: nobody goes on; together again, all do.
fn halves(setup: &Setup, network: &mut Network, shared: &Shared, dice: &mut Noise) -> Outcome<()> {
    let first = dice.below(u64::from(COUNT));
    let other = (first + 1 + dice.below(u64::from(COUNT) - 1)) % u64::from(COUNT);
    let away = [first, other];
    for number in away {
        plug(number, AWAY)?;
    }
    check::halts(setup, shared, &format!("validators {away:?} were cut off"))?;
    heal(setup, network, shared, &away)
}

/// Three and one: the three go on, the one does not, and catches up.
fn one_alone(
    setup: &Setup,
    network: &mut Network,
    shared: &Shared,
    dice: &mut Noise,
) -> Outcome<()> {
    let alone = dice.below(u64::from(COUNT));
    plug(alone, AWAY)?;
    setup.sleep(STATE_TIME)?;
    let number = usize::try_from(alone).expect("below four");
    let before = shared.book(|book| book.shown(number));
    let rest: Vec<usize> = (0..network.len()).filter(|one| *one != number).collect();
    let tip = shared.book(|book| book.tip());
    check::goes_on(setup, network, shared, &rest, tip + FURTHER)?;
    setup.sleep(STATE_TIME)?;
    let after = shared.book(|book| book.shown(number));
    if before != after {
        return Err(Failure::Method(format!(
            "validator {alone} was cut off and went from block {before} to {after}"
        )));
    }
    heal(setup, network, shared, &[alone])
}

fn heal(setup: &Setup, network: &mut Network, shared: &Shared, away: &[u64]) -> Outcome<()> {
    for number in away {
        plug(*number, TOGETHER)?;
    }
    let everybody: Vec<usize> = (0..network.len()).collect();
    let tip = shared.book(|book| book.tip());
    check::goes_on(setup, network, shared, &everybody, tip + FURTHER)?;
    setup.sleep(STATE_TIME)
}

fn report(
    setup: &Setup,
    rounds: u32,
    shared: &Shared,
    (compared, proven): (u64, u64),
    began: Instant,
) -> Report {
    let (blocks, transactions) = shared.book(|book| book.count());
    let seconds = began.elapsed().as_secs();
    let json = json!({
        "rounds": rounds, "blocks": blocks, "transactions": transactions,
        "blocks_compared": compared, "accounts_proven": proven, "seed": setup.seed,
        "seconds": seconds, "conflicts": 0, "lost": 0,
    });
    let text = format!(
        "{rounds} times 2|2 halted and healed, {rounds} times 3|1 went on and caught up, in \
         {seconds} s (seed {})\n\
         seen       {blocks} blocks with {transactions} transactions\n\
         checked    {compared} blocks against what had been shown, {proven} accounts against state \
         roots\n\
         conflicts  0",
        setup.seed
    );
    Report { json, text }
}

fn place(number: u8) -> Place {
    Place {
        listen: SocketAddr::from((links::among(number), PORTS.0)),
        rpc: SocketAddr::from((links::own(number), PORTS.1)),
        namespace: Some(links::namespace(number)),
    }
}
