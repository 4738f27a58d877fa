//! The field of 2^16 elements as the code has it, and how a block holds symbols of it.
//!
//! ```text
//!  block  64 bytes: low bytes of 32 symbols, then their high bytes
//! ```
//! A symbol is a number from 0 to 65535 whose bits say which elements of the code's basis are added;
//! the tables are those of the crate that codes, so there is but one field. SPEC defines it without
//! them, and the tests' model is made from that definition.

use reed_solomon_simd::engine::tables;

use super::shape::BLOCK_LEN;

/// 32 symbols: their low bytes, then their high bytes.
pub(crate) type Block = [u8; BLOCK_LEN];
/// Symbols of a block.
pub(crate) const LANES: usize = BLOCK_LEN / 2;

/// Multiplies symbols.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    tables: &'static tables::ExpLog,
}

impl Field {
    pub(crate) fn new() -> Self {
        Self {
            tables: tables::get_exp_log(),
        }
    }

    /// The product of two symbols.
    pub(crate) fn times(self, left: u16, right: u16) -> u16 {
        // [D-10] Zero has no logarithm; the crate asks for it on one side only.
        if right == 0 {
            return 0;
        }
        let (exp, log) = (&self.tables.exp, &self.tables.log);
        tables::mul(left, log[usize::from(right)], exp, log)
    }
}

/// Symbol number `lane` of a block.
pub(crate) fn symbol(block: &Block, lane: usize) -> u16 {
    u16::from_le_bytes([block[lane], block[LANES + lane]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [D-10] Zero times anything is zero, from both sides; one is the symbol 1.
    #[test]
    fn zero_and_one() {
        let field = Field::new();
        for symbol in [0, 1, 2, 255, 256, 4095, 65_534, 65_535] {
            assert_eq!(field.times(0, symbol), 0);
            assert_eq!(field.times(symbol, 0), 0);
            assert_eq!(field.times(1, symbol), symbol);
            assert_eq!(field.times(symbol, 1), symbol);
        }
    }
}
