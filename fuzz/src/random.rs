//! A seeded generator (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014). Not for secrets: it only has to be fast and repeatable.

/// The generator; its whole state is one word.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each `(seed, stream)`.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        let base = random.word();
        Self(base ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A random byte.
    pub fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[0]
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias of the remainder does not matter here.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound_word = u64::try_from(bound.max(1)).expect("usize has at most 64 bits");
        usize::try_from(self.word() % bound_word).expect("below a usize")
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    /// Proves that a seed repeats itself and that streams differ.
    #[test]
    fn repeats_by_seed() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.word(), random.word(), random.word()]
        };
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_ne!(take(1, 0), take(2, 0));
    }
}
