//! The arithmetic of sizes, by example and by rule.

use proptest::prelude::*;

use super::*;

/// The worked sizes of the 0G wire document, 1.4: sectors, padded sectors,
/// chunks, padded chunks.
#[test]
fn worked_sizes() {
    for (size, expected) in [
        (1, (1, 1, 1, 1)),
        (256, (1, 1, 1, 1)),
        (257, (2, 2, 1, 1)),
        (1025, (5, 5, 1, 1)),
        (262_144, (1024, 1024, 1, 1)),
        (262_145, (1025, 1152, 2, 2)),
        (1_048_577, (4097, 4608, 5, 5)),
        (5_000_003, (19_532, 20_480, 20, 20)),
        (100_000_007, (390_626, 393_216, 382, 384)),
    ] {
        let shape = BlobShape::new(size).unwrap();
        let found = (
            shape.sectors(),
            shape.padded_sectors(),
            shape.chunks(),
            shape.padded_chunks(),
        );
        assert_eq!(found, expected, "size {size}");
    }
}

/// Zero bytes have no shape, and the largest size overflows nothing.
#[test]
fn ends_of_the_range() {
    assert_eq!(BlobShape::new(0), Err(EmptyBlob));
    assert_eq!(
        (sectors(0), padded_sectors(0), chunks(0), padded_chunks(0)),
        (0, 0, 0, 0)
    );
    let largest = BlobShape::new(u64::MAX).unwrap();
    assert_eq!(largest.sectors(), 1 << 56);
    assert_eq!(largest.padded_sectors(), 1 << 56);
    assert_eq!(largest.chunks(), 1 << 46);
    assert_eq!(largest.chunk_len(largest.chunks() - 1), CHUNK_LEN - 1);
    assert_eq!(largest.chunk_len(u64::MAX), 0);
    assert_eq!(largest.padded_sectors_in(u64::MAX), 0);
}

proptest! {
    /// What the contract asks of a padded count (0G wire, 1.2 and 1.5): it
    /// covers the sectors, wastes at most a sixteenth of the next power of
    /// two, and its one-bits span at most four heights.
    #[test]
    fn padding_is_small_and_flat(size in any_size()) {
        let shape = BlobShape::new(size).unwrap();
        let (sectors, padded) = (shape.sectors(), shape.padded_sectors());
        prop_assert!(padded >= sectors);
        prop_assert!(padded - sectors <= sectors.next_power_of_two() / 16);
        prop_assert!(padded.ilog2() - padded.trailing_zeros() < 4);
    }

    /// Chunk lengths and padded counts add up, around the last chunk.
    #[test]
    fn chunks_add_up(size in any_size()) {
        let shape = BlobShape::new(size).unwrap();
        let last = shape.chunks() - 1;
        let before = last * CHUNK_LEN_U64;
        prop_assert_eq!(before + u64::try_from(shape.chunk_len(last)).unwrap(), size);
        prop_assert_eq!(shape.chunk_len(last + 1), 0);
        if last > 0 {
            prop_assert_eq!(shape.chunk_len(0), CHUNK_LEN);
            prop_assert_eq!(shape.padded_sectors_in(0), SECTORS_PER_CHUNK);
        }
        let last_padded = shape.padded_chunks() - 1;
        let end = last_padded * SECTORS_PER_CHUNK_U64
            + u64::try_from(shape.padded_sectors_in(last_padded)).unwrap();
        prop_assert_eq!(end, shape.padded_sectors());
    }

    /// Only a blob below 4 MiB has a last chunk with fewer padded sectors, and
    /// then no chunk is only padding.
    #[test]
    fn padding_chunks_are_whole(size in any_size()) {
        let shape = BlobShape::new(size).unwrap();
        let last = shape.padded_chunks() - 1;
        if shape.padded_sectors_in(last) < SECTORS_PER_CHUNK {
            prop_assert!(size < 4 << 20);
            prop_assert_eq!(shape.padded_chunks(), shape.chunks());
        }
    }
}

/// Sizes of every magnitude, not just huge ones.
fn any_size() -> impl Strategy<Value = u64> {
    (0u32..64, any::<u64>()).prop_map(|(shift, bits)| (bits >> shift).max(1))
}
