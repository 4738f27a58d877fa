//! How tasks of one executor wait for each other: no atomics, no locks, nothing crosses threads.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Poll, Waker},
};

use lode_world::World;

/// The output of `first`, or none if `second` ends before it.
pub async fn either<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    poll_fn(move |cx| match first.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => second.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Called before `len` bytes are hashed or copied. Many puts and reads become ready at once, when a
/// frame is durable or the disk has read; between two of them the disk must get its next work.
pub async fn before_work<W: World>(world: &W, len: usize) {
    /// Takes longer to hash or copy than a breath takes.
    const WORK_LEN: usize = 32 << 10;
    if len >= WORK_LEN {
        world.breathe().await;
    }
}

/// A value that is set once and seen by everyone who waits for it.
pub struct Latch<T>(Rc<LatchState<T>>);

struct LatchState<T> {
    value: RefCell<Option<T>>,
    wakers: RefCell<Vec<Waker>>,
}

impl<T> Clone for Latch<T> {
    fn clone(&self) -> Self {
        Latch(Rc::clone(&self.0))
    }
}

impl<T: Clone> Latch<T> {
    /// A latch without a value.
    pub fn new() -> Self {
        Latch(Rc::new(LatchState {
            value: RefCell::new(None),
            wakers: RefCell::new(Vec::new()),
        }))
    }

    /// Sets the value and wakes everyone; a second value is ignored.
    pub fn set(&self, value: T) {
        self.0.value.borrow_mut().get_or_insert(value);
        for waker in self.0.wakers.take() {
            waker.wake();
        }
    }

    /// The value, if it is set.
    pub fn get(&self) -> Option<T> {
        self.0.value.borrow().clone()
    }

    /// Waits for the value.
    pub fn wait(&self) -> impl Future<Output = T> + use<T> {
        let state = Rc::clone(&self.0);
        poll_fn(move |cx| {
            if let Some(value) = &*state.value.borrow() {
                return Poll::Ready(value.clone());
            }
            remember(&mut state.wakers.borrow_mut(), cx.waker());
            Poll::Pending
        })
    }
}

/// Keeps a waker once, however often its task is polled.
fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers
        .iter()
        .rev()
        .take(8)
        .any(|known| known.will_wake(waker))
    {
        wakers.push(waker.clone());
    }
}

/// A bell: whoever waits is woken by the next ring; a ring without a waiter is kept for one.
#[derive(Default)]
pub struct Bell {
    /// Rung since the last wait ended.
    rung: Cell<bool>,
    /// Rings so far: tells everyone who waits, not only the first to be polled.
    rings: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl Bell {
    /// Wakes everyone who waits.
    pub fn ring(&self) {
        self.rung.set(true);
        self.rings.set(self.rings.get() + 1);
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Waits for a ring since the last wait. May end without one, so callers look at what they
    /// wait for.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        let before = self.rings.get();
        poll_fn(move |cx| {
            if self.rung.replace(false) || self.rings.get() != before {
                return Poll::Ready(());
            }
            remember(&mut self.wakers.borrow_mut(), cx.waker());
            Poll::Pending
        })
    }
}

/// Credit in bytes: permission to have that much on its way. First come, first served.
#[derive(Clone)]
pub struct Credit(Rc<CreditState>);

struct CreditState {
    total: u64,
    free: Cell<u64>,
    queue: RefCell<VecDeque<(u64, Waker)>>,
    next: Cell<u64>,
}

/// Bytes taken from a [`Credit`]; given back when dropped.
pub struct Permit {
    credit: Credit,
    bytes: u64,
}

impl Credit {
    /// Credit of `total` bytes.
    pub fn new(total: u64) -> Credit {
        Credit(Rc::new(CreditState {
            total,
            free: Cell::new(total),
            queue: RefCell::new(VecDeque::new()),
            next: Cell::new(0),
        }))
    }

    /// Takes `bytes` (at most the total) if nobody waits and there are enough.
    pub fn try_take(&self, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.0.total);
        let free = self.0.free.get().checked_sub(bytes)?;
        if !self.0.queue.borrow().is_empty() {
            return None;
        }
        self.0.free.set(free);
        Some(Permit {
            credit: self.clone(),
            bytes,
        })
    }

    /// Waits for `bytes` (at most the total is asked for, so that a large request is not stuck).
    pub fn take(&self, bytes: u64) -> impl Future<Output = Permit> + use<> {
        let bytes = bytes.min(self.0.total);
        let mut place = Queued {
            credit: self.clone(),
            ticket: None,
        };
        poll_fn(move |cx| {
            let state = Rc::clone(&place.credit.0);
            let mut queue = state.queue.borrow_mut();
            let first = match place.ticket {
                None => queue.is_empty(),
                Some(ticket) => queue.front().is_some_and(|(head, _)| *head == ticket),
            };
            if first && state.free.get() >= bytes {
                if place.ticket.take().is_some() {
                    queue.pop_front();
                }
                state.free.set(state.free.get() - bytes);
                wake_first(&queue);
                return Poll::Ready(Permit {
                    credit: place.credit.clone(),
                    bytes,
                });
            }
            match place.ticket {
                None => {
                    let ticket = state.next.replace(state.next.get() + 1);
                    queue.push_back((ticket, cx.waker().clone()));
                    place.ticket = Some(ticket);
                }
                Some(ticket) => {
                    let waiting = queue.iter_mut().find(|(queued, _)| *queued == ticket);
                    waiting
                        .expect("a ticket stays queued until it is served")
                        .1
                        .clone_from(cx.waker());
                }
            }
            Poll::Pending
        })
    }
}

fn wake_first(queue: &VecDeque<(u64, Waker)>) {
    if let Some((_, waker)) = queue.front() {
        waker.wake_by_ref();
    }
}

/// A place in the queue that is left when the waiter gives up.
struct Queued {
    credit: Credit,
    ticket: Option<u64>,
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut queue = self.credit.0.queue.borrow_mut();
            queue.retain(|(queued, _)| *queued != ticket);
            wake_first(&queue);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let state = &self.credit.0;
        state.free.set(state.free.get() + self.bytes);
        wake_first(&state.queue.borrow());
    }
}

/// One holder per key at a time.
pub struct KeyLock<K: Ord>(Rc<RefCell<BTreeMap<K, Vec<Waker>>>>);

/// The key is held until this is dropped.
pub struct KeyGuard<K: Ord + Copy> {
    lock: KeyLock<K>,
    key: K,
}

impl<K: Ord> Clone for KeyLock<K> {
    fn clone(&self) -> Self {
        KeyLock(Rc::clone(&self.0))
    }
}

impl<K: Ord> Default for KeyLock<K> {
    fn default() -> Self {
        KeyLock(Rc::new(RefCell::new(BTreeMap::new())))
    }
}

impl<K: Ord + Copy> KeyLock<K> {
    /// Waits until nobody holds `key`, then holds it.
    pub fn lock(&self, key: K) -> impl Future<Output = KeyGuard<K>> + use<K> {
        let lock = self.clone();
        poll_fn(move |cx| {
            let mut held = lock.0.borrow_mut();
            if let Some(wakers) = held.get_mut(&key) {
                remember(wakers, cx.waker());
                return Poll::Pending;
            }
            held.insert(key, Vec::new());
            Poll::Ready(KeyGuard {
                lock: lock.clone(),
                key,
            })
        })
    }

    /// Holds `key` if nobody does.
    pub fn try_lock(&self, key: K) -> Option<KeyGuard<K>> {
        let mut held = self.0.borrow_mut();
        if held.contains_key(&key) {
            return None;
        }
        held.insert(key, Vec::new());
        Some(KeyGuard {
            lock: self.clone(),
            key,
        })
    }
}

impl<K: Ord + Copy> Drop for KeyGuard<K> {
    fn drop(&mut self) {
        let wakers = self.lock.0.borrow_mut().remove(&self.key);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
