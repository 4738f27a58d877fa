//! The flow itself: `zgs_getSectorProof`, `zgs_getFlowContext`, what 0G's nodes tell of the nodes of
//! their tree, and `lode_getSubmissions`, by which a key-value node follows.

use std::sync::Arc;

use jsonrpsee::types::Params;
use lode_flow::{PathError, Submission};
use lode_proofs::{Hash32, SECTOR_LEN};
use lode_wire::FlowProof;
use serde::Serialize;

use super::{Answer, Arguments, Methods, sector};
use crate::room::Room;

pub fn register(methods: &mut Methods) {
    methods.add("zgs_getSectorProof", sector_proof);
    methods.add("zgs_getFlowContext", context);
    methods.add("zgs_getHashAtNodeIndex", hash_at);
    methods.add("zgs_getDataByNodeIndex", data_at);
    methods.add("zgs_getMetaDataByNodeIndex", about);
    methods.add("lode_getSubmissions", submissions);
}

async fn sector_proof(room: Arc<Room>, params: Params<'static>) -> Answer<FlowProof> {
    let mut arguments = Arguments::of(&params);
    let sector = arguments.next()?;
    sector::proof(&room, sector, arguments.optional()?).await
}

async fn context(room: Arc<Room>, _params: Params<'static>) -> Answer<(Hash32, u64)> {
    Ok(room.book.context()?)
}

/// Root of a chunk of the flow. Of one within a longer blob it is known if the blob is here.
async fn hash_at(room: Arc<Room>, params: Params<'static>) -> Answer<Option<Hash32>> {
    let index: u64 = Arguments::of(&params).next()?;
    match room.book.chunk_root(index) {
        Ok(root) => Ok(Some(root)),
        Err(PathError::OutOfFlow(_)) => Ok(None),
        Err(PathError::Inside { seq }) => {
            let Some(submission) = room.book.submission(seq)? else {
                return Ok(None);
            };
            let chunk = index.saturating_sub(submission.start / SECTORS);
            sector::chunk_root(&room, &submission, chunk).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Sectors of a chunk of the flow; null unless all that was submitted in it is here.
async fn data_at(room: Arc<Room>, params: Params<'static>) -> Answer<Option<Vec<Vec<u8>>>> {
    let index: u64 = Arguments::of(&params).next()?;
    let (Some(first), length) = (index.checked_mul(SECTORS), room.book.length()?) else {
        return Ok(None);
    };
    if first >= length {
        return Ok(None);
    }
    let end = (first + SECTORS).min(length);
    let mut found = Vec::new();
    let mut at = first;
    while at < end {
        let Some(holder) = room.book.covering(at)? else {
            found.push(vec![0; SECTOR_LEN]);
            at += 1;
            continue;
        };
        let submission = &holder.submission;
        let node_end = (holder.first + (1 << holder.node.height)).min(end);
        let (from, to) = (at - submission.start, node_end - submission.start);
        let Some(bytes) = sector::bytes(&room, submission, from, to).await? else {
            return Ok(None);
        };
        found.extend(bytes.chunks(SECTOR_LEN).map(<[u8]>::to_vec));
        at = node_end;
    }
    Ok(Some(found))
}

/// What lies in a chunk of the flow, for people.
async fn about(room: Arc<Room>, params: Params<'static>) -> Answer<String> {
    let index: u64 = Arguments::of(&params).next()?;
    let length = room.book.length()?;
    let first = index.saturating_mul(SECTORS).min(length);
    let end = first.saturating_add(SECTORS).min(length);
    let mut text = format!("sectors {first}..{end} of {length}");
    let mut at = first;
    while at < end {
        let Some(holder) = room.book.covering(at)? else {
            at += 1;
            continue;
        };
        let Submission {
            seq, root, size, ..
        } = holder.submission;
        let (height, begin) = (holder.node.height, holder.first);
        text.push_str(&format!(
            "; from {begin} a node of height {height} of submission {seq}, {size} bytes, {root}"
        ));
        at = begin + (1 << height);
    }
    Ok(text)
}

/// Submissions of one call, at most.
const SUBMISSIONS_MAX: usize = 256;

/// A submission with what only the chain knows of it.
#[derive(Clone, Debug, Serialize)]
struct Submitted {
    seq: u64,
    root: Hash32,
    size: u64,
    start: u64,
    /// None if they were too long to be kept.
    tags: Option<String>,
    sender: String,
    submitter: String,
    block: u64,
    transaction: Hash32,
}

async fn submissions(room: Arc<Room>, params: Params<'static>) -> Answer<Vec<Submitted>> {
    let mut arguments = Arguments::of(&params);
    let from = arguments.next()?;
    let limit = arguments.optional()?.unwrap_or(SUBMISSIONS_MAX);
    let found = room.book.walk(from, limit.min(SUBMISSIONS_MAX))?;
    Ok(found.into_iter().map(Submitted::from).collect())
}

impl From<Submission> for Submitted {
    fn from(submission: Submission) -> Self {
        Submitted {
            seq: submission.seq,
            root: submission.root,
            size: submission.size,
            start: submission.start,
            tags: submission.tags.bytes().map(hex),
            sender: hex(&submission.sender),
            submitter: hex(&submission.submitter),
            block: submission.block,
            transaction: Hash32(submission.transaction),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}

const SECTORS: u64 = 1024;
