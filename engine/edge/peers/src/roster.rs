//! What is known of each peer: what it keeps, whether it is here, how much was asked of it, and whether
//! it rests or is a liar.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::SystemTime,
};

use commonware_cryptography::ed25519::PublicKey;

use crate::{
    board::{Heard, Standing},
    bounds::{BLOCK, FULL_WAIT, PEER_IN_FLIGHT_MAX, PEERS_MAX, REST_MAX, REST_MIN, SILENCE_MAX},
    config::PeerKey,
    message::Hello,
    status::counted,
};

/// A peer that said at least one Hello.
struct Peer {
    hello: Hello,
    heard: SystemTime,
    /// When it came.
    since: SystemTime,
    /// The most below which it ever said that it has all.
    complete_below_max: u64,
    /// It lied, and was not heard since.
    is_gone: bool,
    in_flight: usize,
    /// Requests in a row that were not answered in time.
    failures: u32,
    rests_until: SystemTime,
    /// Until then no more words may go to it.
    full_until: SystemTime,
}

/// A peer that may be asked for chunks of a blob.
pub(crate) struct Able<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) hello: &'a Hello,
    pub(crate) in_flight: usize,
    complete: bool,
}

impl Able<'_> {
    /// Who is asked first: complete ones, then those of whom less was asked.
    pub(crate) fn rank(&self) -> (bool, usize) {
        (!self.complete, self.in_flight)
    }
}

/// All peers that were heard of.
#[derive(Default)]
pub(crate) struct Roster {
    peers: BTreeMap<PublicKey, Peer>,
    liars: BTreeMap<PublicKey, SystemTime>,
}

impl Roster {
    /// A peer says what it keeps; whether it is new, or was not here for a while.
    pub(crate) fn hello(&mut self, key: &PublicKey, hello: Hello, now: SystemTime) -> bool {
        if self.is_blocked(key, now) {
            return false;
        }
        if let Some(peer) = self.peers.get_mut(key) {
            let was_here = peer.is_here(now);
            if !was_here {
                peer.since = now;
            }
            peer.hello = hello;
            peer.heard = now;
            peer.is_gone = false;
            return !was_here;
        }
        // The transport lets in none but those that are configured, which are no more.
        if self.peers.len() >= PEERS_MAX {
            return false;
        }
        let peer = Peer {
            hello,
            heard: now,
            since: now,
            complete_below_max: hello.complete_below,
            is_gone: false,
            in_flight: 0,
            failures: 0,
            rests_until: now,
            full_until: now,
        };
        self.peers.insert(key.clone(), peer);
        true
    }

    /// Submissions that a peer has all of since it said this, each once in its life here: one that takes
    /// back what it said and says it again is not worth more.
    pub(crate) fn grown(&mut self, key: &PublicKey, hello: &Hello) -> Range<u64> {
        let Some(peer) = self.peers.get_mut(key) else {
            return 0..0;
        };
        let before = peer.complete_below_max;
        peer.complete_below_max = before.max(hello.complete_below);
        before..peer.complete_below_max
    }

    /// Peers that may know of a submission, are here and do not rest.
    pub(crate) fn able(&self, seq: u64, now: SystemTime) -> Vec<Able<'_>> {
        let peers = self.peers.iter();
        let able = peers.filter(|(_, peer)| {
            peer.is_here(now) && peer.rests_until <= now && peer.hello.next_seq > seq
        });
        let able = able.map(|(key, peer)| Able {
            key,
            hello: &peer.hello,
            in_flight: match peer.full_until > now {
                true => PEER_IN_FLIGHT_MAX,
                false => peer.in_flight,
            },
            complete: peer.hello.complete_below > seq,
        });
        able.collect()
    }

    /// Chunks were asked of a peer.
    pub(crate) fn asked(&mut self, key: &PublicKey, chunks: usize) {
        let peer = self.peers.get_mut(key);
        peer.expect("who is asked was heard of").in_flight += chunks;
    }

    /// Chunks came, or it was said that they do not.
    pub(crate) fn answered(&mut self, key: &PublicKey, chunks: usize) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.in_flight -= chunks;
            peer.failures = 0;
        }
    }

    /// Nobody waits for these chunks any more.
    pub(crate) fn unanswered(&mut self, key: &PublicKey, chunks: usize) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.in_flight -= chunks;
        }
    }

    /// A peer that did not answer is not asked for a while, longer each time.
    pub(crate) fn rest(&mut self, key: &PublicKey, now: SystemTime) {
        if let Some(peer) = self.peers.get_mut(key) {
            let rest = REST_MIN * 2u32.pow(peer.failures.min(DOUBLED_MAX));
            peer.failures = peer.failures.saturating_add(1);
            peer.rests_until = now + rest.min(REST_MAX);
        }
    }

    /// No more words may go to a peer right now, which is not its fault.
    pub(crate) fn full(&mut self, key: &PublicKey, now: SystemTime) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.full_until = now + FULL_WAIT;
        }
    }

    /// A liar is not here any more.
    pub(crate) fn block(&mut self, key: &PublicKey, now: SystemTime) {
        self.liars.retain(|_, until| *until > now);
        if self.liars.len() < PEERS_MAX {
            self.liars.insert(key.clone(), now + BLOCK);
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.is_gone = true;
        }
    }

    /// Whether nothing that a peer says counts.
    pub(crate) fn is_blocked(&self, key: &PublicKey, now: SystemTime) -> bool {
        self.liars.get(key).is_some_and(|until| *until > now)
    }

    /// Whether a peer was heard of lately.
    pub(crate) fn is_here(&self, key: &PublicKey, now: SystemTime) -> bool {
        self.peers.get(key).is_some_and(|peer| peer.is_here(now))
    }

    /// How many were heard of lately.
    pub(crate) fn here(&self, now: SystemTime) -> usize {
        self.peers.values().filter(|peer| peer.is_here(now)).count()
    }

    /// All that were heard of or are blocked, as an operator is told.
    pub(crate) fn told(&self, now: SystemTime) -> Vec<Heard> {
        let blocked = |key: &PublicKey| self.liars.get(key).filter(|until| **until > now);
        let keys: BTreeSet<&PublicKey> = self.peers.keys().chain(self.liars.keys()).collect();
        let told = keys.into_iter().filter_map(|key| {
            let peer = self.peers.get(key);
            let (standing, since) = match (blocked(key), peer) {
                (Some(until), _) => (Standing::Blocked, *until - BLOCK),
                (None, Some(peer)) if peer.is_here(now) => (Standing::Here, peer.since),
                (None, Some(peer)) => (Standing::Away, peer.heard + SILENCE_MAX),
                // Its time is over, and it has said nothing since.
                (None, None) => return None,
            };
            Some(Heard {
                key: PeerKey::of(key),
                standing,
                since,
                heard: peer.map(|peer| peer.heard),
                hello: peer.map(|peer| peer.hello),
                in_flight: peer.map_or(0, |peer| counted(peer.in_flight)),
            })
        });
        told.collect()
    }

    /// Chunks asked of all of them.
    pub(crate) fn in_flight(&self) -> usize {
        self.peers.values().map(|peer| peer.in_flight).sum()
    }
}

impl Peer {
    fn is_here(&self, now: SystemTime) -> bool {
        !self.is_gone && self.heard + SILENCE_MAX > now
    }
}

/// Doublings after which a rest is [`REST_MAX`].
const DOUBLED_MAX: u32 = 5;
const _: () = assert!(REST_MIN.as_secs() << DOUBLED_MAX >= REST_MAX.as_secs());
