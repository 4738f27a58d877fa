//! A directory as a folder: a blob for each of its files, a few at a time, then the blob that names them
//! all. Files that the node has are not sent again, unfinished ones go on where they stopped. If one file
//! cannot be stored the others are, and the folder is not: it would name a blob that nobody has.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Seek, Write},
    path::Path,
    sync::{
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::sync_channel,
    },
    thread,
};

use lode_wire::{Folder, FolderError, folder::Node};

use crate::{
    failure::{Failure, Outcome},
    tree::{self, Found},
    verbs::{
        put::{Batch, Kind},
        store::{self, Stored, Wish},
    },
};

/// Files on their way at once: enough that a node's syncs overlap, and few connections.
pub const FILES_AT_ONCE: usize = 8;

/// Stores a directory and tells `batch` of every file, in the order of a walk, and of the folder.
pub fn run(wish: &Wish, dir: &Path, batch: &mut Batch) {
    let found = tree::walk(dir);
    let own = |path: &str| match path {
        "" => dir.display().to_string(),
        path => dir.join(path).display().to_string(),
    };
    let mut failed = found.bad.len();
    for (path, failure) in found.bad {
        batch.note(Kind::Part, &own(&path), Err(failure));
    }
    let wish = Wish {
        ask_first: true,
        ..*wish
    };
    let mut stored = Vec::new();
    put_files(&wish, dir, &found.files, |path, put| {
        match &put {
            Ok(put) => stored.push((put.roots.clone(), put.plain)),
            Err(_) => failed += 1,
        }
        batch.note(Kind::Part, &own(path), put);
    });
    let name = dir.display().to_string();
    if failed > 0 {
        let what = format!("no folder was made: {failed} of its entries could not be stored");
        let next =
            "put them right and run the same command again: what is stored is not sent twice";
        batch.note(Kind::File, &name, Err(Failure::other(what, next)));
        return;
    }
    let mut entries = found.entries;
    tree::fill(&mut entries, &mut stored.into_iter());
    let files = count(&entries);
    batch.note(Kind::Folder { files }, &name, put_names(&wish, entries));
}

/// Files in a tree.
fn count(entries: &[Node]) -> usize {
    let files = entries.iter().map(|entry| match entry {
        Node::File { .. } => 1,
        Node::Directory { entries, .. } => count(entries),
        Node::Symbolic { .. } => 0,
    });
    files.sum()
}

/// Stores all files, and hands each to `done` in their order.
fn put_files(
    wish: &Wish,
    dir: &Path,
    files: &[Found],
    mut done: impl FnMut(&str, Outcome<Stored>),
) {
    let total = files.iter().map(|file| file.size).sum();
    let bar = wish.output.bar(&dir.display().to_string(), Some(total));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, results) = sync_channel(FILES_AT_ONCE);
        for _ in 0..FILES_AT_ONCE.min(files.len()) {
            let (sender, next, bar) = (sender.clone(), &next, &bar);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(file) = files.get(at) else { return };
                    let acked = AtomicU64::new(0);
                    let put = put_one(wish, dir, file, &|bytes| {
                        let before = acked.fetch_max(bytes, Relaxed);
                        bar.inc(bytes.saturating_sub(before));
                    });
                    if sender.send((at, put)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut early, mut turn) = (BTreeMap::new(), 0);
        for (at, put) in results {
            early.insert(at, put);
            while let Some(put) = early.remove(&turn) {
                bar.suspend(|| done(&files[turn].path, put));
                turn += 1;
            }
        }
    });
    bar.finish_and_clear();
}

fn put_one(
    wish: &Wish,
    dir: &Path,
    found: &Found,
    acked: &(dyn Fn(u64) + Sync),
) -> Outcome<Stored> {
    let file = File::open(dir.join(&found.path));
    let file = file.map_err(|error| Failure::file("cannot be read", &error))?;
    store::run(wish, &found.path, &file, Some(acked))
}

/// Stores the blob that names all others. It is one blob, however long files may be.
fn put_names(wish: &Wish, entries: Vec<Node>) -> Outcome<Stored> {
    let refused = |error: FolderError| {
        Failure::other(error.to_string(), "put parts of it, directory by directory")
    };
    let bytes = Folder::new(entries)
        .and_then(|folder| folder.encode())
        .map_err(refused)?;
    let file = scratch(&bytes).map_err(|error| Failure::file("a temporary file", &error))?;
    let whole = Wish {
        fragment: None,
        ..*wish
    };
    store::run(&whole, "names", &file, Some(&|_| ()))
}

fn scratch(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
