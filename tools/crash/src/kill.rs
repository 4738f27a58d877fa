//! `crash kill` and `crash seccomp`: SIGKILL at random moments under load, restart on the same
//! folder, compare everything.
//!
//! One cycle: start → check what the last cycle left → load for up to a second → SIGKILL. Some
//! restarts are killed too, before they are done.

use std::{
    sync::atomic::Ordering::SeqCst,
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    check::{Found, check},
    client::Client,
    failure::{Failure, Outcome},
    ledger::{Counts, Ledger},
    load::{Load, Shape, Signals},
    node::{self, Node},
    noise::Noise,
    setup::Setup,
};

/// Clients at a time.
const CLIENTS: u64 = 6;

/// Bytes that one client keeps.
const LIVE_LIMIT: u64 = 10 << 20;

/// A load runs this long before the kill, in ms, at least and at most.
const LOAD_MS: (u64, u64) = (50, 1000);

/// Of a hundred restarts, this many are killed before they are done.
const KILLED_RESTARTS: u64 = 15;

/// Such a restart lives at most this long, in ms.
const RESTART_MS: u64 = 60;

/// The result of a proof.
#[derive(Clone, Debug)]
pub struct Report {
    /// All figures.
    pub json: serde_json::Value,
    /// The same for people.
    pub text: String,
}

/// What the proofs that restart a node count.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What was acknowledged.
    pub counts: Counts,
    /// What was found again, over all checks.
    pub found: Found,
    /// Time from start to ready, of every restart, in ms.
    pub ready_ms: Vec<u64>,
}

impl Tally {
    /// A node is ready.
    pub fn ready(&mut self, node: &Node) {
        let millis = node.ready.as_millis();
        self.ready_ms
            .push(u64::try_from(millis).unwrap_or(u64::MAX));
    }

    /// Median and longest restart, in ms.
    pub fn restart_ms(&self) -> (u64, u64) {
        median_and_longest(&self.ready_ms)
    }

    /// The sentences that all proofs have in common.
    pub fn text(&self) -> String {
        let (counts, found) = (&self.counts, &self.found);
        let (median, longest) = self.restart_ms();
        format!(
            "acked   {} puts, {} upload pieces, {} deletes: {} MiB durable; {} reads compared\n\
             checked {} blobs ({} MiB) by contents, {} chunk proofs, {} resumed uploads, {} gone\n\
             restart {median} ms (median), {longest} ms (longest)\n\
             lost    0",
            counts.puts,
            counts.pieces,
            counts.deletes,
            counts.bytes >> 20,
            counts.reads,
            found.blobs,
            found.bytes >> 20,
            found.proofs,
            found.uploads,
            found.gone,
        )
    }

    /// The same as JSON.
    pub fn json(&self) -> serde_json::Value {
        let (median, longest) = self.restart_ms();
        json!({
            "acked": self.counts, "acked_ops": self.counts.acked(), "checked": self.found,
            "restart_ms_median": median, "restart_ms_max": longest, "lost": 0,
        })
    }
}

/// Median and longest of some times; 0 where there are none.
pub fn median_and_longest(times: &[u64]) -> (u64, u64) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    (median, sorted.last().copied().unwrap_or(0))
}

/// One ledger per client, in the run's folder.
pub fn ledgers(setup: &Setup, clients: u64) -> Outcome<Vec<Ledger>> {
    let paths = (0..clients).map(|client| setup.dir().join(format!("ledger-{client}.jsonl")));
    paths.map(|path| Ledger::new(&path)).collect()
}

/// Runs one client per ledger, and `act` beside them; ends when `act` and all clients have.
pub fn under_load<T>(
    client: &Client,
    ledgers: &mut [Ledger],
    seed: u64,
    shape: Shape,
    act: impl FnOnce(&Signals) -> Outcome<T>,
) -> Outcome<T> {
    let signals = Signals::default();
    thread::scope(|scope| {
        let clients = spawn_clients(scope, client, ledgers, seed, &signals, shape);
        let acted = act(&signals);
        // Also where `act` failed: the scope waits for every thread.
        signals.over.store(true, SeqCst);
        let ended = join(clients);
        match acted {
            // It took the node with it, and the clients heard that.
            Err(Failure::Interrupted) => Err(Failure::Interrupted),
            // What a client saw explains what `act` then ran into.
            acted => ended.and(acted),
        }
    })
}

/// Runs one client per ledger until each of them ends by itself.
pub fn wait_for_load(
    client: &Client,
    ledgers: &mut [Ledger],
    seed: u64,
    shape: Shape,
) -> Outcome<()> {
    let signals = Signals::default();
    thread::scope(|scope| join(spawn_clients(scope, client, ledgers, seed, &signals, shape)))
}

fn spawn_clients<'scope>(
    scope: &'scope Scope<'scope, '_>,
    client: &Client,
    ledgers: &'scope mut [Ledger],
    seed: u64,
    signals: &'scope Signals,
    shape: Shape,
) -> Vec<ScopedJoinHandle<'scope, Outcome<()>>> {
    let loads = (seed..)
        .zip(ledgers)
        .map(|(seed, ledger)| Load::new(client.clone(), ledger, seed, signals, shape));
    loads.map(|load| scope.spawn(move || load.run())).collect()
}

fn join(clients: Vec<ScopedJoinHandle<'_, Outcome<()>>>) -> Outcome<()> {
    for client in clients {
        client
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(())
}

/// The sum over all ledgers.
pub fn counts(ledgers: &[Ledger]) -> Counts {
    let all = ledgers.iter().map(|ledger| ledger.counts);
    all.fold(Counts::default(), Counts::and)
}

/// Runs `cycles` kills.
pub fn run(setup: &Setup, cycles: u32) -> Outcome<Report> {
    let began = Instant::now();
    let dir = setup.dir().join("store");
    let mut dice = Noise::new(setup.seed);
    let mut ledgers = ledgers(setup, CLIENTS)?;
    let mut tally = Tally::default();
    let mut killed_restarts = 0;
    let shape = Shape {
        live_limit: LIVE_LIMIT,
        until_full: false,
    };
    let mut backend = String::new();
    for cycle in 1..=cycles {
        setup.go_on()?;
        if dice.chance(KILLED_RESTARTS) {
            let span = Duration::from_millis(dice.below(RESTART_MS));
            Node::start_and_kill(setup, &dir, span)?;
            killed_restarts += 1;
        }
        let node = Node::start(setup, &dir)?;
        tally.ready(&node);
        expect_backend(setup, &node)?;
        backend.clone_from(&node.backend);
        tally.found = tally
            .found
            .and(check(&node.client(), &mut ledgers, dice.draw())?);
        let span = Duration::from_millis(dice.between(LOAD_MS.0, LOAD_MS.1));
        let client = node.client();
        under_load(&client, &mut ledgers, dice.draw(), shape, |signals| {
            setup.sleep(span)?;
            signals.going.store(true, SeqCst);
            node.kill()
        })?;
        tally.counts = counts(&ledgers);
        if cycle % 10 == 0 || cycle == cycles {
            let (acked, found) = (tally.counts.acked(), tally.found.blobs);
            setup.tell(&format!(
                "cycle {cycle}/{cycles}: {acked} acknowledged, {found} blobs compared, 0 lost"
            ));
        }
    }
    let node = Node::start(setup, &dir)?;
    tally.ready(&node);
    tally.found = tally
        .found
        .and(check(&node.client(), &mut ledgers, dice.draw())?);
    node.kill()?;
    expect_some(&tally)?;
    Ok(report(
        setup,
        &tally,
        cycles,
        killed_restarts,
        &backend,
        began,
    ))
}

/// A load that did nothing proves nothing.
fn expect_some(tally: &Tally) -> Outcome<()> {
    match tally.counts.puts > 0 && tally.found.blobs > 0 {
        true => Ok(()),
        false => Err(Failure::Method("no put was acknowledged".to_owned())),
    }
}

/// Without io_uring the node must say that it fell back.
fn expect_backend(setup: &Setup, node: &Node) -> Outcome<()> {
    match setup.without_ring && node.backend != "posix" {
        true => Err(Failure::Node(format!(
            "runs on {} where io_uring is refused",
            node.backend
        ))),
        false => Ok(()),
    }
}

fn report(
    setup: &Setup,
    tally: &Tally,
    cycles: u32,
    killed_restarts: u32,
    backend: &str,
    began: Instant,
) -> Report {
    let seconds = began.elapsed().as_secs();
    let mut json = tally.json();
    json["cycles"] = json!(cycles);
    json["killed_restarts"] = json!(killed_restarts);
    json["backend"] = json!(backend);
    json["io_uring_refused"] = json!(setup.without_ring);
    json["seed"] = json!(setup.seed);
    json["seconds"] = json!(seconds);
    let text = format!(
        "{cycles} kills under load and {killed_restarts} during restart, on {backend}, in {seconds} s (seed {})\n{}",
        setup.seed,
        tally.text()
    );
    Report { json, text }
}

/// The kill cycles without io_uring; first of all, the filter is seen to bite.
pub fn run_without_ring(setup: &mut Setup, cycles: u32) -> Outcome<Report> {
    setup.without_ring = true;
    "auto".clone_into(&mut setup.backend);
    let said = node::refusal(setup, &setup.dir().join("refused"), "uring")?;
    let first = said.lines().last().unwrap_or_default().to_owned();
    setup.tell(&format!(
        "under the filter --backend uring ends with: {first}"
    ));
    run(setup, cycles)
}
