//! A storage node's JSON-RPC over HTTP (0G wire, 3.1), as any client of it speaks it. Stands alone: the
//! indexer, a key-value node and the command line use it alike.
//!
//! One [`Client`] is one node. Connections are kept, and shared by all clients of one [`Dialer`]. Each
//! call is one request: nothing is tried again here, since only the caller knows whether another node
//! would be better; [`Error::class`] tells whether it makes sense. Time and bytes of an answer are
//! bounded; redirects are not followed, lest a strange node sends us to a neighbour of ours.
//!
//! Hashes in answers are read strictly; what they claim is not checked here: see
//! [`lode_proofs::ChunkProof`].

mod connect;
pub mod error;

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use hyper::Uri;
use lode_proofs::Hash32;
use lode_wire::{FileInfo, FlowProof, Segment, Slice, Status, segment::Sectors};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::timeout;

pub use connect::Dialer;

pub use error::{Class, Error, Refusal};

/// Bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time until a connection is there. Default: 3 s.
    pub connect_max: Duration,
    /// Time of one call, connection and answer included. Default: 30 s, as 0G's clients.
    pub call_max: Duration,
    /// Bytes of one answer. Default: 1 MiB, where a chunk with its proof takes 350 KiB as text.
    pub answer_len_max: usize,
    /// Idle connections that are kept per node. Default: 8.
    pub idle_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connect_max: Duration::from_secs(3),
            call_max: Duration::from_secs(30),
            answer_len_max: 1 << 20,
            idle_max: 8,
        }
    }
}

/// One storage node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    dialer: Dialer,
    text: Arc<str>,
    url: Uri,
    settings: Settings,
    calls: Arc<AtomicU64>,
}

#[derive(Serialize)]
struct Question<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
struct Answer<'a> {
    /// None when a node could not read the question.
    #[serde(default)]
    id: Option<u64>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Refusal>,
}

/// A parameter list of none.
const NONE: [u8; 0] = [];

impl Client {
    /// The node at `url`, by connections of its own. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str, settings: Settings) -> Result<Client, Error> {
        Dialer::new(settings).node(url)
    }

    fn of(dialer: Dialer, settings: Settings, url: &str) -> Result<Client, Error> {
        Ok(Client {
            dialer,
            text: url.into(),
            url: connect::node_url(url)?,
            settings,
            calls: Arc::default(),
        })
    }

    /// Another node, by the same connections.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn beside(&self, url: &str) -> Result<Client, Error> {
        Client::of(self.dialer.clone(), self.settings, url)
    }

    /// The same node with another bound of time.
    #[must_use]
    pub fn within(&self, call_max: Duration) -> Client {
        let mut client = self.clone();
        client.settings.call_max = call_max;
        client
    }

    /// The URL as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.text
    }

    /// The host in the URL.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    /// Any method, with parameters by position: a tuple or a list.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, Error> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let question = Question {
            jsonrpc: "2.0",
            id,
            method,
            params,
        };
        let body = serde_json::to_vec(&question).map_err(Error::Malformed)?;
        let call = self
            .dialer
            .post(&self.url, body, self.settings.answer_len_max);
        let body = timeout(self.settings.call_max, call).await;
        let body = body.map_err(|_| Error::Slow(self.settings.call_max))??;
        let answer: Answer<'_> = serde_json::from_slice(&body).map_err(Error::Malformed)?;
        if let Some(refusal) = answer.error {
            return Err(refusal.into());
        }
        if answer.id != Some(id) {
            return Err(Error::Stray);
        }
        let result = answer.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(Error::Malformed)
    }

    /// How far the node is, and of which network.
    ///
    /// # Errors
    /// Any of [`Error`], as for all calls.
    pub async fn status(&self) -> Result<Status, Error> {
        self.call("zgs_getStatus", NONE).await
    }

    /// Which slice of the flow it keeps.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn slice(&self) -> Result<Slice, Error> {
        self.call("zgs_getShardConfig", NONE).await
    }

    /// What it knows of a blob. If the blob was submitted several times: the first submission that is
    /// finalized, else the first, or with `available` the first that is not pruned.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn blob(&self, root: Hash32, available: bool) -> Result<Option<FileInfo>, Error> {
        self.call("zgs_getFileInfo", (root, available)).await
    }

    /// What it knows of a submission.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn blob_of(&self, seq: u64) -> Result<Option<FileInfo>, Error> {
        self.call("zgs_getFileInfoByTxSeq", (seq,)).await
    }

    /// Whether all chunks of its slice are there; none if it does not know the blob.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn is_final(&self, root: Hash32) -> Result<Option<bool>, Error> {
        self.call("zgs_checkFileFinalized", (root,)).await
    }

    /// The same of a submission.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn is_final_of(&self, seq: u64) -> Result<Option<bool>, Error> {
        self.call("zgs_checkFileFinalized", (seq,)).await
    }

    /// Sectors `start..end` of a blob, at most 1024, unproven; the last one is filled with zeros.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn sectors(
        &self,
        root: Hash32,
        start: u64,
        end: u64,
    ) -> Result<Option<Bytes>, Error> {
        let text: Option<Sectors> = self.call("zgs_downloadSegment", (root, start, end)).await?;
        Ok(text.map(|sectors| sectors.0))
    }

    /// The same of a submission.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn sectors_of(&self, seq: u64, start: u64, end: u64) -> Result<Option<Bytes>, Error> {
        let text: Option<Sectors> = self
            .call("zgs_downloadSegmentByTxSeq", (seq, start, end))
            .await?;
        Ok(text.map(|sectors| sectors.0))
    }

    /// A chunk of a blob with its proof, unchecked.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn chunk(&self, root: Hash32, index: u64) -> Result<Option<Segment>, Error> {
        self.call("zgs_downloadSegmentWithProof", (root, index))
            .await
    }

    /// The same of a submission.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn chunk_of(&self, seq: u64, index: u64) -> Result<Option<Segment>, Error> {
        self.call("zgs_downloadSegmentWithProofByTxSeq", (seq, index))
            .await
    }

    /// Sends chunks of a blob, which may be early: before the chain has ordered it.
    ///
    /// # Errors
    /// Any of [`Error`]; see [`Error::is_already_there`].
    pub async fn put(&self, chunks: &[Segment]) -> Result<(), Error> {
        self.call("zgs_uploadSegments", (chunks,)).await
    }

    /// Sends chunks of a submission.
    ///
    /// # Errors
    /// Any of [`Error`]; see [`Error::is_already_there`].
    pub async fn put_of(&self, seq: u64, chunks: &[Segment]) -> Result<(), Error> {
        self.call("zgs_uploadSegmentsByTxSeq", (chunks, seq)).await
    }

    /// Root and length, in sectors, of the flow.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn flow(&self) -> Result<(Hash32, u64), Error> {
        self.call("zgs_getFlowContext", NONE).await
    }

    /// The way from a sector of the flow to the flow's root, the newest one if none is given.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn sector_proof(
        &self,
        sector: u64,
        root: Option<Hash32>,
    ) -> Result<FlowProof, Error> {
        self.call("zgs_getSectorProof", (sector, root)).await
    }

    /// URLs of other nodes that it knows. Not of 0G's protocol: [`Error::is_method_missing`] with nodes
    /// that are not ours.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn peers(&self) -> Result<Vec<String>, Error> {
        self.call("lode_getPeers", NONE).await
    }
}
