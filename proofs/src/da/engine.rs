//! What computes the transforms of the code: the crate's own engine, or on CPUs that multiply by
//! matrices of bits its transforms done in steps of four rows. Both compute the same.
//!
//! ```text
//!  transform    distance size/4, size/16, .. 1     rows i, i + distance, i + 2 distance, i + 3 distance
//!  way back     the same steps from 1 up
//! ```
//! The crate asks for transforms of 1024 rows to code and of 4096 to restore, both powers of four, so
//! that two layers are always done at once: half the way through memory.

use reed_solomon_simd::engine::{
    DefaultEngine, Engine, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables,
};

use super::checksum::transform::Constants;

/// Constants that transforms of up to 4096 rows need.
const CONSTANTS: usize = 4096;

/// See the file's head.
pub(crate) struct Transforms {
    plain: DefaultEngine,
    constants: Option<Constants>,
}

impl Transforms {
    /// Finds out what this CPU has. Cost: 0.1 ms.
    pub(crate) fn new() -> Self {
        let (table, skew) = (tables::get_exp_log(), tables::get_skew());
        // The crate's constants are logarithms, and that of zero is the one that is none.
        let constant = |log: &GfElement| match *log {
            GF_MODULUS => 0,
            log => tables::mul(1, log, &table.exp, &table.log),
        };
        Self {
            plain: DefaultEngine::new(),
            constants: Constants::new(skew[..CONSTANTS].iter().map(constant)),
        }
    }

    /// What computes without them: for rows so short that their constants would cost more.
    pub(crate) fn plain() -> Self {
        Self {
            plain: DefaultEngine::new(),
            constants: None,
        }
    }
}

impl Engine for Transforms {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        let Some(constants) = self.constants_for(size, skew_delta) else {
            return self.plain.fft(data, pos, size, truncated_size, skew_delta);
        };
        for layer in (0..size.ilog2() / 2).rev() {
            each_four(1 << (2 * layer), truncated_size, |row, distance, group| {
                let (a, b, c, d) = data.dist4_mut(pos + row, distance);
                constants.transform([a, b, c, d], places(group + skew_delta, distance));
            });
        }
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        let Some(constants) = self.constants_for(size, skew_delta) else {
            return self.plain.ifft(data, pos, size, truncated_size, skew_delta);
        };
        for layer in 0..size.ilog2() / 2 {
            each_four(1 << (2 * layer), truncated_size, |row, distance, group| {
                let (a, b, c, d) = data.dist4_mut(pos + row, distance);
                constants.untransform([a, b, c, d], places(group + skew_delta, distance));
            });
        }
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.plain.mul(x, log_m);
    }

    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], truncated_size: usize) {
        DefaultEngine::eval_poly(erasures, truncated_size);
    }
}

impl Transforms {
    /// The constants, if they are there and two layers at a time come out even.
    fn constants_for(&self, size: usize, skew_delta: usize) -> Option<&Constants> {
        let even = size.is_power_of_two() && size.ilog2().is_multiple_of(2);
        let known = even && skew_delta + size <= CONSTANTS;
        self.constants.as_ref().filter(|_| known)
    }
}

/// Comes by all fours of rows of a layer whose groups begin before `end`: the first row, the distance,
/// and where the group begins.
fn each_four(distance: usize, end: usize, mut found: impl FnMut(usize, usize, usize)) {
    for group in (0..end).step_by(4 * distance) {
        for row in group..group + distance {
            found(row, distance, group);
        }
    }
}

/// Places of a group's constants: of rows that are two apart, then of either pair.
fn places(group: usize, distance: usize) -> [usize; 3] {
    let first = group + distance - 1;
    [first + distance, first, first + 2 * distance]
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// [D-11] Transforms of every size and place that the code asks for, whole and cut off, and back,
    /// are those of the crate's engine; and so are sizes that it does not ask for.
    #[test]
    fn computes_what_the_crate_does() {
        let (ours, theirs) = (Transforms::new(), DefaultEngine::new());
        for (size, delta) in [
            (1024, 0),
            (1024, 1024),
            (1024, 2048),
            (4096, 0),
            (4, 0),
            (8, 8),
            (1024, 3072),
            (1024, 4096),
        ] {
            for end in [size, size - size / 4, 1] {
                let start = noise(size * 3);
                let (mut one, mut two) = (start.clone(), start);
                let mut shards = [
                    ShardsRefMut::new(size, 3, &mut one),
                    ShardsRefMut::new(size, 3, &mut two),
                ];
                ours.fft(&mut shards[0], 0, size, end, delta);
                theirs.fft(&mut shards[1], 0, size, end, delta);
                assert!(
                    (0..end).all(|row| shards[0][row] == shards[1][row]),
                    "{size} {end} {delta}"
                );
                ours.ifft(&mut shards[0], 0, size, end, delta);
                theirs.ifft(&mut shards[1], 0, size, end, delta);
                assert!(
                    (0..end).all(|row| shards[0][row] == shards[1][row]),
                    "{size} {end} {delta}"
                );
            }
        }
    }

    fn noise(blocks: usize) -> Vec<[u8; 64]> {
        let mut bytes = alloc::vec![[0; 64]; blocks];
        let mut stream = blake3::Hasher::new().finalize_xof();
        stream.fill(bytes.as_flattened_mut());
        bytes
    }
}
