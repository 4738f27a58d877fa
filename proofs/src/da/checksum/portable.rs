//! Sums over blocks on any CPU: symbol after symbol, four look-ups each.

use super::{Block, GROUP, Times};
use crate::da::field::LANES;

/// For each column and row the sum over the row's blocks, each times its constant; `blocks` has one
/// constant for each block and column.
pub(super) fn sums(rows: &[&[Block]], blocks: &[Times], sums: &mut [[Block; GROUP]]) {
    sums.fill([[0; 64]; GROUP]);
    let columns = sums.len();
    for (place, constants) in blocks.chunks_exact(columns).enumerate() {
        for (constant, sums) in constants.iter().zip(sums.iter_mut()) {
            for (row, sum) in rows.iter().zip(sums) {
                add_product(constant, &row[place], sum);
            }
        }
    }
}

fn add_product(constant: &Times, block: &Block, sum: &mut Block) {
    for lane in 0..LANES {
        let (low, high) = (block[lane], block[LANES + lane]);
        let nibbles = [low & 15, low >> 4, high & 15, high >> 4].map(usize::from);
        for (nibble, value) in nibbles.into_iter().enumerate() {
            sum[lane] ^= constant.low[nibble][value];
            sum[LANES + lane] ^= constant.high[nibble][value];
        }
    }
}
