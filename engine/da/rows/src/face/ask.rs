//! What a handle asks an executor, and how the answer comes back.

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use lode_proofs::{Hash32, da::Statement};

use super::Appending;
use crate::{Damage, Freed, Holding, Listed, Result, Scrubbed};

/// Where the answer goes, and whose it is.
pub struct Reply<T> {
    /// Which store is asked.
    pub shard: u16,
    to: Sender<Result<T>>,
}

impl<T> Reply<T> {
    /// A reply, and where it is heard.
    pub fn new(shard: u16) -> (Self, Receiver<Result<T>>) {
        let (to, answer) = async_channel::bounded(1);
        (Reply { shard, to }, answer)
    }

    /// Answers, once. Whoever asked may have gone.
    pub fn send(self, answer: Result<T>) {
        let _ = self.to.try_send(answer);
    }
}

/// One question for one store.
#[allow(clippy::large_enum_variant, reason = "the queue holds 256 of them")]
pub enum Ask {
    Begin {
        holding: Box<Holding>,
        again: bool,
        reply: Reply<Appending>,
    },
    Extend {
        container: Hash32,
        expiry: u64,
        reply: Reply<()>,
    },
    Expiry {
        container: Hash32,
        reply: Reply<Option<u64>>,
    },
    Statement {
        container: Hash32,
        reply: Reply<Statement>,
    },
    RowNumbers {
        container: Hash32,
        reply: Reply<Vec<u16>>,
    },
    Holding {
        container: Hash32,
        reply: Reply<Holding>,
    },
    Table {
        container: Hash32,
        reply: Reply<Bytes>,
    },
    Checks {
        container: Hash32,
        reply: Reply<Bytes>,
    },
    Siblings {
        container: Hash32,
        reply: Reply<Vec<Hash32>>,
    },
    Rows {
        container: Hash32,
        rows: Vec<u16>,
        reply: Reply<Vec<Bytes>>,
    },
    List {
        after: Option<Hash32>,
        most: usize,
        reply: Reply<Vec<Listed>>,
    },
    Len {
        reply: Reply<usize>,
    },
    Damage {
        container: Hash32,
        reply: Reply<Damage>,
    },
    Damaged {
        reply: Reply<Vec<Hash32>>,
    },
    Expire {
        now: u64,
        reply: Reply<Freed>,
    },
    Scrub {
        rate: u64,
        reply: Reply<Scrubbed>,
    },
}

impl Ask {
    /// Which store is asked.
    pub fn shard(&self) -> u16 {
        match self {
            Ask::Begin { reply, .. } => reply.shard,
            Ask::Extend { reply, .. } => reply.shard,
            Ask::Expiry { reply, .. } => reply.shard,
            Ask::Statement { reply, .. } => reply.shard,
            Ask::RowNumbers { reply, .. } => reply.shard,
            Ask::Holding { reply, .. } => reply.shard,
            Ask::Table { reply, .. } => reply.shard,
            Ask::Checks { reply, .. } => reply.shard,
            Ask::Siblings { reply, .. } => reply.shard,
            Ask::Rows { reply, .. } => reply.shard,
            Ask::List { reply, .. } => reply.shard,
            Ask::Len { reply } => reply.shard,
            Ask::Damage { reply, .. } => reply.shard,
            Ask::Damaged { reply } => reply.shard,
            Ask::Expire { reply, .. } => reply.shard,
            Ask::Scrub { reply, .. } => reply.shard,
        }
    }
}
