//! IO that outlives its future: the end of an executor waits until nothing is in flight.
//!
//! An IO of the ring of files goes on by itself and is only counted here. A call on the helper
//! thread, which glommio would forget, goes on in a task of its own.

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
    /// A call that begins when it is first polled and then runs to its end.
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

    /// Lets no more IO begin and waits for what has begun, up to [`LANDING_MAX`].
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
    }

    /// An IO begins; an error when none may any more.
    pub(super) fn begin(&self) -> io::Result<()> {
        if self.over.get() {
            return Err(io::Error::other("the executor is ending"));
        }
        self.count.set(self.count.get() + 1);
        Ok(())
    }

    /// An IO that had begun has ended.
    pub(super) fn ended(&self) {
        self.count.set(self.count.get() - 1);
        if self.count.get() == 0
            && let Some(waker) = self.landing.take()
        {
            waker.wake();
        }
    }
}

/// A call on the helper thread, and whether it has begun.
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
            if let Err(error) = this.flights.begin() {
                return Poll::Ready(Err(error));
            }
            this.begun = true;
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
