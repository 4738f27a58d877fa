//! Questions of this node that have no answer yet, and who gives none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use commonware_cryptography::ed25519::PublicKey;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    bounds::{ANSWER_TIME, ASKED_MAX},
    message::Answer,
};

/// An answer; none if there was none in time, or nobody could be asked.
pub(crate) type Reply = oneshot::Sender<Option<Answer>>;

/// Who was asked, and who wants to know.
#[derive(Default)]
pub(crate) struct Asked {
    next: u64,
    waiting: BTreeMap<u64, (PublicKey, SystemTime, Reply)>,
}

impl Asked {
    /// Takes a number for a question; none if too many are open.
    pub(crate) fn open(&mut self, peer: PublicKey, reply: Reply, now: SystemTime) -> Option<u64> {
        if self.waiting.len() >= ASKED_MAX {
            return None;
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(id, (peer, now + ANSWER_TIME, reply));
        Some(id)
    }

    /// An answer came; one that nobody asked this peer for is dropped.
    pub(crate) fn answered(&mut self, peer: &PublicKey, id: u64, answer: Option<Answer>) {
        if self
            .waiting
            .get(&id)
            .is_none_or(|(asked, _, _)| asked != peer)
        {
            return;
        }
        if let Some((_, _, reply)) = self.waiting.remove(&id) {
            // Who wanted to know may have gone.
            let _gone = reply.send(answer);
        }
    }

    /// Tells those who have waited too long.
    pub(crate) fn expire(&mut self, now: SystemTime) {
        self.waiting
            .retain(|_, (_, due, reply)| now < *due && !reply.is_closed());
    }
}

/// Who was asked last and did not answer: others are asked first, until something is heard from it. Clones
/// share it.
#[derive(Clone, Default)]
pub(crate) struct Silent(Arc<Mutex<BTreeSet<PublicKey>>>);

impl Silent {
    /// Something was heard of a peer, or nothing.
    pub(crate) fn note(&self, peer: &PublicKey, heard: bool) {
        let mut silent = self.0.lock();
        match heard {
            true => silent.remove(peer),
            false => silent.insert(peer.clone()),
        };
    }

    pub(crate) fn is(&self, peer: &PublicKey) -> bool {
        self.0.lock().contains(peer)
    }
}
