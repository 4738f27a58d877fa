//! Bytes and dice from seeds: the same for the same seed, on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Noise of a seed.
    pub fn new(seed: u64) -> Self {
        Noise(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `below` - 1; the bias is far below what a load can notice.
    pub fn below(&mut self, below: u64) -> u64 {
        self.draw() % below.max(1)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index into `len` things; `None` where there are none.
    pub fn index(&mut self, len: usize) -> Option<usize> {
        let len = u64::try_from(len).ok().filter(|len| *len > 0)?;
        usize::try_from(self.below(len)).ok()
    }
}

/// `size` bytes of noise.
pub fn contents(seed: u64, size: u64) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    let mut bytes = vec![0; usize::try_from(size).expect("contents fit into memory")];
    for word in bytes.chunks_mut(8) {
        word.copy_from_slice(&noise.draw().to_le_bytes()[..word.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents are a function of the seed, and a shorter blob is the beginning of a longer one.
    #[test]
    fn contents_come_back() {
        let bytes = contents(7, 1001);
        assert_eq!(bytes, contents(7, 1001));
        assert_eq!(bytes[..13], contents(7, 13));
        assert_ne!(bytes, contents(8, 1001));
    }

    /// Dice keep to their bounds.
    #[test]
    fn bounds() {
        let mut noise = Noise::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&noise.between(3, 5)));
            assert!(noise.index(4).unwrap() < 4);
        }
        assert_eq!(noise.index(0), None);
    }
}
