//! Where messages arrive. One task owns all that is known of containers on their way and of questions, so
//! nothing is locked: it reads messages, tells [`Outgoing`], [`Incoming`] and [`Asked`] of them, and has done
//! what they want done. Checking, storing and summing up are tasks of their own, as many as there may be on
//! their way.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Blocker, LimitedSender, Message as Arrived, Receiver};
use commonware_runtime::{Clock, Metrics, Spawner};
use lode_proofs::{
    Hash32,
    da::{Certificate, Refusal, Statement, Threshold, signing::HolderSecret},
};
use tokio::sync::mpsc;

use crate::{
    asked::{Asked, Reply, Silent},
    bounds::{INTAKES_MAX, TERM_MAX, TICK_EVERY},
    committee::{Committee, Committees},
    incoming::{Got, Incoming, Wanted, Whole},
    keep::{Keep, KeepError},
    message::{Answer, Ask, Malformed, Message, Offer, Pull, Refused},
    outgoing::{Job, Outgoing, Signature, Summed, Waiting},
    serve::{self, Server},
    sliver::{Layout, Packed},
};

/// What a node's own parts want of the desk.
pub(crate) enum Order {
    /// Brings a container to its holders.
    Disperse(Arc<Job>, Waiting),
    /// Asks a holder, or this node itself.
    Ask(Box<PublicKey>, Ask, Reply),
}

/// What the desk needs.
pub(crate) struct Desk<E, K, S, B> {
    pub(crate) context: E,
    pub(crate) me: PublicKey,
    pub(crate) secret: Arc<HolderSecret>,
    pub(crate) keep: K,
    pub(crate) committees: Committees,
    pub(crate) blocker: B,
    pub(crate) server: Server<E, K, S>,
    pub(crate) silent: Silent,
    /// Questions that the network did not take.
    pub(crate) unsent: mpsc::Receiver<(PublicKey, u64)>,
}

/// Something that a task has done.
enum Done {
    /// A sliver was checked and stored, or not.
    Sliver {
        from: PublicKey,
        container: Hash32,
        end: Result<Signature, Bad>,
    },
    /// The term of a sliver that is kept was made sure of, or not.
    Again {
        from: PublicKey,
        container: Hash32,
        end: Result<Signature, Bad>,
    },
    /// Signatures were summed up.
    Summed(Box<Summed>),
    /// A certificate was read.
    Certified(PublicKey, bool),
}

/// Why a sliver is not signed.
enum Bad {
    Wrong(Refusal),
    Disk(KeepError),
}

/// What the desk remembers.
struct State {
    outgoing: Outgoing,
    incoming: Incoming,
    asked: Asked,
    tick: SystemTime,
    done: mpsc::Sender<Done>,
}

/// Things that tasks have done and that wait to be heard of.
const DONE_MAX: usize = 4 * INTAKES_MAX;

impl<E, K, S, B> Desk<E, K, S, B>
where
    E: Spawner + Metrics + Clock,
    K: Keep,
    S: LimitedSender<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    /// Works until the network ends, or nobody has orders any more.
    pub(crate) async fn run<R>(
        mut self,
        (mut words, mut bulk): (R, R),
        mut orders: mpsc::Receiver<Order>,
    ) where
        R: Receiver<PublicKey = PublicKey>,
    {
        let (done, mut dones) = mpsc::channel(DONE_MAX);
        let mut state = State {
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            asked: Asked::default(),
            tick: self.context.current(),
            done,
        };
        loop {
            select! {
                _ = self.context.sleep_until(state.tick) => self.tick(&mut state),
                done = dones.recv() => {
                    let done = done.expect("this task has a sender too");
                    self.done(&mut state, done);
                },
                arrived = words.recv() => match arrived {
                    Ok(arrived) => self.read(&mut state, arrived),
                    Err(_) => return,
                },
                arrived = bulk.recv() => match arrived {
                    Ok(arrived) => self.read(&mut state, arrived),
                    Err(_) => return,
                },
                unsent = self.unsent.recv() => if let Some((peer, id)) = unsent {
                    state.asked.answered(&peer, id, None);
                },
                order = orders.recv() => match order {
                    Some(order) => self.order(&mut state, order),
                    None => return,
                },
            }
            self.go_on(&mut state);
        }
    }

    fn order(&mut self, state: &mut State, order: Order) {
        let now = self.context.current();
        match order {
            Order::Disperse(job, waiting) => state.outgoing.start(job, waiting, now),
            Order::Ask(peer, ask, reply) if *peer == self.me => {
                let keep = self.keep.clone();
                self.context.child("own").spawn(move |_| async move {
                    let answer = serve::answer(&keep, &ask).await;
                    // Who asked may have gone.
                    let _gone = reply.send(answer.ok());
                });
            }
            Order::Ask(peer, ask, reply) => {
                let Some(id) = state.asked.open(PublicKey::clone(&peer), reply, now) else {
                    return;
                };
                let say = serve::Order::Say(Box::new(Message::Ask { id, ask }));
                if !self.server.take(&peer, say) {
                    state.asked.answered(&peer, id, None);
                }
            }
        }
    }

    fn read(&mut self, state: &mut State, (peer, bytes): Arrived<PublicKey>) {
        let now = self.context.current();
        let message = match Message::decode(Bytes::from(bytes)) {
            Ok(message) => message,
            Err(Malformed::Version(version)) => {
                tracing::debug!(%peer, version, "a holder speaks another version");
                return;
            }
            Err(error) => return self.block(&peer, &error),
        };
        self.silent.note(&peer, true);
        match message {
            Message::Offer(offer) => self.offered(state, &peer, &offer, now),
            Message::Pull(pull) => self.pulled(state, &peer, pull, now),
            Message::Part(part) => {
                let container = part.container;
                match state.incoming.part(&peer, &part, now) {
                    Got::Nothing => {}
                    Got::Wrong => self.block(&peer, &"a part of another length"),
                    Got::More(pulls) => self.pull(&peer, pulls),
                    Got::Whole(whole) => self.check(state, container, *whole),
                }
            }
            Message::Signed {
                container,
                signature,
            } => {
                if let Some(seat) = seat_of(&state.outgoing, container, &peer) {
                    state.outgoing.signed(container, seat, signature, now);
                }
            }
            Message::Refused { container, why } => {
                if let Some(seat) = seat_of(&state.outgoing, container, &peer) {
                    tracing::debug!(%peer, %container, ?why, "a holder does not sign");
                    state.outgoing.refused(container, seat, why, now);
                }
            }
            Message::Certified(bytes) => self.certified(state, peer, bytes),
            Message::Ask { id, ask } => {
                // What has no room is asked again, or of another.
                let _full = !self.server.take(&peer, serve::Order::Ask(id, ask));
            }
            Message::Answer { id, answer } => state.asked.answered(&peer, id, Some(answer)),
        }
    }

    /// Somebody has rows for this node.
    fn offered(&mut self, state: &mut State, peer: &PublicKey, offer: &Offer, now: SystemTime) {
        let (container, wanted) = match self.wanted(peer, offer, now) {
            Ok(Looked::Wanted(wanted)) => (wanted.statement.head.id(), wanted),
            Ok(Looked::Held(statement)) => return self.again(state, peer, statement),
            Err((container, why)) => return self.say(peer, Message::Refused { container, why }),
        };
        if state.incoming.has(container) {
            return;
        }
        let opened = match offer.sliver.is_empty() {
            true => state
                .incoming
                .open(*wanted, now)
                .map(|pulls| self.pull(peer, pulls)),
            false => {
                let whole = state.incoming.whole(*wanted, offer.sliver.clone(), now);
                whole.map(|whole| self.check(state, container, whole))
            }
        };
        if let Err(why) = opened {
            self.say(peer, Message::Refused { container, why });
        }
    }

    /// Whether an offer is for this node, and for how long.
    fn wanted(
        &self,
        peer: &PublicKey,
        offer: &Offer,
        now: SystemTime,
    ) -> Result<Looked, (Hash32, Refused)> {
        // Where its id stands, whatever the rest is.
        let container = Hash32(offer.statement[21..53].try_into().expect("32 bytes"));
        let refused = |why| (container, why);
        let quorum = Certificate::quorum_of(&offer.statement);
        let quorum = quorum.map_err(|_| refused(Refused::Wrong))?;
        let committee = self.committees.of(quorum);
        let committee = committee.ok_or(refused(Refused::Stranger))?;
        let seat = committee.seat(&self.me);
        let seat = seat.ok_or(refused(Refused::Stranger))?;
        let statement = Statement::decode(&offer.statement, committee.columns());
        let statement = statement.map_err(|_| refused(Refused::Wrong))?;
        let now = unix(now);
        if statement.expiry <= now || statement.expiry > now + TERM_MAX {
            return Err(refused(Refused::Term));
        }
        if self.keep.statement(container).is_some() {
            return Ok(Looked::Held(statement));
        }
        let table = usize::try_from(offer.table_len).unwrap_or(usize::MAX);
        let layout = Layout::new(&statement.head, committee.rows(seat), table);
        Ok(Looked::Wanted(Box::new(Wanted {
            from: peer.clone(),
            statement,
            seat,
            layout: layout.ok_or(refused(Refused::Wrong))?,
            committee,
        })))
    }

    /// Signs again what is kept: who asked has not heard it, wants it kept for longer, or repairs it.
    fn again(&mut self, state: &mut State, from: &PublicKey, statement: Statement) {
        let (keep, secret) = (self.keep.clone(), self.secret.clone());
        let (done, from) = (state.done.clone(), from.clone());
        self.context.child("again").spawn(move |_| async move {
            let container = statement.head.id();
            let kept = keep.extend(container, statement.expiry).await;
            let end = kept.map(|()| secret.sign(&statement)).map_err(Bad::Disk);
            let _ended = done
                .send(Done::Again {
                    from,
                    container,
                    end,
                })
                .await;
        });
    }

    /// A holder wants parts of its sliver.
    fn pulled(&mut self, state: &mut State, peer: &PublicKey, pull: Pull, now: SystemTime) {
        let Some(seat) = seat_of(&state.outgoing, pull.container, peer) else {
            return;
        };
        let Some(job) = state.outgoing.job(pull.container).cloned() else {
            return;
        };
        state.outgoing.heard(pull.container, seat, now);
        // What has no room is asked for again.
        let _full = !self.server.take(peer, serve::Order::Pull(job, seat, pull));
    }

    /// Checks a sliver, stores it, and signs.
    fn check(&mut self, state: &mut State, container: Hash32, whole: Whole) {
        let (keep, secret) = (self.keep.clone(), self.secret.clone());
        let (done, from) = (state.done.clone(), whole.wanted.from.clone());
        let context = self.context.child("check").shared(true);
        context.spawn(move |_| async move {
            let statement = whole.wanted.statement;
            let end = match whole.check() {
                Ok(held) => match keep.append(held).await {
                    // Only now: the rows are there after power loss.
                    Ok(()) => Ok(secret.sign(&statement)),
                    Err(error) => Err(Bad::Disk(error)),
                },
                Err(refusal) => Err(Bad::Wrong(refusal)),
            };
            drop(whole);
            // The desk may have ended, and then nobody wants to know.
            let _ended = done
                .send(Done::Sliver {
                    from,
                    container,
                    end,
                })
                .await;
        });
    }

    fn done(&mut self, state: &mut State, done: Done) {
        let now = self.context.current();
        match done {
            Done::Sliver {
                from,
                container,
                end,
            } => {
                state.incoming.done(container);
                self.ended(state, &from, container, end, now);
            }
            Done::Again {
                from,
                container,
                end,
            } => self.ended(state, &from, container, end, now),
            Done::Summed(summed) => {
                let container = summed.container;
                let committee = state
                    .outgoing
                    .job(container)
                    .map(|job| job.committee.clone());
                let certificate = summed.certificate.as_ref().map(Certificate::encode);
                for seat in state.outgoing.summed(*summed, now) {
                    if let Some(peer) = committee.as_ref().and_then(|all| all.peers().get(seat)) {
                        self.block(&peer.clone(), &"a signature of another");
                    }
                }
                if let (Some(bytes), Some(committee)) = (certificate, committee) {
                    self.tell(container, &bytes.into(), &committee);
                }
            }
            Done::Certified(peer, true) => tracing::trace!(%peer, "a certificate came"),
            Done::Certified(peer, false) => self.block(&peer, &"a certificate of nobody"),
        }
    }

    /// A sliver is kept, or is not: whoever offered it hears of it.
    fn ended(
        &mut self,
        state: &mut State,
        from: &PublicKey,
        container: Hash32,
        end: Result<Signature, Bad>,
        now: SystemTime,
    ) {
        let refused = |why| Message::Refused { container, why };
        match end {
            Ok(signature) => self.reply(state, from, signed(container, signature), now),
            Err(Bad::Disk(error)) => {
                tracing::error!(%container, %error, "rows were not stored");
                let why = match error {
                    KeepError::Term => Refused::Term,
                    KeepError::Full | KeepError::Failed(_) => Refused::Disk,
                };
                self.reply(state, from, refused(why), now);
            }
            Err(Bad::Wrong(refusal)) => {
                tracing::warn!(peer = %from, %container, %refusal, "rows of no container");
                self.reply(state, from, refused(Refused::Wrong), now);
                if *from != self.me {
                    self.block(from, &refusal);
                }
            }
        }
    }

    /// What a sliver came to, for whoever offered it: that may be this node.
    fn reply(&mut self, state: &mut State, to: &PublicKey, message: Message, now: SystemTime) {
        if *to != self.me {
            return self.say(to, message);
        }
        match message {
            Message::Signed {
                container,
                signature,
            } => {
                if let Some(seat) = seat_of(&state.outgoing, container, to) {
                    state.outgoing.signed(container, seat, signature, now);
                }
            }
            Message::Refused { container, why } => {
                if let Some(seat) = seat_of(&state.outgoing, container, to) {
                    state.outgoing.refused(container, seat, why, now);
                }
            }
            _ => {}
        }
    }

    /// Tells the holders of a container that it is certified, this node too.
    fn tell(&mut self, container: Hash32, certificate: &Bytes, committee: &Committee) {
        for peer in committee.peers() {
            if *peer != self.me {
                self.say(peer, Message::Certified(certificate.clone()));
            }
        }
        self.keep_certificate(container, certificate.clone());
    }

    fn keep_certificate(&self, container: Hash32, certificate: Bytes) {
        let keep = self.keep.clone();
        self.context.child("certify").spawn(move |_| async move {
            if let Err(error) = keep.certify(container, certificate).await {
                tracing::warn!(%container, %error, "a certificate was not stored");
            }
        });
    }

    /// Keeps a certificate of a container that is held here, if it is one.
    fn certified(&mut self, state: &State, peer: PublicKey, bytes: Bytes) {
        let quorum = Certificate::quorum_of(&bytes).ok();
        let Some(committee) = quorum.and_then(|quorum| self.committees.of(quorum)) else {
            return;
        };
        let (keep, done) = (self.keep.clone(), state.done.clone());
        let context = self.context.child("certified").shared(true);
        context.spawn(move |_| async move {
            let assignment = committee.holders().assignment();
            let read = Certificate::decode(&bytes, assignment).ok();
            let read = read.filter(|read| {
                let verified = read.verify(committee.holders(), Threshold::LEAST);
                verified.is_ok()
            });
            let right = read.is_some();
            if let Some(read) = read
                && let Err(error) = keep.certify(read.statement.head.id(), bytes).await
            {
                tracing::warn!(%error, "a certificate was not stored");
            }
            let _ended = done.send(Done::Certified(peer, right)).await;
        });
    }

    /// Offers, sums: whatever is due after something happened.
    fn go_on(&mut self, state: &mut State) {
        let now = self.context.current();
        for (job, seat) in state.outgoing.offers(now) {
            let peer = job.committee.peers()[seat].clone();
            if peer == self.me {
                self.own(state, &job, seat, now);
            } else {
                // What has no room is offered again.
                let _full = !self.server.take(&peer, serve::Order::Offer(job, seat));
            }
        }
        for sum in state.outgoing.sums(now) {
            let done = state.done.clone();
            let context = self.context.child("sum").shared(true);
            context.spawn(move |_| async move {
                let summed = Box::new(sum.run());
                let _ended = done.send(Done::Summed(summed)).await;
            });
        }
    }

    /// This node's own rows of a container that it disperses go the way of all others, but for the network.
    fn own(&mut self, state: &mut State, job: &Arc<Job>, seat: usize, now: SystemTime) {
        let container = job.statement.head.id();
        if self.keep.statement(container).is_some() {
            let me = self.me.clone();
            return self.again(state, &me, job.statement);
        }
        if state.incoming.has(container) {
            return;
        }
        let rows = job.committee.rows(seat);
        let table = job.coded.sliver(&[]).table.len();
        let Some(layout) = Layout::new(job.coded.head(), rows, table) else {
            return;
        };
        let wanted = Wanted {
            from: self.me.clone(),
            statement: job.statement,
            committee: job.committee.clone(),
            seat,
            layout,
        };
        match state
            .incoming
            .whole(wanted, Packed::of(&job.coded, rows).into_bytes(), now)
        {
            Ok(whole) => self.check(state, container, whole),
            Err(why) => state.outgoing.refused(container, seat, why, now),
        }
    }

    fn tick(&mut self, state: &mut State) {
        let now = self.context.current();
        state.tick = now + TICK_EVERY;
        for (peer, pull) in state.incoming.late(now) {
            self.pull(&peer, vec![pull]);
        }
        state.asked.expire(now);
        for container in state.outgoing.expire(now) {
            tracing::debug!(%container, "is not dispersed any more");
        }
        tracing::trace!(incoming = state.incoming.bytes(), "tick");
    }

    fn pull(&mut self, peer: &PublicKey, pulls: Vec<Pull>) {
        for pull in pulls {
            self.say(peer, Message::Pull(pull));
        }
    }

    /// A word to a peer. One that has no room is said again when its answer is late.
    fn say(&mut self, peer: &PublicKey, message: Message) {
        if !self.server.take(peer, serve::Order::Say(Box::new(message))) {
            tracing::debug!(%peer, "too many words wait for a holder");
        }
    }

    fn block(&mut self, peer: &PublicKey, why: &dyn std::fmt::Display) {
        tracing::warn!(%peer, %why, "a holder is not spoken to any more");
        if !self.blocker.block(peer.clone()).accepted() {
            tracing::error!(%peer, "the network did not block a holder");
        }
    }
}

/// What an offer is.
enum Looked {
    /// One of rows that are not here.
    Wanted(Box<Wanted>),
    /// One of rows that are kept as long as this says.
    Held(Statement),
}

fn signed(container: Hash32, signature: Signature) -> Message {
    Message::Signed {
        container,
        signature,
    }
}

/// The seat of a peer in the quorum of a container that is on its way.
fn seat_of(outgoing: &Outgoing, container: Hash32, peer: &PublicKey) -> Option<usize> {
    outgoing.job(container)?.committee.seat(peer)
}

pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// An answer; none if it did not come in time, or nobody could be asked.
pub(crate) type Heard = Option<Answer>;
