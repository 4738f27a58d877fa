//! A life of a store on a simulated machine: appenders, readers and clocks beside each other, crashes
//! at any point, and after each a comparison of everything with what may be there.
//!
//! The model has for each container the set of its possible states: none, or held until some expiry. An
//! operation that is under way adds states, one that was acknowledged leaves one. After a crash each
//! container must be in one of them, with all its bytes.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    rc::Rc,
    time::Duration,
};

use lode_da_rows::{Error, Opened, Options, RowStore, planted, planted::Bug};
use lode_world::{
    Queue, World,
    sim::{Chance, Crash, Faults, Sim, SimWorld, Stop},
};

use super::{Dice, Form, made};

/// What a life is like.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub faults: Faults,
    /// Bytes may rot, and writes go astray: then what is gone or damaged is no finding, wrong bytes are.
    pub rotting: bool,
    pub bug: Option<Bug>,
    /// Crashes.
    pub rounds: u64,
}

impl Plan {
    pub fn crashes(seed: u64) -> Plan {
        Plan {
            seed,
            faults: Faults::crashes(),
            rotting: false,
            bug: None,
            rounds: 4,
        }
    }
}

/// What a life did, so that a test sees that it did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub acked: u64,
    pub extended: u64,
    pub dropped: u64,
    pub expired: u64,
    pub refused: u64,
    pub failed: u64,
    pub full: u64,
    pub compared: u64,
    pub trace: u64,
}

/// The states that a container may be in.
type States = BTreeSet<Option<u64>>;

#[derive(Default)]
struct Model {
    states: BTreeMap<u64, States>,
    /// Terms of records whose write failed: they may be there whole after a crash, and are seen when a
    /// later record of the container has gone before them.
    failed: BTreeMap<u64, States>,
    now: u64,
    tally: Tally,
    /// The first thing that must not be.
    finding: Option<String>,
}

type Shared = Rc<RefCell<Model>>;

const NUMBERS: u64 = 40;
const BUCKET: u64 = 100;
const TASKS: u64 = 5;

fn options(now: u64) -> Options {
    Options {
        bucket_secs: BUCKET,
        term_secs_max: 1000,
        segment_len: 512 << 10,
        grow_len: 64 << 10,
        appends_max: 4,
        ..Options::new(PathBuf::from("rows"), now)
    }
}

/// Runs a life; an error is what must not be.
pub fn run(plan: &Plan) -> Result<Tally, String> {
    let sim = Sim::new(plan.seed, Faults::default());
    planted::plant(&sim, plan.bug);
    let model = Shared::default();
    model.borrow_mut().now = 1000;
    let mut dice = Dice(plan.seed ^ 0x11fe);
    for round in 0..plan.rounds {
        let mut faults = plan.faults.clone();
        faults.crash_after_ios = Some(dice.between(1, 2500));
        sim.set_faults(faults);
        let (seed, rotting) = (dice.draw(), plan.rotting);
        let shared = Rc::clone(&model);
        let ended = sim.run(async |world| live(world, shared, seed, rotting).await);
        match ended {
            Ok(()) | Err(Stop::Crashed) => {}
            Err(stop) => return Err(format!("round {round}: {stop}")),
        }
        if let Some(finding) = model.borrow_mut().finding.take() {
            return Err(format!("round {round}: {finding}"));
        }
        sim.crash([Crash::Kill, Crash::Power][usize::from(dice.one_in(2))]);
    }
    // The last look is on a machine without new faults.
    sim.set_faults(Faults::default());
    let (shared, rotting) = (Rc::clone(&model), plan.rotting);
    let ended = sim.run(async |world| {
        let now = shared.borrow().now;
        match RowStore::open(world, options(now)).await {
            Ok(opened) => settle(&opened, &shared, rotting).await,
            Err(error) => note(&shared, format!("a sound machine does not open: {error}")),
        }
    });
    ended.map_err(|stop| stop.to_string())?;
    let mut model = model.borrow_mut();
    model.tally.trace = sim.trace();
    match model.finding.take() {
        Some(finding) => Err(format!("at the end: {finding}")),
        None => Ok(model.tally),
    }
}

fn note(model: &Shared, finding: String) {
    model.borrow_mut().finding.get_or_insert(finding);
}

/// One run of the program: opens, compares, and works until the crash.
async fn live(world: SimWorld, model: Shared, seed: u64, rotting: bool) {
    let now = model.borrow().now;
    let opened = match RowStore::open(world.clone(), options(now)).await {
        Ok(opened) => opened,
        // A disk that refuses to list or open is the next start's.
        Err(Error::Io { .. } | Error::WriteFailed { .. } | Error::Full { .. }) => return,
        Err(error) => return note(&model, format!("does not open: {error}")),
    };
    settle(&opened, &model, rotting).await;
    let store = opened.store;
    let busy = Rc::new(RefCell::new(BTreeSet::new()));
    let left = Rc::new(Cell::new(TASKS));
    for task in 0..TASKS {
        let (store, model, busy, left) = (
            store.clone(),
            Rc::clone(&model),
            Rc::clone(&busy),
            Rc::clone(&left),
        );
        let inner = world.clone();
        world.spawn(Queue::Ingest, async move {
            let mut dice = Dice(seed ^ (task + 1));
            for _ in 0..30 {
                inner.sleep(Duration::from_micros(dice.below(500))).await;
                let number = dice.below(NUMBERS);
                // One task at a time works on a container, so that the model knows the order.
                if busy.borrow_mut().insert(number) {
                    act(&store, &model, number, &mut dice, rotting).await;
                    busy.borrow_mut().remove(&number);
                }
            }
            left.set(left.get() - 1);
        });
    }
    let mut dice = Dice(seed ^ 0xc10c);
    while left.get() > 0 {
        world.sleep(Duration::from_millis(5)).await;
        if dice.one_in(6) {
            expire(&store, &model, &mut dice).await;
        }
    }
    if dice.one_in(2) {
        store.close().await;
    }
}

/// One operation on one container.
async fn act(
    store: &RowStore<SimWorld>,
    model: &Shared,
    number: u64,
    dice: &mut Dice,
    rotting: bool,
) {
    let held = store.expiry(&made(number, 0, Form::small(number)).container());
    let now = model.borrow().now;
    match (held, dice.below(4)) {
        (None, _) => append(store, model, number, now + dice.between(1, 900), dice).await,
        (Some(expiry), 0) => extend(store, model, number, expiry, dice).await,
        (Some(expiry), 1) => {
            let made = made(number, expiry, Form::small(number));
            // Anything else: it is of a segment that a start could not close, or has expired meanwhile.
            if let Err(Error::Held { .. }) = store.begin(made.holding).await {
                model.borrow_mut().tally.refused += 1;
            }
        }
        (Some(expiry), _) => {
            compare(store, model, number, expiry, rotting).await;
        }
    }
}

async fn append(
    store: &RowStore<SimWorld>,
    model: &Shared,
    number: u64,
    expiry: u64,
    dice: &mut Dice,
) {
    let made = made(number, expiry, Form::small(number));
    allow(model, number, Some(expiry));
    let given_up = dice.one_in(5);
    let appended = async {
        let mut appending = store.begin(made.holding.clone()).await?;
        let most = match given_up {
            true => usize::try_from(dice.draw() >> 1).unwrap() % made.rows.len(),
            false => made.rows.len(),
        };
        for row in &made.rows[..most] {
            appending.push(row).await?;
        }
        match given_up {
            true => Ok(false),
            false => appending.finish().await.map(|()| true),
        }
    };
    let appended = appended.await;
    let mut model = model.borrow_mut();
    let model = &mut *model;
    match appended {
        Ok(true) => {
            model.states.insert(number, States::from([Some(expiry)]));
            model.tally.acked += 1;
            if store.expiry(&made.container()).is_none() && !over(expiry, model.now) {
                model
                    .finding
                    .get_or_insert(format!("{number} was acknowledged and is not held"));
            }
        }
        Ok(false) => {
            // It may have been held before a crash, and have expired since; given up it adds nothing.
            model.states.get_mut(&number).unwrap().remove(&Some(expiry));
            model.tally.dropped += 1;
        }
        Err(Error::WriteFailed { .. }) => fail(model, number, expiry),
        Err(Error::Full { .. }) => {
            model.states.get_mut(&number).unwrap().remove(&Some(expiry));
            model.tally.full += 1;
        }
        Err(_) => model.tally.refused += 1,
    }
}

async fn extend(
    store: &RowStore<SimWorld>,
    model: &Shared,
    number: u64,
    expiry: u64,
    dice: &mut Dice,
) {
    let later = expiry + dice.between(1, 300);
    let container = made(number, 0, Form::small(number)).container();
    allow(model, number, Some(later));
    let extended = store.extend(container, later).await;
    let mut model = model.borrow_mut();
    match extended {
        Ok(()) => {
            model.states.insert(number, States::from([Some(later)]));
            model.tally.extended += 1;
        }
        Err(Error::WriteFailed { .. }) => fail(&mut model, number, later),
        Err(_) => model.tally.refused += 1,
    }
}

fn fail(model: &mut Model, number: u64, expiry: u64) {
    model.tally.failed += 1;
    let failed = model.failed.entry(number).or_default();
    failed.insert(Some(expiry));
}

async fn expire(store: &RowStore<SimWorld>, model: &Shared, dice: &mut Dice) {
    let now = {
        let mut model = model.borrow_mut();
        model.now += dice.below(250);
        let now = model.now;
        for states in model.states.values_mut() {
            if states.iter().flatten().any(|expiry| over(*expiry, now)) {
                states.insert(None);
            }
        }
        now
    };
    let before: Vec<u64> = model.borrow().states.keys().copied().collect();
    if store.expire(now).await.is_err() {
        return;
    }
    let mut model = model.borrow_mut();
    model.tally.expired += 1;
    for number in before {
        let container = made(number, 0, Form::small(number)).container();
        let held = store.expiry(&container);
        let states = model.states.get_mut(&number).unwrap();
        // What is under way may still be entered with a state that is over; nothing is ever found so.
        if states.len() > 1 && states.contains(&None) {
            states.retain(|state| state.is_none_or(|expiry| !over(expiry, now)));
        }
        if held.is_some_and(|expiry| over(expiry, now)) {
            model
                .finding
                .get_or_insert(format!("{number} is held after its bucket has ended"));
        }
    }
}

/// Whether the bucket of a term has ended.
fn over(expiry: u64, now: u64) -> bool {
    expiry.div_ceil(BUCKET) * BUCKET <= now
}

fn allow(model: &Shared, number: u64, state: Option<u64>) {
    let mut model = model.borrow_mut();
    let states = model
        .states
        .entry(number)
        .or_insert_with(|| States::from([None]));
    states.insert(state);
}

/// Compares everything with what may be there, and takes what is for the one state.
async fn settle(opened: &Opened<SimWorld>, model: &Shared, rotting: bool) {
    let store = &opened.store;
    let known: Vec<u64> = model.borrow().states.keys().copied().collect();
    let mut held_count = 0;
    for number in known {
        let container = made(number, 0, Form::small(number)).container();
        let held = store.expiry(&container);
        held_count += usize::from(held.is_some());
        let mut states = model.borrow().states[&number].clone();
        if let Some(failed) = model
            .borrow()
            .failed
            .get(&number)
            .filter(|_| states.contains(&None))
        {
            states.extend(failed);
        }
        if !states.contains(&held) && !rotting {
            return note(
                model,
                format!("{number} is in state {held:?}, not in one of {states:?}"),
            );
        }
        if let Some(expiry) = held
            && !compare(store, model, number, expiry, rotting).await
            && !rotting
        {
            return note(model, format!("{number} is damaged"));
        }
        // What is in a segment that could not be closed may be gone after the next crash.
        if opened.found.unsettled > 0 {
            states.insert(held);
        } else {
            states = States::from([held]);
        }
        model.borrow_mut().states.insert(number, states);
    }
    let listed = store.list(None, 1000);
    if listed.len() != held_count || store.len() != held_count {
        note(
            model,
            "the list has what nobody appended, or not all".to_owned(),
        );
    }
}

/// Compares a record byte for byte; false if something of it is lost.
async fn compare(
    store: &RowStore<SimWorld>,
    model: &Shared,
    number: u64,
    expiry: u64,
    rotting: bool,
) -> bool {
    let want = made(number, expiry, Form::small(number));
    let container = want.container();
    let read = async {
        let holding = store.holding(container).await?;
        let mut rows = Vec::new();
        for numbers in want.holding.rows.chunks(100) {
            rows.extend(store.rows(container, numbers).await?);
        }
        Ok::<_, Error>((holding, rows))
    };
    match read.await {
        Ok((mut holding, rows)) => {
            // It may have been extended by another start; the terms are compared by the states.
            holding.statement.expiry = expiry;
            if holding != want.holding || rows != want.rows {
                note(
                    model,
                    format!("{number} has other bytes than were appended"),
                );
            }
            model.borrow_mut().tally.compared += 1;
            true
        }
        Err(Error::NotHeld { .. }) => true,
        Err(Error::Lost { .. }) => {
            if !rotting {
                note(model, format!("{number}: rows are lost on a sound disk"));
            }
            false
        }
        Err(error) => {
            if !matches!(error, Error::Io { .. }) {
                note(model, format!("{number}: {error}"));
            }
            false
        }
    }
}

/// Some of every kind of fault that leaves bytes as they are.
pub fn troubled(seed: u64) -> Faults {
    let mut dice = Dice(seed ^ 0x7700);
    let mut some = |n: u32| match dice.one_in(2) {
        true => Chance::one_in(n),
        false => Chance::NEVER,
    };
    Faults {
        write_error: some(300),
        sync_error: some(60),
        read_error: some(400),
        full: some(40),
        stall: some(50),
        stall_span: Duration::from_millis(20),
        ..Faults::crashes()
    }
}
