//! The way from the threads that speak 0G's protocol to the shards and back. Questions are letters in
//! one bounded queue that every executor reads; the answer comes on a channel of its own.

use std::ops::Range;

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use lode_engine::{
    Error, Result, Root,
    store::{BlobInfo, Progress, Scattered, Store, Terms},
};
use lode_proofs::ChunkProof;
use lode_world::{Queue, World};
use tokio::sync::oneshot;

/// Questions that wait for an executor; who asks more waits.
const QUEUE_LEN: usize = 256;

type Reply<T> = oneshot::Sender<Result<T>>;

/// A question.
enum Ask {
    Stat(Root, Reply<Option<BlobInfo>>),
    Scattered(Root, Reply<Option<Progress>>),
    Scatter(ChunkProof, Bytes, Reply<Scattered>),
    Read(Root, u64, Range<usize>, Reply<Option<Bytes>>),
    ReadScattered(Root, u64, Range<usize>, Reply<Option<Bytes>>),
    Prove(Root, u64, Reply<Option<ChunkProof>>),
    Missing(Root, u64, u64, usize, Reply<Vec<u64>>),
}

/// Asks the store. Clones ask the same one.
#[derive(Clone)]
pub struct Door(Sender<Ask>);

/// The executors' end.
#[derive(Clone)]
pub struct Asks(Receiver<Ask>);

/// Both ends.
#[must_use]
pub fn door() -> (Door, Asks) {
    let (sender, receiver) = bounded(QUEUE_LEN);
    (Door(sender), Asks(receiver))
}

impl Asks {
    /// Answers on this executor for as long as anybody may ask. Every executor calls it once.
    pub fn answer<W: World>(self, world: &W, store: &Store<W>) {
        let (spawner, store) = (world.clone(), store.clone());
        world.spawn(Queue::Serve, async move {
            while let Ok(ask) = self.0.recv().await {
                spawner.spawn(Queue::Serve, answer(store.clone(), ask));
            }
        });
    }
}

/// Whoever asked may have gone: then nobody misses the answer.
async fn answer<W: World>(store: Store<W>, ask: Ask) {
    let _gone = match ask {
        Ask::Stat(root, reply) => reply.send(store.stat(root).await).is_err(),
        Ask::Scattered(root, reply) => reply.send(store.scattered(root).await).is_err(),
        Ask::Scatter(proof, bytes, reply) => {
            let scattered = store.scatter(proof, bytes, Terms::default()).await;
            reply.send(scattered).is_err()
        }
        Ask::Read(root, chunk, within, reply) => {
            let read = store.read_chunk(root, chunk, within).await;
            let read = read.map(|piece| piece.map(lode_engine::Piece::into_bytes));
            reply.send(read).is_err()
        }
        Ask::ReadScattered(root, chunk, within, reply) => {
            let read = store.read_scattered(root, chunk, within).await;
            reply.send(read).is_err()
        }
        Ask::Missing(root, size, from, limit, reply) => {
            let missing = store.missing(root, size, from, limit).await;
            reply.send(missing).is_err()
        }
        Ask::Prove(root, chunk, reply) => reply.send(store.prove(root, chunk).await).is_err(),
    };
}

impl Door {
    /// A stored blob.
    pub(crate) async fn stat(&self, root: Root) -> Result<Option<BlobInfo>> {
        self.ask(|reply| Ask::Stat(root, reply)).await
    }

    /// How much is durable of a blob that is not complete.
    pub(crate) async fn scattered(&self, root: Root) -> Result<Option<Progress>> {
        self.ask(|reply| Ask::Scattered(root, reply)).await
    }

    /// Makes a chunk durable.
    pub(crate) async fn scatter(&self, proof: ChunkProof, bytes: Bytes) -> Result<Scattered> {
        self.ask(|reply| Ask::Scatter(proof, bytes, reply)).await
    }

    /// Bytes `within` of a chunk, of a blob that is complete or not, verified; none if they are not
    /// here.
    pub(crate) async fn read(
        &self,
        root: Root,
        chunk: u64,
        within: Range<usize>,
    ) -> Result<Option<Bytes>> {
        let whole = self.ask(|reply| Ask::Read(root, chunk, within.clone(), reply));
        match whole.await? {
            None => {
                self.ask(|reply| Ask::ReadScattered(root, chunk, within, reply))
                    .await
            }
            found => Ok(found),
        }
    }

    /// The proof of a chunk of a complete blob.
    pub(crate) async fn prove(&self, root: Root, chunk: u64) -> Result<Option<ChunkProof>> {
        self.ask(|reply| Ask::Prove(root, chunk, reply)).await
    }

    /// Chunks that are missing of a blob that is not complete.
    pub(crate) async fn missing(
        &self,
        root: Root,
        size: u64,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>> {
        self.ask(|reply| Ask::Missing(root, size, from, limit, reply))
            .await
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Ask) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(question(reply)).await;
        sent.map_err(|_| Error::Closing)?;
        answer.await.map_err(|_| Error::Closing)?
    }
}
