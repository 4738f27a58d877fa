//! One chunk of a blob, from whoever holds it, proven before anybody sees it.
//!
//! Holders of the chunk are tried one after the other: those first that never failed in this download,
//! and among them another one for each chunk, so that all of them share the work. Who sends something
//! that does not prove itself is not asked again in this download; who is silent, busy or has nothing is
//! asked again after all others, once.
//!
//! Cost per chunk: one answer of 350 KiB, decoded once, and 1024 keccak leaves (about 0.5 ms).

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkHasher, ChunkProof, Refusal};
use lode_wire::Segment;
use tokio::time::sleep;

use crate::{
    client::{Client, Error},
    directory::Live,
    gateway::meters::Meters,
    locate::Survey,
};

/// No holder gave a chunk that proves itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "chunk {index} of {root} cannot be had: {tried} answers were of no use, the last one because {why}"
)]
pub struct Missing {
    /// Which chunk.
    pub index: u64,
    /// Of which blob.
    pub root: lode_proofs::Hash32,
    /// Answers, or none in time.
    pub tried: u32,
    /// Why the last one was of no use.
    pub why: String,
}

/// Why an answer is of no use.
#[derive(Debug, thiserror::Error)]
enum Useless {
    #[error("the node has no such chunk")]
    Absent,
    #[error("{0}")]
    Silent(#[from] Error),
    #[error("it does not prove itself: {0}")]
    Lie(#[from] Refusal),
    #[error("it is of another blob or chunk")]
    Other,
}

/// A blob and who holds it.
#[derive(Debug)]
pub struct Source {
    blob: BlobId,
    seq: u64,
    start: u64,
    holders: Vec<Holder>,
    meters: Arc<Meters>,
}

#[derive(Debug)]
struct Holder {
    node: Live,
    client: Client,
    failures: AtomicU32,
    liar: AtomicBool,
}

/// Holders that are asked for one chunk, the second round included.
const TRIES_MAX: u32 = 12;
/// Rounds: a node that is busy has its chance after the pause.
const ROUNDS: u32 = 2;
/// Pause before the second round.
const PAUSE: Duration = Duration::from_millis(250);

impl Source {
    /// Of what was found. `chunk_max` bounds the time of one answer.
    #[must_use]
    pub fn new(survey: Survey, chunk_max: Duration, meters: Arc<Meters>) -> Source {
        let holder = |node: Live| Holder {
            client: node.client.within(chunk_max),
            node,
            failures: AtomicU32::new(0),
            liar: AtomicBool::new(false),
        };
        Source {
            blob: survey.blob,
            seq: survey.tx.seq,
            start: survey.tx.start_entry_index,
            holders: survey.holders.into_iter().map(holder).collect(),
            meters,
        }
    }

    /// Root and size.
    #[must_use]
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// Chunk `index`, without the fill of its last sector.
    ///
    /// # Errors
    /// [`Missing`].
    pub async fn chunk(&self, index: u64) -> Result<Bytes, Missing> {
        let mut missing = Missing {
            index,
            root: self.blob.root,
            tried: 0,
            why: "no holder keeps it".to_owned(),
        };
        for round in 0..ROUNDS {
            let holders = self.in_turn(index);
            if round > 0 && !holders.is_empty() {
                sleep(PAUSE).await;
            }
            for holder in holders {
                if missing.tried == TRIES_MAX {
                    return Err(missing);
                }
                match self.ask(holder, index).await {
                    Ok(data) => return Ok(data),
                    Err(why) => {
                        missing.tried += 1;
                        missing.why = why.to_string();
                    }
                }
            }
        }
        Err(missing)
    }

    /// Holders of the chunk, in the order in which they are asked.
    fn in_turn(&self, index: u64) -> Vec<&Holder> {
        let keeps = |holder: &&Holder| {
            let slice = holder.node.report.slice;
            slice.keeps(self.start, index) && !holder.liar.load(Ordering::Relaxed)
        };
        let mut holders: Vec<&Holder> = self.holders.iter().filter(keeps).collect();
        if let Some(count) = u64::try_from(holders.len()).ok().filter(|count| *count > 0) {
            // Chunks of one slice are `count` of that slice apart: divide by it, or all go to one node.
            let slices = holders[0].node.report.slice.count();
            let first = usize::try_from(index / slices % count).expect("below a length");
            holders.rotate_left(first);
        }
        holders.sort_by_key(|holder| holder.failures.load(Ordering::Relaxed));
        holders
    }

    async fn ask(&self, holder: &Holder, index: u64) -> Result<Bytes, Useless> {
        let answer = match holder.client.chunk_of(self.seq, index).await {
            Ok(Some(segment)) => self.prove(index, &segment),
            Ok(None) => Err(Useless::Absent),
            Err(error) => Err(Useless::Silent(error)),
        };
        let Err(why) = &answer else {
            self.meters.chunk(None);
            return answer;
        };
        holder.failures.fetch_add(1, Ordering::Relaxed);
        let lie = matches!(why, Useless::Lie(_) | Useless::Other);
        let url = holder.client.url();
        if lie {
            holder.liar.store(true, Ordering::Relaxed);
            tracing::warn!(url, root = %self.blob.root, index, %why, "node sent a chunk that is none");
        } else {
            tracing::debug!(url, root = %self.blob.root, index, %why, "node sent no chunk");
        }
        self.meters.chunk(Some(match why {
            Useless::Absent => "absent",
            Useless::Silent(_) => "silent",
            Useless::Lie(_) | Useless::Other => "lie",
        }));
        answer
    }

    fn prove(&self, index: u64, segment: &Segment) -> Result<Bytes, Useless> {
        let claimed = (segment.root, segment.index, segment.file_size);
        if claimed != (self.blob.root, index, self.blob.shape.size()) {
            return Err(Useless::Other);
        }
        let proof = ChunkProof::from_wire(self.blob, index, &segment.proof)?;
        let chunk = proof.verify_sectors(&mut ChunkHasher::new(), &segment.data)?;
        Ok(segment.data.slice_ref(chunk.data))
    }
}
