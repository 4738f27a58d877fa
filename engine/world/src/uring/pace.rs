//! When an executor looks at its rings, and why it does not sleep while tasks are ready.
//!
//! glommio's loop (`LocalExecutor::run`, 0.9.0):
//!
//! ```text
//!   ┌─► look at the rings, arm the preemption timer
//!   │   run tasks, until something lies in the latency ring    (`run_task_queues`)
//!   └── no queue ran? look again, and if nothing came: sleep
//! ```
//!
//! A preemption timer that fires before the first task, because the thread was not scheduled for so
//! long, lies in that ring: no queue runs, and the executor sleeps with tasks ready, for ever if
//! nothing else is on its way. (Mended in github.com/glommio/glommio/pull/53, a fork that is not
//! published.) A shorter timer meets this more often: at 10 ms, a busy machine is enough. So:
//!
//! - The timer is long, [`PREEMPT`], and there only for tasks that neither wait nor breathe.
//! - What it did for the others, a breath does: see [`Looks`].
//! - A thread may stand still for longer yet. [`tick`] keeps a timer due that is shorter than the
//!   preemption timer; where one has fired, so has the other, and the second look finds it.

use glommio::{TaskQueueHandle, timer::Timer};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

/// How long tasks that neither wait nor breathe may keep an executor from its rings.
pub(super) const PREEMPT: Duration = Duration::from_millis(250);

/// How long tasks that breathe may: replies, and what other executors ask, wait for as long. IO of
/// files does not: each breath turns their own ring.
const LOOK: Duration = Duration::from_micros(500);

/// When an executor wakes although nothing happened. At 10 ms that cost 1.6 % of a core.
const TICK: Duration = Duration::from_millis(100);

/// Timers of a tick, each twice as long as the one before: up to three minutes.
const RUNGS: usize = 12;

const _: () = assert!(
    2 * TICK.as_millis() <= PREEMPT.as_millis(),
    "the rung after one that has just fired must be due before the preemption timer"
);

/// Longer than any run: such a timer does not fire.
const FAR: Duration = Duration::from_secs(1 << 30);

/// Never returns. A ladder of timers, because one that fires together with what stops the tasks is
/// itself a task that waits; the next rung ends that. A sleep with tasks ready, from whatever cause,
/// is over within [`TICK`], or within the time that the tick itself has waited already.
pub(super) async fn tick() {
    loop {
        let mut rungs: [Timer; RUNGS] = std::array::from_fn(|rung| Timer::new(TICK * (1 << rung)));
        poll_fn(|context| {
            let mut fired = Poll::Pending;
            // Every one of them: a timer runs from its first poll on.
            for rung in &mut rungs {
                if Pin::new(rung).poll(context).is_ready() {
                    fired = Poll::Ready(());
                }
            }
            fired
        })
        .await;
    }
}

/// Breaths of one executor's tasks. A breath lets the other ready tasks run, by their shares; once
/// [`LOOK`] has passed since the last look, it waits for the next one.
///
/// Those that wait stand in line, one line for each task queue, and a look lets the first of each
/// go on. Who goes on calls the next one, who stays if [`LOOK`] has passed again: however many wait
/// (hundreds, when a frame is durable), a breath costs two polls and a look one timer.
pub(super) struct Looks {
    last: Cell<Instant>,
    lines: RefCell<[VecDeque<(u64, Waker)>; LINES]>,
    /// The next ticket.
    tickets: Cell<u64>,
    /// Somebody needs a look.
    wanted: Cell<bool>,
    /// The task that looks, while nobody needs one.
    looker: RefCell<Option<Waker>>,
}

/// Task queues that tasks breathe in.
pub(super) const QUEUES: usize = 4;

/// One for each, and one for all others.
const LINES: usize = QUEUES + 1;

impl Looks {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            last: Cell::new(Instant::now()),
            lines: RefCell::default(),
            tickets: Cell::new(0),
            wanted: Cell::new(false),
            looker: RefCell::new(None),
        })
    }

    /// Looks when a breath needs it. Never returns.
    pub(super) async fn serve(self: Rc<Self>) {
        loop {
            poll_fn(|context| {
                if self.wanted.get() {
                    return Poll::Ready(());
                }
                self.looker.replace(Some(context.waker().clone()));
                Poll::Pending
            })
            .await;
            look().await;
            self.last.set(Instant::now());
            self.wanted.set(false);
            for line in self.lines.borrow().iter() {
                call(line);
            }
        }
    }

    /// A breath of the current task, in the line of its task queue.
    pub(super) fn breathe(
        self: &Rc<Self>,
        queues: [TaskQueueHandle; QUEUES],
    ) -> impl Future<Output = ()> + 'static {
        let looks = Rc::clone(self);
        async move {
            let mine = glommio::executor().current_task_queue();
            let line = queues.iter().position(|queue| *queue == mine);
            let mut place = InLine {
                looks,
                line: line.unwrap_or(QUEUES),
                ticket: None,
            };
            if !place.looks.due() && !place.others() {
                glommio::executor().yield_task_queue_now().await;
            }
            poll_fn(|context| place.poll(context)).await;
        }
    }

    fn due(&self) -> bool {
        self.last.get().elapsed() >= LOOK
    }

    fn want(&self) {
        if !self.wanted.replace(true)
            && let Some(looker) = self.looker.take()
        {
            looker.wake();
        }
    }
}

/// Wakes the first in line.
fn call(line: &VecDeque<(u64, Waker)>) {
    if let Some((_, first)) = line.front() {
        first.wake_by_ref();
    }
}

/// A task's place in line, left when its breath is over or dropped.
struct InLine {
    looks: Rc<Looks>,
    line: usize,
    ticket: Option<u64>,
}

impl InLine {
    /// Whether others stand in this line.
    fn others(&self) -> bool {
        !self.looks.lines.borrow()[self.line].is_empty()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let due = self.looks.due();
        let mut lines = self.looks.lines.borrow_mut();
        let line = &mut lines[self.line];
        let first = match self.ticket {
            None => line.is_empty(),
            Some(ticket) => line.front().is_some_and(|(first, _)| *first == ticket),
        };
        if first && !due {
            if self.ticket.take().is_some() {
                line.pop_front();
                call(line);
            }
            return Poll::Ready(());
        }
        match self.ticket {
            None => {
                let ticket = self.looks.tickets.replace(self.looks.tickets.get() + 1);
                line.push_back((ticket, context.waker().clone()));
                self.ticket = Some(ticket);
            }
            Some(ticket) => {
                let mine = line.iter_mut().find(|(number, _)| *number == ticket);
                if let Some((_, waker)) = mine {
                    waker.clone_from(context.waker());
                }
            }
        }
        drop(lines);
        if first {
            self.looks.want();
        }
        Poll::Pending
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut lines = self.looks.lines.borrow_mut();
            lines[self.line].retain(|(number, _)| *number != ticket);
            call(&lines[self.line]);
        }
    }
}

/// Waits until the executor has looked at its rings: it fires timers then and never else.
pub(super) async fn look() {
    let (fire, fired) = async_channel::bounded(1);
    let mut timer = Timer::new(FAR);
    // One that is due already would be ready here and now; so this one is armed first.
    let armed = Pin::new(&mut timer).poll(&mut Context::from_waker(&Arc::new(Fire(fire)).into()));
    debug_assert!(armed.is_pending(), "nobody waits that long");
    timer.reset(Duration::ZERO);
    // Not the timer, which is ready to whoever asks it.
    let _ = fired.recv().await;
}

/// Tells when the timer is fired, and not when its task is polled for another reason.
struct Fire(async_channel::Sender<()>);

impl Wake for Fire {
    fn wake(self: Arc<Self>) {
        // It has room for the one time that there is.
        let _ = self.0.try_send(());
    }
}
