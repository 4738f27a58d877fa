//! The tree over a container's table, and proofs that these are all blobs of a namespace.
//!
//! ```text
//!  leaf            SHA-256(0x00 | entry)
//!  namespace root  SHA-256("lode/da/1 namespaces" | count 4 | root of the tree)
//!
//!  entries  … a a │ b │ c c c │ d │ e …       a proof of all of c shows b, c c c, d:
//!                   └─ shown ──┘             neighbours that are smaller and larger, and nothing
//!                                            between; where there is no neighbour, the table ends
//! ```
//! Every holder has seen the whole table before it signs, so entries are in order. Then nothing can be
//! missing between neighbours, and a namespace without blobs is proven in the same way.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    decode::{DecodeError, Reader},
    table::{BLOBS_MAX, ENTRY_LEN, Entry, Namespace, Table},
    tree::{Run, Tree, beside, leaf, sha256, walk},
};
use crate::hash32::Hash32;

/// In front of count and root.
const NAMESPACES: &[u8] = b"lode/da/1 namespaces";
/// Bytes of an encoded proof before its entries.
const PROOF_HEAD_LEN: usize = 12;

/// All hashes over a table.
#[derive(Clone, Debug)]
pub struct NamespaceTree {
    tree: Tree,
    count: u32,
}

/// Shows all blobs of a namespace in one container. Not checked before somebody verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceProof {
    /// Blobs of the container.
    pub count: u32,
    /// Place of the first entry that is shown.
    pub first: u32,
    /// Entries of the namespace, in their order, between their neighbours.
    pub shown: Vec<Entry>,
    /// The nodes beside them, from the left.
    pub siblings: Vec<Hash32>,
}

/// Why a proof does not show all blobs of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceRefusal {
    /// No such entries are in a table of so many.
    #[error("entries {first} and on, {shown} of them, of {count}: a table has 1 to {BLOBS_MAX}")]
    Places {
        /// Place of the first.
        first: u32,
        /// How many are shown.
        shown: usize,
        /// Entries of the table.
        count: u32,
    },
    /// Entries and hashes do not lead to the namespace root.
    #[error("the entries shown do not lead to the namespace root")]
    Root,
    /// There may be more of the namespace before the first, or too many neighbours are shown.
    #[error("the entries shown do not begin with the one before the namespace")]
    Left,
    /// There may be more of the namespace behind the last, or too many neighbours are shown.
    #[error("the entries shown do not end with the one behind the namespace")]
    Right,
}

impl NamespaceTree {
    /// Hashes a table. Cost: about 2 µs for each entry.
    #[must_use]
    pub fn new(table: &Table) -> Self {
        // [D-17]
        let leaves = table.entries().iter().map(|entry| leaf(&entry.encode()));
        Self {
            tree: Tree::new(leaves.collect()),
            count: u32::try_from(table.entries().len()).expect("at most 4096"),
        }
    }

    /// The namespace root.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        // [D-17]
        bound(self.count, self.tree.root())
    }

    /// Proves what `table`, from which this was made, has of a namespace.
    #[must_use]
    pub fn prove(&self, table: &Table, namespace: Namespace) -> NamespaceProof {
        // [D-22]
        let entries = table.entries();
        let first = entries.partition_point(|entry| entry.namespace < namespace);
        let end = entries.partition_point(|entry| entry.namespace <= namespace);
        self.show(table, first.saturating_sub(1)..entries.len().min(end + 1))
    }

    /// Shows some entries of `table`, from which this was made: enough for [`NamespaceProof::entries`].
    ///
    /// # Panics
    /// If there are none in the range, or it ends behind the table.
    #[must_use]
    pub fn show(&self, table: &Table, places: Range<usize>) -> NamespaceProof {
        let shown = table.entries()[places.clone()].to_vec();
        assert!(!shown.is_empty(), "a proof shows something");
        let mut siblings = Vec::new();
        let all = Run::all(table.entries().len());
        beside(all, &|run| run.meets(&places), &mut |run| {
            siblings.push(self.tree.over(run))
        });
        NamespaceProof {
            count: self.count,
            first: u32::try_from(places.start).expect("at most 4096"),
            shown,
            siblings,
        }
    }
}

impl NamespaceProof {
    /// The entries that are shown, if they are in the container with this namespace root. They need not
    /// be all of anything: enough for one blob.
    ///
    /// # Errors
    /// [`NamespaceRefusal::Places`], [`NamespaceRefusal::Root`]
    pub fn entries(&self, namespace_root: Hash32) -> Result<&[Entry], NamespaceRefusal> {
        // [D-17], [D-22]
        let (first, count) = self.places()?;
        let shown = first..first + self.shown.len();
        let mut siblings = self.siblings.iter();
        let root = walk(Run::all(count), &mut |run| {
            if !run.meets(&shown) {
                let sibling = siblings.next().copied();
                return sibling.map(Some).ok_or(NamespaceRefusal::Root);
            }
            let entry = (run.count == 1).then(|| &self.shown[run.first - first]);
            Ok(entry.map(|entry| leaf(&entry.encode())))
        })?;
        if siblings.next().is_some() || bound(self.count, root) != namespace_root {
            return Err(NamespaceRefusal::Root);
        }
        Ok(&self.shown)
    }

    /// All blobs of a namespace, if this proof shows them; none are a right answer, too.
    ///
    /// # Errors
    /// [`NamespaceRefusal`]
    pub fn verify(
        &self,
        namespace_root: Hash32,
        namespace: Namespace,
    ) -> Result<&[Entry], NamespaceRefusal> {
        // [D-22]
        let shown = self.entries(namespace_root)?;
        let (first, count) = self.places()?;
        let start = shown.partition_point(|entry| entry.namespace < namespace);
        let end = shown.partition_point(|entry| entry.namespace <= namespace);
        if start != usize::from(first > 0 || start > 0) {
            return Err(NamespaceRefusal::Left);
        }
        let last = first + shown.len() == count;
        if shown.len() - end != usize::from(!last || end < shown.len()) {
            return Err(NamespaceRefusal::Right);
        }
        Ok(&shown[start..end])
    }

    /// First place and number of entries, if what is shown can be in such a table.
    fn places(&self) -> Result<(usize, usize), NamespaceRefusal> {
        let wrong = NamespaceRefusal::Places {
            first: self.first,
            shown: self.shown.len(),
            count: self.count,
        };
        let first = usize::try_from(self.first).map_err(|_| wrong)?;
        let count = usize::try_from(self.count).map_err(|_| wrong)?;
        let fits = (1..=BLOBS_MAX).contains(&count)
            && (1..=count).contains(&self.shown.len())
            && first <= count - self.shown.len();
        fits.then_some((first, count)).ok_or(wrong)
    }

    /// As it is sent: count 4, first 4, shown 4, entries, siblings.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-22]
        let shown = u32::try_from(self.shown.len()).expect("a table has at most 4096 entries");
        let mut bytes = Vec::new();
        for number in [self.count, self.first, shown] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for entry in &self.shown {
            bytes.extend_from_slice(&entry.encode());
        }
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.0);
        }
        bytes
    }

    /// What was encoded: well-formed, but nobody has verified it. Takes memory for what is there only.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // [D-22]
        let mut reader = Reader::new(bytes);
        let [count, first, shown] = [reader.u32()?, reader.u32()?, reader.u32()?];
        let shown_len = usize::try_from(shown).unwrap_or(usize::MAX);
        let entries = reader.list::<ENTRY_LEN>(shown_len)?;
        let mut proof = Self {
            count,
            first,
            shown: entries.iter().map(Entry::decode).collect(),
            siblings: Vec::new(),
        };
        let (first, count) = proof.places().map_err(|_| DecodeError::Places)?;
        let shown = first..first + proof.shown.len();
        let mut want = 0;
        beside(Run::all(count), &|run| run.meets(&shown), &mut |_| {
            want += 1
        });
        proof.siblings = reader.hashes(want)?;
        reader.end()?;
        Ok(proof)
    }

    /// Bytes of the longest encoded proof.
    pub const ENCODED_LEN_MAX: usize = PROOF_HEAD_LEN + BLOBS_MAX * ENTRY_LEN;
}

fn bound(count: u32, root: Hash32) -> Hash32 {
    sha256(&[NAMESPACES, &count.to_be_bytes(), &root.0])
}

#[cfg(test)]
#[path = "namespace_tests.rs"]
mod tests;
