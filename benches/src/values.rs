//! What is stored: values that no compression shrinks, all distinct, known again from their number
//! alone, so that every read can be compared without keeping what was written.
//!
//! All are slices of one base of random bytes. The first mebibyte of numbers begin at different
//! places of it and can be shared without a copy, so that making a value costs the store nothing;
//! later numbers share places and are told apart by a head.

use bytes::Bytes;

/// Bytes of one chunk: the unit of the durable write and of the large read.
pub const CHUNK_LEN: usize = 256 * 1024;
/// Bytes of one page: the unit of the small read.
pub const PAGE_LEN: usize = 4096;

/// Starts of values in the base.
const STARTS: u64 = 1 << 20;
/// Spreads neighbouring numbers over the base; odd, so that no two of the first [`STARTS`] meet.
const STRIDE: u64 = 0x9_E375;
const _: () = assert!(STRIDE % 2 == 1 && STARTS.is_power_of_two());

/// A family of values. Cloning is cheap.
#[derive(Clone)]
pub struct Values {
    seed: u64,
    base: Bytes,
}

impl Values {
    /// Values of at most [`CHUNK_LEN`] bytes; another seed, other values.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let len = usize::try_from(STARTS).expect("a mebibyte") + CHUNK_LEN;
        let base = (0..len / 8)
            .flat_map(|_| random.word().to_le_bytes())
            .collect::<Vec<u8>>()
            .into();
        Self { seed, base }
    }

    /// Writes value `index` of `out.len()` bytes, at least 16.
    pub fn write(&self, index: u64, out: &mut [u8]) {
        out.copy_from_slice(self.slice(index, 0, out.len()));
        let head = self.head(index);
        out[..head.len()].copy_from_slice(&head);
    }

    /// Value `index` of `len` bytes, without a copy where its number allows.
    pub fn share(&self, index: u64, len: usize) -> Bytes {
        if index < STARTS {
            let start = start(index);
            return self.base.slice(start..start + len);
        }
        self.value(index, len).into()
    }

    /// Value `index` of `len` bytes.
    pub fn value(&self, index: u64, len: usize) -> Vec<u8> {
        let mut value = vec![0; len];
        self.write(index, &mut value);
        value
    }

    /// True when `bytes` are those of value `index` from `offset` on.
    pub fn matches(&self, index: u64, offset: usize, bytes: &[u8]) -> bool {
        let head = self.head(index);
        let from_head = head.get(offset..).unwrap_or_default();
        let (in_head, rest) = bytes.split_at(from_head.len().min(bytes.len()));
        in_head == &from_head[..in_head.len()]
            && rest == self.slice(index, offset + in_head.len(), rest.len())
    }

    fn slice(&self, index: u64, offset: usize, len: usize) -> &[u8] {
        let start = start(index) + offset;
        &self.base[start..start + len]
    }

    /// What tells a value from others that begin at its place: empty for the first of them.
    fn head(&self, index: u64) -> Vec<u8> {
        if index < STARTS {
            return Vec::new();
        }
        [index.to_le_bytes(), self.seed.to_le_bytes()].concat()
    }
}

fn start(index: u64) -> usize {
    let start = index.wrapping_mul(STRIDE) % STARTS;
    usize::try_from(start).expect("below a mebibyte")
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): fast and repeatable.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; `bound` is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }

    /// `0..count` in random order (Fisher and Yates).
    pub fn order(&mut self, count: u64) -> Vec<u64> {
        let mut order: Vec<u64> = (0..count).collect();
        for (at, left) in (1..order.len()).zip(2..) {
            let other = usize::try_from(self.below(left)).expect("an index of the list");
            order.swap(at, other);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE_LEN, Random, STARTS, Values};

    /// Proves that a value is known again whole and in parts, and that one wrong bit is seen.
    #[test]
    fn knows_its_values() {
        for index in [9, STARTS + 9] {
            knows(index);
        }
    }

    fn knows(index: u64) {
        let values = Values::new(3);
        let value = values.value(index, 10_000);
        assert_eq!(values.share(index, 10_000), value);
        for (offset, len) in [(0, 10_000), (0, 8), (8, 100), (16, 1), (5000, PAGE_LEN)] {
            assert!(
                values.matches(index, offset, &value[offset..offset + len]),
                "{offset}"
            );
            assert!(
                !values.matches(index + 1, offset, &value[offset..offset + len]),
                "{offset}"
            );
        }
        for at in [0, 15, 16, 9999] {
            let mut wrong = value.clone();
            wrong[at] ^= 1;
            assert!(!values.matches(index, 0, &wrong), "{at}");
        }
    }

    /// Proves that an order holds each number once.
    #[test]
    fn orders_hold_each_number_once() {
        let order = Random::new(1).order(1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert!(Random::new(1).order(0).is_empty());
    }
}
