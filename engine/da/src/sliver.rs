//! A holder's sliver as one string of bytes, of which parts are asked for.
//!
//! ```text
//!  │ table │ checks of the originals 2048 · T │ nodes beside the rows 32 · s │ rows W · r │
//!  0        ▲ its length comes with the offer                              parts of 256 KiB ─►
//! ```
//! Everything but the table's length follows from the container's head and from who holds which rows.

use std::ops::Range;

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{
        Coded, Head, Sliver,
        rows::proof_len,
        shape::ORIGINAL_ROWS,
        table::{TABLE_HEAD_LEN, TABLE_LEN_MAX},
    },
};

use crate::bounds::PART_LEN;

/// Where everything is in a sliver of some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    table: usize,
    checks: usize,
    siblings: usize,
    rows: usize,
    width: usize,
}

impl Layout {
    /// That of rows of a container whose table has so many bytes; none if no such table or container is.
    #[must_use]
    pub fn new(head: &Head, rows: &[u16], table_len: usize) -> Option<Layout> {
        let fits = usize::try_from(head.shape.len()).is_ok_and(|len| table_len < len);
        if !(TABLE_HEAD_LEN..=TABLE_LEN_MAX).contains(&table_len) || !fits {
            return None;
        }
        let columns = usize::from(head.columns);
        Some(Layout {
            table: table_len,
            checks: 2 * ORIGINAL_ROWS * columns,
            siblings: 32 * proof_len(rows),
            rows: rows.len(),
            width: head.shape.width(),
        })
    }

    /// Bytes of the sliver.
    #[must_use]
    pub fn len(&self) -> usize {
        self.before_rows() + self.rows * self.width
    }

    /// No sliver is: it has a table at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts of it.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.len().div_ceil(PART_LEN)
    }

    /// Which bytes a part has; empty behind the last.
    #[must_use]
    pub fn part(&self, number: usize) -> Range<usize> {
        let start = number.saturating_mul(PART_LEN).min(self.len());
        start..(start + PART_LEN).min(self.len())
    }

    fn before_rows(&self) -> usize {
        self.table + self.checks + self.siblings
    }
}

/// A sliver that came, as bytes that nobody has checked.
#[derive(Clone, Debug)]
pub struct Packed {
    layout: Layout,
    bytes: Bytes,
}

impl Packed {
    /// Bytes of this layout.
    ///
    /// # Panics
    /// If they have another length.
    #[must_use]
    pub fn new(layout: Layout, bytes: Bytes) -> Packed {
        assert_eq!(bytes.len(), layout.len(), "the layout's length");
        Packed { layout, bytes }
    }

    /// The sliver of a container for these rows.
    #[must_use]
    pub fn of(coded: &Coded, rows: &[u16]) -> Packed {
        let maker = Maker::new(coded, rows);
        let mut bytes = Vec::with_capacity(maker.layout.len());
        maker.copy(0..maker.layout.len(), &mut bytes);
        Packed::new(maker.layout, bytes.into())
    }

    /// The container's table.
    #[must_use]
    pub fn table(&self) -> Bytes {
        self.bytes.slice(..self.layout.table)
    }

    /// Checksums of the original rows.
    #[must_use]
    pub fn checks(&self) -> Bytes {
        let start = self.layout.table;
        self.bytes.slice(start..start + self.layout.checks)
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn rows(&self) -> Bytes {
        self.bytes.slice(self.layout.before_rows()..)
    }

    /// All of it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What is checked.
    #[must_use]
    pub fn sliver(&self) -> Sliver<'_> {
        let start = self.layout.table + self.layout.checks;
        let siblings = &self.bytes[start..self.layout.before_rows()];
        let (siblings, _) = siblings.as_chunks::<32>();
        let rows = &self.bytes[self.layout.before_rows()..];
        Sliver {
            rows: rows.chunks_exact(self.layout.width).collect(),
            siblings: siblings.iter().copied().map(Hash32).collect(),
            table: &self.bytes[..self.layout.table],
        }
    }
}

/// Copies parts of a sliver out of a container.
pub struct Maker<'coded> {
    layout: Layout,
    coded: &'coded Coded,
    sliver: Sliver<'coded>,
    siblings: Vec<u8>,
}

impl<'coded> Maker<'coded> {
    /// For the holder of these rows. Costs a look-up for each hash beside them.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn new(coded: &'coded Coded, rows: &[u16]) -> Maker<'coded> {
        let sliver = coded.sliver(rows);
        let layout = Layout::new(coded.head(), rows, sliver.table.len());
        let siblings: Vec<u8> = sliver.siblings.iter().flat_map(|hash| hash.0).collect();
        Maker {
            layout: layout.expect("the table of a container"),
            coded,
            siblings,
            sliver,
        }
    }

    /// Where everything is.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Appends a range of the sliver.
    pub fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let fixed = [
            self.sliver.table,
            self.coded.checks().originals(),
            &self.siblings[..],
        ];
        let mut at = 0;
        for piece in fixed.into_iter().chain(self.sliver.rows.iter().copied()) {
            let (start, end) = (range.start.max(at), range.end.min(at + piece.len()));
            if start < end {
                out.extend_from_slice(&piece[start - at..end - at]);
            }
            at += piece.len();
            if at >= range.end {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lode_proofs::da::{ContainerBuilder, Namespace, Quorum, Verifier};

    use super::*;

    /// Parts of a sliver put together are the sliver, and it is one that a holder accepts.
    #[test]
    fn parts_make_the_sliver() {
        let blob: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
        let mut builder = ContainerBuilder::new();
        builder.add(Namespace([1; 29]), &blob).unwrap();
        builder.add(Namespace([2; 29]), &blob[..1000]).unwrap();
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 0,
        };
        let coded = Coded::new(builder.close().unwrap(), &quorum, 10);
        for rows in [vec![5], (0..3072).step_by(7).collect::<Vec<u16>>()] {
            let maker = Maker::new(&coded, &rows);
            let layout = maker.layout();
            let mut bytes = Vec::new();
            for part in 0..layout.parts() {
                maker.copy(layout.part(part), &mut bytes);
            }
            assert!(layout.part(layout.parts()).is_empty());
            let packed = Packed::new(layout, bytes.clone().into());
            assert_eq!(bytes, Packed::of(&coded, &rows).bytes);
            let verifier = Verifier::new(*coded.head(), &quorum, 10).unwrap();
            let verifier = verifier.with_checks(&packed.checks()).unwrap();
            verifier.sliver(&rows, &packed.sliver()).unwrap();
        }
    }

    /// No table is shorter than its head, or as long as the container.
    #[test]
    fn tables_have_a_length() {
        let mut builder = ContainerBuilder::new();
        builder.add(Namespace([1; 29]), &[7; 70_000]).unwrap();
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 0,
        };
        let coded = Coded::new(builder.close().unwrap(), &quorum, 10);
        let layout = |len| Layout::new(coded.head(), &[1], len);
        assert!(layout(128).is_some());
        for len in [0, TABLE_HEAD_LEN - 1, 70_144, TABLE_LEN_MAX + 1, usize::MAX] {
            assert_eq!(layout(len), None);
        }
    }
}
