//! What was read or written of the tip lately, in memory: execution reads the same accounts and the
//! same upper nodes of tries again and again.
//!
//! A value is of one tip. Whoever reads says which one it sees: of another there is nothing here.
//!
//! Cost: a look at the key and a lock of one part in sixteen. Memory: about what [`Cache::new`] is
//! told. Of each part the younger half is kept when it is full: what is read there moves up.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Bytes, map::HashMap};
use parking_lot::Mutex;

use crate::{key::Key, versions::Height};

const PARTS: usize = 16;
/// What an entry takes beside its bytes: map, pointers and counters.
const ENTRY_LEN: usize = 160;
/// A tip that nothing has.
const NO_TIP: u64 = u64::MAX;

/// Values of the tip.
#[derive(Debug)]
pub struct Cache {
    /// The tip, or [`NO_TIP`]. It changes while all parts are locked.
    tip: AtomicU64,
    parts: Vec<Mutex<Part>>,
}

#[derive(Debug, Default)]
struct Part {
    young: HashMap<Key, Option<Bytes>>,
    old: HashMap<Key, Option<Bytes>>,
    /// Bytes of the young ones.
    len: usize,
    len_max: usize,
}

impl Cache {
    /// An empty one that holds about `memory` bytes.
    pub fn new(memory: usize, tip: Option<Height>) -> Self {
        let len_max = memory / PARTS / 2;
        let part = || {
            Mutex::new(Part {
                len_max,
                ..Part::default()
            })
        };
        Cache {
            tip: AtomicU64::new(tip.unwrap_or(NO_TIP)),
            parts: std::iter::repeat_with(part).take(PARTS).collect(),
        }
    }

    /// A key's value at `tip`; none if it is not here.
    pub fn get(&self, tip: Option<Height>, key: &Key) -> Option<Option<Bytes>> {
        let mut part = self.part(key).lock();
        if !self.is(tip) {
            return None;
        }
        part.get(key)
    }

    /// Somebody who sees `tip` has read a key.
    pub fn learn(&self, tip: Option<Height>, key: &Key, value: &Option<Bytes>) {
        let mut part = self.part(key).lock();
        if self.is(tip) {
            part.put(key.clone(), value.clone());
        }
    }

    /// There is a new tip, and this is what it has changed.
    pub fn advance(&self, tip: Height, changes: impl Iterator<Item = (Key, Option<Bytes>)>) {
        let mut parts: Vec<_> = self.parts.iter().map(Mutex::lock).collect();
        self.tip.store(tip, Ordering::Relaxed);
        for (key, value) in changes {
            parts[place(&key)].put(key, value);
        }
    }

    /// With a part locked: nothing else orders this.
    fn is(&self, tip: Option<Height>) -> bool {
        tip.is_some_and(|tip| tip == self.tip.load(Ordering::Relaxed))
    }

    fn part(&self, key: &Key) -> &Mutex<Part> {
        &self.parts[place(key)]
    }
}

/// Keys are hashes and paths of tries: all their nibbles together fall evenly.
fn place(key: &Key) -> usize {
    let all = key.as_bytes().iter().fold(0, |all, byte| all ^ byte);
    usize::from((all ^ (all >> 4)) & 0xf)
}

impl Part {
    fn get(&mut self, key: &Key) -> Option<Option<Bytes>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: Key, value: Option<Bytes>) {
        let len = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len());
        self.old.remove(&key);
        self.len += ENTRY_LEN + key.as_bytes().len() + len(&value);
        let key_len = key.as_bytes().len();
        if let Some(replaced) = self.young.insert(key, value) {
            self.len -= ENTRY_LEN + key_len + len(&replaced);
        }
        if self.len > self.len_max {
            self.old = std::mem::take(&mut self.young);
            self.len = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    fn key(number: u64) -> Key {
        Key::account(&B256::left_padding_from(&number.to_be_bytes()))
    }

    fn value(number: u64) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(&number.to_be_bytes()))
    }

    /// A reader of another tip neither gets nor gives anything; a new tip keeps what it did not
    /// change.
    #[test]
    fn values_are_of_one_tip() {
        let cache = Cache::new(1 << 20, Some(4));
        cache.learn(Some(4), &key(1), &value(10));
        cache.learn(Some(3), &key(2), &value(20));
        cache.learn(None, &key(3), &value(30));
        assert_eq!(cache.get(Some(4), &key(1)), Some(value(10)));
        assert_eq!(cache.get(Some(3), &key(1)), None);
        assert_eq!(cache.get(Some(4), &key(2)), None);
        assert_eq!(cache.get(Some(4), &key(3)), None);

        cache.learn(Some(4), &key(2), &None);
        cache.advance(5, [(key(2), value(21))].into_iter());
        assert_eq!(cache.get(Some(5), &key(1)), Some(value(10)));
        assert_eq!(cache.get(Some(5), &key(2)), Some(value(21)));
        assert_eq!(cache.get(Some(4), &key(2)), None);
    }

    /// Memory is bounded, and what is read stays.
    #[test]
    fn the_least_used_goes() {
        let memory = 64 << 10;
        let cache = Cache::new(memory, Some(0));
        for number in 1..10_000 {
            cache.learn(Some(0), &key(number), &value(number));
            cache.learn(Some(0), &key(0), &value(0));
            assert_eq!(cache.get(Some(0), &key(0)), Some(value(0)));
        }
        let held: usize = cache.parts.iter().map(|part| part.lock().size()).sum();
        assert!(held <= memory + PARTS * 300, "{held} bytes");
        assert!(held > memory / 4, "{held} bytes");
    }

    impl Part {
        fn size(&self) -> usize {
            let len = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len());
            let entries = self.young.iter().chain(&self.old);
            entries
                .map(|(key, value)| ENTRY_LEN + key.as_bytes().len() + len(value))
                .sum()
        }
    }
}
