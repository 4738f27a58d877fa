//! `lode put`: files, directories and stdin. One bad file never stops the others. When all receipts are
//! printed it waits for the chain, if the node has one.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lode_edge::schema::Blob;
use lode_proofs::Hash32;
use serde_json::{Value, json};

use crate::{
    args::{PutArgs, Step},
    client::{Client, parse_root},
    failure::{Exit, Failure, Outcome},
    output::{Output, batch_exit},
    roots::{self, StreamRoot},
    units,
    verbs::{
        upload::{Upload, Uploaded},
        wait::{self, Waited},
    },
};

/// Puts everything and prints one line per blob.
pub fn run(args: &PutArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let mut batch = Batch {
        output,
        roots: Vec::new(),
        done: Vec::new(),
        failed: Vec::new(),
        failures: Vec::new(),
        short: None,
        notice: None,
    };
    for path in &args.paths {
        if path == Path::new("-") {
            batch.note("-", put_stdin(client, args.expiry, output));
            continue;
        }
        for file in files_below(path) {
            match file {
                Ok(file) => {
                    let name = file.display().to_string();
                    batch.note(&name, put_file(&file, client, args.expiry, output));
                }
                Err(failure) => batch.note(&path.display().to_string(), Err(failure)),
            }
        }
    }
    let waited = wait::run(client, &batch.roots, args.wait, output);
    batch.settled(args.wait, waited);
    batch.finish()
}

/// What happened so far.
struct Batch {
    output: Output,
    roots: Vec<Hash32>,
    done: Vec<Value>,
    failed: Vec<Value>,
    failures: Vec<Failure>,
    /// Why not all of it is settled as far as was asked, or would have been.
    short: Option<Failure>,
    notice: Option<String>,
}

impl Batch {
    fn note(&mut self, name: &str, put: Outcome<Uploaded>) {
        match put {
            Ok(Uploaded { blob, sent, from }) => {
                let existed = blob.existed.unwrap_or(false);
                let how = match (existed, from) {
                    (true, _) => Some("was there".to_owned()),
                    (false, 0) => None,
                    (false, from) => Some(format!("resumed at {}", units::size(from))),
                };
                let until = blob.expiry.map(|_| units::until(blob.expiry));
                let how: Vec<String> = how.into_iter().chain(until).collect();
                let entry = json!({
                    "path": name, "root": blob.root, "size": blob.size,
                    "expiry": blob.expiry, "existed": existed, "sent": sent, "resumed_at": from,
                });
                if !self.output.json {
                    let long = format!(
                        "{}  {:>12}  {name}  {}",
                        blob.root,
                        units::size(blob.size),
                        how.join(", ")
                    );
                    // A closed stdout shows again, and as an error, at the end.
                    let _closed = self
                        .output
                        .data(&entry, &blob.root, long.trim_end())
                        .is_err();
                }
                self.done.push(entry);
                // The root is ours, and the upload has compared it.
                self.roots.extend(blob.root.parse::<Hash32>());
            }
            Err(failure) => {
                let mut failure = failure;
                failure.what = format!("{name}: {}", failure.what);
                if !self.output.json {
                    self.output.failure(&failure);
                }
                self.failed
                    .push(json!({ "path": name, "error": failure.to_json() }));
                self.failures.push(failure);
            }
        }
    }

    /// Tells what the chain has of it. That it is slow or away is a failure only for who asked for
    /// more than receipts.
    fn settled(&mut self, asked: Option<Step>, waited: Outcome<Waited>) {
        let waited = waited.unwrap_or_else(|failure| Waited {
            short: Some(failure),
            ..Waited::default()
        });
        for (entry, state) in self.done.iter_mut().zip(&waited.states) {
            entry["anchor"] = json!(state);
        }
        if !self.output.quiet && !self.output.json {
            for line in wait::lines(&waited.states) {
                let _closed = self.output.data(&Value::Null, "", &line).is_err();
            }
        }
        match (asked, waited.short) {
            (Some(_), Some(failure)) => {
                if !self.output.json {
                    self.output.failure(&failure);
                }
                self.short = Some(failure);
            }
            (None, Some(failure)) if failure.exit != Exit::NotFound => {
                self.output
                    .note(&format!("note: {}\n  next  {}", failure.what, failure.next));
                self.notice = Some(failure.what);
            }
            _ => {}
        }
    }

    fn finish(self) -> Outcome<ExitCode> {
        let total = self.done.len() + self.failed.len();
        if self.output.json {
            let mut all = json!({ "files": self.done, "failed": self.failed });
            if let Some(notice) = &self.notice {
                all["notice"] = json!(notice);
            }
            if let Some(short) = &self.short {
                all["unsettled"] = short.to_json();
            }
            self.output.data(&all, "", "")?;
        } else if total > 1 {
            let words = format!("{} of {total} stored", self.done.len());
            self.output.note(&words);
        }
        match self.short {
            Some(short) if self.failures.is_empty() => Ok(short.exit.into()),
            _ => Ok(batch_exit(&self.failures, total)),
        }
    }
}

/// A file, or all files below a directory in the order of their names. Links to directories are
/// not followed: they could lead in a circle.
fn files_below(path: &Path) -> Vec<Outcome<PathBuf>> {
    let mut found = Vec::new();
    let failure = |path: &Path, error: &io::Error| Failure::file(path.display(), error);
    match fs::metadata(path) {
        Err(error) => return vec![Err(failure(path, &error))],
        Ok(about) if !about.is_dir() => return vec![Ok(path.to_owned())],
        Ok(_) => {}
    }
    let mut dirs = vec![path.to_owned()];
    while let Some(dir) = dirs.pop() {
        let listed = fs::read_dir(&dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                found.push(Err(failure(&dir, &error)));
                continue;
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(Ok(entry.path())),
                Ok(_) => {}
                Err(error) => found.push(Err(failure(&entry.path(), &error))),
            }
        }
    }
    found.sort_by(|a, b| a.as_ref().ok().cmp(&b.as_ref().ok()));
    found
}

/// Root, then bytes.
fn put_file(
    path: &Path,
    client: &Client,
    expiry: Option<u32>,
    output: Output,
) -> Outcome<Uploaded> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(Failure::other(
            "is no regular file",
            "put its contents through `lode put -`",
        ));
    }
    let size = about.len();
    if size == 0 {
        return Err(Failure::other(
            "is empty: a blob has at least one byte",
            "leave it out",
        ));
    }
    let bar = output.bar(&format!("root {name}"), Some(size));
    let tree = roots::of_file(&file, size, &|bytes| bar.inc(bytes)).map_err(unreadable)?;
    bar.finish_and_clear();
    let bar = output.bar(&name, Some(size));
    let mut upload = Upload::new(client, &file, size, tree.root());
    upload.expiry = expiry;
    let uploaded = upload.run(output.is_watched(), &|acked| bar.set_position(acked));
    bar.finish_and_clear();
    uploaded
}

/// Bytes of unknown length and root; both are computed on the way and compared at the end.
fn put_stdin(client: &Client, expiry: Option<u32>, output: Output) -> Outcome<Uploaded> {
    let bar = output.bar("-", None);
    let mut source = Hashed {
        source: io::stdin().lock(),
        root: StreamRoot::new(),
        bytes: 0,
        bar: &bar,
    };
    // An empty body is refused by the node with the right words.
    let query = expiry
        .map(|epoch| format!("?expiry={epoch}"))
        .unwrap_or_default();
    let blob = client.post(&query, None, &mut source);
    bar.finish_and_clear();
    let (blob, bytes): (Blob, u64) = (blob?, source.bytes);
    let ours = source.root.finish().map(|tree| tree.root());
    if ours != Some(parse_root(&blob.root)?) {
        let what = format!("the node stored {}, which is not what was sent", blob.root);
        return Err(Failure::not_verified(what, "do not trust this node"));
    }
    Ok(Uploaded {
        blob,
        sent: bytes,
        from: 0,
    })
}

/// A stream that is hashed while it is read.
struct Hashed<'a, R> {
    source: R,
    root: StreamRoot,
    bytes: u64,
    bar: &'a indicatif::ProgressBar,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(bytes)?;
        self.root.update(&bytes[..read]);
        self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        self.bar.set_position(self.bytes);
        Ok(read)
    }
}
