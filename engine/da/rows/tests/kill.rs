//! SIGKILL on real files: a child appends, extends and lets expire until it is killed; whatever it had
//! acknowledged is found by the next process, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use common::{Dice, Form, Made, made};
use lode_da_rows::{Error, Handle, Options, launch};
use lode_world::{Backend, Running, preflight};

const NOW: u64 = 1_000_000;
const DIR: &str = "ROWS_KILL_DIR";
const BACKEND: &str = "ROWS_KILL_BACKEND";
const FIRST: &str = "ROWS_KILL_FIRST";

fn start(dir: &Path, backend: Backend) -> Option<(Handle, Running)> {
    let found = preflight(&[dir.to_owned()], 2, Some(backend)).ok()?;
    let options = Options {
        segment_len: 24 << 20,
        grow_len: 4 << 20,
        ..Options::new(dir.to_owned(), NOW)
    };
    let (handle, running, _) = launch(&found, options).unwrap();
    Some((handle, running))
}

fn record(number: u64, expiry: u64) -> Made {
    let form = match number % 3 {
        0 => Form {
            width: 64 << 10,
            rows: 30,
            table: 2048,
        },
        _ => Form::small(number),
    };
    made(number, expiry, form)
}

async fn append(handle: &Handle, made: &Made) -> Result<(), Error> {
    let mut appending = handle.begin(made.holding.clone()).await?;
    let rows = made.rows.iter().cloned().map(Bytes::from).collect();
    appending.push(rows).await?;
    appending.finish().await
}

/// The child: says each record when it is durable, until it is killed. A test so that the same program
/// can be started again; by itself it does nothing.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let backend: Backend = std::env::var(BACKEND).unwrap().parse().unwrap();
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let (handle, _running) = start(Path::new(&dir), backend).unwrap();
    let next = std::sync::Arc::new(AtomicU64::new(first));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tasks = (0..6).map(|_| tokio::spawn(work(handle.clone(), next.clone())));
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

async fn work(handle: Handle, next: std::sync::Arc<AtomicU64>) {
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let mut expiry = NOW + 3600 * (1 + number % 3);
        append(&handle, &record(number, expiry)).await.unwrap();
        say(number, expiry);
        if number.is_multiple_of(4) {
            expiry += 7200;
            let container = record(number, expiry).container();
            handle.extend(container, expiry).await.unwrap();
            say(number, expiry);
        }
    }
}

fn say(number: u64, expiry: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "held {number} {expiry}").unwrap();
    out.flush().unwrap();
}

/// Starts a child, kills it after a while, and takes down what it said.
fn live(dir: &Path, backend: Backend, first: u64, span: Duration, said: &mut BTreeMap<u64, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIR, dir)
        .env(BACKEND, backend.to_string())
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let killer = std::thread::spawn(move || {
        std::thread::sleep(span);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    for line in out.lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["held", number, expiry] = words[..] {
            said.insert(number.parse().unwrap(), expiry.parse().unwrap());
        }
    }
    killer.join().unwrap();
}

/// Compares all that was said, and reads all else that is there.
async fn check(handle: &Handle, said: &BTreeMap<u64, u64>) {
    for (number, expiry) in said {
        let mut want = record(*number, *expiry);
        let container = want.container();
        let held = handle.expiry(container).await.unwrap();
        let held = held.unwrap_or_else(|| panic!("{number} was acknowledged and is gone"));
        assert!(
            held >= *expiry,
            "{number} is held until {held}, not until {expiry}"
        );
        // A longer term may have become durable without a word.
        want.holding.statement.expiry = held;
        assert_eq!(
            handle.holding(container).await.unwrap(),
            want.holding,
            "{number}"
        );
        for (numbers, bytes) in want.holding.rows.chunks(100).zip(want.rows.chunks(100)) {
            assert_eq!(
                handle.rows(container, numbers.to_vec()).await.unwrap(),
                bytes,
                "{number}"
            );
        }
    }
    let scrubbed = handle.scrub(0).await.unwrap();
    assert_eq!(scrubbed.damaged, 0, "no record is there in part");
    assert!(handle.len().await.unwrap() >= said.len());
}

fn cycles(backend: Backend, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut dice = Dice(seed);
    let mut said = BTreeMap::new();
    for cycle in 0..5 {
        let span = Duration::from_millis(dice.between(150, 700));
        live(dir.path(), backend, cycle * 100_000, span, &mut said);
        let Some((handle, running)) = start(dir.path(), backend) else {
            return eprintln!("skipped on {backend}");
        };
        runtime.block_on(async {
            check(&handle, &said).await;
            handle.stop().await;
        });
        running.join().unwrap();
    }
    assert!(!said.is_empty(), "a load that did nothing proves nothing");
    println!(
        "{backend}: {} records acknowledged before five kills, 0 lost",
        said.len()
    );
}

#[test]
fn killed_on_a_ring() {
    cycles(Backend::Uring, 1);
}

#[test]
fn killed_on_threads() {
    cycles(Backend::Posix, 2);
}
