//! Bytes as they are stored: one blob or several in order, with a header before them if they are encrypted.
//! Each blob is checked against its root while it streams.
//!
//! ```text
//!   blobs   ├── root 0 ──┼── root 1 ──┼─ root 2 ─┤
//!   stored  ├head┼────────── encrypted ──────────┤     the head only with keys
//!   plain        ├────────────────────────────────┤
//! ```

use std::{fs::File, io};

use lode_proofs::{BlobTree, Hash32};
use lode_wire::cipher::{HEADER_V2_LEN, Keys};

use crate::{
    failure::{Failure, Outcome},
    roots::{self, StreamRoot},
    seal::Seal,
    source::Source,
    verbs::origin::Origin,
};

/// A blob and its size, as the node says.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Its root.
    pub root: Hash32,
    /// Its bytes.
    pub size: u64,
}

/// What is to be fetched.
pub struct Stored {
    pieces: Vec<Piece>,
    seal: Option<Seal>,
    size: u64,
}

impl Stored {
    /// Asks the node for the sizes of all blobs and, if there are keys, for the header. Both are what the
    /// node says; the roots tell in the end.
    pub fn find(origin: &Origin, roots: &[Hash32], keys: Option<&Keys>) -> Outcome<Stored> {
        let piece = |root: &Hash32| match origin.size(*root)? {
            0 => Err(short("no bytes")),
            size => Ok(Piece { root: *root, size }),
        };
        let pieces: Vec<Piece> = roots.iter().map(piece).collect::<Outcome<_>>()?;
        let sum = |sum: u64, piece: &Piece| sum.checked_add(piece.size);
        let size = pieces.iter().try_fold(0, sum);
        let size = size.ok_or_else(|| short("more bytes than there can be"))?;
        let seal = match (keys, pieces.first()) {
            (Some(keys), Some(first)) => Some(Seal::open(&peek(origin, *first)?, keys)?),
            _ => None,
        };
        if seal.as_ref().is_some_and(|seal| seal.header_len() > size) {
            return Err(short("fewer bytes than a header"));
        }
        Ok(Stored { pieces, seal, size })
    }

    /// The first of the roots, or the only one.
    pub fn first(&self) -> Piece {
        self.pieces[0]
    }

    /// Bytes of the header.
    fn header_len(&self) -> u64 {
        self.seal.as_ref().map_or(0, Seal::header_len)
    }

    /// Bytes without the header.
    pub fn plain_len(&self) -> u64 {
        self.size - self.header_len()
    }

    /// A check that has seen the header.
    pub fn check(&self) -> Outcome<Check<'_>> {
        let mut check = Check {
            stored: self,
            piece: 0,
            seen: 0,
            plain: 0,
            hasher: StreamRoot::new(),
            buffer: Vec::new(),
        };
        if let Some(seal) = &self.seal {
            check.stored(seal.header())?;
        }
        Ok(check)
    }

    /// Fetches the plain bytes that `check` has not seen yet. Each goes to `take` in its turn; that they
    /// are right is known when [`Check::end`] says so.
    pub fn fetch(
        &self,
        origin: &Origin,
        check: &mut Check,
        mut take: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        while let Some(piece) = self.pieces.get(check.piece) {
            let range = check.seen..piece.size;
            origin.fetch(piece.root, range, |bytes| check.open(bytes, &mut take))?;
        }
        Ok(())
    }

    /// Whether a file of the right size has these bytes.
    pub fn is_copy(&self, file: &File, size: u64) -> io::Result<bool> {
        if size != self.plain_len() {
            return Ok(false);
        }
        let source = match &self.seal {
            Some(seal) => Source::sealed(file, size, seal),
            None => Source::whole(file, size),
        };
        let mut start = 0;
        for piece in &self.pieces {
            let part = source.part(start..start + piece.size);
            if roots::of_source(part, &|_| ())?.root() != piece.root {
                return Ok(false);
            }
            start += piece.size;
        }
        Ok(true)
    }
}

/// The first bytes of what is stored, as many as a header may have.
fn peek(origin: &Origin, piece: Piece) -> Outcome<Vec<u8>> {
    let most = u64::try_from(HEADER_V2_LEN).unwrap_or(u64::MAX);
    let mut head = Vec::new();
    origin.fetch(piece.root, 0..piece.size.min(most), |bytes| {
        head.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(head)
}

fn short(why: &str) -> Failure {
    Failure::not_verified(
        format!("what is stored there has {why}"),
        "check the roots and the keys",
    )
}

/// A check of stored bytes in their order.
pub struct Check<'a> {
    stored: &'a Stored,
    /// Which blob is next, or in the middle.
    piece: usize,
    /// Bytes of it that were seen.
    seen: u64,
    /// Plain bytes that were seen.
    plain: u64,
    hasher: StreamRoot,
    buffer: Vec<u8>,
}

impl Check<'_> {
    /// Plain bytes that an earlier run fetched.
    pub fn plain(&mut self, bytes: &[u8]) -> Outcome<()> {
        let Some(seal) = &self.stored.seal else {
            return self.stored(bytes);
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(bytes);
        seal.apply(self.plain, &mut buffer);
        let checked = self.stored(&buffer);
        self.buffer = buffer;
        self.plain += len(bytes);
        checked
    }

    /// Bytes that come from the node: `take` has them decrypted.
    fn open(&mut self, bytes: &[u8], take: &mut impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        self.stored(bytes)?;
        let Some(seal) = &self.stored.seal else {
            return take(bytes);
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        seal.apply(self.plain, &mut self.buffer);
        self.plain += len(bytes);
        take(&self.buffer)
    }

    /// Stored bytes; blobs that end in them are compared with their roots.
    fn stored(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while !bytes.is_empty() {
            let Some(piece) = self.stored.pieces.get(self.piece) else {
                return Err(short("more bytes than it said"));
            };
            let left = usize::try_from(piece.size - self.seen).unwrap_or(usize::MAX);
            let (own, rest) = bytes.split_at(left.min(bytes.len()));
            self.hasher.update(own);
            self.seen += len(own);
            bytes = rest;
            if self.seen == piece.size {
                let hasher = std::mem::replace(&mut self.hasher, StreamRoot::new());
                compare(piece.root, hasher.finish())?;
                (self.piece, self.seen) = (self.piece + 1, 0);
            }
        }
        Ok(())
    }

    /// All bytes were seen, and every blob is the one that was asked for.
    pub fn end(self) -> Outcome<()> {
        match self.piece == self.stored.pieces.len() {
            true => Ok(()),
            false => Err(short("fewer bytes than it said")),
        }
    }
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
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
