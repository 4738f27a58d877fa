//! Chunks for others. Each peer has a queue and a task of its own, so that one who asks without end
//! waits for itself alone: it gets its rate, and the others theirs.
//!
//! ```text
//!  Want ─► queue of the peer, 64 ─► one of 8 reads ─► checked ─► bucket of the peer ─► Have
//!           └ full: dropped           └ not here ────────────────►        "          ─► Lack
//! ```
//! What does not match its proof does not leave: the disk may have lost it, and whoever gets it would
//! take this node for a liar.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, LimitedSender, Recipients};
use commonware_runtime::{Clock, IoBuf, IoBufs, Metrics, Spawner};
use lode_proofs::{BlobId, ChunkProof};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    bounds::{LACK_COST, PEERS_MAX, READS_MAX, SERVE_BURST, WANTS_WAITING_MAX},
    bucket::Bucket,
    holder::Holder,
    message::{Have, Lack, Message, Want},
    status::{Counts, add, counted},
};

/// What serving needs.
#[derive(Clone)]
pub(crate) struct Serving<H, S> {
    pub(crate) holder: H,
    pub(crate) counts: Counts,
    pub(crate) words: S,
    pub(crate) chunks: S,
    /// Bytes a second for each peer.
    pub(crate) rate: u64,
}

/// Takes requests, and has them served.
pub(crate) struct Server<E, H, S> {
    context: E,
    serving: Serving<H, S>,
    reads: Arc<Semaphore>,
    queues: BTreeMap<PublicKey, mpsc::Sender<Want>>,
}

impl<E, H, S> Server<E, H, S>
where
    E: Spawner + Metrics + Clock,
    H: Holder,
    S: LimitedSender<PublicKey = PublicKey>,
{
    pub(crate) fn new(context: E, serving: Serving<H, S>) -> Self {
        Server {
            context,
            serving,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            queues: BTreeMap::new(),
        }
    }

    /// Takes a request of a peer, if there is room for it.
    pub(crate) fn take(&mut self, peer: &PublicKey, want: Want) -> bool {
        let queue = match self.queues.get(peer) {
            Some(queue) => queue,
            // The transport lets in none but those that are configured, which are no more.
            None if self.queues.len() >= PEERS_MAX => return false,
            None => {
                let queue = self.begin(peer.clone());
                self.queues.entry(peer.clone()).or_insert(queue)
            }
        };
        queue.try_send(want).is_ok()
    }

    fn begin(&self, peer: PublicKey) -> mpsc::Sender<Want> {
        let (queue, mut wants) = mpsc::channel::<Want>(WANTS_WAITING_MAX);
        let mut service = Service {
            peer,
            serving: self.serving.clone(),
            reads: self.reads.clone(),
            bucket: Bucket::new(self.serving.rate, SERVE_BURST),
        };
        self.context
            .child("service")
            .spawn(move |context| async move {
                while let Some(want) = wants.recv().await {
                    service.serve(&context, want).await;
                }
            });
        queue
    }
}

/// One peer is served.
struct Service<H, S> {
    peer: PublicKey,
    serving: Serving<H, S>,
    reads: Arc<Semaphore>,
    bucket: Bucket,
}

impl<H: Holder, S: LimitedSender<PublicKey = PublicKey>> Service<H, S> {
    async fn serve(&mut self, clock: &impl Clock, want: Want) {
        let mut lacked = Vec::new();
        for index in &want.indices {
            let found = {
                let turn = self.reads.acquire().await;
                // Nobody closes it.
                let _turn = turn.expect("the semaphore is open");
                self.find(&want, *index).await
            };
            let cost = found
                .as_ref()
                .map_or(LACK_COST, |(_, bytes)| counted(bytes.len()));
            clock.sleep(self.bucket.take(clock.current(), cost)).await;
            match found {
                Some((proof, bytes)) => {
                    let have = Message::Have(Have {
                        id: want.id,
                        index: *index,
                        chunk_root: proof.chunk_root(),
                        siblings: proof.siblings().to_vec(),
                        bytes,
                    });
                    if say(
                        clock,
                        &mut self.serving.chunks,
                        &self.peer,
                        &have,
                        &self.serving.counts,
                    )
                    .await
                    {
                        add(&self.serving.counts.chunks_served, 1);
                    }
                }
                None => lacked.push(*index),
            }
        }
        if lacked.is_empty() {
            return;
        }
        add(&self.serving.counts.chunks_lacked, counted(lacked.len()));
        let lack = Message::Lack(Lack {
            id: want.id,
            indices: lacked,
        });
        // If it does not go out the peer waits a little longer, and asks another.
        let _said = say(
            clock,
            &mut self.serving.words,
            &self.peer,
            &lack,
            &self.serving.counts,
        )
        .await;
    }

    /// A chunk that is here, whole, and matches its proof.
    async fn find(&self, want: &Want, index: u64) -> Option<(ChunkProof, Bytes)> {
        let Want { root, size, .. } = *want;
        let (proof, bytes) = match self.serving.holder.read(root, size, index).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(%root, index, %error, "a chunk that a peer wants cannot be read");
                return None;
            }
        };
        let blob = BlobId::new(root, size).ok()?;
        match proof.verify_for(blob, index, &bytes) {
            Ok(_) => Some((proof, bytes)),
            Err(error) => {
                tracing::error!(%root, index, %error, "a chunk is damaged here, and was not sent");
                None
            }
        }
    }
}

/// Sends a message to a peer when its quota allows; whether the transport took it.
pub(crate) async fn say<S>(
    clock: &impl Clock,
    sender: &mut S,
    peer: &PublicKey,
    message: &Message,
    counts: &Counts,
) -> bool
where
    S: LimitedSender<PublicKey = PublicKey>,
{
    loop {
        let until = match sender.check(Recipients::One(peer.clone())) {
            Ok(checked) => {
                let (bytes, len) = wired(message);
                let taken = checked.send(bytes, false).accepted();
                if taken {
                    add(&counts.bytes_out, len);
                }
                return taken;
            }
            Err(until) => until,
        };
        clock.sleep_until(until).await;
    }
}

/// A message as the transport takes it, and its length.
pub(crate) fn wired(message: &Message) -> (IoBufs, u64) {
    let [head, bytes] = message.encode();
    let len = counted(head.len() + bytes.len());
    let parts = [head, bytes].into_iter().filter(|part| !part.is_empty());
    let parts: Vec<IoBuf> = parts.map(IoBuf::from).collect();
    (IoBufs::from(parts), len)
}
