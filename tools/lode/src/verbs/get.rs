//! `lode get`: a whole blob, verified against its root while it streams, or a range of it,
//! verified chunk by chunk.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lode_edge::range::parse_range;
use lode_proofs::{BlobTree, Hash32, ProofFile};
use serde_json::json;

use crate::{
    args::GetArgs,
    client::{Client, parse_root},
    failure::{Failure, Outcome},
    output::Output,
    roots::{CHUNK, StreamRoot},
    units,
    verbs::part::Part,
};

/// Connections in a row that bring no byte before we give up.
const TRIES: u32 = 5;

/// Bytes moved at once.
const BUFFER_LEN: usize = 256 * 1024;

/// Fetches, verifies, reports.
pub fn run(args: &GetArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let root = parse_root(&args.root)?;
    let target = match &args.output {
        Some(path) if path != Path::new("-") => Some(path.clone()),
        None if io::stdout().is_terminal() => {
            let next = "name a file by -o FILE, or pass the bytes on by a pipe";
            return Err(Failure::usage(
                "bytes of a blob do not belong on a terminal",
                next,
            ));
        }
        _ => None,
    };
    let (size, _) = client.head(root)?;
    let got = match (&args.range, target) {
        (Some(range), target) => get_range(client, root, size, range, args.trust_node, target)?,
        (None, Some(path)) => get_file(client, root, size, path, output)?,
        (None, None) => get_stdout(client, root, size, output)?,
    };
    report(root, &got, output)
}

/// What was fetched.
struct Got {
    bytes: u64,
    resumed_at: u64,
    verified: bool,
    to: Option<PathBuf>,
}

fn report(root: Hash32, got: &Got, output: Output) -> Outcome<ExitCode> {
    let verified = if got.verified {
        "verified against"
    } else {
        "NOT verified against"
    };
    let words = format!("{} {verified} {root}", units::size(got.bytes));
    match &got.to {
        Some(path) => {
            let json = json!({
                "root": root.to_string(), "bytes": got.bytes, "resumed_at": got.resumed_at,
                "verified": got.verified, "output": path.display().to_string(),
            });
            output.data(&json, "", &format!("{}  {words}", path.display()))?;
        }
        // Stdout carries the bytes.
        None => output.note(&words),
    }
    Ok(ExitCode::SUCCESS)
}

/// To a file: into a part beside it, which a later run continues, then renamed.
fn get_file(
    client: &Client,
    root: Hash32,
    size: u64,
    path: PathBuf,
    output: Output,
) -> Outcome<Got> {
    let mut part = Part::open(&path, root, size)?;
    let mut hasher = StreamRoot::new();
    let bar = output.bar(&format!("{}", path.display()), Some(size));
    let resumed_at = part.rehash(&mut hasher)?;
    bar.set_position(resumed_at);
    let fetched = fetch(client, root, resumed_at, size, |bytes| {
        hasher.update(bytes);
        bar.inc(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        part.write(bytes)
    });
    bar.finish_and_clear();
    fetched?;
    if let Err(failure) = compare(root, hasher.finish()) {
        part.discard();
        return Err(failure);
    }
    part.publish(&path)?;
    Ok(Got {
        bytes: size,
        resumed_at,
        verified: true,
        to: Some(path),
    })
}

/// To stdout: bytes go on before the last of them is known to be right, so the exit code decides.
fn get_stdout(client: &Client, root: Hash32, size: u64, output: Output) -> Outcome<Got> {
    let mut hasher = StreamRoot::new();
    let mut stdout = io::stdout().lock();
    let bar = output.bar("stdout", Some(size));
    let fetched = fetch(client, root, 0, size, |bytes| {
        hasher.update(bytes);
        bar.inc(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        stdout
            .write_all(bytes)
            .map_err(|error| Failure::file("stdout", &error))
    });
    bar.finish_and_clear();
    fetched?;
    compare(root, hasher.finish())?;
    stdout
        .flush()
        .map_err(|error| Failure::file("stdout", &error))?;
    Ok(Got {
        bytes: size,
        resumed_at: 0,
        verified: true,
        to: None,
    })
}

fn compare(root: Hash32, tree: Option<BlobTree>) -> Outcome<()> {
    let computed = tree.map(|tree| tree.root());
    if computed == Some(root) {
        return Ok(());
    }
    let computed = computed.map_or("no".to_owned(), |computed| computed.to_string());
    let what = format!("the node's bytes have root {computed}, not {root}");
    Err(Failure::not_verified(
        what,
        "do not use these bytes; fetch them from another holder",
    ))
}

/// Bytes `at..size` in order, over as many connections as it takes.
fn fetch(
    client: &Client,
    root: Hash32,
    mut at: u64,
    size: u64,
    mut take: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut tries = 0;
    let mut buffer = vec![0; BUFFER_LEN];
    while at < size {
        let before = at;
        match stream(client, root, &mut at, size, &mut buffer, &mut take) {
            Ok(()) => {}
            Err(failure) if failure.is_retryable() && tries + 1 < TRIES => {
                tries = if at > before { 0 } else { tries + 1 };
                std::thread::sleep(std::time::Duration::from_millis(250 << tries));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Bytes of one connection.
fn stream(
    client: &Client,
    root: Hash32,
    at: &mut u64,
    size: u64,
    buffer: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let range = format!("bytes={at}-");
    let answer = client.get(root, (*at > 0).then_some(range.as_str()))?;
    let want = if *at > 0 { 206 } else { 200 };
    if answer.status().as_u16() != want {
        let what = format!("asked for {range}, the node answered {}", answer.status());
        return Err(Failure::other(what, "fetch the whole blob into a new file"));
    }
    let mut body = answer
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    while *at < size {
        let most = usize::try_from(size - *at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match body.read(&mut buffer[..most]) {
            Ok(0) => {
                return Err(Failure::unreachable(
                    client.node(),
                    "the connection ended too early",
                ));
            }
            Ok(read) => {
                take(&buffer[..read])?;
                *at += u64::try_from(read).unwrap_or(u64::MAX);
            }
            Err(error) => return Err(Failure::unreachable(client.node(), error)),
        }
    }
    Ok(())
}

/// A range: every chunk that it touches comes with its proof, or the node is trusted.
fn get_range(
    client: &Client,
    root: Hash32,
    size: u64,
    range: &str,
    trust_node: bool,
    to: Option<PathBuf>,
) -> Outcome<Got> {
    let header = format!("bytes={range}");
    let part = match parse_range(&header, size) {
        Ok(Some(part)) => part,
        Ok(None) => {
            return Err(Failure::usage(
                format!("{range:?} is no range"),
                "write A-B, A- or -N",
            ));
        }
        Err(_) => {
            let what = format!(
                "{range} is outside the blob's {} bytes",
                units::grouped(size)
            );
            return Err(Failure::usage(what, "ask for bytes within the blob"));
        }
    };
    let mut sink: Box<dyn Write> = match &to {
        Some(path) => Box::new(
            std::fs::File::create(path).map_err(|error| Failure::file(path.display(), &error))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let name = to
        .as_ref()
        .map_or("stdout".to_owned(), |path| path.display().to_string());
    let mut write = |bytes: &[u8]| {
        sink.write_all(bytes)
            .map_err(|error| Failure::file(&name, &error))
    };
    let bytes = part.end - part.start;
    if trust_node {
        let header = format!("bytes={}-{}", part.start, part.end - 1);
        let mut body = client
            .get(root, Some(&header))?
            .into_body()
            .into_with_config()
            .limit(bytes)
            .reader();
        let mut buffer = Vec::new();
        let read = body.read_to_end(&mut buffer);
        read.map_err(|error| Failure::unreachable(client.node(), error))?;
        write(&buffer)?;
    } else {
        for chunk in part.start / CHUNK..part.end.div_ceil(CHUNK) {
            let proven = client.prove(root, chunk, true)?;
            let file = ProofFile::decode(&proven).map_err(|error| {
                Failure::not_verified(error.to_string(), "do not trust this node")
            })?;
            let data = file.chunk().map_or(&[][..], |chunk| chunk.data);
            let offset = chunk * CHUNK;
            let cut = |at: u64| {
                usize::try_from(at.saturating_sub(offset))
                    .unwrap_or(usize::MAX)
                    .min(data.len())
            };
            write(&data[cut(part.start)..cut(part.end)])?;
        }
    }
    drop(write);
    sink.flush().map_err(|error| Failure::file(&name, &error))?;
    Ok(Got {
        bytes,
        resumed_at: part.start,
        verified: !trust_node,
        to,
    })
}
