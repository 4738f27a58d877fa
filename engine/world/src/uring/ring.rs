//! The ring of files: reads, writes and syncs of one executor.
//!
//! ```text
//!   tasks ── IO ──► a few have gathered ──────────► turn ──► wakes tasks
//!             └───► wakes the pump, which runs ──►    ▲
//!                   after the tasks that are ready    │
//!   kernel ── bell, while the executor sleeps ────────┘
//! ```
//!
//! A turn submits and completes, in one system call if in any: whether there is anything to do is a
//! load from shared memory.
//!
//! The pump sees to it that there is always a next turn: while an IO is on its way, the pump is
//! about to run, or listens to the bell with nothing left to submit, or pauses for a moment because
//! the kernel has refused something.

use super::{
    arena::{Arena, Memory},
    bell::{Bell, Ear},
    flight::Flights,
    queues::{Act, Moved, Outlook, Queues},
};
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// IOs that gather before they are submitted while tasks run.
const GATHER: usize = 8;

/// How long the pump waits when the kernel lacks something that it needs: much longer than a call
/// costs, much shorter than what waits for a disk would notice.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) struct Ring {
    // Before the arena, which its entries point to.
    queues: RefCell<Queues>,
    arena: Rc<Arena>,
    /// Whether the arena is registered.
    fixed: bool,
    bell: Bell,
    flights: Rc<Flights>,
    /// The pump, if it rests.
    pump: RefCell<Option<Waker>>,
    /// Whether the pump listens to the bell.
    listens: Cell<bool>,
    /// Room for the wakers of a turn.
    woken: Cell<Vec<Waker>>,
}

impl Ring {
    /// A ring and `memory` bytes for it. Only the calling thread may use it. `defer`: as in
    /// [`crate::Preflight`].
    ///
    /// # Errors
    /// When the system refuses the ring or the memory.
    pub(super) fn new(memory: usize, defer: bool, flights: Rc<Flights>) -> io::Result<Rc<Self>> {
        let arena = Arena::new(memory)?;
        let (queues, bell) = (Queues::new(defer)?, Bell::new()?);
        queues.register_bell(bell.as_fd())?;
        // SAFETY: an entry that names the buffer belongs to an op with a piece of the arena, which
        // keeps the mapping.
        // JUSTIFICATION: told at `Memory::bytes`.
        let fixed = unsafe { queues.register_memory(arena.whole()) };
        tracing::debug!(deferred = queues.deferred, fixed, "ring of files");
        Ok(Rc::new(Self {
            queues: RefCell::new(queues),
            arena,
            fixed,
            bell,
            flights,
            pump: RefCell::new(None),
            listens: Cell::new(false),
            woken: Cell::default(),
        }))
    }

    /// Memory for an IO of `len` bytes.
    pub(super) fn memory(&self, len: usize) -> Memory {
        self.arena.take(len)
    }

    /// An IO that begins when it is first polled.
    pub(super) fn io(self: &Rc<Self>, file: &Arc<OwnedFd>, act: Act) -> Io {
        Io {
            ring: Rc::clone(self),
            stage: Stage::New(Arc::clone(file), act),
        }
    }

    /// Submits what has gathered and completes what the kernel has done, if there is anything; how
    /// many IOs have ended.
    pub(super) fn turn(&self) -> usize {
        let mut woken = self.woken.take();
        let ended = self.queues.borrow_mut().turn(&mut woken);
        for _ in 0..ended {
            self.flights.ended();
        }
        for waker in woken.drain(..) {
            waker.wake();
        }
        self.woken.set(woken);
        ended
    }

    /// Turns the ring whenever tasks have run or the kernel has done something. Never returns.
    pub(super) async fn pump(self: Rc<Self>) {
        let mut ear = None;
        loop {
            self.turn();
            let outlook = self.queues.borrow_mut().outlook();
            match outlook {
                // At once, though tasks are ready: it ends, since none of them begins an IO
                // meanwhile, and what they then begin goes to the disk in fewer calls.
                Outlook::Work => {}
                Outlook::Refused => glommio::timer::sleep(PAUSE).await,
                Outlook::Quiet => {
                    if ear.is_none() && !self.queues.borrow().is_idle() {
                        self.bell.reset();
                        // What was done before the reset has rung in vain.
                        if self.turn() > 0 {
                            continue;
                        }
                        let Ok(hears) = self.bell.listen() else {
                            // Deaf for lack of a descriptor: look instead.
                            glommio::timer::sleep(PAUSE).await;
                            continue;
                        };
                        ear = Some(hears);
                    }
                    poll_fn(|context| self.rest(&mut ear, context)).await;
                }
            }
        }
    }

    /// Ready when the ring is to be turned.
    fn rest(&self, ear: &mut Option<Ear>, context: &mut Context<'_>) -> Poll<()> {
        self.pump.replace(Some(context.waker().clone()));
        let mut queues = self.queues.borrow_mut();
        if queues.outlook() != Outlook::Quiet {
            return Poll::Ready(());
        }
        if queues.is_idle() {
            return Poll::Pending;
        }
        let Some(hears) = ear else {
            return Poll::Ready(());
        };
        let heard = hears.poll(context);
        if heard.is_ready() {
            *ear = None;
        }
        self.listens.set(ear.is_some());
        heard
    }

    fn begin(&self, file: Arc<OwnedFd>, act: Act, waker: Waker) -> usize {
        let mut queues = self.queues.borrow_mut();
        let key = queues.push(file, act, self.fixed, waker);
        let enough = queues.gathered() >= GATHER;
        drop(queues);
        if enough {
            self.turn();
        }
        // A pump that listens learns of completions by itself, but not of what is to be submitted.
        let learns = self.listens.get() && self.queues.borrow().gathered() == 0;
        if !learns && let Some(pump) = self.pump.take() {
            pump.wake();
        }
        key
    }
}

/// An IO, and what becomes of it. Dropped half-way, it goes on to its end.
pub(super) struct Io {
    ring: Rc<Ring>,
    stage: Stage,
}

enum Stage {
    New(Arc<OwnedFd>, Act),
    Begun(usize),
    Over,
}

impl Future for Io {
    type Output = Moved;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Moved> {
        let this = &mut *self;
        match std::mem::replace(&mut this.stage, Stage::Over) {
            Stage::New(file, act) => {
                if let Err(error) = this.ring.flights.begin() {
                    return Poll::Ready((Err(error), None));
                }
                let key = this.ring.begin(file, act, context.waker().clone());
                this.stage = Stage::Begun(key);
                Poll::Pending
            }
            Stage::Begun(key) => {
                let finished = this.ring.queues.borrow_mut().finish(key, context.waker());
                match finished {
                    Ok(moved) => Poll::Ready(moved),
                    // What a waker drops with it may be another IO: the queues are free by now.
                    Err(_replaced) => {
                        this.stage = Stage::Begun(key);
                        Poll::Pending
                    }
                }
            }
            Stage::Over => panic!("polled after it was ready"),
        }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Stage::Begun(key) = self.stage {
            let left = self.ring.queues.borrow_mut().leave(key);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests;
