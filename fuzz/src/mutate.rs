//! Makes inputs out of seeds without knowing their structure: bits, bytes, interesting integers,
//! cuts, copies and splices, one to eight of them on top of each other. A target that guards its
//! input with a checksum gives a `repair`, so that half of the inputs get past it.

use crate::{random::Random, targets::Target};

/// Most changes stacked on one seed.
const STACK: usize = 8;

/// Values at the edges of what integers in formats hold.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x7FFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFF,
];

/// The next input: seeds mutated, at most `len_max` bytes long.
pub struct Mutator<'run> {
    target: &'run Target,
    seeds: &'run [Vec<u8>],
    random: Random,
    len_max: usize,
}

impl<'run> Mutator<'run> {
    /// Mutates `seeds`; an empty list stands for one empty seed.
    pub fn new(
        target: &'run Target,
        seeds: &'run [Vec<u8>],
        random: Random,
        len_max: usize,
    ) -> Self {
        Self {
            target,
            seeds,
            random,
            len_max,
        }
    }

    /// Replaces `input` by the next one.
    pub fn next_into(&mut self, input: &mut Vec<u8>) {
        input.clear();
        input.extend_from_slice(self.any_seed());
        for _ in 0..=self.random.below(STACK) {
            self.change(input);
        }
        input.truncate(self.len_max);
        if let Some(repair) = self.target.repair.filter(|_| self.random.below(2) == 0) {
            repair(input);
        }
    }

    fn any_seed(&mut self) -> &'run [u8] {
        let index = self.random.below(self.seeds.len());
        self.seeds.get(index).map_or(&[], Vec::as_slice)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.random.below(12) {
            0 => self.flip_bit(input),
            1 => self.set_byte(input),
            2 | 3 => self.set_edge(input),
            4 => self.add_small(input),
            5 => input.truncate(self.random.below(input.len() + 1)),
            6 => self.remove(input),
            7 => self.insert(input),
            8 => self.double(input),
            9 => self.copy_within(input),
            10 => self.splice(input),
            _ => self.fill(input),
        }
    }

    fn flip_bit(&mut self, input: &mut [u8]) {
        let at = self.random.below(input.len());
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << self.random.below(8);
        }
    }

    fn set_byte(&mut self, input: &mut [u8]) {
        let at = self.random.below(input.len());
        if let Some(byte) = input.get_mut(at) {
            *byte = self.random.byte();
        }
    }

    /// An interesting integer of 1, 2, 4 or 8 bytes, in either order.
    fn set_edge(&mut self, input: &mut [u8]) {
        let length = u64::try_from(input.len()).expect("usize has at most 64 bits");
        let value = match self.random.below(EDGES.len() + 2) {
            index if index < EDGES.len() => EDGES[index],
            index if index == EDGES.len() => length,
            _ => length.wrapping_add(1),
        };
        self.with_integer(input, |_| value);
    }

    /// Adds or takes away up to 16.
    fn add_small(&mut self, input: &mut [u8]) {
        let delta = self.random.word() % 33;
        self.with_integer(input, |value| value.wrapping_add(delta).wrapping_sub(16));
    }

    fn with_integer(&mut self, input: &mut [u8], change: impl FnOnce(u64) -> u64) {
        let width = 1 << self.random.below(4);
        if input.len() < width {
            return;
        }
        let at = self.random.below(input.len() - width + 1);
        let place = &mut input[at..at + width];
        let big_endian = self.random.below(4) == 0;
        if big_endian {
            place.reverse();
        }
        let mut word = [0; 8];
        word[..width].copy_from_slice(place);
        let changed = change(u64::from_le_bytes(word)).to_le_bytes();
        place.copy_from_slice(&changed[..width]);
        if big_endian {
            place.reverse();
        }
    }

    /// A range within the input, mostly short.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.random.below(len + 1);
        let longest = if self.random.below(4) == 0 {
            len - start
        } else {
            (len - start).min(64)
        };
        start..start + self.random.below(longest + 1)
    }

    fn remove(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input.len());
        input.drain(range);
    }

    fn insert(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let fill = self.random.byte();
        let count = 1 + self.random.below(64);
        let random = self.random.below(2) == 0;
        let bytes: Vec<u8> = (0..count)
            .map(|_| if random { self.random.byte() } else { fill })
            .collect();
        input.splice(at..at, bytes);
    }

    fn double(&mut self, input: &mut Vec<u8>) {
        let piece = input[self.range(input.len())].to_vec();
        let at = self.random.below(input.len() + 1);
        input.splice(at..at, piece);
    }

    fn copy_within(&mut self, input: &mut [u8]) {
        let source = self.range(input.len());
        let target = self.random.below(input.len() - source.len() + 1);
        input.copy_within(source, target);
    }

    /// The head of the input, then the tail of a seed.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.any_seed();
        let keep = self.random.below(input.len() + 1);
        let from = if self.random.below(2) == 0 {
            keep
        } else {
            self.random.below(other.len() + 1)
        };
        input.truncate(keep);
        input.extend_from_slice(other.get(from..).unwrap_or_default());
    }

    fn fill(&mut self, input: &mut [u8]) {
        let byte = if self.random.below(2) == 0 {
            0
        } else {
            self.random.byte()
        };
        let range = self.range(input.len());
        input[range].fill(byte);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Mutator;
    use crate::{random::Random, targets::Target};

    fn nothing(_: &[u8]) {}

    fn seal(input: &mut Vec<u8>) {
        input.truncate(3);
        input.push(b'!');
    }

    const PLAIN: Target = Target {
        name: "plain",
        run: nothing,
        seeds: Vec::new,
        repair: None,
        cost: 1,
    };
    const SEALED: Target = Target {
        name: "sealed",
        run: nothing,
        seeds: Vec::new,
        repair: Some(seal),
        cost: 1,
    };

    fn inputs(target: &Target, seeds: &[Vec<u8>], seed: u64, count: usize) -> Vec<Vec<u8>> {
        let mut mutator = Mutator::new(target, seeds, Random::new(seed, 0), 100);
        let mut input = Vec::new();
        (0..count)
            .map(|_| {
                mutator.next_into(&mut input);
                input.clone()
            })
            .collect()
    }

    /// Proves that inputs repeat by seed, vary, and keep to the length asked for.
    #[test]
    fn inputs_repeat_vary_and_are_bounded() {
        let seeds = [vec![7; 90], vec![1, 2, 3]];
        let made = inputs(&PLAIN, &seeds, 5, 2000);
        assert_eq!(made, inputs(&PLAIN, &seeds, 5, 2000));
        assert_ne!(made, inputs(&PLAIN, &seeds, 6, 2000));
        assert!(made.iter().all(|input| input.len() <= 100));
        let distinct: BTreeSet<&Vec<u8>> = made.iter().collect();
        assert!(distinct.len() > 1000, "{}", distinct.len());
    }

    /// Proves that empty seeds, and none at all, still yield inputs.
    #[test]
    fn grows_from_nothing() {
        for seeds in [vec![], vec![vec![]]] {
            let made = inputs(&PLAIN, &seeds, 1, 500);
            assert!(made.iter().any(|input| input.len() > 8));
        }
    }

    /// Proves that about half of the inputs are repaired.
    #[test]
    fn repairs_half() {
        let made = inputs(&SEALED, &[vec![0; 50]], 1, 1000);
        let repaired = made
            .iter()
            .filter(|input| input.len() <= 4 && input.ends_with(b"!"))
            .count();
        assert!((300..700).contains(&repaired), "{repaired}");
    }
}
