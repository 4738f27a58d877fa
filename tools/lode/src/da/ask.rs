//! What one asks of a node of data availability: post, status, get, sample.
//!
//! A file that is longer than a blob may be is posted as several, in order. What `post --cert` writes names
//! them all, with their certificates, and is what `get` and `sample` take.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use lode_proofs::{
    Hash32,
    da::{
        Sample, Statement, Verifier, blob_root,
        certificate::STATEMENT_LEN,
        shape::{COLUMNS_MAX, ROWS},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    client::Client,
    failure::{Failure, Outcome},
    output::Output,
    random, units,
};

/// Bytes of a blob that a long file is cut into: its container is coded while the next one is read.
const PIECE_LEN: usize = 32 << 20;
/// Blobs of a file that were sent and are not certified.
const AHEAD: usize = 3;
/// Seconds that a request waits for a certificate before it is asked again.
const WAIT_SECS: u64 = 25;
/// How often.
const WAITS_MAX: u32 = 20;

/// Which node.
#[derive(Args, Debug)]
pub struct NodeArg {
    /// The node's API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5711")]
    pub api: String,
}

/// Arguments of `lode da post`.
#[derive(Args, Debug)]
pub struct PostArgs {
    /// The file; - for stdin
    pub file: PathBuf,
    #[command(flatten)]
    pub node: NodeArg,
    /// Write where its bytes are, and the certificates, into this file
    #[arg(long, value_name = "OUT")]
    pub cert: Option<PathBuf>,
    /// Whose bytes they are: up to 58 hex digits [default: zeros]
    #[arg(long, value_name = "HEX")]
    pub namespace: Option<String>,
    /// certified, settled or final
    #[arg(long, value_name = "MILESTONE", default_value = "certified")]
    pub wait: String,
}

/// Arguments of `lode da status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The request, as the node has named it
    pub request: String,
    #[command(flatten)]
    pub node: NodeArg,
}

/// Arguments of `lode da get`.
#[derive(Args, Debug)]
pub struct GetArgs {
    /// A handle, or a file that `post --cert` has written
    pub what: String,
    #[command(flatten)]
    pub node: NodeArg,
    /// Where to write it; - for stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `lode da sample`.
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// A file that `post --cert` has written
    pub cert: PathBuf,
    #[command(flatten)]
    pub node: NodeArg,
    /// Rows of each container
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub samples: u16,
}

/// What `post --cert` writes.
#[derive(Serialize, Deserialize)]
pub(super) struct Cert {
    /// Bytes of the whole.
    pub(super) len: u64,
    /// In order.
    pub(super) blobs: Vec<Blob>,
}

/// A blob, as the node tells of it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) handle: String,
    pub(super) container: Hash32,
    pub(super) root: Hash32,
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) epoch: u64,
    pub(super) quorum: u32,
    pub(super) certificate: String,
    pub(super) entry: String,
    /// What `lode da prove` adds: evidence that the chain has the committee, and the certificate on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Request {
    request_id: String,
    status: String,
    blob: Option<Blob>,
    reason: Option<String>,
}

/// Posts a file.
pub fn post(args: &PostArgs, output: Output) -> Outcome<ExitCode> {
    let client = Client::new(&args.node.api, None)?;
    if !["certified", "settled", "final"].contains(&args.wait.as_str()) {
        let what = format!("--wait is {}", args.wait);
        return Err(Failure::usage(what, "ask for certified, settled or final"));
    }
    let requests = send(&client, args, output)?;
    if requests.is_empty() {
        let what = format!("{} has no bytes", args.file.display());
        return Err(Failure::usage(what, "a blob has at least one byte"));
    }
    let mut cert = Cert {
        len: 0,
        blobs: Vec::new(),
    };
    for (request, root) in &requests {
        let blob = wait(&client, request, &args.wait)?;
        if blob.root != *root {
            let what = format!("{} tells of a blob of another root", args.node.api);
            return Err(Failure::not_verified(what, "do not trust this node"));
        }
        cert.len += blob.len;
        cert.blobs.push(blob);
    }
    let json = serde_json::to_value(&cert)
        .map_err(|error| Failure::other(error.to_string(), "report this"))?;
    if let Some(path) = &args.cert {
        write(path, format!("{json:#}\n").as_bytes())?;
    }
    let handles: Vec<&str> = cert.blobs.iter().map(|blob| blob.handle.as_str()).collect();
    let short = handles.join("\n");
    let what = format!(
        "{} {} as {}",
        units::size(cert.len),
        args.wait,
        units::counted(handles.len(), "blob")
    );
    output.data(&json, &short, &format!("{short}\n{what}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Sends a file, piece by piece: the name of each request, its blob's root.
fn send(client: &Client, args: &PostArgs, output: Output) -> Outcome<Vec<(String, Hash32)>> {
    let failed = |error: io::Error| Failure::file(args.file.display(), &error);
    let (mut source, len): (Box<dyn io::Read>, Option<u64>) = match args.file.to_str() {
        Some("-") => (Box::new(io::stdin()), None),
        _ => {
            let file = File::open(&args.file).map_err(failed)?;
            let len = file.metadata().map_err(failed)?.len();
            (Box::new(file), Some(len))
        }
    };
    let path = match &args.namespace {
        Some(namespace) => format!("/v1/da/blobs?namespace={namespace}"),
        None => "/v1/da/blobs".to_owned(),
    };
    let bar = output.bar(&args.file.display().to_string(), len);
    let mut requests: Vec<(String, Hash32)> = Vec::new();
    let mut open = 0;
    loop {
        let mut piece = Vec::new();
        let most = u64::try_from(PIECE_LEN).unwrap_or(u64::MAX);
        source
            .by_ref()
            .take(most)
            .read_to_end(&mut piece)
            .map_err(failed)?;
        if piece.is_empty() {
            break;
        }
        let request: Request = client.post_to(&path, &piece)?;
        requests.push((request.request_id, blob_root(&piece)));
        // Bytes count when they are certified; a few are coded and checked while the next are sent.
        if requests.len() - open > AHEAD {
            bar.inc(wait(client, &requests[open].0, "certified")?.len);
            open += 1;
        }
    }
    for (request, _) in &requests[open..] {
        bar.inc(wait(client, request, "certified")?.len);
    }
    bar.finish_and_clear();
    Ok(requests)
}

/// Waits until a request has come as far as is wished.
fn wait(client: &Client, request: &str, until: &str) -> Outcome<Blob> {
    let order = ["certified", "settled", "final"];
    let rank = |name: &str| order.iter().position(|known| *known == name);
    let mut last = String::new();
    for _ in 0..WAITS_MAX {
        let path = format!("/v1/da/requests/{request}?wait={until}&seconds={WAIT_SECS}");
        let state: Request = client.fetch(&path)?;
        match state.blob {
            Some(blob) if rank(&state.status) >= rank(until) => return Ok(blob),
            _ if ["failed", "unsigned"].contains(&state.status.as_str()) => {
                let why = state
                    .reason
                    .unwrap_or_else(|| "too few holders have signed".to_owned());
                return Err(Failure::other(
                    why,
                    "look at the holders, and post it again",
                ));
            }
            _ => last = state.status,
        }
    }
    let what = format!("it is {last}, and was to be {until}");
    Err(Failure::late(what, "ask again by `lode da status`"))
}

/// Tells of a request.
pub fn status(args: &StatusArgs, output: Output) -> Outcome<ExitCode> {
    let client = Client::new(&args.node.api, None)?;
    let state: Value = client.fetch(&format!("/v1/da/requests/{}", args.request))?;
    let name = state["status"].as_str().unwrap_or("unknown");
    output.data(&state, name, name)?;
    Ok(ExitCode::SUCCESS)
}

/// Fetches blobs, each compared with its root where that is known.
pub fn get(args: &GetArgs, output: Output) -> Outcome<ExitCode> {
    let client = Client::new(&args.node.api, None)?;
    let blobs: Vec<(String, Option<Hash32>)> = match Path::new(&args.what).is_file() {
        true => {
            let blobs = read(Path::new(&args.what))?.blobs.into_iter();
            blobs.map(|blob| (blob.handle, Some(blob.root))).collect()
        }
        false => vec![(args.what.clone(), None)],
    };
    let is_stdout = args.output.as_os_str() == "-";
    let fresh = args.output.with_extension("part");
    let failed = |error: io::Error| Failure::file(args.output.display(), &error);
    let mut target: Box<dyn io::Write> = match is_stdout {
        true => Box::new(io::stdout().lock()),
        false => Box::new(File::create(&fresh).map_err(failed)?),
    };
    let bar = output.bar(&args.output.display().to_string(), None);
    let mut bytes = 0;
    for (handle, root) in &blobs {
        let blob = client.bytes(&format!("/v1/da/blobs/{handle}"))?;
        if root.is_some_and(|root| blob_root(&blob) != root) {
            let what = format!("{} gave other bytes than {handle}", args.node.api);
            return Err(Failure::not_verified(what, "do not trust this node"));
        }
        target.write_all(&blob).map_err(failed)?;
        bytes += blob.len();
        bar.inc(u64::try_from(blob.len()).unwrap_or(0));
    }
    target.flush().map_err(failed)?;
    drop(target);
    bar.finish_and_clear();
    if !is_stdout {
        let file = File::open(&fresh).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&fresh, &args.output).map_err(failed)?;
        let what = units::size(u64::try_from(bytes).unwrap_or(u64::MAX));
        let json = json!({ "bytes": bytes, "output": args.output.display().to_string() });
        output.data(&json, "", &format!("{}  {what}", args.output.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches rows at random and checks each. What was certified by liars alone is not found out this way: it is
/// the certificate that says that there are holders.
pub fn sample(args: &SampleArgs, output: Output) -> Outcome<ExitCode> {
    let client = Client::new(&args.node.api, None)?;
    let cert = read(&args.cert)?;
    let mut seen = std::collections::BTreeSet::new();
    let (mut checked, mut asked, mut worst) = (0_u64, 0_u64, 0.0_f64);
    for blob in cert.blobs.iter().filter(|blob| seen.insert(blob.container)) {
        let statement = statement(blob)?;
        let head = statement.head;
        let verifier = Verifier::new(head, &statement.quorum, usize::from(head.columns));
        let verifier = verifier
            .map_err(|error| Failure::not_verified(error.to_string(), "do not trust this file"))?;
        let mut right = 0;
        for row in rows(args.samples)? {
            let path = format!("/v1/da/containers/{}/rows/{row}", blob.container);
            let bytes = match client.bytes(&path) {
                Ok(bytes) => bytes,
                // Its holder is silent: that is what is counted.
                Err(failure) if failure.is_retryable() => {
                    asked += 1;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let wrong = |why: String| {
                let what = format!("row {row} of {}: {why}", blob.container);
                Failure::not_verified(what, "the container may be lost; ask another node")
            };
            let sample = Sample::decode(&head, &bytes).map_err(|error| wrong(error.to_string()))?;
            verifier
                .sample(row, &sample)
                .map_err(|error| wrong(error.to_string()))?;
            (checked, asked, right) = (checked + 1, asked + 1, right + 1);
        }
        worst = worst.max(miss(args.samples, right));
    }
    let json = json!({
        "containers": seen.len(), "asked": asked, "samples": checked, "miss_probability": worst,
    });
    let long = format!(
        "{checked} of {asked} rows of {} are there and right; one that cannot be restored would look like this \
         with probability {worst:.1e}",
        units::counted(seen.len(), "container")
    );
    output.data(&json, &checked.to_string(), &long)?;
    Ok(ExitCode::SUCCESS)
}

/// How likely it is that so many samples or more are answered of a container of which fewer than a third of
/// the rows are there.
fn miss(samples: u16, right: u16) -> f64 {
    let mut ways = 1.0_f64;
    let mut sum = 0.0;
    for answered in 0..=samples {
        if answered >= right {
            let silent = i32::from(samples - answered);
            sum += ways * (1.0_f64 / 3.0).powi(i32::from(answered)) * (2.0_f64 / 3.0).powi(silent);
        }
        ways *= f64::from(samples - answered) / f64::from(answered + 1);
    }
    sum.min(1.0)
}

/// What was signed. The number of columns is the one under which the id is that of the container.
fn statement(blob: &Blob) -> Outcome<Statement> {
    let wrong = || {
        let what = format!("the certificate of {} is none", blob.container);
        Failure::not_verified(what, "do not trust this file")
    };
    let digits = blob.certificate.trim_start_matches("0x");
    let bytes = alloy_primitives::hex::decode(digits).map_err(|_| wrong())?;
    let statement = bytes.get(..STATEMENT_LEN).ok_or_else(wrong)?;
    let found = (1..=COLUMNS_MAX).find_map(|columns| {
        let read = Statement::decode(statement, columns).ok()?;
        (read.head.id() == blob.container).then_some(read)
    });
    found.ok_or_else(wrong)
}

/// Different rows, at random.
fn rows(count: u16) -> Outcome<Vec<u16>> {
    let mut rows = std::collections::BTreeSet::new();
    let all = u16::try_from(ROWS).unwrap_or(u16::MAX);
    while rows.len() < usize::from(count) {
        let chance = u16::from_le_bytes(random::bytes::<2>()?);
        // 21 times all of them fit 16 bits: each is as likely.
        if chance < 21 * all {
            rows.insert(chance % all);
        }
    }
    Ok(rows.into_iter().collect())
}

pub(super) fn read(path: &Path) -> Outcome<Cert> {
    let text = fs::read(path).map_err(|error| Failure::file(path.display(), &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Failure::usage(what, "name a file that `lode da post --cert` has written")
    })
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let failed = |error: io::Error| Failure::file(path.display(), &error);
    let fresh = path.with_extension("part");
    let mut file = File::create(&fresh).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)
}
