//! The tasks of one executor, which end with it.
//!
//! glommio 0.9.0 forgets a detached task that waits while its executor ends: nothing drops the
//! future, nor the files, channels and memory in it. Here the futures are ours, and glommio's tasks
//! only lead to them.

use super::Panic;
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

/// A task's future until it has ended.
type Slot = Rc<RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>>;

#[derive(Default)]
pub(super) struct Tasks {
    live: RefCell<Slab<Slot>>,
    over: Cell<bool>,
}

impl Tasks {
    /// What glommio is to run for `task`. Nothing once [`Tasks::end`] was called: destructors may
    /// spawn, and such tasks never start.
    pub(super) fn lead_to(
        self: &Rc<Self>,
        task: impl Future<Output = ()> + 'static,
    ) -> Option<impl Future<Output = ()> + 'static> {
        if self.over.get() {
            return None;
        }
        let slot: Slot = Rc::new(RefCell::new(Some(Box::pin(task))));
        let place = self.live.borrow_mut().insert(Rc::clone(&slot));
        let tasks = Rc::clone(self);
        Some(async move {
            poll_fn(|context| match slot.borrow_mut().as_mut() {
                Some(task) => task.as_mut().poll(context),
                None => Poll::Ready(()),
            })
            .await;
            // Outside of both borrows, since what a future drops may spawn.
            let ended = slot.take();
            // Gone when all tasks are being ended.
            tasks.live.borrow_mut().try_remove(place);
            drop(ended);
        })
    }

    /// Drops every task where it stands; the first panic of a destructor.
    pub(super) fn end(&self) -> Option<Panic> {
        self.over.set(true);
        let mut first = None;
        for (_, slot) in self.live.take() {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(slot.take())));
            first = first.or(dropped.err());
        }
        first
    }
}
