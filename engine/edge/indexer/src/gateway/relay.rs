//! `POST /file/segment`: passes a chunk on to storage nodes (0G wire, 3.5).
//!
//! The chunk is proven here first, so that no node is bothered with what is none. It goes to as many
//! nodes of its slice as the client wants, and to the same ones for each chunk of a blob: a blob is
//! finalized where all chunks of a slice are, so chunks that are spread at will help nobody.

use core::time::Duration;
use std::sync::Arc;

use axum::{
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use bytes::Bytes;
use lode_proofs::{ChunkHasher, ChunkProof, Hash32, WireProof};
use lode_wire::{Segment, ShardedNode, segment::Sectors};
use serde::Deserialize;
use tokio::{task::JoinSet, time::sleep};

use super::{
    Gateway,
    envelope::{Refused, success},
};
use crate::{
    client::{Class, Client, Error},
    failure::Failure,
    locate::{Cid, Survey},
    selection::{self, Method, Unmet},
};

/// Bytes of a request: a chunk as text, 350 KiB, with its proof of at most 4 KiB, and room.
pub const BODY_LEN_MAX: usize = 512 << 10;
/// Tries with a node that is busy.
const TRIES: u32 = 4;
/// Pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// What 0G's gateway says.
const DONE: &str = "Succeeded to upload segment";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    root: Option<Hash32>,
    #[serde(default)]
    tx_seq: Option<u64>,
    index: u64,
    data: Sectors,
    proof: WireProof,
    #[serde(default)]
    expected_replica: Option<u64>,
}

/// Passes a chunk on.
pub async fn chunk(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let body = body.map_err(|error| Failure::Invalid(error.to_string()))?;
    let request: Request =
        serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
    drop(body);
    if request.data.0.is_empty() {
        return Err(Failure::Invalid("Segment data is empty".to_owned()).into());
    }
    let cid = match (request.tx_seq, request.root) {
        (Some(seq), _) => Cid::Seq(seq),
        (None, Some(root)) => Cid::Root(root),
        (None, None) => {
            let why = "Either 'root' or 'txSeq' must be provided".to_owned();
            return Err(Failure::Invalid(why).into());
        }
    };
    let survey = gateway.locator.trusted(cid).await?;
    prove(&survey, &request)?;
    let nodes = targets(&gateway, &survey, &request)?;
    let segment = Segment {
        root: survey.blob.root,
        data: request.data.0,
        index: request.index,
        proof: request.proof,
        file_size: survey.tx.size,
    };
    let chunks: Arc<[Segment]> = [segment].into();
    let mut sending = JoinSet::new();
    for node in nodes {
        let (chunks, seq) = (Arc::clone(&chunks), survey.tx.seq);
        sending.spawn(async move {
            let sent = put(&node, seq, &chunks).await;
            sent.map_err(|error| Failure::NotTaken(format!("{}: {error}", node.url())))
        });
    }
    for sent in sending.join_all().await {
        sent?;
    }
    Ok(success(DONE))
}

fn prove(survey: &Survey, request: &Request) -> Result<(), Failure> {
    let proof = ChunkProof::from_wire(survey.blob, request.index, &request.proof);
    let proven = proof.and_then(|proof| {
        let found = proof.verify_sectors(&mut ChunkHasher::new(), &request.data.0);
        found.map(|_| ())
    });
    proven.map_err(|why| Failure::Invalid(format!("Failed to validate merkle proof: {why}")))
}

/// Trusted nodes that know the submission and keep the chunk, as many as are wanted.
fn targets(gateway: &Gateway, survey: &Survey, request: &Request) -> Result<Vec<Client>, Failure> {
    // Without latencies the choice is the same for each chunk.
    let listed = survey.knowing.iter().map(|node| ShardedNode {
        latency: 0,
        ..node.listed()
    });
    let listed: Vec<ShardedNode> = listed.collect();
    let replica = request.expected_replica.unwrap_or(1).max(1);
    let mut dice = gateway.machine.dice();
    let chosen = selection::select(&listed, replica, Method::Min, &mut dice);
    let chosen = chosen.ok_or_else(|| Failure::NotTaken(Unmet.to_string()))?;
    let keeps = |node: &&ShardedNode| {
        node.config
            .keeps(survey.tx.start_entry_index, request.index)
    };
    let urls: Vec<&str> = chosen.iter().filter(keeps).map(|node| &*node.url).collect();
    let clients = survey.knowing.iter().map(|node| &node.client);
    let clients = clients.filter(|client| urls.contains(&client.url()));
    Ok(clients
        .map(|client| client.within(gateway.config.chunk_max))
        .collect())
}

/// Sends a chunk, again while the node is busy. That it is there already is success.
async fn put(node: &Client, seq: u64, chunks: &[Segment]) -> Result<(), Error> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match node.put_of(seq, chunks).await {
            Err(error) if error.is_already_there() => return Ok(()),
            Err(error) if error.class() == Class::Retry => sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
    match node.put_of(seq, chunks).await {
        Err(error) if error.is_already_there() => Ok(()),
        done => done,
    }
}
