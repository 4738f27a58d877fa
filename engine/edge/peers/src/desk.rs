//! Where messages arrive. One task owns all that is known of peers and requests, so nothing is locked:
//! it reads messages, tells [`Fetch`] and [`Server`] of them, sends what they want sent, and says Hello.
//! Checking a chunk and storing it are tasks of their own, as many as chunks may be in flight.

use std::{ops::Range, sync::Arc, time::SystemTime};

use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Blocker, Message as Arrived, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Metrics, Spawner};
use lode_proofs::{ChunkProof, Refusal};
use lode_wire::Slice;
use tokio::sync::{Notify, mpsc};

use crate::{
    board::Board,
    bounds::{HELLO_EVERY, IN_FLIGHT_MAX, TICK_EVERY},
    fetch::{Fetch, Filled, Landed, Landing},
    holder::Holder,
    message::{Have, Hello, Malformed, Message},
    scout::Task,
    serve::{Server, wired},
    status::{Counts, add, counted, set},
};

/// What the desk needs.
pub(crate) struct Desk<E, H, S, B> {
    pub(crate) context: E,
    pub(crate) holder: H,
    pub(crate) slice: Slice,
    pub(crate) blocker: B,
    pub(crate) words: S,
    pub(crate) server: Server<E, H, S>,
    pub(crate) counts: Counts,
    pub(crate) board: Board,
    pub(crate) filled: mpsc::Sender<Filled>,
    pub(crate) wake: Arc<Notify>,
    /// Submissions that somebody has by now.
    pub(crate) grown: mpsc::Sender<Range<u64>>,
}

/// A chunk that came and was checked and stored, or not.
struct Done {
    peer: PublicKey,
    landing: Landing,
    landed: Landed,
}

/// What the desk remembers.
struct State {
    fetch: Fetch,
    said: Option<(Hello, SystemTime)>,
    tick: SystemTime,
    done: mpsc::Sender<Done>,
}

impl<E, H, S, B> Desk<E, H, S, B>
where
    E: Spawner + Metrics + Clock,
    H: Holder,
    S: Sender<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    /// Works until the network or the scout ends.
    pub(crate) async fn run<R>(
        mut self,
        (mut words, mut chunks): (R, R),
        mut tasks: mpsc::Receiver<Task>,
    ) where
        R: Receiver<PublicKey = PublicKey>,
    {
        let (done, mut dones) = mpsc::channel(IN_FLIGHT_MAX);
        let mut state = State {
            fetch: Fetch::default(),
            said: None,
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
                arrived = chunks.recv() => match arrived {
                    Ok(arrived) => self.read(&mut state, arrived),
                    Err(_) => return,
                },
                task = tasks.recv() => match task {
                    Some(Task::Open(gap)) => {
                        state.fetch.open(gap).expect("a blob of no bytes misses nothing");
                    }
                    Some(Task::Close(seq)) => state.fetch.close(seq),
                    None => return,
                },
            }
            self.ask(&mut state);
        }
    }

    fn read(&mut self, state: &mut State, (peer, bytes): Arrived<PublicKey>) {
        let now = self.context.current();
        if state.fetch.roster.is_blocked(&peer, now) {
            return;
        }
        add(&self.counts.bytes_in, counted(bytes.len()));
        match Message::decode(Bytes::from(bytes)) {
            Ok(Message::Hello(hello)) => {
                if state.fetch.roster.hello(&peer, hello, now) {
                    tracing::info!(%peer, slice = ?hello.slice, "a storage node is here");
                    // It knows of this one at once, too.
                    state.said = None;
                    self.hello(state, now);
                    self.wake.notify_one();
                }
                let grown = state.fetch.roster.grown(&peer, &hello);
                if !grown.is_empty() && self.grown.try_send(grown).is_err() {
                    tracing::debug!(%peer, "what a storage node has by now is left to the sweep");
                }
            }
            Ok(Message::Want(want)) => {
                let chunks = counted(want.indices.len());
                if !self.server.take(&peer, want) {
                    add(&self.counts.chunks_lacked, chunks);
                }
            }
            Ok(Message::Have(have)) => self.have(state, peer, have, now),
            Ok(Message::Lack(lack)) => state.fetch.lack(&peer, lack.id, &lack.indices, now),
            Err(Malformed::Version(version)) => {
                tracing::debug!(%peer, version, "a storage node speaks another version");
            }
            Err(error) => self.block(state, &peer, &error),
        }
    }

    /// A chunk that was asked for is checked and stored; another is dropped: it may be late.
    fn have(&mut self, state: &mut State, peer: PublicKey, have: Have, now: SystemTime) {
        let Some(landing) = state.fetch.have(&peer, (have.id, have.index), now) else {
            return;
        };
        let (holder, done) = (self.holder.clone(), state.done.clone());
        let (context, blob, index) = (self.context.child("landing"), landing.blob, landing.index);
        context.spawn(move |_| async move {
            let landed = match check(&have, &landing) {
                Ok(proof) => match holder.put(proof, have.bytes).await {
                    Ok(()) => Landed::Kept,
                    Err(error) => {
                        tracing::warn!(root = %blob.root, index, %error, "a chunk of a peer was not kept");
                        Landed::Failed
                    }
                },
                Err(error) => {
                    tracing::warn!(%peer, root = %blob.root, index, %error, "a storage node lied");
                    Landed::Lie
                }
            };
            // There is room for all that may be in flight; the desk may have ended, and then nobody asks.
            let _ended = done.try_send(Done {
                peer,
                landing,
                landed,
            });
        });
    }

    fn done(&mut self, state: &mut State, done: Done) {
        let Done {
            peer,
            landing,
            landed,
        } = done;
        state.fetch.landed(&peer, landing, landed);
        match landed {
            Landed::Kept => add(&self.counts.chunks_fetched, 1),
            Landed::Lie => self.block(state, &peer, &"a chunk that is not the blob's"),
            Landed::Failed => {}
        }
    }

    fn block(&mut self, state: &mut State, peer: &PublicKey, why: &dyn std::fmt::Display) {
        let now = self.context.current();
        if state.fetch.roster.is_blocked(peer, now) {
            return;
        }
        tracing::warn!(%peer, %why, "a storage node is not spoken to any more");
        state.fetch.block(peer, now);
        add(&self.counts.liars, 1);
        if !self.blocker.block(peer.clone()).accepted() {
            tracing::error!(%peer, "the network did not block a storage node");
        }
    }

    /// Sends requests while anything waits and anybody has room, and says which gaps ended.
    fn ask(&mut self, state: &mut State) {
        let now = self.context.current();
        while let Some((peer, want)) = state.fetch.next_want(now) {
            let id = want.id;
            if !self.send(&peer, &Message::Want(want)) {
                state.fetch.unsent(id, now);
            }
        }
        for filled in state.fetch.take_filled() {
            // There is room for all that are open; the scout may have ended, and then nobody asks.
            let _ended = self.filled.try_send(filled);
        }
        let in_flight = counted(state.fetch.in_flight());
        set(&self.counts.in_flight, in_flight);
        self.counts
            .in_flight_peak
            .fetch_max(in_flight, std::sync::atomic::Ordering::Relaxed);
        set(&self.counts.missing, state.fetch.missing());
    }

    fn tick(&mut self, state: &mut State) {
        let now = self.context.current();
        state.tick = now + TICK_EVERY;
        state.fetch.expire(now);
        self.hello(state, now);
        set(&self.counts.peers, counted(state.fetch.roster.here(now)));
        set(&self.counts.late, state.fetch.late());
        let told = state.fetch.roster.told(now);
        self.board.publish(told, state.fetch.windows());
    }

    /// Says what is kept here, if that is news or was not said for a while.
    fn hello(&mut self, state: &mut State, now: SystemTime) {
        let status = self.counts.status();
        let hello = Hello {
            slice: self.slice,
            next_seq: status.next_seq,
            // The two are not read at one moment.
            complete_below: status.complete_below.min(status.next_seq),
        };
        let due = match state.said {
            Some((said, at)) => said != hello || at + HELLO_EVERY <= now,
            None => true,
        };
        if due {
            state.said = Some((hello, now));
            let (bytes, len) = wired(&Message::Hello(hello));
            let sent = self.words.send(Recipients::All, bytes, true);
            add(&self.counts.bytes_out, len * counted(sent.len()));
        }
    }

    /// Sends a word to a peer; whether the network took it.
    fn send(&mut self, peer: &PublicKey, message: &Message) -> bool {
        let (bytes, len) = wired(message);
        let sent = self.words.send(Recipients::One(peer.clone()), bytes, false);
        add(&self.counts.bytes_out, len * counted(sent.len()));
        !sent.is_empty()
    }
}

/// The proof of a chunk that was asked for, if it is one, and the bytes are its.
fn check(have: &Have, landing: &Landing) -> Result<ChunkProof, Refusal> {
    let Landing { blob, index, .. } = *landing;
    let proof = ChunkProof::from_parts(blob, index, have.chunk_root, &have.siblings)?;
    proof.verify(&have.bytes)?;
    Ok(proof)
}
