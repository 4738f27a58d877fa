//! A feed over the RPC of storage nodes.
//!
//! ```text
//!  lode_getSubmissions[from, limit] ─► [{seq, root, size, tags, sender, block, transaction}]
//!  zgs_downloadSegmentWithProofByTxSeq[seq, index] ─► chunk with its proof, or null
//!  lode_getGivenUp[from, limit] ─► {decided, seqs}                of a key-value node, the leader
//! ```
//! The first node is asked for submissions, all in turn for bytes. A byte is believed when its chunk's
//! proof leads to the root that was submitted; the order of submissions is believed as the node tells
//! it, which follows the chain. With a leader (see [`crate::replay`]) nothing is passed on that he has
//! not decided.
//!
//! Bounded: an answer by [`ANSWER_LEN_MAX`], the time for it by whoever asks.

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkHasher, ChunkProof, Hash32};
use lode_wire::Segment;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use crate::{
    account::Account,
    dial::{Authorities, Dialer, Target, Undelivered},
    feed::{Feed, FeedError, Submission},
    hex,
};

pub use crate::dial::ANSWER_LEN_MAX;

/// A feed over nodes.
#[derive(Clone, Debug)]
pub struct NodeFeed {
    dialer: Dialer,
    nodes: Vec<Target>,
    leader: Option<Target>,
}

/// A feed that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NodeFeedError {
    /// Nobody to ask.
    #[error("name at least one node")]
    NoNode,
    /// Not the URL of a node; its number, since it may hold a password. The leader's is 0.
    #[error("URL {0} is none that begins with http:// or https:// and names a host")]
    Url(usize),
    /// What shall vouch for nodes is no authority.
    #[error("an authority is no certificate: {0}")]
    Authority(#[from] rustls::Error),
}

impl NodeFeed {
    /// Over these nodes; `leader` is the URL of a key-value node to agree with. Those with `https://` are
    /// spoken to if one of the authorities vouches for them.
    ///
    /// # Errors
    /// [`NodeFeedError`].
    pub fn new(
        nodes: &[String],
        leader: Option<&str>,
        authorities: &Authorities,
    ) -> Result<Self, NodeFeedError> {
        if nodes.is_empty() {
            return Err(NodeFeedError::NoNode);
        }
        let read =
            |(number, url): (usize, &str)| Target::read(url).ok_or(NodeFeedError::Url(number));
        let nodes = (1..).zip(nodes.iter().map(String::as_str)).map(read);
        Ok(NodeFeed {
            dialer: Dialer::new(authorities)?,
            nodes: nodes.collect::<Result<_, _>>()?,
            leader: leader.map(|url| read((0, url))).transpose()?,
        })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        node: &Target,
        method: &str,
        params: Value,
    ) -> Result<T, FeedError> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = serde_json::to_vec(&body).expect("values are JSON");
        let answer = self.dialer.post(node, body).await;
        let (status, bytes) = answer.map_err(|undelivered| match undelivered {
            Undelivered::Failed(why) => FeedError::Unreachable(why),
            Undelivered::Endless => FeedError::Senseless(format!("{method}: an endless answer")),
        })?;
        let senseless = |error: serde_json::Error| {
            FeedError::Senseless(format!("{method}: {error}, status {status}"))
        };
        let answer: Answer<'_> = serde_json::from_slice(&bytes).map_err(senseless)?;
        match (answer.error, answer.result) {
            (Some(error), _) => Err(FeedError::Refused {
                code: error.code,
                message: error.message.chars().take(WORDS_MAX).collect(),
            }),
            (None, result) => {
                let result = result.map_or("null", RawValue::get);
                serde_json::from_str(result).map_err(senseless)
            }
        }
    }

    /// What the leader has decided of submissions from `from` on: the first one that he has not, and
    /// those that he has given up.
    async fn led(&self, from: u64, limit: u64) -> Result<Option<GivenUp>, FeedError> {
        let Some(leader) = &self.leader else {
            return Ok(None);
        };
        let params = json!([from, limit]);
        Ok(Some(self.call(leader, "lode_getGivenUp", params).await?))
    }

    async fn chunk_of(
        &self,
        node: &Target,
        of: &Submission,
        index: u64,
    ) -> Result<Option<Bytes>, FeedError> {
        let method = "zgs_downloadSegmentWithProofByTxSeq";
        let params = json!([of.seq, index]);
        let Some(segment): Option<Segment> = self.call(node, method, params).await? else {
            return Ok(None);
        };
        let blob = BlobId::new(of.root, of.size).map_err(lode_proofs::Refusal::from)?;
        let proof = ChunkProof::from_wire(blob, index, &segment.proof)?;
        let verified = proof.verify_sectors(&mut ChunkHasher::new(), &segment.data)?;
        Ok(Some(segment.data.slice(..verified.data.len())))
    }
}

impl Feed for NodeFeed {
    async fn submissions(&self, from: u64, limit: u64) -> Result<Vec<Submission>, FeedError> {
        // The leader first: what he has decided by then, the node knows after it, too.
        let led = self.led(from, limit).await?;
        let params = json!([from, limit]);
        let method = "lode_getSubmissions";
        let page: Vec<Told> = self.call(&self.nodes[0], method, params).await?;
        let page = page.into_iter().map(Submission::try_from);
        let mut page = page.collect::<Result<Vec<Submission>, FeedError>>()?;
        if let Some(led) = led {
            page.retain(|one| one.seq < led.decided);
            for one in &mut page {
                one.given_up = led.seqs.contains(&one.seq);
            }
        }
        Ok(page)
    }

    async fn chunk(&self, of: &Submission, index: u64) -> Result<Option<Bytes>, FeedError> {
        let mut failure = None;
        let mut missing = false;
        for node in &self.nodes {
            match self.chunk_of(node, of, index).await {
                Ok(Some(chunk)) => return Ok(Some(chunk)),
                Ok(None) => missing = true,
                Err(error) => failure = Some(error),
            }
        }
        // A node that could not be asked may have it: only if all say no, it is not there.
        match failure {
            Some(error) if missing => {
                tracing::debug!(%error, seq = of.seq, "not all nodes could be asked");
                Err(error)
            }
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}

/// Letters of a refusal that are passed on.
const WORDS_MAX: usize = 200;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

/// What a leader says of what he has given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// All submissions below it are decided.
    pub decided: u64,
    /// Those of them, from the number that was asked for on, whose bytes are not waited for.
    pub seqs: Vec<u64>,
}

/// A submission as a node tells it.
#[derive(Deserialize)]
struct Told {
    seq: u64,
    root: Hash32,
    size: u64,
    tags: String,
    sender: Account,
    block: u64,
    transaction: Hash32,
}

impl TryFrom<Told> for Submission {
    type Error = FeedError;

    fn try_from(told: Told) -> Result<Self, FeedError> {
        let tags = hex::decode(&told.tags);
        let tags = tags.ok_or_else(|| FeedError::Senseless("tags are no hex text".to_owned()))?;
        Ok(Submission {
            seq: told.seq,
            root: told.root,
            size: told.size,
            tags: tags.into(),
            sender: told.sender,
            block: told.block,
            transaction: told.transaction,
            given_up: false,
        })
    }
}

#[cfg(test)]
#[path = "node_feed_tests.rs"]
mod tests;
