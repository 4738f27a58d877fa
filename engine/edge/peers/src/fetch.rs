//! Whom to ask for what. Plain state, without a clock, a task or a byte of a chunk: what happens is told
//! to it, and it says what to ask next.
//!
//! ```text
//!  open(gap) ─► waiting ──next_want──► asked of a peer ──have──► landing ──landed──► kept
//!                  ▲                        │ lack, late, gone        │ a lie
//!                  └────────────────────────┴─────────────────────────┘
//!                  nobody is left to ask ─► given up;  all kept or given up ─► Filled
//!                  close: all but what is landing ─► given up
//! ```
//! A chunk is asked of one peer at a time, of each peer once in the life of a gap, and of complete ones
//! before others. So a gap ends after finitely many messages, whatever peers do, and nothing is asked
//! again before somebody opens it again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::SystemTime,
};

use commonware_cryptography::ed25519::PublicKey;
use lode_proofs::{BlobId, EmptyBlob};

use crate::{
    board::{Asked, Window},
    bounds::{
        GAPS_MAX, IN_FLIGHT_MAX, PEER_IN_FLIGHT_MAX, REQUEST_QUIET_MAX, REQUEST_WHOLE_MAX, WANT_MAX,
    },
    config::PeerKey,
    holder::Blob,
    message::{Hello, Want},
    roster::{Able, Roster},
    status::counted,
};

/// Chunks of one blob that are missing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) blob: Blob,
    pub(crate) missing: Vec<u64>,
}

/// The end of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) seq: u64,
    /// Chunks that are here now.
    pub(crate) kept: u64,
    /// Chunks that nobody brought.
    pub(crate) given_up: u64,
}

/// A chunk that came and was asked for. It is in flight until [`Fetch::landed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    pub(crate) seq: u64,
    pub(crate) blob: BlobId,
    pub(crate) index: u64,
    tried: Vec<PublicKey>,
}

/// What became of a chunk that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// It is kept.
    Kept,
    /// Its proof or its bytes were wrong.
    Lie,
    /// The store did not take it, which is nobody's fault.
    Failed,
}

/// A chunk that is not here, and who was asked for it without success.
struct Chunk {
    index: u64,
    tried: Vec<PublicKey>,
}

struct Open {
    blob: Blob,
    id: BlobId,
    waiting: VecDeque<Chunk>,
    /// Asked for, or landing.
    out: u64,
    kept: u64,
    given_up: u64,
    /// Nobody wants its chunks any more.
    closed: bool,
}

struct Request {
    peer: PublicKey,
    seq: u64,
    chunks: BTreeMap<u64, Vec<PublicKey>>,
    asked: SystemTime,
    heard: SystemTime,
}

impl Request {
    fn is_late(&self, now: SystemTime) -> bool {
        self.heard + REQUEST_QUIET_MAX <= now || self.asked + REQUEST_WHOLE_MAX <= now
    }
}

/// All that is being fetched, and whom it can be had from.
#[derive(Default)]
pub(crate) struct Fetch {
    pub(crate) roster: Roster,
    /// In the order in which they were opened.
    gaps: Vec<Open>,
    requests: BTreeMap<u64, Request>,
    landing: usize,
    next_id: u64,
    late: u64,
}

impl Fetch {
    /// Begins to fill a gap, after those that are open.
    ///
    /// # Errors
    /// Of a blob of no bytes: there is none.
    ///
    /// # Panics
    /// If there are [`GAPS_MAX`] already, or this one is open: the scout counts.
    pub(crate) fn open(&mut self, gap: Gap) -> Result<(), EmptyBlob> {
        let Gap { blob, missing } = gap;
        assert!(self.gaps.len() < GAPS_MAX, "too many gaps at once");
        assert!(self.gaps.iter().all(|open| open.blob.seq != blob.seq));
        let id = BlobId::new(blob.root, blob.size)?;
        let chunk = |index| Chunk {
            index,
            tried: Vec::new(),
        };
        self.gaps.push(Open {
            blob,
            id,
            waiting: missing.into_iter().map(chunk).collect(),
            out: 0,
            kept: 0,
            given_up: 0,
            closed: false,
        });
        Ok(())
    }

    /// Gives up all of a gap but the chunks that are landing; what was asked for and comes is dropped. A
    /// gap that is not open has ended already.
    pub(crate) fn close(&mut self, seq: u64) {
        let open = self.gaps.iter_mut().find(|open| open.blob.seq == seq);
        let Some(open) = open else {
            return;
        };
        open.closed = true;
        open.given_up += counted(open.waiting.len());
        open.waiting.clear();
        let asked = self.requests.iter();
        let asked = asked.filter(|(_, request)| request.seq == seq);
        let asked: Vec<u64> = asked.map(|(id, _)| *id).collect();
        for id in asked {
            self.drop_request(id);
        }
    }

    /// The next request, and whom to send it to; none when nobody has room or nothing waits.
    pub(crate) fn next_want(&mut self, now: SystemTime) -> Option<(PublicKey, Want)> {
        let room = IN_FLIGHT_MAX - self.in_flight();
        if room == 0 {
            return None;
        }
        for open in &mut self.gaps {
            let Some((peer, chunks)) = pick(open, &self.roster, room.min(WANT_MAX), now) else {
                continue;
            };
            let id = self.next_id;
            self.next_id += 1;
            self.roster.asked(&peer, chunks.len());
            let want = Want {
                id,
                root: open.blob.root,
                size: open.blob.size,
                indices: chunks.keys().copied().collect(),
            };
            let request = Request {
                peer: peer.clone(),
                seq: open.blob.seq,
                chunks,
                asked: now,
                heard: now,
            };
            self.requests.insert(id, request);
            return Some((peer, want));
        }
        None
    }

    /// A chunk came; none if this peer was not asked for it, or is too late.
    pub(crate) fn have(
        &mut self,
        peer: &PublicKey,
        (id, index): (u64, u64),
        now: SystemTime,
    ) -> Option<Landing> {
        let request = self.requests.get_mut(&id)?;
        if request.peer != *peer {
            return None;
        }
        let tried = request.chunks.remove(&index)?;
        request.heard = now;
        let seq = request.seq;
        if request.chunks.is_empty() {
            self.requests.remove(&id);
        }
        self.roster.answered(peer, 1);
        self.landing += 1;
        let open = self.gaps.iter().find(|open| open.blob.seq == seq);
        let blob = open.expect("a gap is open while any of it is out").id;
        Some(Landing {
            seq,
            blob,
            index,
            tried,
        })
    }

    /// What became of a chunk that came from a peer.
    pub(crate) fn landed(&mut self, peer: &PublicKey, landing: Landing, landed: Landed) {
        self.landing -= 1;
        let open = find(&mut self.gaps, landing.seq);
        match landed {
            Landed::Kept => {
                open.out -= 1;
                open.kept += 1;
            }
            Landed::Failed => {
                open.out -= 1;
                open.given_up += 1;
            }
            Landed::Lie => take_back(open, peer, landing.index, landing.tried),
        }
    }

    /// A peer does not have what it was asked for. What it was not asked for is ignored.
    pub(crate) fn lack(&mut self, peer: &PublicKey, id: u64, indices: &[u64], now: SystemTime) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        if request.peer != *peer {
            return;
        }
        request.heard = now;
        let open = find(&mut self.gaps, request.seq);
        let mut count = 0;
        for index in indices {
            if let Some(tried) = request.chunks.remove(index) {
                take_back(open, peer, *index, tried);
                count += 1;
            }
        }
        if request.chunks.is_empty() {
            self.requests.remove(&id);
        }
        self.roster.answered(peer, count);
    }

    /// Gives up requests that are late, or of peers that are gone; the peers rest.
    pub(crate) fn expire(&mut self, now: SystemTime) {
        let roster = &self.roster;
        let late = self
            .requests
            .iter()
            .filter(|(_, request)| request.is_late(now) || !roster.is_here(&request.peer, now));
        let late: Vec<u64> = late.map(|(id, _)| *id).collect();
        let mut silent = BTreeSet::new();
        for id in late {
            silent.extend(self.drop_request(id));
            self.late += 1;
        }
        for peer in silent {
            self.roster.rest(&peer, now);
        }
    }

    /// Takes back all that was asked of a peer, which is not asked any more.
    pub(crate) fn block(&mut self, peer: &PublicKey, now: SystemTime) {
        self.roster.block(peer, now);
        let asked = self.requests.iter();
        let asked = asked.filter(|(_, request)| request.peer == *peer);
        let asked: Vec<u64> = asked.map(|(id, _)| *id).collect();
        for id in asked {
            self.drop_request(id);
        }
    }

    /// A request did not go out: its chunks wait for another, of the same peer too.
    pub(crate) fn unsent(&mut self, id: u64, now: SystemTime) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        let open = find(&mut self.gaps, request.seq);
        self.roster.unanswered(&request.peer, request.chunks.len());
        self.roster.full(&request.peer, now);
        for (index, tried) in request.chunks {
            open.out -= 1;
            open.waiting.push_back(Chunk { index, tried });
        }
    }

    fn drop_request(&mut self, id: u64) -> Option<PublicKey> {
        let request = self.requests.remove(&id)?;
        let open = find(&mut self.gaps, request.seq);
        self.roster.unanswered(&request.peer, request.chunks.len());
        for (index, tried) in request.chunks {
            take_back(open, &request.peer, index, tried);
        }
        Some(request.peer)
    }

    /// Gaps of which nothing waits or is out. They are not open any more.
    pub(crate) fn take_filled(&mut self) -> Vec<Filled> {
        let ended = |open: &mut Open| open.waiting.is_empty() && open.out == 0;
        let filled = self.gaps.extract_if(.., ended).map(|open| Filled {
            seq: open.blob.seq,
            kept: open.kept,
            given_up: open.given_up,
        });
        filled.collect()
    }

    /// What is open, as an operator is told.
    pub(crate) fn windows(&self) -> BTreeMap<u64, Window> {
        let window = |open: &Open| Window {
            missing: counted(open.waiting.len()) + open.out,
            first: open.waiting.iter().map(|chunk| chunk.index).min(),
            from: Vec::new(),
        };
        let windows = self.gaps.iter().map(|open| (open.blob.seq, window(open)));
        let mut windows: BTreeMap<u64, Window> = windows.collect();
        for request in self.requests.values() {
            let ends = request
                .chunks
                .keys()
                .next()
                .zip(request.chunks.keys().last());
            if let (Some(window), Some((first, last))) = (windows.get_mut(&request.seq), ends) {
                window.first = window.first.map(|at| at.min(*first)).or(Some(*first));
                window.from.push(Asked {
                    peer: PeerKey::of(&request.peer),
                    first: *first,
                    end: last + 1,
                    chunks: counted(request.chunks.len()),
                });
            }
        }
        windows
    }

    /// Chunks asked for, or landing.
    pub(crate) fn in_flight(&self) -> usize {
        self.landing + self.roster.in_flight()
    }

    /// Chunks that nobody has brought yet, of all gaps.
    pub(crate) fn missing(&self) -> u64 {
        let missing = |open: &Open| counted(open.waiting.len()) + open.out;
        self.gaps.iter().map(missing).sum()
    }

    /// Requests that were given up so far.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }
}

fn find(gaps: &mut [Open], seq: u64) -> &mut Open {
    let open = gaps.iter_mut().find(|open| open.blob.seq == seq);
    open.expect("a gap is open while any of it is out")
}

/// A chunk waits again, and this peer is not asked for it again.
fn take_back(open: &mut Open, peer: &PublicKey, index: u64, mut tried: Vec<PublicKey>) {
    open.out -= 1;
    if open.closed {
        open.given_up += 1;
        return;
    }
    tried.push(peer.clone());
    open.waiting.push_back(Chunk { index, tried });
}

/// Chunks for one request to one peer: the first chunk that can be asked for says of whom, and others
/// that the same peer is good for go with it. Chunks that nobody is left for are given up.
fn pick(
    open: &mut Open,
    roster: &Roster,
    room: usize,
    now: SystemTime,
) -> Option<(PublicKey, BTreeMap<u64, Vec<PublicKey>>)> {
    let blob = open.blob;
    let peers = roster.able(blob.seq, now);
    let has_room = |able: &Able<'_>| able.in_flight + WANT_MAX <= PEER_IN_FLIGHT_MAX;
    if !peers.is_empty() && !peers.iter().any(has_room) {
        return None;
    }
    let mut chosen: Option<PublicKey> = None;
    let mut chunks = BTreeMap::new();
    let mut left = VecDeque::new();
    while let Some(chunk) = open.waiting.pop_front() {
        let covers = |hello: &Hello| hello.slice.keeps(blob.start, chunk.index);
        let good = peers.iter();
        let good = good.filter(|able| covers(able.hello) && !chunk.tried.contains(able.key));
        let best = good.clone().map(|able| able.rank()).min();
        let Some(best) = best else {
            open.given_up += 1;
            continue;
        };
        // Complete ones are not passed over because they are busy: others would say no.
        let best = good
            .filter(|able| able.rank().0 == best.0 && has_room(able))
            .min_by_key(|able| able.rank());
        match (best, &chosen) {
            (Some(able), None) => chosen = Some(able.key.clone()),
            (Some(able), Some(peer)) if able.key == peer => {}
            _ => {
                left.push_back(chunk);
                continue;
            }
        }
        chunks.insert(chunk.index, chunk.tried);
        if chunks.len() == room {
            break;
        }
    }
    left.append(&mut open.waiting);
    open.waiting = left;
    open.out += counted(chunks.len());
    chosen.map(|peer| (peer, chunks))
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
