//! `lode get --folder`: a stored folder as files on the disk. What is there with the right bytes is kept,
//! parts of files are continued, files that differ are replaced; everything else in the directory stays.
//!
//! Nothing is written outside of the target. Names were checked when the folder was read. Directories are
//! made, or must be real ones: a link in the place of one is refused and not followed. Links are made last,
//! when nothing is written any more, so no link of the folder itself can stand in the way of a file. Who
//! changes the target meanwhile with the rights of this user can of course do so.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::Path,
    process::ExitCode,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::sync_channel,
    },
    thread,
};

use indicatif::ProgressBar;
use lode_proofs::Hash32;
use lode_wire::{Folder, cipher::Keys, folder::Node};
use serde_json::json;

use crate::{
    failure::{Failure, Outcome},
    output::{Output, batch_exit, plain},
    units,
    verbs::{folder, get::get_file, origin::Origin, part::no_follow},
};

/// Files on their way at once.
const FILES_AT_ONCE: usize = 4;

/// Restores a folder below `target`.
pub fn run(
    origin: &Origin,
    roots: &[Hash32],
    keys: Option<&Keys>,
    target: &Path,
    output: Output,
) -> Outcome<ExitCode> {
    let [root] = roots else {
        let next = "its files may have several; the folder has one";
        return Err(Failure::usage("a folder has one root", next));
    };
    let folder = folder::load(origin, roots, keys)?;
    fs::create_dir_all(target).map_err(|error| Failure::file(target.display(), &error))?;
    let mut done = Done::default();
    make_directories(&folder, target, &mut done);
    let work = Work {
        origin,
        keys,
        target,
        files: files(&folder, &done),
    };
    let total = work.files.iter().map(|wanted| wanted.size).sum();
    let bar = output.bar(&target.display().to_string(), Some(total));
    work.run(&bar, &mut done);
    bar.finish_and_clear();
    make_links(&folder, target, &mut done);
    done.report(*root, target, output)
}

/// A file of the folder.
struct Wanted<'a> {
    path: String,
    roots: &'a [Hash32],
    size: u64,
}

/// What happened so far.
#[derive(Default)]
struct Done {
    files: usize,
    kept: usize,
    links: usize,
    bytes: u64,
    failed: Vec<(String, Failure)>,
    /// Directories that could not be made.
    missing: BTreeSet<String>,
    attempted: usize,
}

impl Done {
    fn refuse(&mut self, path: &str, failure: Failure) {
        self.failed.push((path.to_owned(), failure));
    }

    /// Whether a directory above could not be made.
    fn is_below_failed(&self, path: &str) -> bool {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.any(|dir| self.missing.contains(dir))
    }

    fn report(self, root: Hash32, target: &Path, output: Output) -> Outcome<ExitCode> {
        let mut failures = Vec::new();
        let mut failed = Vec::new();
        for (path, mut failure) in self.failed {
            let own = target.join(&path);
            failure.what = format!("{}: {}", plain(&own.display().to_string()), failure.what);
            if !output.json {
                output.failure(&failure);
            }
            failed.push(json!({ "path": path, "error": failure.to_json() }));
            failures.push(failure);
        }
        let json = json!({
            "root": root.to_string(), "output": target.display().to_string(), "files": self.files,
            "kept": self.kept, "links": self.links, "bytes": self.bytes, "failed": failed,
        });
        let verified = match failures.is_empty() {
            true => format!("verified against {root}"),
            false => format!("{} of its entries FAILED", failed.len()),
        };
        let long = format!(
            "{}  {}, {} of them there, {}, {}  {verified}",
            target.display(),
            units::counted(self.files, "file"),
            units::grouped(u64::try_from(self.kept).unwrap_or(u64::MAX)),
            units::counted(self.links, "link"),
            units::size(self.bytes),
        );
        output.data(&json, "", &long)?;
        Ok(batch_exit(&failures, self.attempted))
    }
}

/// Makes all directories, or sees that they are real ones.
fn make_directories(folder: &Folder, target: &Path, done: &mut Done) {
    for (path, node) in folder.walk() {
        if node.entries().is_none() || done.is_below_failed(&path) {
            continue;
        }
        done.attempted += 1;
        if let Err(failure) = make_directory(&target.join(&path)) {
            done.refuse(&path, failure);
            done.missing.insert(path);
        }
    }
}

fn make_directory(path: &Path) -> Outcome<()> {
    let failed = |error: io::Error| Failure::file("cannot be made", &error);
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(in_the_way("a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn in_the_way(what: &str) -> Failure {
    Failure::other(
        format!("the folder has {what} here, and there is something else"),
        "move it away and run the same command again",
    )
}

/// All files whose directory is there.
fn files<'a>(folder: &'a Folder, done: &Done) -> Vec<Wanted<'a>> {
    let wanted = |(path, node): (String, &'a Node)| match node {
        Node::File { roots, size, .. } if !done.is_below_failed(&path) => Some(Wanted {
            path,
            roots,
            size: *size,
        }),
        _ => None,
    };
    folder.walk().filter_map(wanted).collect()
}

/// Files to be restored, and with what.
struct Work<'a> {
    origin: &'a Origin,
    keys: Option<&'a Keys>,
    target: &'a Path,
    files: Vec<Wanted<'a>>,
}

impl Work<'_> {
    fn run(&self, bar: &ProgressBar, done: &mut Done) {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (sender, results) = sync_channel(FILES_AT_ONCE);
            for _ in 0..FILES_AT_ONCE.min(self.files.len()) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(wanted) = self.files.get(next.fetch_add(1, Relaxed)) {
                        let restored = self.restore(wanted, bar);
                        if sender.send((wanted, restored)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for (wanted, restored) in results {
                done.attempted += 1;
                match restored {
                    Ok(kept) => {
                        done.files += 1;
                        done.kept += usize::from(kept);
                        done.bytes += wanted.size;
                    }
                    Err(failure) => done.refuse(&wanted.path, failure),
                }
            }
        });
    }

    /// One file. Returns whether it was there.
    fn restore(&self, wanted: &Wanted, bar: &ProgressBar) -> Outcome<bool> {
        let path = self.target.join(&wanted.path);
        let found = found(&path)?;
        if wanted.size == 0 {
            return make_empty(&path, found);
        }
        let stored = folder::find(self.origin, wanted.roots, wanted.size, self.keys)?;
        if found == Some(wanted.size) {
            let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
            let file = open(&path).map_err(unreadable)?;
            if stored.is_copy(&file, wanted.size).map_err(unreadable)? {
                bar.inc(wanted.size);
                return Ok(true);
            }
        }
        get_file(self.origin, &stored, path, bar)?;
        Ok(false)
    }
}

/// The size of the file that is there, if one is.
fn found(path: &Path) -> Outcome<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => Ok(Some(about.len())),
        Ok(_) => Err(in_the_way("a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("cannot be read", &error)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(no_follow())
        .open(path)
}

fn make_empty(path: &Path, found: Option<u64>) -> Outcome<bool> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(no_follow())
        .open(path);
    file.map_err(|error| Failure::file("cannot be made", &error))?;
    Ok(found == Some(0))
}

/// Makes all links, after everything else.
fn make_links(folder: &Folder, target: &Path, done: &mut Done) {
    for (path, node) in folder.walk() {
        let Node::Symbolic { link, .. } = node else {
            continue;
        };
        if done.is_below_failed(&path) {
            continue;
        }
        done.attempted += 1;
        match make_link(&target.join(&path), link) {
            Ok(()) => done.links += 1,
            Err(failure) => done.refuse(&path, failure),
        }
    }
}

fn make_link(path: &Path, link: &str) -> Outcome<()> {
    match fs::read_link(path) {
        Ok(there) if there == Path::new(link) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            symlink(link, path).map_err(|error| Failure::file("cannot be made", &error))
        }
        // Another link, or no link at all.
        Ok(_) | Err(_) => Err(in_the_way("a link")),
    }
}
