//! The seeded executor: one thread, virtual time, and the dice pick which ready task runs next.
//!
//! ```text
//!   wake ─► ready ──dice──► poll ─► asks IO, sleeps ─► events ──time passes──► answer ─► wake
//!             ▲                └──► breathes ─► resting ──when nothing is ready──┐
//!             └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A poll costs [`POLL_TIME`], so IOs also complete between two polls. When nothing is ready, time
//! jumps to the next event; when there is none either, the program has deadlocked.

use super::{
    Stop,
    machine::Machine,
    op::{Op, Outcome},
    trace::Event,
};
use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// Virtual time that one poll takes.
const POLL_TIME: Duration = Duration::from_nanos(200);

/// Tasks that were woken, in the order they were. A mutex because [`Waker`] demands `Send`; in a
/// simulation one thread holds it.
type Woken = Arc<Mutex<Vec<usize>>>;

/// Wakes the task in one slot, once until it is polled.
struct Bell {
    slot: usize,
    rung: AtomicBool,
    woken: Woken,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.woken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.slot);
        }
    }
}

type Future0 = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// Its place in the order of making, for the trace.
    number: u64,
    /// Absent while it is being polled; the main future lives on the caller's stack.
    future: Option<Future0>,
    bell: Arc<Bell>,
}

/// Something a task waits for: an IO or a timer.
struct Wait {
    number: u64,
    /// The IO while it is in flight.
    op: Option<Op>,
    /// Set once the event has come.
    answer: Option<io::Result<Outcome>>,
    waker: Waker,
    /// The future that asked is gone; the answer goes nowhere.
    orphan: bool,
}

pub(super) struct Core {
    pub(super) machine: Machine,
    /// Runs so far: a handle of an earlier one is dead.
    pub(super) life: u64,
    running: bool,
    tasks: Vec<Option<Task>>,
    tasks_free: Vec<usize>,
    tasks_made: u64,
    ready: Vec<usize>,
    resting: Vec<Waker>,
    woken: Woken,
    waits: Vec<Option<Wait>>,
    waits_free: Vec<usize>,
    waits_made: u64,
    events: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    /// IOs asked for when the run began.
    ios_before: u64,
    crashed: bool,
}

impl Core {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            life: 0,
            running: false,
            tasks: Vec::new(),
            tasks_free: Vec::new(),
            tasks_made: 0,
            ready: Vec::new(),
            resting: Vec::new(),
            woken: Arc::default(),
            waits: Vec::new(),
            waits_free: Vec::new(),
            waits_made: 0,
            events: BinaryHeap::new(),
            ios_before: 0,
            crashed: false,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Adds a task; `None` stands for the main future.
    pub(super) fn add_task(&mut self, future: Option<Future0>) {
        let slot = self.tasks_free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        let bell = Arc::new(Bell {
            slot,
            rung: AtomicBool::new(true),
            woken: Arc::clone(&self.woken),
        });
        self.tasks[slot] = Some(Task {
            number: self.tasks_made,
            future,
            bell,
        });
        self.tasks_made += 1;
        self.ready.push(slot);
    }

    /// Asks for an IO; returns the wait to poll.
    pub(super) fn ask(&mut self, mut op: Op, waker: &Waker) -> usize {
        let span = self.machine.start(self.waits_made, &mut op);
        if let Some(limit) = self.machine.faults.crash_after_ios {
            self.crashed |= self.machine.counts.ios - self.ios_before >= limit;
        }
        self.wait(Some(op), self.machine.now + span, waker)
    }

    /// Sets a timer; returns the wait to poll.
    pub(super) fn set_timer(&mut self, due: Duration, waker: &Waker) -> usize {
        self.wait(None, due, waker)
    }

    fn wait(&mut self, op: Option<Op>, due: Duration, waker: &Waker) -> usize {
        let number = self.waits_made;
        self.waits_made += 1;
        let wait = Wait {
            number,
            op,
            answer: None,
            waker: waker.clone(),
            orphan: false,
        };
        let slot = self.waits_free.pop().unwrap_or_else(|| {
            self.waits.push(None);
            self.waits.len() - 1
        });
        self.waits[slot] = Some(wait);
        self.events.push(Reverse((due, number, slot)));
        slot
    }

    /// Takes the answer of a wait, if it has come.
    pub(super) fn poll_wait(&mut self, slot: usize, waker: &Waker) -> Poll<io::Result<Outcome>> {
        let wait = self.waits[slot]
            .as_mut()
            .expect("a wait lives until it is answered");
        match wait.answer.take() {
            Some(answer) => {
                self.waits[slot] = None;
                self.waits_free.push(slot);
                Poll::Ready(answer)
            }
            None => {
                wait.waker.clone_from(waker);
                Poll::Pending
            }
        }
    }

    /// The future that waits is gone. An IO goes on without it, as the kernel's would.
    pub(super) fn abandon(&mut self, slot: usize) {
        let Some(wait) = self.waits.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if wait.answer.is_some() {
            self.waits[slot] = None;
            self.waits_free.push(slot);
        } else {
            wait.orphan = true;
        }
    }

    pub(super) fn rest(&mut self, waker: &Waker) {
        self.resting.push(waker.clone());
    }

    fn fire_next(&mut self) {
        let Reverse((due, number, slot)) = self.events.pop().expect("the caller saw an event");
        self.machine.now = self.machine.now.max(due);
        let wait = self.waits[slot]
            .as_mut()
            .expect("a wait lives until its event");
        let answer = match wait.op.take() {
            Some(op) => self.machine.finish(number, op),
            None => {
                self.machine.record(Event::Timer { timer: number });
                Ok(Outcome::Nothing)
            }
        };
        let wait = self.waits[slot].as_mut().expect("unchanged since above");
        wait.answer = Some(answer);
        if wait.orphan {
            self.waits[slot] = None;
            self.waits_free.push(slot);
        } else {
            wait.waker.wake_by_ref();
        }
    }

    /// The next task to poll, letting time pass as needed.
    fn next_task(&mut self) -> Result<usize, Stop> {
        loop {
            while let Some(Reverse((due, ..))) = self.events.peek()
                && *due <= self.machine.now
            {
                self.fire_next();
            }
            self.ready
                .append(&mut self.woken.lock().unwrap_or_else(PoisonError::into_inner));
            if !self.ready.is_empty() {
                let pick = self.machine.dice.index(self.ready.len());
                return Ok(self.ready.swap_remove(pick));
            }
            if self.resting.is_empty() {
                if self.events.is_empty() {
                    return Err(Stop::Deadlock {
                        tasks: self.live_tasks(),
                    });
                }
                self.fire_next();
            }
            for waker in self.resting.drain(..) {
                waker.wake();
            }
        }
    }

    fn live_tasks(&self) -> usize {
        self.tasks.iter().flatten().count()
    }

    fn begin(&mut self) {
        assert!(
            !self.running,
            "one run at a time: this simulation is running already"
        );
        self.running = true;
        self.crashed = false;
        self.ios_before = self.machine.counts.ios;
        self.tasks_made = 0;
        self.machine.record(Event::Run);
        self.add_task(None);
    }

    /// Takes everything that a run leaves behind; the caller drops the tasks without a borrow.
    fn end(&mut self) -> Vec<Option<Task>> {
        self.running = false;
        self.life += 1;
        self.ready.clear();
        self.tasks_free.clear();
        self.woken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        std::mem::take(&mut self.tasks)
    }

    /// Interrupts what was in flight; every future of the run is gone by now.
    fn settle(&mut self) {
        let mut flying: Vec<(u64, Op)> = self
            .waits
            .drain(..)
            .flatten()
            .filter_map(|wait| wait.op.map(|op| (wait.number, op)))
            .collect();
        flying.sort_by_key(|(number, _)| *number);
        self.waits_free.clear();
        self.events.clear();
        self.resting.clear();
        self.machine
            .interrupt(flying.into_iter().map(|(_, op)| op).collect());
        self.machine.record(Event::End);
    }
}

/// Runs `main` and what it spawns until it returns or the run stops.
pub(super) fn run<T>(core: &Rc<RefCell<Core>>, main: impl Future<Output = T>) -> Result<T, Stop> {
    core.borrow_mut().begin();
    let result = poll_all(core, main);
    let tasks = core.borrow_mut().end();
    drop(tasks);
    core.borrow_mut().settle();
    result
}

fn poll_all<T>(core: &Rc<RefCell<Core>>, main: impl Future<Output = T>) -> Result<T, Stop> {
    let mut main = pin!(main);
    let mut steps = 0;
    loop {
        let Some((slot, waker, future)) = take_next(core)? else {
            continue;
        };
        let mut context = Context::from_waker(&waker);
        if let Some(mut future) = future {
            let done = future.as_mut().poll(&mut context).is_ready();
            let gone = put_back(core, slot, future, done);
            drop(gone);
        } else if let Poll::Ready(value) = main.as_mut().poll(&mut context) {
            return Ok(value);
        }
        let core = &mut *core.borrow_mut();
        core.machine.now += POLL_TIME;
        if core.crashed {
            return Err(Stop::Crashed);
        }
        steps += 1;
        if steps >= core.machine.faults.steps_max {
            return Err(Stop::Endless { steps });
        }
    }
}

/// A task to poll: its slot, waker and future (`None`: the main one). `Ok(None)`: a stale waker
/// rang for a task that has ended.
#[allow(clippy::type_complexity, reason = "three parts of one task, used once")]
fn take_next(core: &RefCell<Core>) -> Result<Option<(usize, Waker, Option<Future0>)>, Stop> {
    let core = &mut *core.borrow_mut();
    let slot = core.next_task()?;
    let Some(task) = core.tasks.get_mut(slot).and_then(Option::as_mut) else {
        return Ok(None);
    };
    task.bell.rung.store(false, Ordering::Relaxed);
    let event = Event::Poll { task: task.number };
    let waker = Waker::from(Arc::clone(&task.bell));
    let future = task.future.take();
    core.machine.record(event);
    Ok(Some((slot, waker, future)))
}

/// Returns a future to its task, or gives it back to be dropped outside the borrow.
fn put_back(core: &RefCell<Core>, slot: usize, future: Future0, done: bool) -> Option<Future0> {
    let core = &mut *core.borrow_mut();
    if done {
        core.tasks[slot] = None;
        core.tasks_free.push(slot);
        return Some(future);
    }
    let task = core.tasks[slot]
        .as_mut()
        .expect("a task keeps its slot while it is polled");
    task.future = Some(future);
    None
}
