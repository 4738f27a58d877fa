//! What is known to be lost on disk, so that whoever repairs can fetch it from other holders.
//!
//! Scrubs and reads enter what they find; a record that is written again, or expires, leaves. It is
//! not kept on disk: a scrub after a start finds it again.

use std::collections::{BTreeMap, BTreeSet};

use lode_proofs::Hash32;

use crate::format::outline::Part;

/// Containers of which losses are remembered: more than this is a disk to be replaced, not repaired.
pub const DAMAGED_MAX: usize = 65_536;

/// What is lost of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Numbers of the rows that are lost.
    pub rows: BTreeSet<u16>,
    /// What else is. With [`Part::RowNumbers`] among them no row can be found.
    pub parts: BTreeSet<Part>,
}

impl Damage {
    /// Whether nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.parts.is_empty()
    }
}

/// All known losses.
#[derive(Default)]
pub struct Book(BTreeMap<Hash32, Damage>);

impl Book {
    /// Adds a loss.
    pub fn add(&mut self, container: Hash32, damage: &Damage) {
        if damage.is_empty() || (self.0.len() >= DAMAGED_MAX && !self.0.contains_key(&container)) {
            return;
        }
        let known = self.0.entry(container).or_default();
        known.rows.extend(&damage.rows);
        known.parts.extend(&damage.parts);
    }

    /// Forgets what was lost of a container, which was written again or is held no more.
    pub fn remove(&mut self, container: &Hash32) {
        self.0.remove(container);
    }

    /// What is lost of a container.
    pub fn of(&self, container: &Hash32) -> Damage {
        self.0.get(container).cloned().unwrap_or_default()
    }

    /// All containers of which something is lost, ascending.
    pub fn containers(&self) -> Vec<Hash32> {
        self.0.keys().copied().collect()
    }
}
