//! `lode put`: files, directories and stdin. One bad file never stops the others. When all receipts are
//! printed it waits for the chain, if the node has one.

use std::{
    fs::{self, File},
    io::{self, BufRead, Read},
    path::Path,
    process::ExitCode,
};

use lode_edge::schema::Blob;
use lode_proofs::Hash32;
use lode_wire::FragmentLen;
use serde_json::{Value, json};

use crate::{
    args::{PutArgs, Step},
    client::{Client, parse_root},
    failure::{Exit, Failure, Outcome},
    keys,
    output::{Output, batch_exit, plain},
    roots::StreamRoot,
    seal::Seal,
    units,
    verbs::{
        bundle,
        store::{self, Stored, Wish},
        upload::Uploaded,
        wait::{self, Waited},
    },
};

/// Puts everything and prints one line per blob.
pub fn run(args: &PutArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let sealing = keys::sealing(&args.seal, output)?;
    let wish = Wish {
        client,
        expiry: args.expiry,
        fragment: args
            .fragment_size
            .as_deref()
            .map(fragment_len)
            .transpose()?,
        sealing: sealing.as_ref(),
        ask_first: false,
        output,
    };
    let mut batch = Batch {
        output,
        roots: Vec::new(),
        owners: Vec::new(),
        done: Vec::new(),
        failed: Vec::new(),
        failures: Vec::new(),
        short: None,
        notice: None,
    };
    for path in &args.paths {
        let name = path.display().to_string();
        if path == Path::new("-") {
            batch.note(Kind::File, "-", put_stdin(&wish));
            continue;
        }
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => bundle::run(&wish, path, &mut batch),
            Ok(_) => batch.note(Kind::File, &name, put_file(&wish, path)),
            Err(error) => {
                let failure = Failure::file("cannot be read", &error);
                batch.note(Kind::File, &name, Err(failure));
            }
        }
    }
    let waited = wait::run(client, &batch.roots, args.wait, output);
    batch.settled(args.wait, waited);
    batch.finish()
}

fn fragment_len(text: &str) -> Outcome<FragmentLen> {
    let bad = |what: String| Failure::usage(what, "write a size, as 4GiB");
    let wish = units::parse_size(text).filter(|wish| *wish > 0);
    let wish = wish.ok_or_else(|| bad(format!("--fragment-size is {text:?}")))?;
    FragmentLen::at_least(wish).map_err(|error| bad(error.to_string()))
}

/// What was put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, or stdin.
    File,
    /// A file of a directory: scripts read the folder's root only.
    Part,
    /// A directory: the blob that names all others.
    Folder {
        /// Files in it, those without bytes included.
        files: usize,
    },
}

/// What happened so far.
pub struct Batch {
    output: Output,
    roots: Vec<Hash32>,
    /// To which of `done` each root belongs.
    owners: Vec<usize>,
    done: Vec<(Kind, Value)>,
    failed: Vec<Value>,
    failures: Vec<Failure>,
    /// Why not all of it is settled as far as was asked, or would have been.
    short: Option<Failure>,
    notice: Option<String>,
}

impl Batch {
    /// Prints what became of a file or a folder, and keeps it for the end.
    pub fn note(&mut self, kind: Kind, name: &str, put: Outcome<Stored>) {
        match put {
            Ok(stored) => self.stored(kind, name, &stored),
            Err(failure) => self.refused(name, failure),
        }
    }

    fn stored(&mut self, kind: Kind, name: &str, stored: &Stored) {
        let roots: Vec<String> = stored.roots.iter().map(Hash32::to_string).collect();
        let expiry = stored.blobs.first().and_then(|blob| blob.expiry);
        let mut entry = json!({
            "path": name, "size": stored.stored, "expiry": expiry, "existed": stored.existed(),
            "sent": stored.sent, "resumed_at": stored.resumed,
        });
        match roots.as_slice() {
            [root] => entry["root"] = json!(root),
            several => entry["roots"] = json!(several),
        }
        if stored.stored != stored.plain {
            entry["plain"] = json!(stored.plain);
        }
        if let Kind::Folder { files } = kind {
            entry["files"] = json!(files);
        }
        if !self.output.json {
            let roots = roots.join(",");
            let short = if kind == Kind::Part { "" } else { &roots };
            let long = format!(
                "{roots}  {:>12}  {}  {}",
                units::size(stored.stored),
                plain(name),
                words(kind, stored, expiry)
            );
            // A closed stdout shows again, and as an error, at the end.
            let _closed = self.output.data(&entry, short, long.trim_end()).is_err();
        }
        self.owners
            .extend(stored.roots.iter().map(|_| self.done.len()));
        self.roots.extend(&stored.roots);
        self.done.push((kind, entry));
    }

    fn refused(&mut self, name: &str, mut failure: Failure) {
        failure.what = format!("{}: {}", plain(name), failure.what);
        if !self.output.json {
            self.output.failure(&failure);
        }
        self.failed
            .push(json!({ "path": name, "error": failure.to_json() }));
        self.failures.push(failure);
    }

    /// Tells what the chain has of it. That it is slow or away is a failure only for who asked for
    /// more than receipts.
    fn settled(&mut self, asked: Option<Step>, waited: Outcome<Waited>) {
        let waited = waited.unwrap_or_else(|failure| Waited {
            short: Some(failure),
            ..Waited::default()
        });
        for (_, entry) in &mut self.done {
            match entry.get("roots") {
                Some(_) => entry["anchors"] = json!([]),
                None => entry["anchor"] = Value::Null,
            }
        }
        for (owner, state) in self.owners.iter().zip(&waited.states) {
            let entry = &mut self.done[*owner].1;
            match entry.get_mut("anchors").and_then(Value::as_array_mut) {
                Some(anchors) => anchors.push(json!(state)),
                None => entry["anchor"] = json!(state),
            }
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
            let is_folder = |kind: &Kind| matches!(kind, Kind::Folder { .. });
            let entries = |folders: bool| {
                let of_kind = self
                    .done
                    .iter()
                    .filter(|(kind, _)| is_folder(kind) == folders);
                of_kind.map(|(_, entry)| entry).collect::<Vec<_>>()
            };
            let mut all = json!({
                "files": entries(false), "folders": entries(true), "failed": self.failed,
            });
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

/// What a person wants to know of it besides root, size and name.
fn words(kind: Kind, stored: &Stored, expiry: Option<u32>) -> String {
    let what = match kind {
        Kind::Folder { files } => Some(format!("folder of {}", units::counted(files, "file"))),
        Kind::File | Kind::Part => None,
    };
    let sealed = (stored.stored != stored.plain).then(|| "encrypted".to_owned());
    let how = match (stored.existed(), stored.resumed) {
        (true, _) => Some("was there".to_owned()),
        (false, 0) => None,
        (false, from) => Some(format!("resumed at {}", units::size(from))),
    };
    let until = expiry.map(|_| units::until(expiry));
    let all = [what, sealed, how, until].into_iter().flatten();
    all.collect::<Vec<_>>().join(", ")
}

fn put_file(wish: &Wish, path: &Path) -> Outcome<Stored> {
    let file = File::open(path).map_err(|error| Failure::file("cannot be read", &error))?;
    store::run(wish, &path.display().to_string(), &file, None)
}

/// Bytes of unknown length and root; both are computed on the way and compared at the end.
fn put_stdin(wish: &Wish) -> Outcome<Stored> {
    if wish.fragment.is_some() {
        let next = "write it to a file first, or leave --fragment-size away";
        return Err(Failure::usage("stdin has no length to be cut by", next));
    }
    let mut stdin = io::stdin().lock();
    let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
    // The node refuses an empty body, but not a header without anything behind it.
    if wish.sealing.is_some() && stdin.fill_buf().map_err(unreadable)?.is_empty() {
        return Err(store::empty());
    }
    let seal = wish
        .sealing
        .map(|sealing| sealing.of_stream())
        .transpose()?;
    let bar = wish.output.bar("-", None);
    let header = seal.as_ref().map_or(&[][..], Seal::header);
    let header_len = seal.as_ref().map_or(0, Seal::header_len);
    let sealed = Sealed {
        source: stdin,
        seal: seal.as_ref(),
        at: 0,
    };
    let mut source = Hashed {
        source: header.chain(sealed),
        root: StreamRoot::new(),
        bytes: 0,
        bar: &bar,
    };
    let query = wish
        .expiry
        .map(|epoch| format!("?expiry={epoch}"))
        .unwrap_or_default();
    let blob = wish.client.post(&query, None, &mut source);
    bar.finish_and_clear();
    let (blob, bytes): (Blob, u64) = (blob?, source.bytes);
    let root = parse_root(&blob.root)?;
    let ours = source.root.finish().map(|tree| tree.root());
    if ours != Some(root) {
        let what = format!("the node stored {}, which is not what was sent", blob.root);
        return Err(Failure::not_verified(what, "do not trust this node"));
    }
    let uploaded = Uploaded {
        blob,
        sent: bytes,
        from: 0,
    };
    Ok(Stored::one(uploaded, root, bytes - header_len))
}

/// A stream that is encrypted while it is read, if there is a seal.
struct Sealed<'a, R> {
    source: R,
    seal: Option<&'a Seal>,
    at: u64,
}

impl<R: Read> Read for Sealed<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(bytes)?;
        if let Some(seal) = self.seal {
            seal.apply(self.at, &mut bytes[..read]);
        }
        self.at += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(read)
    }
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
