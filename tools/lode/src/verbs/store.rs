//! One file into blobs: encrypted if somebody asked for it, then cut into fragments, then sent.
//!
//! ```text
//!   file ─► seal (hash of the plain bytes) ─► root of each fragment ─► upload of it
//! ```
//! The file is read once for each arrow, a piece at a time.

use std::{fs::File, io};

use lode_edge::schema::Blob;
use lode_proofs::Hash32;
use lode_wire::FragmentLen;

use crate::{
    client::Client,
    failure::{Exit, Failure, Outcome},
    output::Output,
    roots,
    seal::Sealing,
    source::Source,
    verbs::upload::{Upload, Uploaded},
};

/// Fragments of one file: their roots are one argument of a command, and this many fit into it.
pub const FRAGMENTS_LIMIT: u64 = 1500;

/// How everything is stored that one command puts.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The node.
    pub client: &'a Client,
    /// First epoch in which the blobs may be gone.
    pub expiry: Option<u32>,
    /// How long files are cut; none: not at all.
    pub fragment: Option<FragmentLen>,
    /// How they are encrypted.
    pub sealing: Option<&'a Sealing>,
    /// Asks the node for each blob before its bytes are sent.
    pub ask_first: bool,
    /// Where bars go.
    pub output: Output,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its blobs, in order.
    pub blobs: Vec<Blob>,
    /// Their roots.
    pub roots: Vec<Hash32>,
    /// Bytes of the file.
    pub plain: u64,
    /// Bytes of its blobs: more if there is a header before them.
    pub stored: u64,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that an unfinished upload had before.
    pub resumed: u64,
}

impl Stored {
    /// One blob that was uploaded.
    pub fn one(uploaded: Uploaded, root: Hash32, plain: u64) -> Stored {
        Stored {
            plain,
            stored: uploaded.blob.size,
            sent: uploaded.sent,
            resumed: uploaded.from,
            roots: vec![root],
            blobs: vec![uploaded.blob],
        }
    }

    /// Nothing was stored that was not there before.
    pub fn existed(&self) -> bool {
        self.blobs.iter().all(|blob| blob.existed.unwrap_or(false))
    }
}

/// The size of an open file that can be put.
pub fn size_of(file: &File) -> Outcome<u64> {
    let about = file.metadata();
    let about = about.map_err(|error| Failure::file("cannot be read", &error))?;
    if !about.is_file() {
        return Err(Failure::other(
            "is no regular file",
            "put its contents through `lode put -`",
        ));
    }
    match about.len() {
        0 => Err(empty()),
        size => Ok(size),
    }
}

/// What has no bytes is no blob.
pub fn empty() -> Failure {
    Failure::other("is empty: a blob has at least one byte", "leave it out")
}

/// Stores a file of at least one byte. `acked` hears how many of its stored bytes the node has.
pub fn run(
    wish: &Wish,
    name: &str,
    file: &File,
    acked: Option<&(dyn Fn(u64) + Sync)>,
) -> Outcome<Stored> {
    // Several files at once share a bar of the caller's.
    let output = match acked {
        Some(_) => wish.output.unwatched(),
        None => wish.output,
    };
    let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
    let plain = size_of(file)?;
    let bar = output.bar(&format!("seal {name}"), Some(plain));
    let seal = wish.sealing.map(|sealing| {
        let sealed = sealing.of_file(file, plain, &|bytes| bar.inc(bytes));
        sealed.map_err(unreadable)
    });
    bar.finish_and_clear();
    let seal = seal.transpose()?;
    let source = match &seal {
        Some(seal) => Source::sealed(file, plain, seal),
        None => Source::whole(file, plain),
    };
    let len = fragment_len(wish, source.size())?;
    let mut stored = Stored {
        blobs: Vec::new(),
        roots: Vec::new(),
        plain,
        stored: source.size(),
        sent: 0,
        resumed: 0,
    };
    let bar = output.bar(name, Some(source.size()));
    for range in len.split(source.size()) {
        let base = range.start;
        let part = source.part(range);
        let hashing = output.bar(&format!("root {name}"), Some(part.size()));
        let tree = roots::of_source(part, &|bytes| hashing.inc(bytes)).map_err(unreadable)?;
        hashing.finish_and_clear();
        let heard = |bytes: u64| match acked {
            Some(acked) => acked(base + bytes),
            None => bar.set_position(base + bytes),
        };
        let uploaded = fragment(wish, part, tree.root(), &heard)?;
        stored.sent += uploaded.sent;
        stored.resumed += uploaded.from;
        stored.roots.push(tree.root());
        stored.blobs.push(uploaded.blob);
    }
    bar.finish_and_clear();
    Ok(stored)
}

/// How long the pieces are: the whole, if nobody asked for fragments.
fn fragment_len(wish: &Wish, stored: u64) -> Outcome<FragmentLen> {
    let len = match wish.fragment {
        Some(len) => len,
        None => FragmentLen::at_least(stored)
            .map_err(|error| Failure::other(error.to_string(), "cut it by --fragment-size"))?,
    };
    if len.count(stored) > FRAGMENTS_LIMIT {
        let what = format!("{} fragments are too many", len.count(stored));
        let next = format!("at most {FRAGMENTS_LIMIT}: ask for a larger --fragment-size");
        return Err(Failure::usage(what, next));
    }
    Ok(len)
}

fn fragment(
    wish: &Wish,
    part: Source,
    root: Hash32,
    acked: &(dyn Fn(u64) + Sync),
) -> Outcome<Uploaded> {
    if wish.ask_first
        && let Some(uploaded) = is_there(wish, part.size(), root)?
    {
        acked(part.size());
        return Ok(uploaded);
    }
    let mut upload = Upload::new(wish.client, part, root);
    upload.expiry = wish.expiry;
    upload.run(wish.output.is_watched(), acked)
}

/// The blob, if the node has it for long enough.
fn is_there(wish: &Wish, size: u64, root: Hash32) -> Outcome<Option<Uploaded>> {
    let (found, expiry) = match wish.client.head(root) {
        Ok(found) => found,
        // The upload tries again, with patience.
        Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::Unavailable) => {
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let lasts = match (expiry, wish.expiry) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(is), Some(wanted)) => is >= wanted,
    };
    let blob = Blob {
        root: root.to_string(),
        size: found,
        chunks: found.div_ceil(roots::CHUNK),
        expiry,
        existed: Some(true),
    };
    Ok((found == size && lasts).then_some(Uploaded {
        blob,
        sent: 0,
        from: 0,
    }))
}
