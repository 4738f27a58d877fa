//! The tasks of one executor, which end with it.
//!
//! glommio 0.9.0 forgets a detached task that waits while its executor ends: nothing drops the
//! future, nor the files, channels and memory in it. Here the futures are ours, and glommio's tasks
//! only lead to them.

use super::Panic;
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
    live: RefCell<Vec<Option<Slot>>>,
    /// Places in `live` that are free.
    free: RefCell<Vec<usize>>,
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
        let place = self.place(Rc::clone(&slot));
        let tasks = Rc::clone(self);
        Some(async move {
            poll_fn(|context| match slot.borrow_mut().as_mut() {
                Some(task) => task.as_mut().poll(context),
                None => Poll::Ready(()),
            })
            .await;
            // Outside of both borrows, since what a future drops may spawn.
            let ended = slot.take();
            tasks.clear(place);
            drop(ended);
        })
    }

    fn place(&self, slot: Slot) -> usize {
        let mut live = self.live.borrow_mut();
        let free = self.free.borrow_mut().pop();
        match free {
            Some(place) => live[place] = Some(slot),
            None => live.push(Some(slot)),
        }
        free.unwrap_or(live.len() - 1)
    }

    fn clear(&self, place: usize) {
        // Gone when all tasks are being ended.
        if let Some(slot) = self.live.borrow_mut().get_mut(place) {
            *slot = None;
            self.free.borrow_mut().push(place);
        }
    }

    /// Drops every task where it stands; the first panic of a destructor.
    pub(super) fn end(&self) -> Option<Panic> {
        self.over.set(true);
        let mut first = None;
        for slot in self.live.take().into_iter().flatten() {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(slot.take())));
            first = first.or(dropped.err());
        }
        first
    }
}
