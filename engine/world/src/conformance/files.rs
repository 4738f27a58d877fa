//! Files and names.

use super::{Breach, Verdict, ensure, ensure_error};
use crate::{
    ALIGN, Buf, Disk, File, Open, Queue, World,
    units::{in_memory, on_disk},
};
use futures_lite::future::poll_once;
use std::{io, path::Path, pin::pin};

const MIB: usize = 1 << 20;
const PAGE: u64 = 4096;

/// Bytes that differ from page to page and from `salt` to `salt`.
fn pattern(salt: u64, at: u64, len: usize) -> Vec<u8> {
    let words = (at / 8..(at + on_disk(len)) / 8)
        .map(|word| (word ^ (salt << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

async fn put<F: File>(file: &F, salt: u64, at: u64, len: usize) -> io::Result<()> {
    let mut buf = file.alloc(len);
    buf.as_mut().copy_from_slice(&pattern(salt, at, len));
    file.write(at, buf).await
}

async fn check<F: File>(file: &F, salt: u64, at: u64, len: usize) -> Verdict {
    let read = file.read(at, len).await?;
    ensure(read.as_ref() == pattern(salt, at, len), || {
        format!("{len} bytes at {at} differ from those written")
    })
}

/// What was written is read, before and after a sync and through another handle.
pub(super) async fn roundtrip<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("roundtrip");
    let file = disk.open(&path, Open::Create).await?;
    let buf = file.alloc(4 * ALIGN);
    ensure(buf.as_ref().len() == 4 * ALIGN, || {
        "a buffer of another length".into()
    })?;
    ensure(buf.as_ref().as_ptr().addr().is_multiple_of(ALIGN), || {
        "a misaligned buffer".into()
    })?;
    put(&file, 1, 0, 4 * ALIGN).await?;
    put(&file, 2, PAGE, ALIGN).await?;
    let mut buf = file.alloc(4 * ALIGN);
    buf.as_mut()[..ALIGN].copy_from_slice(&pattern(3, 4 * PAGE, ALIGN));
    buf.truncate(ALIGN);
    file.write(4 * PAGE, buf).await?;
    file.sync().await?;
    disk.sync_dir(dir).await?;
    let again = disk.open(&path, Open::Read).await?;
    for file in [file, again] {
        ensure(file.len().await? == 5 * PAGE, || {
            "a file of another length".into()
        })?;
        check(&file, 1, 0, ALIGN).await?;
        check(&file, 2, PAGE, ALIGN).await?;
        check(&file, 1, 2 * PAGE, 2 * ALIGN).await?;
        check(&file, 3, 4 * PAGE, ALIGN).await?;
    }
    disk.remove(&path).await?;
    Ok(())
}

/// A shared file is the same file, whatever becomes of the handle that it came from and of its name.
pub(super) async fn shared<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("shared");
    let file = disk.open(&path, Open::Create).await?;
    put(&file, 4, 0, 2 * ALIGN).await?;
    let shared = file.share();
    let other = disk.join(shared.clone());
    check(&other, 4, 0, 2 * ALIGN).await?;
    put(&other, 5, 2 * PAGE, ALIGN).await?;
    other.sync().await?;
    check(&file, 5, 2 * PAGE, ALIGN).await?;
    drop((file, other));
    disk.remove(&path).await?;
    let last = disk.join(shared);
    check(&last, 4, 0, 2 * ALIGN).await?;
    check(&last, 5, 2 * PAGE, ALIGN).await
}

/// A read returns what was asked for or fails; past the end it fails.
pub(super) async fn exact_reads<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("exact");
    let file = disk.open(&path, Open::Create).await?;
    ensure_error(
        file.read(0, ALIGN).await,
        io::ErrorKind::UnexpectedEof,
        "read of nothing",
    )?;
    put(&file, 1, 0, 2 * ALIGN).await?;
    check(&file, 1, PAGE, ALIGN).await?;
    let eof = io::ErrorKind::UnexpectedEof;
    ensure_error(file.read(PAGE, 2 * ALIGN).await, eof, "read across the end")?;
    ensure_error(file.read(2 * PAGE, ALIGN).await, eof, "read at the end")?;
    ensure_error(
        file.read(1 << 30, ALIGN).await,
        eof,
        "read far past the end",
    )?;
    disk.remove(&path).await?;
    Ok(())
}

/// Create refuses what exists, the others what does not, and a reader does not write.
pub(super) async fn ways_to_open<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("open");
    let missing = io::ErrorKind::NotFound;
    ensure_error(disk.open(&path, Open::Read).await, missing, "open to read")?;
    ensure_error(
        disk.open(&path, Open::Write).await,
        missing,
        "open to write",
    )?;
    let nowhere = dir.join("nowhere").join("file");
    ensure_error(
        disk.open(&nowhere, Open::Create).await,
        missing,
        "create in no directory",
    )?;
    let file = disk.open(&path, Open::Create).await?;
    put(&file, 1, 0, ALIGN).await?;
    let exists = io::ErrorKind::AlreadyExists;
    ensure_error(disk.open(&path, Open::Create).await, exists, "create again")?;
    let reader = disk.open(&path, Open::Read).await?;
    ensure(put(&reader, 2, 0, ALIGN).await.is_err(), || {
        "a reader wrote".into()
    })?;
    check(&reader, 1, 0, ALIGN).await?;
    let writer = disk.open(&path, Open::Write).await?;
    put(&writer, 3, PAGE, ALIGN).await?;
    check(&reader, 3, PAGE, ALIGN).await?;
    disk.remove(&path).await?;
    Ok(())
}

/// Lists are sorted and complete; directories are made with their parents, twice without harm.
pub(super) async fn names<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let parent = dir.join("names");
    let child = parent.join("one").join("two");
    disk.make_dir(&child).await?;
    disk.make_dir(&child).await?;
    for name in ["b", "a", "c"] {
        disk.open(&parent.join(name), Open::Create).await?;
    }
    disk.sync_dir(&parent).await?;
    let list = disk.list(&parent).await?;
    ensure(list == ["a", "b", "c", "one"], || {
        format!("listed {list:?}")
    })?;
    disk.remove(&parent.join("b")).await?;
    let list = disk.list(&parent).await?;
    ensure(list == ["a", "c", "one"], || {
        format!("listed {list:?} after a removal")
    })?;
    let list = disk.list(&child).await?;
    ensure(list.is_empty(), || {
        format!("listed {list:?} in an empty directory")
    })?;
    let missing = io::ErrorKind::NotFound;
    ensure_error(
        disk.list(&parent.join("none")).await,
        missing,
        "list of no directory",
    )?;
    ensure_error(
        disk.remove(&parent.join("b")).await,
        missing,
        "remove of no file",
    )?;
    let (from, to) = (parent.join("b"), parent.join("d"));
    ensure_error(disk.rename(&from, &to).await, missing, "rename of no file")?;
    ensure_error(
        disk.sync_dir(&parent.join("none")).await,
        missing,
        "sync of no directory",
    )?;
    let taken = disk.make_dir(&parent.join("a")).await;
    ensure(taken.is_err(), || "made a directory where a file is".into())
}

/// A rename replaces its target; a handle of the replaced file still reads it.
pub(super) async fn rename_replaces<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let (old, new) = (dir.join("rename-old"), dir.join("rename-new"));
    let old_file = disk.open(&old, Open::Create).await?;
    put(&old_file, 1, 0, ALIGN).await?;
    let new_file = disk.open(&new, Open::Create).await?;
    put(&new_file, 2, 0, 2 * ALIGN).await?;
    disk.rename(&new, &old).await?;
    disk.sync_dir(dir).await?;
    ensure_error(
        disk.open(&new, Open::Read).await,
        io::ErrorKind::NotFound,
        "the old name",
    )?;
    let replaced = disk.open(&old, Open::Read).await?;
    check(&replaced, 2, 0, 2 * ALIGN).await?;
    check(&old_file, 1, 0, ALIGN).await?;
    put(&new_file, 3, 0, ALIGN).await?;
    check(&replaced, 3, 0, ALIGN).await?;
    disk.remove(&old).await?;
    Ok(())
}

/// A removed file lives as long as its handle; its name is free at once.
pub(super) async fn remove_while_open<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("removed");
    let file = disk.open(&path, Open::Create).await?;
    put(&file, 1, 0, ALIGN).await?;
    disk.remove(&path).await?;
    let second = disk.open(&path, Open::Create).await?;
    put(&second, 2, 0, ALIGN).await?;
    put(&file, 1, PAGE, ALIGN).await?;
    file.sync().await?;
    check(&file, 1, 0, 2 * ALIGN).await?;
    check(&second, 2, 0, ALIGN).await?;
    disk.remove(&path).await?;
    Ok(())
}

/// Allocation lengthens and reads as zeroes, keeps what is there, and never shortens; truncation cuts.
pub(super) async fn lengths<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("lengths");
    let file = disk.open(&path, Open::Create).await?;
    put(&file, 1, 0, ALIGN).await?;
    file.allocate(4 * PAGE).await?;
    ensure(file.len().await? == 4 * PAGE, || {
        "allocation did not lengthen".into()
    })?;
    check(&file, 1, 0, ALIGN).await?;
    let zeroes = file.read(PAGE, 3 * ALIGN).await?;
    ensure(zeroes.as_ref() == vec![0; 3 * ALIGN], || {
        "allocated bytes are not zero".into()
    })?;
    file.allocate(2 * PAGE).await?;
    ensure(file.len().await? == 4 * PAGE, || {
        "allocation shortened".into()
    })?;
    put(&file, 2, 3 * PAGE, ALIGN).await?;
    file.truncate(2 * PAGE).await?;
    ensure(file.len().await? == 2 * PAGE, || {
        "truncation did not cut".into()
    })?;
    let eof = io::ErrorKind::UnexpectedEof;
    ensure_error(
        file.read(2 * PAGE, ALIGN).await,
        eof,
        "read of what was cut",
    )?;
    file.allocate(4 * PAGE).await?;
    let zeroes = file.read(2 * PAGE, 2 * ALIGN).await?;
    ensure(zeroes.as_ref() == vec![0; 2 * ALIGN], || {
        "cut bytes came back".into()
    })?;
    check(&file, 1, 0, ALIGN).await?;
    put(&file, 3, 5 * PAGE, ALIGN).await?;
    let hole = file.read(4 * PAGE, ALIGN).await?;
    ensure(hole.as_ref() == vec![0; ALIGN], || {
        "a hole is not zero".into()
    })?;
    disk.remove(&path).await?;
    Ok(())
}

/// Writes of 1 MiB and reads of 2 MiB move in one piece.
pub(super) async fn big_io<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("big");
    let file = disk.open(&path, Open::Create).await?;
    file.allocate(on_disk(4 * MIB)).await?;
    for mib in 0..4 {
        put(&file, 1, on_disk(mib * MIB), MIB).await?;
    }
    file.sync().await?;
    check(&file, 1, 0, 2 * MIB).await?;
    check(&file, 1, on_disk(2 * MIB), 2 * MIB).await?;
    check(&file, 1, on_disk(MIB) - PAGE, 2 * MIB).await?;
    disk.remove(&path).await?;
    Ok(())
}

/// Two hundred tasks read, write and sync one file at once, each in its own pages.
pub(super) async fn many_in_flight<W: World>(world: &W, dir: &Path) -> Verdict {
    const TASKS: u64 = 200;
    let disk = world.disk();
    let path = dir.join("many");
    let file = disk.open(&path, Open::Create).await?;
    file.allocate(TASKS * 4 * PAGE).await?;
    let (done, results) = async_channel::bounded(in_memory(TASKS));
    for task in 0..TASKS {
        let (file, done) = (file.clone(), done.clone());
        let queue = [Queue::Serve, Queue::Ingest, Queue::Mend, Queue::Scrub][in_memory(task % 4)];
        world.spawn(queue, async move {
            let at = task * 4 * PAGE;
            let verdict: Verdict = async {
                put(&file, task, at, 2 * ALIGN).await?;
                check(&file, task, at + PAGE, ALIGN).await?;
                put(&file, task, at + 2 * PAGE, 2 * ALIGN).await?;
                if task % 16 == 0 {
                    file.sync().await?;
                }
                check(&file, task, at, 4 * ALIGN).await
            }
            .await;
            // The channel holds one message per task, so this fails only when nobody listens.
            let _ = done.try_send(verdict);
        });
    }
    drop(done);
    for _ in 0..TASKS {
        match results.recv().await {
            Ok(verdict) => verdict?,
            Err(_) => return Err(Breach::Broken("a task vanished".into())),
        }
    }
    for task in 0..TASKS {
        check(&file, task, task * 4 * PAGE, 4 * ALIGN).await?;
    }
    disk.remove(&path).await?;
    Ok(())
}

/// A write whose future is dropped halfway is whole or absent, and harms nothing else.
pub(super) async fn dropped_io<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let path = dir.join("dropped");
    let file = disk.open(&path, Open::Create).await?;
    put(&file, 1, 0, 16 * ALIGN).await?;
    for page in 0..8 {
        let mut write = Box::pin(put(&file, 2, page * PAGE, ALIGN));
        // Asked for, or not even that: either is fine.
        let _ = poll_once(&mut write).await;
        drop(write);
        let mut read = Box::pin(file.read(page * PAGE, 8 * ALIGN));
        let _ = poll_once(&mut read).await;
        drop(read);
    }
    put(&file, 3, 8 * PAGE, 8 * ALIGN).await?;
    // The kernel may still be at the dropped writes; a handle that closes must not cut them short.
    drop(file);
    let file = disk.open(&path, Open::Read).await?;
    for page in 0..8 {
        let at = page * PAGE;
        let mut whole = false;
        for _ in 0..1000 {
            let read = file.read(at, ALIGN).await?;
            whole = [1, 2]
                .iter()
                .any(|salt| read.as_ref() == pattern(*salt, at, ALIGN));
            if whole {
                break;
            }
            world.breathe().await;
        }
        ensure(whole, || format!("page {page} is neither old nor new"))?;
    }
    check(&file, 3, 8 * PAGE, 8 * ALIGN).await?;
    disk.remove(&path).await?;
    Ok(())
}

/// The filesystem has a size and says how much of it is free.
pub(super) async fn space<W: World>(world: &W, dir: &Path) -> Verdict {
    let disk = world.disk();
    let space = disk.space(dir).await?;
    ensure(space.total > 0 && space.free <= space.total, || {
        format!("{space:?}")
    })?;
    let none = pin!(disk.space(Path::new("/no/such/place/anywhere"))).await;
    // A simulated disk has one filesystem and answers for any path.
    ensure(
        none.is_ok() || none.is_err_and(|e| e.kind() == io::ErrorKind::NotFound),
        || "the space of no place".into(),
    )
}
