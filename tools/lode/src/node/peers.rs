//! The node among the others: what it has and lacks, told from its shelf and the flow's book.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use lode_flow::Submission;
use lode_peers::{Blob, Config, Handle, Holder, HolderError, Peers, SERVE_RATE};
use lode_proofs::{ChunkProof, Hash32};
use lode_wire::Slice;
use lode_zgs::Room;
use tokio::time::timeout;

use crate::{
    failure::{Failure, Outcome},
    settings::{PeersSettings, ZgsSettings},
};

/// Threads that check what others send.
const THREADS: usize = 1;
/// How often the number of nodes is told to whoever asks this one for it.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Starts to speak to the others.
pub fn start(
    peers: &PeersSettings,
    zgs: &ZgsSettings,
    dir: &Path,
    room: &Arc<Room>,
) -> Outcome<Handle> {
    let config = Config {
        dir: dir.to_owned(),
        listen: peers.listen,
        peers: peers.others.clone(),
        chain_id: room.config.identity.chain_id,
        flow: zgs.flow.into_array(),
        serve_rate: SERVE_RATE,
        threads: THREADS,
    };
    Peers::start(config, Member(Arc::clone(room))).map_err(|error| {
        let next = "check --peers, --peers-listen and the folder's peers.key";
        Failure::other(format!("other nodes cannot be reached: {error}"), next)
    })
}

/// Tells the room how many others there are, and the others' side what is new in the room; ends when the
/// talk with them has.
pub async fn talk(handle: &Handle, room: &Room) {
    let mut news = room.news().expect("nobody else listens");
    while !handle.is_ended() {
        room.set_peers(handle.peers());
        let hint = async {
            while let Some(seq) = news.recv().await {
                handle.hint(seq);
            }
        };
        // It ends by the time alone: the room keeps the other end.
        let _time = timeout(COUNT_EVERY, hint).await;
    }
}

/// This node, as the others see it.
#[derive(Clone)]
struct Member(Arc<Room>);

impl Member {
    fn submission(&self, seq: u64) -> Result<Option<Submission>, HolderError> {
        self.0.book.submission(seq).map_err(told)
    }

    /// The first submission of a blob of that size.
    fn blob_of(&self, root: Hash32, size: u64) -> Result<Option<Submission>, HolderError> {
        let found = self.0.submission_of(root).map_err(told)?;
        Ok(found.filter(|found| found.size == size))
    }
}

fn told(error: impl std::fmt::Display) -> HolderError {
    HolderError(error.to_string())
}

impl Holder for Member {
    fn slice(&self) -> Slice {
        self.0.shelf.slice()
    }

    async fn next_seq(&self) -> Result<u64, HolderError> {
        self.0.book.next_seq().map_err(told)
    }

    async fn blob(&self, seq: u64) -> Result<Option<Blob>, HolderError> {
        let found = self.submission(seq)?;
        Ok(found.map(|found| Blob {
            seq,
            root: found.root,
            size: found.size,
            start: found.start,
        }))
    }

    async fn missing(&self, blob: Blob, limit: usize) -> Result<Vec<u64>, HolderError> {
        match self.submission(blob.seq)? {
            // The chain has put another blob in its place meanwhile.
            Some(found) if found.root != blob.root => Ok(Vec::new()),
            Some(found) => self.0.shelf.missing(&found, limit).await.map_err(told),
            None => Ok(Vec::new()),
        }
    }

    async fn read(
        &self,
        root: Hash32,
        size: u64,
        index: u64,
    ) -> Result<Option<(ChunkProof, Bytes)>, HolderError> {
        match self.blob_of(root, size)? {
            Some(found) => self.0.shelf.chunk(&found, index).await.map_err(told),
            None => Ok(None),
        }
    }

    async fn put(&self, proof: ChunkProof, bytes: Bytes) -> Result<(), HolderError> {
        let put = self.0.shelf.put(proof, bytes).await;
        put.map(|_existed| ()).map_err(told)
    }
}
