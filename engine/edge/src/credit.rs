//! Bytes in flight on one executor, bounded: whoever wants to hold bytes takes credit first.

use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};
use std::{collections::VecDeque, rc::Rc};

use lode_world::World;

use crate::watch::Guest;

/// A budget of bytes; first come, first served.
#[derive(Debug)]
pub(crate) struct Credit {
    free: Cell<u64>,
    budget: u64,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    bytes: u64,
    granted: Cell<bool>,
    gone: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Credit {
    pub fn new(budget: u64) -> Rc<Self> {
        Rc::new(Credit {
            free: Cell::new(budget),
            budget,
            waiting: RefCell::default(),
        })
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.budget - self.free.get()
    }

    /// Whether somebody waits.
    pub fn is_short(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Whether less than half is left.
    pub fn is_scarce(&self) -> bool {
        self.free.get() < self.budget / 2
    }

    /// Takes credit, waiting for its turn. More than the whole budget counts as the budget.
    pub async fn take(self: &Rc<Self>, bytes: u64, guest: &Rc<Guest>) -> Permit {
        let bytes = bytes.min(self.budget);
        if !(self.waiting.borrow().is_empty() && self.free.get() >= bytes) {
            self.wait(bytes).await;
        } else {
            self.free.set(self.free.get() - bytes);
        }
        guest.held.set(guest.held.get() + bytes);
        Permit {
            credit: self.clone(),
            guest: guest.clone(),
            bytes,
        }
    }

    /// Takes credit within `span`, or gives up.
    pub async fn take_within<W: World>(
        self: &Rc<Self>,
        bytes: u64,
        guest: &Rc<Guest>,
        world: &W,
        span: Duration,
    ) -> Option<Permit> {
        let patient = async { Some(self.take(bytes, guest).await) };
        let deadline = async {
            world.sleep(span).await;
            None
        };
        futures_lite::future::or(patient, deadline).await
    }

    async fn wait(&self, bytes: u64) {
        let waiter = Rc::new(Waiter {
            bytes,
            granted: Cell::new(false),
            gone: Cell::new(false),
            waker: RefCell::new(None),
        });
        self.waiting.borrow_mut().push_back(waiter.clone());
        let mut place = InLine {
            credit: self,
            waiter: waiter.clone(),
            done: false,
        };
        poll_fn(|context| {
            if waiter.granted.get() {
                return Poll::Ready(());
            }
            *waiter.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        place.done = true;
    }

    fn give(&self, bytes: u64) {
        self.free.set(self.free.get() + bytes);
        self.grant();
    }

    /// Serves the line from its head as far as the credit goes.
    fn grant(&self) {
        loop {
            let mut line = self.waiting.borrow_mut();
            let Some(first) = line.front() else { return };
            if !first.gone.get() {
                if self.free.get() < first.bytes {
                    return;
                }
                self.free.set(self.free.get() - first.bytes);
                first.granted.set(true);
            }
            let first = line.pop_front();
            drop(line);
            let waker = first.and_then(|first| first.waker.take());
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A place in the line; leaving it early gives back what was granted meanwhile.
struct InLine<'a> {
    credit: &'a Credit,
    waiter: Rc<Waiter>,
    done: bool,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if self.waiter.granted.get() {
            self.credit.give(self.waiter.bytes);
        } else {
            self.waiter.gone.set(true);
            self.credit.grant();
        }
    }
}

/// Credit that is held; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    credit: Rc<Credit>,
    guest: Rc<Guest>,
    bytes: u64,
}

impl Permit {
    /// Whose it is.
    pub fn guest(&self) -> &Rc<Guest> {
        &self.guest
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.guest.held.set(self.guest.held.get() - self.bytes);
        self.credit.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::Limits, meter::Meter, watch::Watch};
    use futures_lite::future::{block_on, poll_once};

    fn guest() -> Rc<Guest> {
        let place = Watch::new(Limits::default()).admit(Duration::ZERO, &Meter::default());
        place.unwrap().guest.clone()
    }

    /// Credit is never handed out twice, comes back, and is given in order of arrival.
    #[test]
    fn in_order() {
        block_on(async {
            let (credit, guest) = (Credit::new(10), guest());
            let first = credit.take(8, &guest).await;
            assert_eq!((credit.held(), guest.held.get()), (8, 8));
            let mut big = Box::pin(credit.take(5, &guest));
            let mut small = Box::pin(credit.take(1, &guest));
            assert!(poll_once(&mut big).await.is_none());
            assert!(poll_once(&mut small).await.is_none(), "does not overtake");
            assert!(credit.is_short());
            drop(first);
            let big = poll_once(&mut big).await.unwrap();
            let small = poll_once(&mut small).await.unwrap();
            assert_eq!(credit.held(), 6);
            drop((big, small));
            assert_eq!((credit.held(), guest.held.get()), (0, 0));
            assert!(!credit.is_short());
        });
    }

    /// Whoever leaves the line, granted or not, takes nothing along and blocks nobody.
    #[test]
    fn leaving_the_line() {
        block_on(async {
            let (credit, guest) = (Credit::new(10), guest());
            let first = credit.take(10, &guest).await;
            let mut gone = Box::pin(credit.take(10, &guest));
            let mut next = Box::pin(credit.take(3, &guest));
            assert!(poll_once(&mut gone).await.is_none());
            assert!(poll_once(&mut next).await.is_none());
            drop(gone);
            drop(first);
            let next = poll_once(&mut next).await.unwrap();
            let mut granted = Box::pin(credit.take(10, &guest));
            assert!(poll_once(&mut granted).await.is_none());
            drop(next);
            drop(granted);
            assert_eq!(credit.held(), 0);
        });
    }

    /// More than everything is everything: one giant request still runs, alone.
    #[test]
    fn giant() {
        block_on(async {
            let (credit, guest) = (Credit::new(10), guest());
            let permit = credit.take(1000, &guest).await;
            assert_eq!(credit.held(), 10);
            drop(permit);
            assert_eq!(credit.held(), 0);
        });
    }
}
