//! How tasks of one executor wait for each other: no atomics, no locks, nothing crosses threads.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
};

/// The output of whichever ends first; `first` is asked first.
pub async fn either<T>(first: impl Future<Output = T>, second: impl Future<Output = T>) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(move |context| match first.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => second.as_mut().poll(context),
    })
    .await
}

/// A bell: whoever waits is woken by the next ring.
#[derive(Default)]
pub struct Bell {
    rings: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl Bell {
    /// Wakes everyone who waits.
    pub fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Waits for a ring from now on: whoever looks at what it waits for, and then waits without
    /// awaiting anything between, misses none.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        let before = self.rings.get();
        poll_fn(move |context| {
            if self.rings.get() != before {
                return Poll::Ready(());
            }
            let mut wakers = self.wakers.borrow_mut();
            if !wakers.iter().any(|known| known.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}

/// Something that one task at a time does, in the order in which they came.
pub struct Turn(async_channel::Sender<()>, async_channel::Receiver<()>);

/// It is this task's turn until this is dropped.
pub struct Taken<'turn>(&'turn Turn);

impl Default for Turn {
    fn default() -> Self {
        let (give, take) = async_channel::bounded(1);
        give.try_send(()).expect("it is open and empty");
        Turn(give, take)
    }
}

impl Turn {
    /// Waits until nobody else has the turn.
    pub async fn take(&self) -> Taken<'_> {
        self.1.recv().await.expect("both ends live as long");
        Taken(self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0
            .0
            .try_send(())
            .expect("what was taken is given back once");
    }
}
