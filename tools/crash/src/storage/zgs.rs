//! Requests to a storage node, in the words of 0G's clients (0G wire, 3.1).

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use lode_proofs::{ChunkProof, Hash32};
use lode_wire::{FileInfo, Segment, Status, segment::Sectors, text};
use serde_json::json;

use super::ledger::Blob;
use crate::{
    caller::{Caller, Said},
    client::Trouble,
};

/// An answer that has not come after this long is lost.
const SILENCE_TIME: Duration = Duration::from_secs(30);
/// Sectors of a chunk.
const SECTORS: u64 = 1024;
const _: () = assert!(lode_proofs::SECTORS_PER_CHUNK == 1024);

/// One node's storage RPC.
#[derive(Clone)]
pub struct Zgs(Caller);

/// What became of chunks that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All of them are there, by the node's own word: clients send them nowhere else.
    Acknowledged,
    /// Some may not be: clients wait and come again.
    Busy,
}

/// By which method chunks are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Several at once, by the submission's number.
    Many,
    /// One by one, by the submission's number.
    BySeq,
    /// One by one, by the blob's root.
    ByRoot,
}

impl Zgs {
    /// That of a node.
    pub fn new(address: SocketAddr) -> Zgs {
        Zgs(Caller::new(address, SILENCE_TIME))
    }

    /// What the node says of itself.
    pub fn status(&self) -> Result<Status, Trouble> {
        self.0.read("zgs_getStatus", &json!([]))
    }

    /// What it says of a submission; `None`: it does not know it.
    pub fn info(&self, seq: u64) -> Result<Option<FileInfo>, Trouble> {
        self.0.read("zgs_getFileInfoByTxSeq", &json!([seq]))
    }

    /// Sends chunks of a submission.
    pub fn upload(&self, segments: &[Segment], seq: u64, method: Method) -> Result<Taken, Trouble> {
        if method == Method::Many {
            return self.send("zgs_uploadSegmentsByTxSeq", &json!([segments, seq]));
        }
        for segment in segments {
            let taken = match method {
                Method::ByRoot => self.send("zgs_uploadSegment", &json!([segment])),
                _ => self.send("zgs_uploadSegmentByTxSeq", &json!([segment, seq])),
            };
            if taken? == Taken::Busy {
                return Ok(Taken::Busy);
            }
        }
        Ok(Taken::Acknowledged)
    }

    fn send(&self, method: &str, params: &serde_json::Value) -> Result<Taken, Trouble> {
        match self.0.ask(method, params)? {
            Said::Result(result) if result.is_null() => Ok(Taken::Acknowledged),
            Said::Result(other) => Err(Trouble::Strange(format!("{method}: {other}"))),
            // Clients take both for success.
            Said::Refusal(why) if why.contains(text::FINALIZED) || why == text::DUPLICATE => {
                Ok(Taken::Acknowledged)
            }
            Said::Refusal(why) if why.starts_with(text::TOO_MANY) => Ok(Taken::Busy),
            Said::Refusal(why) => Err(Trouble::Strange(format!("{method}: {why}"))),
        }
    }

    /// A chunk with its proof, which is checked here against the root, the size and the number: its
    /// bytes. `None`: it is not there.
    pub fn prove(&self, blob: &Blob, index: u64) -> Result<Option<Bytes>, Trouble> {
        let params = json!([blob.seq, index]);
        let found: Option<Segment> = self
            .0
            .read("zgs_downloadSegmentWithProofByTxSeq", &params)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let bad = |why: &dyn std::fmt::Display| {
            Trouble::Strange(format!("proof of chunk {index} of {}: {why}", blob.root))
        };
        let id = blob.id().map_err(|why| bad(&why))?;
        let proof = ChunkProof::from_wire(id, index, &found.proof).map_err(|why| bad(&why))?;
        let len = id.shape.chunk_len(index);
        let (bytes, fill) = found
            .data
            .split_at_checked(len)
            .ok_or_else(|| bad(&"too few bytes"))?;
        proof.verify(bytes).map_err(|why| bad(&why))?;
        let sectors = len.next_multiple_of(lode_proofs::SECTOR_LEN);
        if fill.iter().any(|byte| *byte != 0) || found.data.len() != sectors {
            return Err(bad(&"a fill that is none"));
        }
        match (found.root, found.index, found.file_size) == (blob.root, index, blob.size) {
            true => Ok(Some(found.data.slice(..len))),
            false => Err(bad(&"it says that it is another")),
        }
    }

    /// A chunk as the plain download gives it, in whole sectors. `None`: it is not there.
    pub fn sectors(&self, root: Hash32, size: u64, index: u64) -> Result<Option<Bytes>, Trouble> {
        let first = index * SECTORS;
        let end = (first + SECTORS).min(lode_proofs::sectors(size));
        let params = json!([root, first, end]);
        let found: Option<Sectors> = self.0.read("zgs_downloadSegment", &params)?;
        Ok(found.map(|Sectors(bytes)| bytes))
    }
}
