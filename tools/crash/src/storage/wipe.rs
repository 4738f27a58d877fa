//! A node loses its disk, but for its name among the others, and becomes whole again by itself, while
//! clients read.

use std::{
    collections::BTreeSet,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use lode_wire::Slice;
use serde::Serialize;

use super::{
    check::{self, PATIENCE},
    kills::whole_blobs,
    ledger::{Blob, Shared},
    read::Reader,
    stage::{Stage, beside},
};
use crate::{
    failure::{Failure, Outcome},
    setup::Setup,
};

/// Clients that read meanwhile.
const CLIENTS: usize = 2;

/// How a node became whole again.
#[derive(Clone, Debug, Serialize)]
pub struct Repair {
    /// Which.
    pub node: usize,
    /// Chunks that it had to have.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From its start until it served clients.
    pub serving_ms: u64,
    /// From its start until it had all chunks.
    pub whole_ms: u64,
    /// Bytes that it got from the others meanwhile, as its link counts them.
    pub received: Option<u64>,
    /// Chunks that clients read meanwhile.
    pub reads: u64,
}

impl Repair {
    /// Millions of bytes a second.
    pub fn rate(&self) -> f64 {
        let bytes = u32::try_from(self.bytes / 1000).map_or(f64::MAX, f64::from);
        let millis = u32::try_from(self.whole_ms.max(1)).map_or(f64::MAX, f64::from);
        bytes / millis
    }
}

/// Chunks that a node of a slice must have, and their bytes. A blob that is in the flow twice is brought
/// and stored once.
fn kept(shared: &Shared, slice: Slice) -> (u64, u64) {
    let (mut seen, mut bytes) = (BTreeSet::new(), 0);
    for blob in shared.blobs() {
        for chunk in blob.acked_in(slice) {
            if seen.insert((blob.root, chunk)) {
                bytes += blob.chunk_len(chunk);
            }
        }
    }
    (seen.iter().map(|_| 1).sum(), bytes)
}

/// Wipes one node. Every other one must have all that was acknowledged.
pub fn run(stage: &mut Stage<'_>, victim: usize, blobs: usize) -> Outcome<Repair> {
    stage.nodes.kill(&[victim])?;
    stage.nodes.wipe(victim)?;
    let before = stage.received()?;
    let reads = stage.shared.reads.load(SeqCst);
    let Stage {
        setup,
        nodes,
        shared,
        dice,
        ..
    } = stage;
    let (setup, shared): (&Setup, &Shared) = (setup, shared);
    let chosen = whole_blobs(shared, dice, blobs);
    if chosen.is_empty() {
        return Err(Failure::Method(
            "nothing was there to be repaired".to_owned(),
        ));
    }
    let faces = nodes.faces();
    let clients = (0..CLIENTS)
        .map(|_| {
            let mut client = Reader::new(&faces, shared, dice.draw());
            let chosen: &[Blob] = &chosen;
            move || -> Outcome<()> {
                while !shared.over.load(SeqCst) {
                    for blob in chosen {
                        client.read(blob)?;
                    }
                }
                Ok(())
            }
        })
        .collect();
    let (serving, whole) = beside(shared, clients, |_| -> Outcome<(u64, Duration)> {
        let began = Instant::now();
        let serving = nodes.start(setup, &[victim])?;
        let times = (began, PATIENCE);
        let whole = check::counted(setup, nodes, shared, &[victim], times)?;
        shared.over.store(true, SeqCst);
        Ok((serving.into_iter().sum(), whole))
    })?;
    stage.shared.over.store(false, SeqCst);
    let after = stage.received()?;
    let slice = stage.nodes.faces()[victim].slice;
    let (chunks, bytes) = kept(&stage.shared, slice);
    // That it has what it counts is seen before anybody is told how fast that was.
    stage.expect_whole()?;
    Ok(Repair {
        node: victim,
        chunks,
        bytes,
        serving_ms: serving,
        whole_ms: u64::try_from(whole.as_millis()).unwrap_or(u64::MAX),
        received: before
            .zip(after)
            .map(|(before, after)| after[victim].saturating_sub(before[victim])),
        reads: stage.shared.reads.load(SeqCst).saturating_sub(reads),
    })
}
