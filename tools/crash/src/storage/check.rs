//! Nodes against the ledger: every acknowledged chunk on every replica of its slice, byte for byte, with
//! a proof that leads to the blob's root.

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    ledger::{Blob, Shared},
    nodes::{Face, Nodes},
    zgs::Zgs,
};
use crate::{
    client::Trouble,
    failure::{Failure, Outcome},
    setup::Setup,
};

/// How long nodes may take to bring each other what they lack: twice the longest wait before one asks
/// the others again (`lode-peers`, bounds: 60 s), and the time of the transfer.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Time between two looks.
const LOOK_TIME: Duration = Duration::from_millis(50);
/// Chunks that a line about a loss names.
const NAMED_MAX: usize = 8;

/// What was found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Chunks on nodes, each compared and proven.
    pub proofs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Found {
    /// The sum.
    pub fn and(self, other: Found) -> Found {
        Found {
            proofs: self.proofs + other.proofs,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Waits until these nodes say that they have as many chunks of each blob as were acknowledged in their
/// slices; how long that took since `began`. Counting costs nodes little, so that it may be timed;
/// [`proven`] says whether it is true.
///
/// Where it does not come to that, it ends after `patience` all the same: what is missing is for
/// [`proven`] to say.
pub fn counted(
    setup: &Setup,
    nodes: &mut Nodes,
    shared: &Shared,
    numbers: &[usize],
    (began, patience): (Instant, Duration),
) -> Outcome<Duration> {
    let (faces, blobs) = (nodes.faces(), shared.blobs());
    let mut left: Vec<(usize, &Blob)> = Vec::new();
    for number in numbers {
        left.extend(blobs.iter().map(|blob| (*number, blob)));
    }
    let clients: Vec<Zgs> = faces.iter().map(|face| Zgs::new(face.zgs)).collect();
    loop {
        let mut still = Vec::new();
        for (number, blob) in left {
            if !has_counted(&clients[number], &faces[number], blob)? {
                still.push((number, blob));
            }
        }
        left = still;
        if left.is_empty() || began.elapsed() >= patience {
            return Ok(began.elapsed());
        }
        nodes.expect_running()?;
        setup.sleep(LOOK_TIME)?;
    }
}

fn has_counted(zgs: &Zgs, face: &Face, blob: &Blob) -> Outcome<bool> {
    let wanted: u64 = blob.acked_in(face.slice).map(|_| 1).sum();
    match zgs.info(blob.seq) {
        Ok(Some(info)) => Ok(info.uploaded_seg_num >= wanted),
        // It does not know the submission yet, or it is not heard yet.
        Ok(None) | Err(Trouble::Lost(_)) => Ok(false),
        Err(trouble) => Err(Failure::Node(format!("{}: {trouble}", face.zgs))),
    }
}

/// Compares every acknowledged chunk on every replica of its slice. One that is not there is looked for
/// again until `patience` is over; then it is lost. Nodes are looked at side by side.
pub fn proven(
    setup: &Setup,
    nodes: &mut Nodes,
    shared: &Shared,
    patience: Duration,
) -> Outcome<Found> {
    let (faces, blobs) = (nodes.faces(), shared.blobs());
    let results: Vec<Outcome<(Found, Vec<String>)>> = thread::scope(|scope| {
        let blobs = &blobs;
        let threads: Vec<_> = faces
            .iter()
            .enumerate()
            .map(|(number, face)| {
                scope.spawn(move || of_node(setup, number, face, blobs, patience))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    });
    nodes.expect_running()?;
    let (mut found, mut broken) = (Found::default(), Vec::new());
    for result in results {
        let (more, lines) = result?;
        found = found.and(more);
        broken.extend(lines);
    }
    match broken.is_empty() {
        true => Ok(found),
        false => Err(Failure::Broken(broken)),
    }
}

/// What is wrong with a chunk on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Lost,
    OtherBytes,
    Unproven(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Lost => write!(out, "is lost"),
            Wrong::OtherBytes => write!(out, "has other bytes"),
            Wrong::Unproven(why) => write!(out, "is not proven ({why})"),
        }
    }
}

/// All blobs on one node: what is there, and a line for each way in which a blob is not.
fn of_node(
    setup: &Setup,
    number: usize,
    face: &Face,
    blobs: &[Blob],
    patience: Duration,
) -> Outcome<(Found, Vec<String>)> {
    let (zgs, end) = (Zgs::new(face.zgs), Instant::now() + patience);
    let (mut found, mut lines) = (Found::default(), Vec::new());
    for blob in blobs {
        let mut wrong: BTreeMap<Wrong, Vec<u64>> = BTreeMap::new();
        let contents = blob.contents();
        let parts: Vec<&[u8]> = contents.chunks(lode_proofs::CHUNK_LEN).collect();
        for index in blob.acked_in(face.slice) {
            setup.go_on()?;
            let expected = usize::try_from(index).ok().and_then(|at| parts.get(at));
            let expected = expected.copied().unwrap_or_default();
            match chunk(setup, &zgs, blob, (index, expected), end)? {
                None => {
                    found.proofs += 1;
                    found.bytes += blob.chunk_len(index);
                }
                Some(why) => wrong.entry(why).or_default().push(index),
            }
        }
        let told = wrong
            .iter()
            .map(|(why, chunks)| line(number, blob, why, chunks));
        lines.extend(told);
    }
    Ok((found, lines))
}

/// One chunk on one node; what is wrong with it, if anything is.
fn chunk(
    setup: &Setup,
    zgs: &Zgs,
    blob: &Blob,
    (index, expected): (u64, &[u8]),
    end: Instant,
) -> Outcome<Option<Wrong>> {
    loop {
        match zgs.prove(blob, index) {
            Ok(Some(bytes)) if bytes == expected => return Ok(None),
            Ok(Some(_)) => return Ok(Some(Wrong::OtherBytes)),
            Err(Trouble::Strange(why)) => return Ok(Some(Wrong::Unproven(why))),
            Err(Trouble::Refused(why)) => return Ok(Some(Wrong::Unproven(why.detail))),
            Ok(None) | Err(Trouble::Lost(_)) if Instant::now() < end => setup.sleep(LOOK_TIME)?,
            Ok(None) => return Ok(Some(Wrong::Lost)),
            Err(Trouble::Lost(why)) => return Ok(Some(Wrong::Unproven(why))),
        }
    }
}

/// What is told of a blob: which chunks, and whose word it was.
fn line(number: usize, blob: &Blob, why: &Wrong, chunks: &[u64]) -> String {
    let named = chunks.iter().take(NAMED_MAX).map(|chunk| {
        let by = blob.acked.get(chunk).copied().unwrap_or(usize::MAX);
        format!("{chunk} (acknowledged by node {by})")
    });
    let mut named: Vec<String> = named.collect();
    if chunks.len() > NAMED_MAX {
        named.push(format!("and {} more", chunks.len() - NAMED_MAX));
    }
    format!(
        "blob {} (seq {}, {} bytes) {why} on node {number}: chunk {}",
        blob.root,
        blob.seq,
        blob.size,
        named.join(", ")
    )
}
