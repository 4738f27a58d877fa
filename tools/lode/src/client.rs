//! Talking to a node: requests, answers, and problems as failures.

use std::{io::Read, net::IpAddr, path::Path, time::Duration};

use lode_edge::{
    ProblemBody,
    desk::STORAGE_RPC,
    schema::{AnchorState, Blob, EpochState, Scrubbed, UploadState, UploadWish},
};
use lode_proofs::{BlobId, Hash32, ProofFile};
use serde::de::DeserializeOwned;
use ureq::{
    Agent, Body, RequestBuilder, SendBody,
    http::{Response, StatusCode, Uri},
    typestate::{WithBody, WithoutBody},
};

use crate::{
    failure::{Failure, Outcome},
    trust,
};

/// Longest answer that is no blob, in bytes; a proof with its chunk is the longest.
const ANSWER_LEN_LIMIT: u64 = 1 << 20;

/// What a node without a chain answers to who asks for anchors.
const NO_CHAIN: &str = lode_edge::problem::NO_CHAIN.name;

/// Time to open a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Time without a byte of an answer before the node counts as gone.
const SILENCE_TIME: Duration = Duration::from_secs(60);

/// One node, over as many connections as are needed at once.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    node: String,
}

/// The answer to a piece of an upload.
#[derive(Clone, Debug)]
pub enum Sent {
    /// All bytes are durable.
    Stored(Blob),
    /// Durable up to here; the rest is still to be sent.
    Upto(u64),
    /// The node is elsewhere: continue there.
    Elsewhere(u64),
}

impl Client {
    /// A client of the node at this URL, trusting the authorities of `ca` if it is behind TLS.
    ///
    /// # Errors
    /// The file of authorities cannot be read.
    pub fn new(node: &str, ca: Option<&Path>) -> Outcome<Self> {
        let mut config = Agent::config_builder();
        if is_here(node) {
            // Proxies that the environment names are for the world outside.
            config = config.proxy(None);
        }
        let config = config
            .tls_config(trust::tls(ca)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_per_read(Some(SILENCE_TIME))
            .timeout_per_write(Some(SILENCE_TIME))
            .input_buffer_size(256 * 1024)
            .output_buffer_size(256 * 1024)
            .user_agent(concat!("lode/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Client {
            agent: config.new_agent(),
            node: node.to_owned(),
        })
    }

    /// The node's URL.
    pub fn node(&self) -> &str {
        &self.node
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node)
    }

    /// Why no answer came.
    fn lost(&self, error: ureq::Error) -> Failure {
        trust::explain(&self.node, &error)
            .unwrap_or_else(|| Failure::unreachable(&self.node, error))
    }

    fn send(&self, request: RequestBuilder<WithoutBody>) -> Outcome<Response<Body>> {
        self.judge(request.call())
    }

    /// The answer, if it is a good one.
    fn judge(&self, answer: Result<Response<Body>, ureq::Error>) -> Outcome<Response<Body>> {
        let answer = answer.map_err(|error| self.lost(error))?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.refused(answer))
        }
    }

    fn refused(&self, mut answer: Response<Body>) -> Failure {
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_LIMIT)
            .read_to_vec();
        match text.ok().and_then(|text| problem(&text)) {
            Some(problem) => Failure::problem(problem),
            None => plain(&self.node, status),
        }
    }

    fn json<T: DeserializeOwned>(&self, mut answer: Response<Body>) -> Outcome<T> {
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_LIMIT)
            .read_to_vec();
        let body = body.map_err(|error| self.lost(error))?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::other(
                format!("{} answered strangely: {error}", self.node),
                "check that --node names a Lode node of this version",
            )
        })
    }

    /// Begins, or finds, an upload. A blob that is there already comes back as stored.
    pub fn begin(&self, wish: &UploadWish) -> Outcome<Sent> {
        let answer = self.judge(self.agent.post(self.url("/v1/uploads")).send_json(wish))?;
        match answer.status() {
            StatusCode::OK => self.json(answer).map(Sent::Stored),
            _ => self
                .json::<UploadState>(answer)
                .map(|state| Sent::Upto(state.offset)),
        }
    }

    /// How far an upload is.
    pub fn upload(&self, root: Hash32) -> Outcome<UploadState> {
        let answer = self.send(self.agent.get(self.url(&format!("/v1/uploads/{root}"))))?;
        self.json(answer)
    }

    /// Sends bytes of an upload from `offset` on.
    pub fn patch(
        &self,
        root: Hash32,
        expiry: Option<u32>,
        offset: u64,
        len: u64,
        bytes: &mut dyn Read,
    ) -> Outcome<Sent> {
        // Said also when there is none: an upload that somebody began for a term keeps that else.
        let until = expiry.map_or("none".to_owned(), |epoch| epoch.to_string());
        let request = self
            .agent
            .patch(self.url(&format!("/v1/uploads/{root}?expiry={until}")));
        let request = request.header("upload-offset", offset.to_string());
        let answer = self.stream(request, Some(len), bytes)?;
        let upload_offset = answer.headers().get("upload-offset");
        let at = upload_offset.and_then(|value| value.to_str().ok()?.parse().ok());
        match (answer.status(), at) {
            (StatusCode::OK | StatusCode::CREATED, _) => self.json(answer).map(Sent::Stored),
            (StatusCode::NO_CONTENT, Some(at)) => Ok(Sent::Upto(at)),
            (StatusCode::CONFLICT, Some(at)) => Ok(Sent::Elsewhere(at)),
            _ => Err(self.refused(answer)),
        }
    }

    /// Puts a body of unknown root, or of a root that the node shall check.
    pub fn post(&self, query: &str, len: Option<u64>, bytes: &mut dyn Read) -> Outcome<Blob> {
        let request = self.agent.post(self.url(&format!("/v1/blobs{query}")));
        let answer = self.stream(request, len, bytes)?;
        match answer.status().is_success() {
            true => self.json(answer),
            false => Err(self.refused(answer)),
        }
    }

    /// Sends a body. `Expect` lets the node refuse before the bytes are sent.
    fn stream(
        &self,
        request: RequestBuilder<WithBody>,
        len: Option<u64>,
        bytes: &mut dyn Read,
    ) -> Outcome<Response<Body>> {
        let mut request = request.header("content-type", "application/octet-stream");
        if let Some(len) = len {
            request = request.header("content-length", len.to_string());
        }
        if len.is_none_or(|len| len > 64 * 1024) {
            request = request.header("expect", "100-continue");
        }
        let answer = request.send(SendBody::from_reader(bytes));
        answer.map_err(|error| self.lost(error))
    }

    /// Size and expiry of a blob.
    pub fn head(&self, root: Hash32) -> Outcome<(u64, Option<u32>)> {
        let answer = self
            .agent
            .head(self.url(&format!("/v1/blobs/{root}")))
            .call();
        let answer = answer.map_err(|error| self.lost(error))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(no_blob(root));
        }
        if !answer.status().is_success() {
            return Err(plain(&self.node, answer.status()));
        }
        let number = |name: &str| {
            answer
                .headers()
                .get(name)?
                .to_str()
                .ok()?
                .parse::<u64>()
                .ok()
        };
        let size = number("content-length").ok_or_else(|| plain(&self.node, answer.status()))?;
        Ok((
            size,
            number("lode-expiry").and_then(|epoch| u32::try_from(epoch).ok()),
        ))
    }

    /// Bytes of a blob; `range` is a `Range` header.
    pub fn get(&self, root: Hash32, range: Option<&str>) -> Outcome<Response<Body>> {
        let request = self.agent.get(self.url(&format!("/v1/blobs/{root}")));
        let request = match range {
            Some(range) => request.header("range", range),
            None => request,
        };
        self.send(request)
    }

    /// A chunk's proof file, checked, and about what was asked for.
    pub fn prove(&self, root: Hash32, chunk: u64, data: bool) -> Outcome<Vec<u8>> {
        let path = format!("/v1/blobs/{root}/proof/{chunk}?format=binary&data={data}");
        let mut answer = self.send(self.agent.get(self.url(&path)))?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_LIMIT)
            .read_to_vec();
        let body = body.map_err(|error| self.lost(error))?;
        let cure = "do not trust this node with this blob; ask another holder";
        let bad = |why: String| Failure::not_verified(why, cure);
        let file = ProofFile::decode(&body).map_err(|error| bad(error.to_string()))?;
        let size = file.proof().blob().shape.size();
        let blob = BlobId::new(root, size).map_err(|error| bad(error.to_string()))?;
        file.proof()
            .expect(blob, chunk)
            .map_err(|refusal| bad(refusal.to_string()))?;
        if file.chunk().is_some() != data {
            return Err(bad(
                "the proof came without the chunk that was asked for".to_owned()
            ));
        }
        Ok(body)
    }

    /// How far the settlement of a blob is; none if the node settles on no chain.
    pub fn anchor(&self, root: Hash32) -> Outcome<Option<AnchorState>> {
        let path = format!("/v1/blobs/{root}/anchor");
        match self.send(self.agent.get(self.url(&path))) {
            Ok(answer) => self.json(answer).map(Some),
            Err(failure) if failure.code == NO_CHAIN => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What shows that a blob is settled: bytes that nobody has checked.
    pub fn evidence(&self, root: Hash32) -> Outcome<Vec<u8>> {
        let path = format!("/v1/blobs/{root}/anchor?format=binary");
        let mut answer = self.send(self.agent.get(self.url(&path)))?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_LIMIT)
            .read_to_vec();
        body.map_err(|error| self.lost(error))
    }

    /// Whatever a path answers, as JSON.
    pub fn fetch<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        let answer = self.send(self.agent.get(self.url(path)))?;
        self.json(answer)
    }

    /// The bytes that a path answers, all in memory.
    pub fn bytes(&self, path: &str) -> Outcome<Vec<u8>> {
        let mut answer = self.send(self.agent.get(self.url(path)))?;
        let body = answer.body_mut().with_config().limit(u64::MAX);
        body.read_to_vec().map_err(|error| self.lost(error))
    }

    /// What a path answers to bytes that are posted there, as JSON.
    pub fn post_to<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Outcome<T> {
        let answer = self.judge(self.agent.post(self.url(path)).send(bytes))?;
        self.json(answer)
    }

    /// Deletes a blob.
    pub fn delete(&self, root: Hash32) -> Outcome<()> {
        self.send(self.agent.delete(self.url(&format!("/v1/blobs/{root}"))))
            .map(|_| ())
    }

    /// The node's figures.
    pub fn stat(&self) -> Outcome<serde_json::Map<String, serde_json::Value>> {
        let answer = self.send(self.agent.get(self.url("/v1/stat")))?;
        self.json(answer)
    }

    /// The port of the node's storage RPC, if it serves one, said within `time`.
    pub fn storage_rpc(&self, time: Duration) -> Outcome<Option<u16>> {
        let request = self.agent.get(self.url("/v1/stat")).config();
        let answer = self.send(request.timeout_global(Some(time)).build())?;
        let figures: serde_json::Map<String, serde_json::Value> = self.json(answer)?;
        let port = figures.get(STORAGE_RPC).and_then(|port| port.as_u64());
        Ok(port.and_then(|port| u16::try_from(port).ok()))
    }

    /// The store's epoch.
    pub fn epoch(&self) -> Outcome<u32> {
        let answer = self.send(self.agent.get(self.url("/v1/epoch")))?;
        self.json::<EpochState>(answer).map(|state| state.epoch)
    }

    /// Sets the epoch; returns when what has expired is gone, however long that takes.
    pub fn set_epoch(&self, epoch: u32) -> Outcome<u32> {
        let request = self.agent.put(self.url("/v1/epoch"));
        let request = request.config().timeout_per_read(None).build();
        let answer = self.judge(request.send_json(EpochState { epoch }))?;
        self.json::<EpochState>(answer).map(|state| state.epoch)
    }

    /// Has the node read and check everything; returns when it is done, however long it takes.
    pub fn scrub(&self, rate: u64) -> Outcome<Scrubbed> {
        let request = self.agent.post(self.url(&format!("/v1/scrub?rate={rate}")));
        let answer = request.config().timeout_per_read(None).build().send_empty();
        self.judge(answer).and_then(|answer| self.json(answer))
    }
}

/// Whether a URL names this machine.
fn is_here(node: &str) -> bool {
    let url: Option<Uri> = node.parse().ok();
    let host = url.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .map_or(host.eq_ignore_ascii_case("localhost"), |address: IpAddr| {
            address.to_canonical().is_loopback()
        })
}

/// No such blob, where the answer has no body to say so.
fn no_blob(root: Hash32) -> Failure {
    Failure::problem(ProblemBody {
        r#type: "urn:lode:LODE0010".to_owned(),
        title: "blob not found".to_owned(),
        status: 404,
        code: "LODE0010".to_owned(),
        detail: format!("this node has no blob {root}"),
        retryable: false,
        hint: "put the blob first, or check the root".to_owned(),
    })
}

fn plain(node: &str, status: StatusCode) -> Failure {
    let what = format!("{node} answered {status} without a problem in JSON");
    match status.as_u16() {
        502..=504 => Failure::unreachable(node, status),
        _ => Failure::other(what, "check that --node names a Lode node"),
    }
}

/// Reads a root from the command line.
pub fn parse_root(text: &str) -> Outcome<Hash32> {
    text.parse().map_err(|error: lode_proofs::HashTextError| {
        Failure::usage(
            format!("{text:?} is no root: {error}"),
            "copy the root that `lode put` printed",
        )
    })
}
/// A problem, also one of a server that gives no hint.
fn problem(text: &[u8]) -> Option<ProblemBody> {
    let mut body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let is_retryable = body
        .get("retryable")
        .is_some_and(|retryable| *retryable == true);
    body.entry("hint").or_insert_with(|| match is_retryable {
        true => "try again in a while".into(),
        false => "correct what was asked for".into(),
    });
    serde_json::from_value(body.into()).ok()
}
