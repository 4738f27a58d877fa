//! Senders that were found lately, by the hash of their transaction: within bounds, the oldest go.

use alloy_primitives::{Address, B256, map::B256Map};

/// Two maps: what is asked for or found goes into the young one. When that is full it becomes the old
/// one, and what was old goes.
#[derive(Debug)]
pub struct Remembered {
    young: B256Map<Address>,
    old: B256Map<Address>,
    young_max: usize,
}

impl Remembered {
    /// Keeps `count_max` at most, and at least half of them.
    pub fn new(count_max: usize) -> Self {
        Remembered {
            young: B256Map::default(),
            old: B256Map::default(),
            young_max: count_max / 2,
        }
    }

    pub fn get(&mut self, hash: &B256) -> Option<Address> {
        if let Some(sender) = self.young.get(hash) {
            return Some(*sender);
        }
        let sender = self.old.remove(hash)?;
        self.put(*hash, sender);
        Some(sender)
    }

    pub fn put(&mut self, hash: B256, sender: Address) {
        if self.young_max == 0 {
            return;
        }
        if self.young.len() >= self.young_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, sender);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
