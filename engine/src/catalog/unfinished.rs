//! An upload that no manifest binds to a root yet, as a shard's records make it.

use std::collections::{BTreeMap, BTreeSet};

use lode_proofs::CHUNK_LEN;

use super::{record_len, total};
use crate::{
    Root,
    format::{manifest, record::Header},
    index::{Long, Place},
    terms::longest,
};

/// An upload that is not complete: chunks of a blob number that no manifest binds to a root yet.
/// Costs 8 bytes per chunk, and 48 per chunk of a group whose record is not durable yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Root, size and expiry that a resumable upload declared, with its record's place.
    pub declared: Option<Declared>,
    /// Places of chunks by index; [`Place::NONE`] for those that are not durable.
    pub chunks: Vec<Place>,
    /// Lengths of chunks that are shorter than a whole one.
    pub short: BTreeMap<u64, u32>,
    /// Chunk roots of the groups that are not durable, and of the last one if it is not whole: it has
    /// no root of its own.
    pub roots: BTreeMap<u64, Root>,
    /// Durable groups by index: place and group root.
    pub groups: BTreeMap<u64, (Place, Root)>,
    /// The write of its manifest failed, and the next start may find it all the same: then its
    /// parts have to be there. Its root and its expiry, 0 for none.
    pub doubt: Option<(Root, u32)>,
}

/// What stands for the root of a group that is not whole.
pub const NO_ROOT: Root = lode_proofs::Hash32([0; 32]);

/// What a resumable upload declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Root of the whole blob.
    pub root: Root,
    /// Bytes of the whole blob.
    pub size: u64,
    /// Expiry epoch, 0 for none.
    pub expiry: u32,
    /// Its record.
    pub place: Place,
}

impl Unfinished {
    /// The parts of a blob whose manifest does not count any more.
    pub(super) fn without_manifest(long: &Long) -> Unfinished {
        let (chunks, groups) = (manifest::chunks(long.size), manifest::groups(long.size));
        let last = chunks - 1;
        let len = manifest::chunk_len(long.size, last);
        let short = (len < CHUNK_LEN).then(|| (last, u32::try_from(len).expect("256 KiB")));
        let group = |index: &u64| long.group(*index) != Place::NONE;
        Unfinished {
            chunks: (0..chunks).map(|index| long.chunk(index)).collect(),
            short: short.into_iter().collect(),
            groups: (0..groups)
                .filter(group)
                .map(|index| (index, (long.group(index), NO_ROOT)))
                .collect(),
            ..Unfinished::default()
        }
    }

    /// The epoch that it is forgotten in, 0 for none. While its manifest is in doubt, the longer of both
    /// terms counts: the next start may find that, and then its parts have to be there.
    pub fn expiry(&self) -> u32 {
        let declared = self.declared.map(|declared| declared.expiry);
        let doubt = self.doubt.map(|(_, expiry)| expiry);
        let terms = declared.into_iter().chain(doubt);
        terms.reduce(longest).unwrap_or(0)
    }

    /// Whole chunks from the start that are durable without a gap.
    pub fn prefix(&self) -> u64 {
        let durable = (0..)
            .zip(&self.chunks)
            .take_while(|(index, place)| self.whole(*index, **place));
        durable.count().try_into().expect("64-bit")
    }

    fn whole(&self, index: u64, place: Place) -> bool {
        place != Place::NONE && !self.short.contains_key(&index)
    }

    /// Place of chunk `index`, or [`Place::NONE`].
    pub fn chunk(&self, index: u64) -> Place {
        let index = usize::try_from(index).expect("64-bit");
        self.chunks.get(index).copied().unwrap_or(Place::NONE)
    }

    /// Bytes of chunk `index`, if it is durable.
    pub fn chunk_len(&self, index: u64) -> usize {
        let short = self.short.get(&index);
        short.map_or(CHUNK_LEN, |len| usize::try_from(*len).expect("64-bit"))
    }

    /// Places and record lengths of everything that was stored for it.
    pub fn places(&self) -> impl Iterator<Item = (Place, u64)> + '_ {
        let chunks = (0..)
            .zip(&self.chunks)
            .filter(|(_, place)| **place != Place::NONE);
        let chunks = chunks.map(|(index, place)| (*place, self.chunk_total(index)));
        let groups = self
            .groups
            .values()
            .map(|(place, _)| (*place, record_len(manifest::GROUP_LEN)));
        chunks.chain(groups).chain(
            self.declared
                .map(|declared| (declared.place, record_len(0))),
        )
    }

    fn chunk_total(&self, index: u64) -> u64 {
        self.short
            .get(&index)
            .map_or(record_len(CHUNK_LEN), |len| total(*len))
    }

    /// Takes off what is in places that are gone, and returns it. A group whose record is gone takes
    /// its chunks with it: their roots are kept nowhere else.
    pub(super) fn prune(&mut self, gone: impl Fn(&Place) -> bool) -> Vec<(Place, u64)> {
        let lost = self.groups.extract_if(.., |_, (place, _)| gone(place));
        let lost: BTreeSet<u64> = lost.map(|(group, _)| group).collect();
        let of_lost = |chunk: u64| lost.contains(&(chunk / manifest::GROUP));
        let mut pruned = Vec::new();
        for at in 0..self.chunks.len() {
            let (chunk, place) = (u64::try_from(at).expect("64-bit"), self.chunks[at]);
            if place != Place::NONE && (gone(&place) || of_lost(chunk)) {
                pruned.push((place, self.chunk_total(chunk)));
                self.chunks[at] = Place::NONE;
                self.short.remove(&chunk);
                self.roots.remove(&chunk);
            }
        }
        pruned
    }

    /// Whether a group of 1024 chunks is durable, and with it the roots of its chunks.
    pub fn whole_group(&self, group: u64) -> bool {
        self.groups
            .get(&group)
            .is_some_and(|(_, root)| *root != NO_ROOT)
    }

    /// Durable chunks whose roots are durable too, in a group or beside them.
    pub fn rooted(&self) -> u64 {
        let whole = self.groups.values().filter(|(_, root)| *root != NO_ROOT);
        let whole = u64::try_from(whole.count()).expect("64-bit");
        whole * manifest::GROUP + u64::try_from(self.roots.len()).expect("64-bit")
    }

    /// Takes in a chunk; returns the record that it replaces.
    pub(super) fn put_chunk(&mut self, header: &Header, place: Place) -> Option<(Place, u64)> {
        let at = usize::try_from(header.detail).expect("64-bit");
        let before = Some((self.chunk(header.detail), self.chunk_total(header.detail)));
        if self.chunks.len() <= at {
            self.chunks.resize(at + 1, Place::NONE);
        }
        self.chunks[at] = place;
        self.short.remove(&header.detail);
        if header.payload_len() < CHUNK_LEN {
            self.short.insert(header.detail, header.len);
        }
        if !self.whole_group(header.detail / manifest::GROUP) {
            self.roots.insert(header.detail, header.root);
        }
        before.filter(|(place, _)| *place != Place::NONE)
    }

    /// Takes in a group; returns the record that it replaces.
    pub(super) fn put_group(&mut self, header: &Header, place: Place) -> Option<(Place, u64)> {
        if header.root != NO_ROOT {
            let first = header.detail * manifest::GROUP;
            let rest = self.roots.split_off(&first);
            self.roots.extend(
                rest.into_iter()
                    .filter(|(index, _)| *index >= first + manifest::GROUP),
            );
        }
        let before = self.groups.insert(header.detail, (place, header.root));
        before.map(|(place, _)| (place, header.total_len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts stay for whichever may need them longer: who declared the upload, or a manifest that the
    /// next start may find.
    #[test]
    fn longer_term() {
        let upload = |declared: Option<u32>, doubt: Option<u32>| Unfinished {
            declared: declared.map(|expiry| Declared {
                root: NO_ROOT,
                size: 1,
                expiry,
                place: Place::NONE,
            }),
            doubt: doubt.map(|expiry| (NO_ROOT, expiry)),
            ..Unfinished::default()
        };
        for (declared, doubt, want) in [
            (None, None, 0),
            (Some(5), None, 5),
            (None, Some(7), 7),
            (Some(5), Some(10), 10),
            (Some(10), Some(5), 10),
            (Some(5), Some(0), 0),
            (Some(0), Some(5), 0),
        ] {
            let found = upload(declared, doubt).expiry();
            assert_eq!(found, want, "{declared:?} {doubt:?}");
        }
    }
}
