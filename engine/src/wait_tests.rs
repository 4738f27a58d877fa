//! Waiting: who is woken, in which order, and that giving up leaves nothing behind.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A latch keeps its first value for everyone, early and late.
#[test]
fn latch() {
    let latch = Latch::new();
    let mut early = pin!(latch.wait());
    assert!(poll(early.as_mut()).is_pending());
    latch.set(1);
    latch.set(2);
    assert_eq!(poll(early), Poll::Ready(1));
    assert_eq!(poll(pin!(latch.wait())), Poll::Ready(1));
}

/// A ring before the wait counts once.
#[test]
fn bell() {
    let bell = Bell::default();
    bell.ring();
    assert!(poll(pin!(bell.wait())).is_ready());
    assert!(poll(pin!(bell.wait())).is_pending());
}

/// Credit is first come, first served: a small request does not overtake a large one.
#[test]
fn credit_is_fair() {
    let credit = Credit::new(10);
    let Poll::Ready(most) = poll(pin!(credit.take(8))) else {
        panic!("it is free")
    };
    let mut large = pin!(credit.take(9));
    let mut small = pin!(credit.take(1));
    assert!(poll(large.as_mut()).is_pending());
    assert!(poll(small.as_mut()).is_pending());
    drop(most);
    assert!(poll(small.as_mut()).is_pending());
    let Poll::Ready(large) = poll(large) else {
        panic!("its turn")
    };
    let Poll::Ready(small) = poll(small) else {
        panic!("its turn")
    };
    drop((large, small));
    assert!(
        poll(pin!(credit.take(1000))).is_ready(),
        "more than there is counts as all of it"
    );
}

/// Whoever gives up leaves the queue, so the next one is served.
#[test]
fn credit_survives_giving_up() {
    let credit = Credit::new(1);
    let Poll::Ready(held) = poll(pin!(credit.take(1))) else {
        panic!("it is free")
    };
    let mut second = pin!(credit.take(1));
    {
        let mut first = Box::pin(credit.take(1));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
    }
    drop(held);
    assert!(poll(second).is_ready());
}

/// One holder per key; other keys are free.
#[test]
fn key_lock() {
    let lock = KeyLock::default();
    let held = lock.try_lock(1).expect("nobody holds it");
    assert!(lock.try_lock(1).is_none());
    assert!(lock.try_lock(2).is_some());
    let mut waits = pin!(lock.lock(1));
    assert!(poll(waits.as_mut()).is_pending());
    drop(held);
    assert!(poll(waits).is_ready());
}

/// The first of two that ends decides.
#[test]
fn either_ends() {
    let (first, second) = (Latch::new(), Latch::new());
    let (wait, late) = (pin!(first.wait()), pin!(second.wait()));
    let mut both = pin!(either(wait, late));
    assert!(poll(both.as_mut()).is_pending());
    second.set(());
    assert_eq!(poll(both), Poll::Ready(None));
    first.set(3);
    assert_eq!(
        poll(pin!(either(
            pin!(first.wait()),
            pin!(Latch::<()>::new().wait())
        ))),
        Poll::Ready(Some(3))
    );
}
