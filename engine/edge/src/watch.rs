//! Who is connected, what each client is doing, and who has had enough time.
//!
//! One sweep per executor replaces timers per request: every connection notes in a few cells what
//! it waits for, and the sweep reads them all. Nothing here allocates after a connection is noted.
//!
//! ```text
//!   accept ─► Head ─► Request ─► Idle ─► Head ─► …          (keep-alive)
//!              │         │         │
//!          head_time  progress  idle_time                    too long: the connection ends
//! ```

use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};
use std::{collections::BTreeMap, rc::Rc};

use crate::{
    credit::Permit,
    limits::Limits,
    meter::{Eviction, Meter},
};

/// What the client is expected to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Send the rest of a request head.
    Head,
    /// Nothing in particular: its request is being served. Bodies are timed by [`Patience`].
    Request,
    /// Send another request, or leave.
    Idle,
}

/// What the sweep decided about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Fine,
    /// The body comes too slowly: answer so, then close.
    SlowBody,
    /// Drop the connection now.
    End,
}

/// Time spent waiting for a client, against bytes that it moved meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    since: Cell<Option<Duration>>,
    waited: Cell<Duration>,
    moved: Cell<u64>,
}

impl Patience {
    /// We wait for the client from now on (or already did).
    pub fn begin(&self, now: Duration) {
        if self.since.get().is_none() {
            self.since.set(Some(now));
        }
    }

    /// The client moved `bytes`; we do not wait any more.
    pub fn end(&self, now: Duration, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.waited
                .set(self.waited.get() + now.saturating_sub(since));
        }
        self.moved.set(self.moved.get().saturating_add(bytes));
    }

    /// How long we have been waiting without any byte.
    pub fn stall(&self, now: Duration) -> Duration {
        self.since
            .get()
            .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Whether a whole span of waiting went by with too few bytes. Opens the next span otherwise.
    pub fn is_over(&self, now: Duration, limits: &Limits) -> bool {
        if self.waited.get() + self.stall(now) < limits.progress_time {
            return false;
        }
        if self.moved.get() < limits.progress_bytes {
            return true;
        }
        self.waited.set(Duration::ZERO);
        self.moved.set(0);
        if self.since.get().is_some() {
            self.since.set(Some(now));
        }
        false
    }
}

/// One connection, as the sweep sees it.
#[derive(Debug)]
pub(crate) struct Guest {
    phase: Cell<Phase>,
    since: Cell<Duration>,
    /// The request body.
    pub intake: Patience,
    /// The reply.
    pub reply: Patience,
    /// Bytes of credit that its requests hold.
    pub held: Cell<u64>,
    /// An answer of ours is on its way: from its request until all of it is written.
    answering: Cell<bool>,
    /// Credit for bytes that wait in the connection's write buffer.
    unflushed: RefCell<Option<Permit>>,
    verdict: Cell<Verdict>,
    leave: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Guest {
    fn new(now: Duration) -> Self {
        Guest {
            phase: Cell::new(Phase::Head),
            since: Cell::new(now),
            intake: Patience::default(),
            reply: Patience::default(),
            held: Cell::new(0),
            answering: Cell::new(false),
            unflushed: RefCell::new(None),
            verdict: Cell::new(Verdict::Fine),
            leave: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Keeps credit until the connection's write buffer is empty.
    pub fn hold_until_flushed(&self, permit: Permit) {
        let _earlier = self.unflushed.replace(Some(permit));
    }

    /// The write buffer is empty.
    pub fn flushed(&self) {
        if self.phase.get() != Phase::Request {
            self.answering.set(false);
        }
        if self.unflushed.take().is_some() {
            self.wake();
        }
    }

    /// Waits until no credit is held for the write buffer. For the connection's own task: it is
    /// woken through [`Guest::listen`].
    pub async fn until_flushed(&self) {
        poll_fn(|_| match self.unflushed.borrow().is_some() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    /// What the client does now.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Whether bytes that are written now may belong to an answer of ours.
    pub fn is_answering(&self) -> bool {
        self.answering.get()
    }

    /// The client goes over to another phase.
    pub fn enter(&self, phase: Phase, now: Duration) {
        if phase == Phase::Request {
            self.answering.set(true);
        }
        self.phase.set(phase);
        self.since.set(now);
    }

    /// When it began what it does now.
    pub fn since(&self) -> Duration {
        self.since.get()
    }

    /// What the sweep decided.
    pub fn verdict(&self) -> Verdict {
        self.verdict.get()
    }

    /// Whether the edge wants this connection to end after the request that it serves.
    pub fn should_leave(&self) -> bool {
        self.leave.get()
    }

    /// Whom to wake when a verdict falls.
    pub fn listen(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn tell(&self, verdict: Verdict) {
        self.verdict.set(verdict);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Judges by the clock alone.
    fn overdue(&self, now: Duration, limits: &Limits) -> Option<(Verdict, Eviction)> {
        let age = now.saturating_sub(self.since.get());
        match self.phase.get() {
            Phase::Head if age >= limits.head_time => Some((Verdict::End, Eviction::Head)),
            Phase::Idle if age >= limits.idle_time => Some((Verdict::End, Eviction::Idle)),
            _ if self.reply.is_over(now, limits) => Some((Verdict::End, Eviction::Reply)),
            _ if self.verdict.get() == Verdict::SlowBody => {
                // It was told, and still neither sends nor goes.
                self.intake
                    .is_over(now, limits)
                    .then_some((Verdict::End, Eviction::Body))
            }
            _ if self.intake.is_over(now, limits) => Some((Verdict::SlowBody, Eviction::Body)),
            _ => None,
        }
    }
}

/// All connections of one executor.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Limits,
    guests: RefCell<BTreeMap<u64, Rc<Guest>>>,
    next: Cell<u64>,
}

impl Watch {
    pub fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Watch {
            limits,
            guests: RefCell::default(),
            next: Cell::new(0),
        })
    }

    /// Connections now.
    pub fn count(&self) -> usize {
        self.guests.borrow().len()
    }

    /// Notes a connection, or refuses it when there are too many. In a full house the connection
    /// that has been silent longest (a second at least) gives its place up.
    pub fn admit(self: &Rc<Self>, now: Duration, meter: &Meter) -> Option<Place> {
        if self.count() >= self.limits.connections {
            meter.evicted(Eviction::Crowd);
            if !self.evict_silent(now) {
                return None;
            }
        }
        let key = self.next.get();
        self.next.set(key + 1);
        let guest = Rc::new(Guest::new(now));
        self.guests.borrow_mut().insert(key, guest.clone());
        Some(Place {
            watch: self.clone(),
            key,
            guest,
        })
    }

    fn evict_silent(&self, now: Duration) -> bool {
        let guests = self.guests.borrow();
        let silent = guests
            .values()
            .filter(|guest| guest.phase() != Phase::Request && guest.verdict() == Verdict::Fine);
        let oldest = silent.min_by_key(|guest| guest.since.get());
        let Some(guest) = oldest else {
            return false;
        };
        if now.saturating_sub(guest.since.get()) < Duration::from_secs(1) {
            return false;
        }
        guest.tell(Verdict::End);
        true
    }

    /// Ends whoever is overdue; with `pressure`, also the stalled who hold credit.
    pub fn sweep(&self, now: Duration, pressure: bool, meter: &Meter) {
        for guest in self.guests.borrow().values() {
            if guest.verdict() == Verdict::End {
                continue;
            }
            let stall = guest.reply.stall(now).max(guest.intake.stall(now));
            let hogs = pressure && guest.held.get() > 0 && stall >= self.limits.pressure_time;
            let judged = match guest.overdue(now, &self.limits) {
                None if hogs => Some((Verdict::End, Eviction::Pressure)),
                judged => judged,
            };
            if let Some((verdict, reason)) = judged {
                meter.evicted(reason);
                guest.tell(verdict);
            }
        }
    }

    /// Asks every connection to end after the request that it serves.
    pub fn ask_to_leave(&self) {
        for guest in self.guests.borrow().values() {
            guest.leave.set(true);
            guest.wake();
        }
    }

    /// Drops every connection.
    pub fn end_all(&self) {
        for guest in self.guests.borrow().values() {
            guest.tell(Verdict::End);
        }
    }
}

/// A connection's entry; gone when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    watch: Rc<Watch>,
    key: u64,
    /// The connection.
    pub guest: Rc<Guest>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // The permit points back at its guest.
        self.guest.flushed();
        self.watch.guests.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn limits() -> Limits {
        Limits {
            connections: 3,
            ..Limits::default()
        }
    }

    fn admit(watch: &Rc<Watch>, at: u64) -> Option<Place> {
        watch.admit(secs(at), &Meter::default())
    }

    fn sweep(watch: &Watch, at: u64, pressure: bool) {
        watch.sweep(secs(at), pressure, &Meter::default());
    }

    /// A head that does not come ends the connection; one that came in time does not.
    #[test]
    fn head_time() {
        let watch = Watch::new(limits());
        let (slow, quick) = (admit(&watch, 0).unwrap(), admit(&watch, 0).unwrap());
        quick.guest.enter(Phase::Request, secs(9));
        sweep(&watch, 9, false);
        assert_eq!(slow.guest.verdict(), Verdict::Fine);
        sweep(&watch, 10, false);
        assert_eq!(slow.guest.verdict(), Verdict::End);
        assert_eq!(quick.guest.verdict(), Verdict::Fine);
        quick.guest.enter(Phase::Idle, secs(20));
        sweep(&watch, 80, false);
        assert_eq!(quick.guest.verdict(), Verdict::End);
    }

    /// Only time spent waiting for the client counts, and enough bytes open a new span.
    #[test]
    fn progress() {
        let watch = Watch::new(limits());
        let place = admit(&watch, 0).unwrap();
        let guest = &place.guest;
        guest.enter(Phase::Request, secs(0));
        sweep(&watch, 1000, false);
        assert_eq!(
            guest.verdict(),
            Verdict::Fine,
            "nobody waits for this client"
        );
        guest.intake.begin(secs(1000));
        guest.intake.end(secs(1020), limits().progress_bytes);
        guest.intake.begin(secs(2000));
        sweep(&watch, 2015, false);
        assert_eq!(guest.verdict(), Verdict::Fine, "enough bytes in this span");
        sweep(&watch, 2044, false);
        assert_eq!(guest.verdict(), Verdict::Fine, "29 s of the next span");
        guest.intake.end(secs(2044), 1);
        guest.intake.begin(secs(2044));
        sweep(&watch, 2045, false);
        assert_eq!(guest.verdict(), Verdict::SlowBody, "30 s, one byte");
        sweep(&watch, 2045, false);
        assert_eq!(guest.verdict(), Verdict::End, "told, and still there");
    }

    /// A reply that nobody takes ends the connection.
    #[test]
    fn reply_stall() {
        let watch = Watch::new(limits());
        let place = admit(&watch, 0).unwrap();
        place.guest.enter(Phase::Request, secs(0));
        place.guest.reply.begin(secs(1));
        sweep(&watch, 30, false);
        assert_eq!(place.guest.verdict(), Verdict::Fine);
        sweep(&watch, 31, false);
        assert_eq!(place.guest.verdict(), Verdict::End);
    }

    /// Under pressure only a stalled client that holds credit goes early.
    #[test]
    fn pressure() {
        let watch = Watch::new(limits());
        let places: Vec<Place> = (0..3).map(|_| admit(&watch, 0).unwrap()).collect();
        for place in &places {
            place.guest.enter(Phase::Request, secs(0));
            place.guest.held.set(1);
        }
        places[0].guest.reply.begin(secs(0));
        places[1].guest.reply.begin(secs(0));
        places[1].guest.held.set(0);
        sweep(&watch, 2, false);
        assert!(
            places
                .iter()
                .all(|place| place.guest.verdict() == Verdict::Fine)
        );
        sweep(&watch, 2, true);
        let verdicts: Vec<Verdict> = places.iter().map(|place| place.guest.verdict()).collect();
        assert_eq!(verdicts, [Verdict::End, Verdict::Fine, Verdict::Fine]);
    }

    /// A full house refuses, unless somebody has been silent for a second: the oldest goes.
    #[test]
    fn crowd() {
        let watch = Watch::new(limits());
        let places: Vec<Place> = (0..3).map(|at| admit(&watch, at).unwrap()).collect();
        places[0].guest.enter(Phase::Request, secs(0));
        assert!(
            admit(&watch, 1).is_none(),
            "the oldest silent one came just now"
        );
        let fourth = admit(&watch, 3).unwrap();
        assert_eq!(places[0].guest.verdict(), Verdict::Fine);
        assert_eq!(places[1].guest.verdict(), Verdict::End);
        assert_eq!(places[2].guest.verdict(), Verdict::Fine);
        drop(fourth);
        drop(places);
        assert_eq!(watch.count(), 0, "places are given back");
    }
}
