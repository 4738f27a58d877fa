//! The numbers of a container, all of which follow from its length and from how many hold it.
//!
//! ```text
//!            ┌──────── width W, 64 .. 128 KiB ────────┐
//!  row    0  │ first bytes of the container           │  1024 original rows: its bytes, in order
//!  row 1023  │ last bytes, then zeros                 │
//!  row 1024  │ coded from the column above            │  2048 parity rows
//!  row 3071  │                                        │
//!            └────────────────────────────────────────┘
//! ```

/// Rows that the container's own bytes fill; any so many rows give them back.
pub const ORIGINAL_ROWS: usize = 1024;
/// Rows that the code adds.
pub const PARITY_ROWS: usize = 2048;
/// All rows: as many as a quorum of 0G's DASigners hands out.
pub const ROWS: usize = ORIGINAL_ROWS + PARITY_ROWS;
/// Bytes that are coded together, 32 symbols; blobs begin on multiples of it.
pub const BLOCK_LEN: usize = 64;
/// Bytes under one leaf of an original row, the last of a row may have fewer.
pub const PIECE_LEN: usize = 1024;
/// Bytes of the widest row.
pub const WIDTH_MAX: usize = 128 * 1024;
/// Bytes of the longest container.
pub const CONTAINER_LEN_MAX: u64 = 128 * 1024 * 1024;
/// Most holders of one container: more would need more columns than one block of symbols.
pub const HOLDERS_MAX: usize = 340;
/// Columns for [`HOLDERS_MAX`].
pub const COLUMNS_MAX: usize = 32;

/// Bytes that one block in every original row makes.
const LAYER_LEN: u64 = 65_536;

// The widest rows hold the longest container, no more and no less.
const _: () = assert!(2048 * LAYER_LEN == CONTAINER_LEN_MAX && 2048 * BLOCK_LEN == WIDTH_MAX);
// A row's checksums are extended by the code itself, in one block.
const _: () = assert!(COLUMNS_MAX * 2 == BLOCK_LEN);
const _: () = assert!((HOLDERS_MAX + 140).div_ceil(15) == COLUMNS_MAX);

/// How long a container is, and thus how wide its rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    len: u64,
    width: u32,
}

/// A length that no container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a container has 64 to {CONTAINER_LEN_MAX} bytes in blocks of 64, not {len}")]
pub struct NoContainer {
    /// Bytes asked for.
    pub len: u64,
}

impl Shape {
    /// The shape of a container of `len` bytes.
    ///
    /// # Errors
    /// Unless it is a multiple of 64, from 64 to [`CONTAINER_LEN_MAX`].
    pub const fn new(len: u64) -> Result<Self, NoContainer> {
        // [D-1], [D-2]
        if len == 0 || len > CONTAINER_LEN_MAX || !len.is_multiple_of(64) {
            return Err(NoContainer { len });
        }
        Ok(Self {
            len,
            width: narrow(64 * len.div_ceil(LAYER_LEN)),
        })
    }

    /// Bytes of the container.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Never: here because there is a length.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Bytes of a row as the formats have them: a multiple of 64, at most [`WIDTH_MAX`].
    #[must_use]
    pub const fn width_u32(self) -> u32 {
        self.width
    }

    /// Bytes of a row.
    #[must_use]
    pub fn width(self) -> usize {
        usize::try_from(self.width).expect("at most 128 KiB")
    }

    /// Blocks of a row.
    #[must_use]
    pub fn blocks(self) -> usize {
        self.width() / BLOCK_LEN
    }

    /// Bytes of all original rows: the container and the zeros behind it.
    #[must_use]
    pub fn original_len(self) -> usize {
        ORIGINAL_ROWS * self.width()
    }

    /// Leaves of an original row, 1 to 128.
    #[must_use]
    pub fn pieces(self) -> usize {
        self.width().div_ceil(PIECE_LEN)
    }
}

/// Columns that a container held by so many needs: the fewest for which a wrongly coded one passes
/// with a probability of at most 2^-128 for each seed that its maker tries.
///
/// `None` for no holders or more than [`HOLDERS_MAX`].
#[must_use]
pub const fn columns(holders: usize) -> Option<usize> {
    // [D-12]
    match holders {
        1..=HOLDERS_MAX => Some((holders + 140).div_ceil(15)),
        _ => None,
    }
}

/// Bits of security of so many columns among so many holders: 15 for each column, less one for each
/// holder (it may be honest or not) and 12 for the rows (below 2^12). Negative where there is none.
#[must_use]
pub const fn soundness_bits(holders: u16, columns: u16) -> i32 {
    // [D-12]
    15 * signed(columns) - signed(holders) - 12
}

#[allow(
    clippy::as_conversions,
    reason = "16 bits fit 32, and `From` is not const"
)]
const fn signed(number: u16) -> i32 {
    number as i32
}

/// A width, which a checked length keeps below 2^18.
#[allow(
    clippy::as_conversions,
    reason = "the caller bounds it, and `TryFrom` is not const"
)]
const fn narrow(width: u64) -> u32 {
    assert!(width <= WIDTH_MAX as u64);
    width as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [D-2] Widths at the edges of the rule, and lengths that are none.
    #[test]
    fn widths() {
        for (len, width) in [
            (64, 64),
            (65_536, 64),
            (65_600, 128),
            (32 << 20, 32 << 10),
            (CONTAINER_LEN_MAX - 65_536, 131_008),
            (CONTAINER_LEN_MAX, 131_072),
        ] {
            let shape = Shape::new(len).expect("a length");
            assert_eq!((shape.len(), shape.width_u32()), (len, width));
            assert!(shape.original_len() >= usize::try_from(len).expect("small"));
        }
        for len in [0, 63, 65, CONTAINER_LEN_MAX + 64, u64::MAX] {
            assert_eq!(Shape::new(len), Err(NoContainer { len }));
        }
    }

    /// [D-12] For every number of holders the rule gives 128 bits, and one column less would not.
    #[test]
    fn columns_are_as_few_as_can_be() {
        for holders in 1..=340 {
            let columns = columns(usize::from(holders)).expect("a rule for each");
            let columns = u16::try_from(columns).expect("few");
            assert!(soundness_bits(holders, columns) >= 128, "{holders}");
            assert!(soundness_bits(holders, columns - 1) < 128, "{holders}");
        }
        assert_eq!(columns(100), Some(16));
        assert_eq!(columns(130), Some(18));
        assert_eq!((columns(0), columns(341)), (None, None));
    }
}
