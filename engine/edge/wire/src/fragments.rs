//! How a long file is cut into blobs (0G wire, 4.2 and 4.4): pieces of one size, a power of two, the
//! last one shorter. A file that fits into one piece is one blob. An encrypted file is cut after it was
//! encrypted, header included, so only the first fragment begins with a header.
//!
//! ```text
//!   stored  ├── len ──┼── len ──┼─ rest ─┤      one blob each, each with its own root
//! ```

use core::ops::Range;

use lode_proofs::SECTOR_LEN;

/// Bytes of a fragment where nobody says otherwise: 4 GiB.
pub const FRAGMENT_LEN_DEFAULT: u64 = 4 << 30;

/// Bytes of a fragment: a power of two, at least a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FragmentLen(u64);

/// No power of two that a length can have is as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fragment has {wish} bytes: the longest has 2^62")]
pub struct TooLong {
    /// What was asked for.
    pub wish: u64,
}

/// Lengths are signed in other clients.
const LEN_LIMIT: u64 = 1 << 62;

/// A sector, as a length in a file.
const SECTOR: u64 = 256;
const _: () = assert!(SECTOR_LEN == 256, "both name one length");

impl FragmentLen {
    /// The length that other clients take when they are asked for `wish` bytes: the next power of two,
    /// and at least a sector.
    ///
    /// # Errors
    /// [`TooLong`] above 2^62.
    pub fn at_least(wish: u64) -> Result<FragmentLen, TooLong> {
        let len = wish.max(SECTOR).checked_next_power_of_two();
        match len.filter(|len| *len <= LEN_LIMIT) {
            Some(len) => Ok(FragmentLen(len)),
            None => Err(TooLong { wish }),
        }
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Fragments of `stored` bytes; none of nothing.
    #[must_use]
    pub const fn count(self, stored: u64) -> u64 {
        stored.div_ceil(self.0)
    }

    /// Where each fragment of `stored` bytes begins and ends, in order. Nothing is computed in advance.
    pub fn split(self, stored: u64) -> impl Iterator<Item = Range<u64>> {
        (0..self.count(stored)).map(move |index| {
            let start = index * self.0;
            start..start.saturating_add(self.0).min(stored)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lengths are rounded as other clients round them, and what cannot be is refused.
    #[test]
    fn rounds_up() {
        for (wish, want) in [
            (0, 256),
            (256, 256),
            (257, 512),
            (1000, 1024),
            (FRAGMENT_LEN_DEFAULT - 1, FRAGMENT_LEN_DEFAULT),
            (1 << 62, 1 << 62),
        ] {
            assert_eq!(FragmentLen::at_least(wish).unwrap().get(), want, "{wish}");
        }
        for wish in [(1 << 62) + 1, u64::MAX] {
            assert_eq!(FragmentLen::at_least(wish), Err(TooLong { wish }));
        }
    }

    proptest! {
        /// Fragments follow each other without a gap, all but the last are whole, none is empty.
        #[test]
        fn covers_all(stored in 0u64..100_000, wish in 0u64..20_000) {
            let len = FragmentLen::at_least(wish).unwrap();
            let mut end = 0;
            let pieces: Vec<_> = len.split(stored).collect();
            for (index, piece) in pieces.iter().enumerate() {
                prop_assert_eq!(piece.start, end);
                prop_assert!(piece.end > piece.start && piece.end - piece.start <= len.get());
                prop_assert!(index + 1 == pieces.len() || piece.end - piece.start == len.get());
                end = piece.end;
            }
            prop_assert_eq!(end, stored);
            prop_assert_eq!(len.count(stored), u64::try_from(pieces.len()).unwrap());
        }

        /// The longest files there can be are cut without overflow.
        #[test]
        fn long(stored in any::<u64>(), index in any::<proptest::sample::Index>()) {
            let len = FragmentLen::at_least(1 << 61).unwrap();
            let pieces: Vec<_> = len.split(stored).collect();
            if !pieces.is_empty() {
                let piece = index.get(&pieces);
                prop_assert!(piece.end <= stored && piece.start % len.get() == 0);
            }
        }
    }
}
