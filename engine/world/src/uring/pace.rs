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

use glommio::timer::Timer;
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake},
    time::{Duration, Instant},
};

/// How long tasks that neither wait nor breathe may keep an executor from its rings.
pub(super) const PREEMPT: Duration = Duration::from_millis(250);

/// How long tasks that breathe may: replies and the next IOs wait for as long. About what a disk
/// takes for one write: at 10 ms it idles for 40 % of the time while puts are hashed.
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
/// [`LOOK`] has passed since the last look, it waits for the next one. When all that breathe do, the
/// executor runs out of tasks and looks. A look lets all of them go on, but each asks again when it
/// is its turn, so that they do [`LOOK`] of work before the next one.
pub(super) struct Looks {
    last: Cell<Instant>,
}

impl Looks {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            last: Cell::new(Instant::now()),
        })
    }

    pub(super) fn breathe(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let looks = Rc::clone(self);
        async move {
            if looks.last.get().elapsed() < LOOK {
                glommio::executor().yield_task_queue_now().await;
            }
            while looks.last.get().elapsed() >= LOOK {
                let before = looks.last.get();
                look().await;
                // The first of those that waited for this look notes when it was.
                if looks.last.get() == before {
                    looks.last.set(Instant::now());
                }
            }
        }
    }
}

/// Waits until the executor has looked at its rings: it fires timers then and never else.
pub(super) async fn look() {
    let (fire, fired) = async_channel::bounded(1);
    let mut timer = Timer::new(FAR);
    // One that is due already would be ready here and now; so this one is armed first.
    let armed = Pin::new(&mut timer).poll(&mut Context::from_waker(&Arc::new(Bell(fire)).into()));
    debug_assert!(armed.is_pending(), "nobody waits that long");
    timer.reset(Duration::ZERO);
    // Not the timer, which is ready to whoever asks it.
    let _ = fired.recv().await;
}

/// Rings when the timer is fired, and not when its task is polled for another reason.
struct Bell(async_channel::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // It has room for the one ring there is.
        let _ = self.0.try_send(());
    }
}
