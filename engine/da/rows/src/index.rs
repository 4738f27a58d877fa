//! Which containers are held, and where: in memory, 64 bytes each and about 90 with the slack of the
//! tree, in the order of their ids, so that lists of any length are read in pieces.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use lode_proofs::Hash32;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of two records of one container the one with the higher sequence counts.
    pub sequence: u64,
    /// When it expires, in unix seconds.
    pub expiry: u64,
    /// Number of the segment.
    pub segment: u32,
    /// First page in it.
    pub first: u32,
    /// Pages.
    pub pages: u32,
}

/// A container that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub container: Hash32,
    /// Until when it is held, in unix seconds, end exclusive.
    pub expiry: u64,
}

/// All containers that are held.
#[derive(Default)]
pub struct Index(BTreeMap<Hash32, Place>);

impl Index {
    /// Containers in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a container is.
    pub fn get(&self, container: &Hash32) -> Option<Place> {
        self.0.get(container).copied()
    }

    /// Enters a record, in place of an earlier one of the container.
    pub fn put(&mut self, container: Hash32, place: Place) {
        self.0.insert(container, place);
    }

    /// Enters a record that was found on disk, unless a later one of the container is known.
    pub fn found(&mut self, container: Hash32, place: Place) {
        let known = self.0.entry(container).or_insert(place);
        if known.sequence < place.sequence {
            *known = place;
        }
    }

    /// Forgets a container.
    pub fn remove(&mut self, container: &Hash32) {
        self.0.remove(container);
    }

    /// Up to `most` containers after one, or from the first on.
    pub fn after(
        &self,
        container: Option<Hash32>,
        most: usize,
    ) -> impl Iterator<Item = (Hash32, Place)> {
        let from = container.map_or(Unbounded, Excluded);
        let range = self.0.range((from, Unbounded));
        range
            .take(most)
            .map(|(container, place)| (*container, *place))
    }
}
