//! `lode get`: a whole blob, verified against its root while it streams, or a range of it,
//! verified chunk by chunk.

use std::{
    io::{self, IsTerminal, Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use lode_proofs::{BlobTree, Hash32};
use serde_json::json;

use crate::{
    args::GetArgs,
    client::{Client, parse_root},
    failure::{Exit, Failure, Outcome},
    output::Output,
    roots::StreamRoot,
    units,
    verbs::{part::Part, range},
};

/// Connections in a row that bring no byte before we give up.
const TRIES: u32 = 5;

/// Pause after the first of them; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);

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
        (Some(text), target) => range::run(client, root, size, text, args.trust_node, target)?,
        (None, Some(path)) => get_file(client, root, size, path, output)?,
        (None, None) => get_stdout(client, root, size, output)?,
    };
    report(root, &got, output)
}

/// What was fetched.
pub struct Got {
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Bytes of them that an earlier run had fetched.
    pub resumed_at: u64,
    /// They were checked against the root.
    pub verified: bool,
    /// Where they are; none: they went to stdout.
    pub to: Option<PathBuf>,
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
    let fetched = fetch(client, root, resumed_at..size, |bytes| {
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
    let fetched = fetch(client, root, 0..size, |bytes| {
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

/// Bytes of a range of the blob in order, over as many connections as it takes.
pub fn fetch(
    client: &Client,
    root: Hash32,
    mut range: Range<u64>,
    mut take: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut tries = 0;
    let mut buffer = vec![0; BUFFER_LEN];
    while !range.is_empty() {
        let before = range.start;
        match stream(client, root, &mut range, &mut buffer, &mut take) {
            Ok(()) => {}
            // A disk of ours that is full is not the node's fault, and what was taken in stays so.
            Err(failure) if failure.exit == Exit::Unavailable && tries + 1 < TRIES => {
                tries = if range.start > before { 0 } else { tries + 1 };
                thread::sleep(PAUSE * 2u32.pow(tries));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Bytes of one connection. What comes shortens the range.
fn stream(
    client: &Client,
    root: Hash32,
    range: &mut Range<u64>,
    buffer: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let header = format!("bytes={}-{}", range.start, range.end - 1);
    let answer = client.get(root, Some(&header))?;
    if answer.status().as_u16() != 206 {
        let what = format!("asked for {header}, the node answered {}", answer.status());
        return Err(Failure::other(what, "check that --node names a Lode node"));
    }
    let mut body = answer
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    while !range.is_empty() {
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        match body.read(&mut buffer[..left.min(BUFFER_LEN)]) {
            Ok(0) => {
                return Err(Failure::unreachable(
                    client.node(),
                    "the connection ended too early",
                ));
            }
            Ok(read) => {
                take(&buffer[..read])?;
                range.start += u64::try_from(read).unwrap_or(u64::MAX);
            }
            Err(error) => return Err(Failure::unreachable(client.node(), error)),
        }
    }
    Ok(())
}
