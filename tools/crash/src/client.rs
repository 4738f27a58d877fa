//! Requests to a node, and the three ways in which they end: answered, refused, or nobody knows.

use std::time::Duration;

use lode_edge::{
    ProblemBody,
    schema::{Blob, Page, UploadState, UploadWish},
};
use lode_proofs::{BlobId, Hash32, ProofFile};
use serde::de::DeserializeOwned;
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
};

/// Longest answer that is no blob, in bytes.
const ANSWER_LEN_LIMIT: u64 = 4 << 20;

/// Time without a byte before an answer counts as lost.
const SILENCE_TIME: Duration = Duration::from_secs(60);

/// Blobs on a page of the list; the API's own limit.
const PAGE_LEN: usize = 1000;

/// Why there is no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Trouble {
    /// The node refused, in its own words.
    #[error("{} {}: {}", .0.status, .0.code, .0.detail)]
    Refused(Box<ProblemBody>),
    /// No answer, or only a part: whether the request was carried out is unknown.
    #[error("no answer: {0}")]
    Lost(String),
    /// An answer that no node should give.
    #[error("a strange answer: {0}")]
    Strange(String),
}

impl Trouble {
    /// The refusal's code is this one.
    pub fn is(&self, code: &str) -> bool {
        matches!(self, Trouble::Refused(problem) if problem.code == code)
    }
}

/// How far an upload is after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All bytes are durable, and the blob is there.
    Stored,
    /// Bytes from the start that are durable.
    Upto(u64),
}

/// One node.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// A client of the node at `url`.
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // One connection per request: a lost answer is then about this request, never about a
            // connection that the node closed after an earlier refusal.
            .max_idle_connections(0)
            .timeout_connect(Some(SILENCE_TIME))
            .timeout_per_read(Some(SILENCE_TIME))
            .timeout_per_write(Some(SILENCE_TIME))
            .input_buffer_size(256 * 1024)
            .output_buffer_size(256 * 1024)
            .build();
        Client {
            agent: config.new_agent(),
            url: url.to_owned(),
        }
    }

    /// Puts a blob; durable when this returns. `named` declares the root, so that what a cut
    /// connection leaves can be resumed; else the node learns the root at the end.
    pub fn put(&self, root: Hash32, bytes: &[u8], named: bool) -> Result<(), Trouble> {
        let query = if named {
            format!("?root={root}")
        } else {
            String::new()
        };
        let request = self.agent.put(format!("{}/v1/blobs{query}", self.url));
        let answer = judge(request.send(bytes))?;
        // The head is the acknowledgement; it names what was stored.
        let tag = answer.headers().get("etag");
        match tag.and_then(|tag| tag.to_str().ok()) == Some(&format!("\"{root}\"")) {
            true => Ok(()),
            false => Err(Trouble::Strange(format!("put of {root} stored {tag:?}"))),
        }
    }

    /// Begins or finds an upload.
    pub fn begin(&self, root: Hash32, size: u64) -> Result<Progress, Trouble> {
        let wish = UploadWish {
            root: root.to_string(),
            size,
            expiry: None,
        };
        let body = serde_json::to_vec(&wish).map_err(|why| Trouble::Strange(why.to_string()))?;
        let request = self.agent.post(format!("{}/v1/uploads", self.url));
        progress(&judge(request.send(&body[..]))?)
    }

    /// Sends a piece of an upload; what is acknowledged is durable.
    pub fn patch(&self, root: Hash32, offset: u64, piece: &[u8]) -> Result<Progress, Trouble> {
        let request = self.agent.patch(format!("{}/v1/uploads/{root}", self.url));
        let request = request.header("upload-offset", offset.to_string());
        progress(&judge(request.send(piece))?)
    }

    /// Forgets an unfinished upload.
    pub fn abandon(&self, root: Hash32) -> Result<(), Trouble> {
        let request = self.agent.delete(format!("{}/v1/uploads/{root}", self.url));
        judge(request.call()).map(|_| ())
    }

    /// How far an upload is; `None`: the node knows of none.
    pub fn upload(&self, root: Hash32) -> Result<Option<UploadState>, Trouble> {
        let request = self.agent.get(format!("{}/v1/uploads/{root}", self.url));
        match judge(request.call()).and_then(json) {
            Err(trouble) if trouble.is("LODE0011") => Ok(None),
            other => other.map(Some),
        }
    }

    /// Deletes a blob; durable when this returns.
    pub fn delete(&self, root: Hash32) -> Result<(), Trouble> {
        let request = self.agent.delete(format!("{}/v1/blobs/{root}", self.url));
        judge(request.call()).map(|_| ())
    }

    /// `len` bytes of a blob from `start`, or all of them; `None`: there is no such blob.
    pub fn get(&self, root: Hash32, part: Option<(u64, u64)>) -> Result<Option<Vec<u8>>, Trouble> {
        let mut request = self.agent.get(format!("{}/v1/blobs/{root}", self.url));
        if let Some((start, len)) = part {
            request = request.header("range", format!("bytes={start}-{}", start + len - 1));
        }
        match judge(request.call()) {
            Ok(answer) => read(answer, u64::MAX).map(Some),
            Err(trouble) if trouble.is("LODE0010") => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A chunk with its proof, checked here against root and size.
    pub fn prove(&self, root: Hash32, size: u64, chunk: u64) -> Result<Vec<u8>, Trouble> {
        let path = format!("/v1/blobs/{root}/proof/{chunk}?format=binary&data=true");
        let body = read(
            judge(self.agent.get(format!("{}{path}", self.url)).call())?,
            ANSWER_LEN_LIMIT,
        )?;
        let bad =
            |why: String| Trouble::Strange(format!("proof of chunk {chunk} of {root}: {why}"));
        let file = ProofFile::decode(&body).map_err(|why| bad(why.to_string()))?;
        let blob = BlobId::new(root, size).map_err(|why| bad(why.to_string()))?;
        let expected = file.proof().expect(blob, chunk);
        expected.map_err(|why| bad(why.to_string()))?;
        let carried = file.chunk().ok_or_else(|| bad("no bytes".to_owned()))?;
        Ok(carried.data.to_vec())
    }

    /// Every blob that the node lists.
    pub fn list(&self) -> Result<Vec<Blob>, Trouble> {
        let (mut blobs, mut after) = (Vec::new(), None::<String>);
        loop {
            let tail = after.map(|root| format!("&after={root}"));
            let query = format!("?limit={PAGE_LEN}{}", tail.unwrap_or_default());
            let request = self.agent.get(format!("{}/v1/blobs{query}", self.url));
            let page: Page = json(judge(request.call())?)?;
            blobs.extend(page.blobs);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(blobs),
            }
        }
    }
}

/// The answer, if it is a good one.
fn judge(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Trouble> {
    let answer = answer.map_err(|why| Trouble::Lost(why.to_string()))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let kind = answer.headers().get("content-type").cloned();
    let body = read(answer, ANSWER_LEN_LIMIT)?;
    let problem = serde_json::from_slice::<ProblemBody>(&body).ok();
    let typed = kind.is_some_and(|kind| kind == "application/problem+json");
    match problem.filter(|problem| typed && problem.status == status.as_u16()) {
        Some(problem) => Err(Trouble::Refused(Box::new(problem))),
        None => Err(Trouble::Strange(format!(
            "{status} without its problem in JSON"
        ))),
    }
}

fn progress(answer: &Response<Body>) -> Result<Progress, Trouble> {
    let offset = answer.headers().get("upload-offset");
    let offset = offset.and_then(|text| text.to_str().ok()?.parse().ok());
    match (answer.status(), offset) {
        (_, Some(offset)) => Ok(Progress::Upto(offset)),
        (StatusCode::OK | StatusCode::CREATED, None) => Ok(Progress::Stored),
        (status, None) => Err(Trouble::Strange(format!("{status} without an offset"))),
    }
}

fn read(mut answer: Response<Body>, limit: u64) -> Result<Vec<u8>, Trouble> {
    let body = answer.body_mut().with_config().limit(limit).read_to_vec();
    body.map_err(|why| Trouble::Lost(why.to_string()))
}

fn json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Trouble> {
    let body = read(answer, ANSWER_LEN_LIMIT)?;
    serde_json::from_slice(&body).map_err(|why| Trouble::Strange(why.to_string()))
}
