//! Jobs that run to their end, whoever stops waiting for them.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use lode_world::{Queue, World};

/// Runs `job` in the task that waits for it. Dropped half-way it goes on in a task of its own: a
/// put whose client went away is stored or refused, and lets go of what it holds. A job that was
/// never polled never begins.
pub(crate) fn finish<W: World, F: Future + 'static>(world: &W, job: F) -> Finish<W, F> {
    Finish {
        world: world.clone(),
        job: Some(Box::pin(job)),
        begun: false,
    }
}

/// See [`finish`].
pub(crate) struct Finish<W: World, F: Future + 'static> {
    world: W,
    job: Option<Pin<Box<F>>>,
    begun: bool,
}

// Nothing in it is pinned in place: the job has a box of its own.
impl<W: World, F: Future + 'static> Unpin for Finish<W, F> {}

impl<W: World, F: Future + 'static> Future for Finish<W, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.begun = true;
        let job = self.job.as_mut().expect("polled after it was ready");
        let polled = job.as_mut().poll(context);
        if polled.is_ready() {
            self.job = None;
        }
        polled
    }
}

impl<W: World, F: Future + 'static> Drop for Finish<W, F> {
    fn drop(&mut self) {
        // While a panic unwinds the executor is ending, and nothing begins any more.
        if let Some(job) = self.job.take()
            && self.begun
            && !std::thread::panicking()
        {
            self.world.spawn(Queue::Serve, async move {
                drop(job.await);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc, time::Duration};

    use lode_world::{
        World,
        sim::{Faults, Sim, SimWorld},
    };

    use super::finish;
    use crate::wait::either;

    /// Proves that a job goes on when its waiter gives up after it has begun, and only then.
    #[test]
    fn goes_on_without_its_waiter() {
        let sim = Sim::new(1, Faults::default());
        let done = Rc::new(Cell::new(0));
        let seen = Rc::clone(&done);
        let job = move |world: SimWorld, by: u32| {
            let done = Rc::clone(&done);
            finish(&world.clone(), async move {
                world.sleep(Duration::from_secs(2)).await;
                done.set(done.get() + by);
            })
        };
        let ran = sim.run(async move |world| {
            drop(job(world.clone(), 1));
            {
                let wait = std::pin::pin!(job(world.clone(), 10));
                let late = std::pin::pin!(world.sleep(Duration::from_secs(1)));
                assert_eq!(either(wait, late).await, None);
            }
            job(world.clone(), 100).await;
            world.sleep(Duration::from_secs(2)).await;
        });
        ran.unwrap();
        assert_eq!(seen.get(), 110);
    }
}
