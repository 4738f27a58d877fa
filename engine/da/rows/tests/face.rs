//! The handle on real files, from a runtime of many threads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use bytes::Bytes;
use common::{Dice, Form, Made, made};
use lode_da_rows::{Error, Handle, Options, launch};
use lode_world::{Backend, Running, preflight};

const NOW: u64 = 1_000_000;

fn start(dir: &Path, executors: usize, backend: Backend) -> Option<(Handle, Running)> {
    let found = match preflight(&[dir.to_owned()], executors, Some(backend)) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("skipped on {backend}: {error}");
            return None;
        }
    };
    let options = Options {
        segment_len: 8 << 20,
        grow_len: 1 << 20,
        ..Options::new(dir.to_owned(), NOW)
    };
    let (handle, running, started) = launch(&found, options).unwrap();
    assert!(
        started
            .iter()
            .all(|started| started.found.values().all(|found| found.faults.is_empty()))
    );
    Some((handle, running))
}

fn rows(made: &Made) -> Vec<Bytes> {
    made.rows.iter().cloned().map(Bytes::from).collect()
}

async fn append(handle: &Handle, made: &Made) -> Result<(), Error> {
    let mut appending = handle.begin(made.holding.clone()).await?;
    for rows in rows(made).chunks(7) {
        appending.push(rows.to_vec()).await?;
    }
    appending.finish().await
}

/// Everything of a record is there, byte for byte, in whatever order it is asked for.
async fn compare(handle: &Handle, made: &Made) {
    let container = made.container();
    assert_eq!(handle.holding(container).await.unwrap(), made.holding);
    assert_eq!(
        handle.statement(container).await.unwrap(),
        made.holding.statement
    );
    assert_eq!(
        handle.row_numbers(container).await.unwrap(),
        made.holding.rows
    );
    assert_eq!(handle.table(container).await.unwrap(), made.holding.table);
    assert_eq!(handle.checks(container).await.unwrap(), made.holding.checks);
    assert_eq!(
        handle.siblings(container).await.unwrap(),
        made.holding.siblings
    );
    for (numbers, bytes) in made.holding.rows.chunks(90).zip(made.rows.chunks(90)) {
        let backwards: Vec<u16> = numbers.iter().rev().copied().collect();
        let mut read = handle.rows(container, backwards).await.unwrap();
        read.reverse();
        assert_eq!(read, bytes);
    }
    let last = *made.holding.rows.last().unwrap();
    assert_eq!(
        handle.row(container, last).await.unwrap(),
        *made.rows.last().unwrap()
    );
}

fn many(count: u64) -> Vec<Made> {
    let form = |number| match number % 10 {
        0 => Form {
            width: 128 << 10,
            rows: 40,
            table: 4096,
        },
        _ => Form::small(number),
    };
    (0..count)
        .map(|number| made(number, NOW + 10_000 + 500 * number, form(number)))
        .collect()
}

async fn used(handle: Handle) {
    let all = many(40);
    let tasks: Vec<_> = all
        .chunks(8)
        .map(|some| {
            let (handle, some) = (handle.clone(), some.to_vec());
            tokio::spawn(async move {
                for made in some {
                    append(&handle, &made).await.unwrap();
                    compare(&handle, &made).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(handle.len().await.unwrap(), 40);
    let mut listed = Vec::new();
    while let Some(more) =
        Some(handle.list(listed.last().copied(), 7).await.unwrap()).filter(|more| !more.is_empty())
    {
        listed.extend(more.iter().map(|listed| listed.container));
    }
    let mut want: Vec<_> = all.iter().map(Made::container).collect();
    want.sort_unstable();
    assert_eq!(listed, want);
    refusals(&handle, &all).await;
    given_up(&handle).await;
}

/// What cannot be is refused, by name.
async fn refusals(handle: &Handle, all: &[Made]) {
    let (first, container) = (&all[0], all[0].container());
    assert!(matches!(
        append(handle, first).await,
        Err(Error::Held { .. })
    ));
    assert!(matches!(
        handle.row(container, 3071).await,
        Err(Error::NoRow { .. })
    ));
    let strange = Dice(1).hash();
    assert!(!handle.holds(strange).await.unwrap());
    assert!(matches!(
        handle.holding(strange).await,
        Err(Error::NotHeld { .. })
    ));
    let past = made(100, NOW, Form::small(100));
    assert!(matches!(
        append(handle, &past).await,
        Err(Error::Expired { .. })
    ));
    let far = made(100, NOW + 401 * 24 * 3600, Form::small(100));
    assert!(matches!(
        append(handle, &far).await,
        Err(Error::TooFar { .. })
    ));
    assert!(matches!(
        handle.extend(container, NOW + 10_000).await,
        Err(Error::NotLater { .. })
    ));
    let mut wrong = made(100, NOW + 1, Form::small(100)).holding;
    wrong.checks.pop();
    assert!(matches!(
        handle.begin(wrong).await,
        Err(Error::Malformed { .. })
    ));
    let wide = vec![*first.holding.rows.first().unwrap(); 129];
    assert!(matches!(
        handle.rows(container, wide).await,
        Err(Error::TooMuch { .. })
    ));
}

/// A record that is dropped, or has too few, too many or wrong rows, leaves nothing behind.
async fn given_up(handle: &Handle) {
    let form = Form {
        width: 4096,
        rows: 300,
        table: 0,
    };
    let made = made(200, NOW + 5, form);
    let mut appending = handle.begin(made.holding.clone()).await.unwrap();
    appending.push(rows(&made)[..200].to_vec()).await.unwrap();
    let busy = handle.begin(made.holding.clone()).await;
    assert!(matches!(busy.err(), Some(Error::Appending { .. })));
    let few = appending.finish().await;
    assert!(matches!(
        few,
        Err(Error::RowCount {
            got: 200,
            want: 300,
            ..
        })
    ));
    let mut appending = again(handle, &made).await;
    appending
        .push(vec![Bytes::from(vec![0; 4095])])
        .await
        .unwrap();
    let short = appending.finish().await;
    assert!(matches!(
        short,
        Err(Error::RowLength {
            got: 4095,
            want: 4096,
            ..
        })
    ));
    let mut appending = again(handle, &made).await;
    appending.push(rows(&made)).await.unwrap();
    appending
        .push(vec![Bytes::from(vec![0; 4096])])
        .await
        .unwrap();
    let many = appending.finish().await;
    assert!(matches!(
        many,
        Err(Error::RowCount {
            got: 301,
            want: 300,
            ..
        })
    ));
    drop(again(handle, &made).await);
    let mut appending = again(handle, &made).await;
    assert!(!handle.holds(made.container()).await.unwrap());
    appending.push(rows(&made)).await.unwrap();
    appending.finish().await.unwrap();
    compare(handle, &made).await;
}

/// Begins as soon as the task of the record that was given up has ended.
async fn again(handle: &Handle, made: &Made) -> lode_da_rows::face::Appending {
    loop {
        match handle.begin(made.holding.clone()).await {
            Ok(appending) => return appending,
            Err(Error::Appending { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// After a stop everything is there, on another number of executors too; terms end and are extended.
async fn used_again(handle: Handle) {
    let mut all = many(40);
    for made in &all {
        compare(&handle, made).await;
    }
    let scrubbed = handle.scrub(0).await.unwrap();
    assert_eq!((scrubbed.records, scrubbed.damaged), (41, 0));
    let later = NOW + 500_000;
    handle.extend(all[0].container(), later).await.unwrap();
    all[0].holding.statement.expiry = later;
    compare(&handle, &all[0]).await;
    let middle = all[20].holding.statement.expiry;
    let freed = handle.expire(middle + 3600).await.unwrap();
    assert!(
        freed.containers >= 20 && freed.bytes > 0 && freed.segments > 0,
        "{freed:?}"
    );
    assert!(handle.holds(all[0].container()).await.unwrap());
    assert!(!handle.holds(all[1].container()).await.unwrap());
    compare(&handle, &all[0]).await;
    let freed = handle.expire(later + 3600).await.unwrap();
    assert!(freed.containers > 0);
    assert!(handle.is_empty().await.unwrap());
    let begun = handle
        .begin(made(300, later + 5000, Form::small(300)).holding)
        .await
        .unwrap();
    handle.stop().await;
    assert!(matches!(begun.finish().await, Err(Error::Closing)));
    assert!(matches!(handle.len().await, Err(Error::Closing)));
}

fn both_times(backend: Backend) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((handle, running)) = start(dir.path(), 2, backend) else {
        return;
    };
    runtime.block_on(async {
        used(handle.clone()).await;
        handle.stop().await;
    });
    running.join().unwrap();
    let (handle, running) = start(dir.path(), 1, backend).unwrap();
    runtime.block_on(used_again(handle));
    running.join().unwrap();
    let mut left = std::fs::read_dir(dir.path().join("shards-00002/shard-00000")).unwrap();
    assert!(left.next().is_none(), "all has expired");
}

#[test]
fn on_a_ring() {
    both_times(Backend::Uring);
}

#[test]
fn on_threads() {
    both_times(Backend::Posix);
}

/// What keeps a store from opening is said by `launch`.
#[test]
fn a_later_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (handle, running) = start(dir.path(), 1, Backend::Posix).unwrap();
    runtime.block_on(async {
        append(&handle, &made(1, NOW + 5, Form::small(1)))
            .await
            .unwrap();
        handle.stop().await;
    });
    running.join().unwrap();
    let path = dir
        .path()
        .join("shards-00001/shard-00000/closed-0000000001");
    let mut bytes = std::fs::read(&path).unwrap();
    for page in bytes.chunks_exact_mut(4096).take(2) {
        page[8] = 2;
        let sum = crc32c::crc32c(&page[..4092]);
        page[4092..].copy_from_slice(&sum.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    let found = preflight(&[dir.path().to_owned()], 1, Some(Backend::Posix)).unwrap();
    let refused = launch(&found, Options::new(dir.path().to_owned(), NOW))
        .err()
        .unwrap();
    let told = refused.to_string();
    assert!(
        told.contains("closed-0000000001") && told.contains("version 2"),
        "{told}"
    );
}
