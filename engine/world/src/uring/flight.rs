//! IO that outlives its future.
//!
//! glommio cancels an IO whose future is dropped, and closes a file that nobody holds, whatever
//! the kernel is doing with either. Here an IO owns its file and buffer; a dropped one goes on in
//! a task of its own, and the end of the executor waits until nothing is in flight.

use super::pace::look;
use futures_lite::FutureExt;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// How long the end of an executor waits for IO: longer than a healthy disk ever takes.
const LANDING_MAX: Duration = Duration::from_secs(5);

/// The IOs of one executor.
#[derive(Default)]
pub(super) struct Flights {
    count: Cell<usize>,
    /// Set when the program has ended: no IO begins any more.
    over: Cell<bool>,
    landing: RefCell<Option<Waker>>,
}

impl Flights {
    /// An IO that begins when it is first polled and then runs to its end.
    pub(super) fn fly<T, F>(self: &Rc<Self>, io: F) -> Flight<F>
    where
        F: Future<Output = io::Result<T>> + 'static,
    {
        Flight {
            io: Some(Box::pin(io)),
            begun: false,
            flights: Rc::clone(self),
        }
    }

    /// Lets no more IO begin and waits for what has begun, up to [`LANDING_MAX`]. Files that were
    /// dropped before are closed then.
    pub(super) async fn land(&self) {
        self.over.set(true);
        let landed = std::future::poll_fn(|context| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            self.landing.replace(Some(context.waker().clone()));
            Poll::Pending
        });
        let late = async {
            glommio::timer::sleep(LANDING_MAX).await;
            tracing::warn!(count = self.count.get(), "executor ends with IO in flight");
        };
        landed.or(late).await;
        look().await;
    }

    fn ended(&self) {
        self.count.set(self.count.get() - 1);
        if self.count.get() == 0
            && let Some(waker) = self.landing.take()
        {
            waker.wake();
        }
    }
}

/// An IO and whether the disk knows of it.
pub(super) struct Flight<F: Future + 'static> {
    io: Option<Pin<Box<F>>>,
    begun: bool,
    flights: Rc<Flights>,
}

impl<T, F: Future<Output = io::Result<T>> + 'static> Future for Flight<F> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let this = &mut *self;
        if !this.begun {
            if this.flights.over.get() {
                return Poll::Ready(Err(io::Error::other("the executor is ending")));
            }
            this.begun = true;
            this.flights.count.set(this.flights.count.get() + 1);
        }
        let io = this.io.as_mut().expect("polled after it was ready");
        let result = io.as_mut().poll(context);
        if result.is_ready() {
            this.io = None;
            this.flights.ended();
        }
        result
    }
}

impl<F: Future + 'static> Drop for Flight<F> {
    fn drop(&mut self) {
        // While a panic unwinds through the executor there is nobody left to run a task.
        if let Some(io) = self.io.take()
            && self.begun
            && !std::thread::panicking()
        {
            let flights = Rc::clone(&self.flights);
            glommio::spawn_local(async move {
                drop(io.await);
                flights.ended();
            })
            .detach();
        }
    }
}
