//! Which part of the flow a node keeps (0G wire, 3.1 and 6: `shardConfig`): chunk `g` of the flow,
//! counted from its first sector, is kept by slice `g mod numShard`.

use lode_proofs::{BlobShape, SECTORS_PER_CHUNK};
use serde::{Deserialize, Serialize};

/// A residue class of the flow's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
#[serde(rename_all = "camelCase")]
pub struct Slice {
    shard_id: u64,
    num_shard: u64,
}

/// A slice that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no slice {id} of {count}: the count is a power of two, the number below it")]
pub struct SliceError {
    /// The number that was asked for.
    pub id: u64,
    /// The count that was asked for.
    pub count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    shard_id: u64,
    num_shard: u64,
}

impl TryFrom<Parts> for Slice {
    type Error = SliceError;

    fn try_from(parts: Parts) -> Result<Self, SliceError> {
        Slice::new(parts.shard_id, parts.num_shard)
    }
}

impl Slice {
    /// The whole flow.
    pub const WHOLE: Slice = Slice {
        shard_id: 0,
        num_shard: 1,
    };

    /// Slice `id` of `count`.
    ///
    /// # Errors
    /// [`SliceError`] unless `count` is a power of two and `id` is below it.
    pub const fn new(id: u64, count: u64) -> Result<Slice, SliceError> {
        if !count.is_power_of_two() || id >= count {
            return Err(SliceError { id, count });
        }
        Ok(Slice {
            shard_id: id,
            num_shard: count,
        })
    }

    /// Which one.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.shard_id
    }

    /// Of how many.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.num_shard
    }

    /// Whether chunk `index` of a blob that begins at sector `start` of the flow is in it.
    #[must_use]
    pub const fn keeps(self, start: u64, index: u64) -> bool {
        let first = start / SECTORS;
        first.wrapping_add(index) % self.num_shard == self.shard_id
    }

    /// Chunks in it of a blob that begins at sector `start` of the flow.
    #[must_use]
    pub fn chunks(self, start: u64, shape: BlobShape) -> u64 {
        let first = start / SECTORS % self.num_shard;
        // The first chunk of the blob that is in the slice.
        let skipped = (self.shard_id + self.num_shard - first) % self.num_shard;
        shape
            .chunks()
            .saturating_sub(skipped)
            .div_ceil(self.num_shard)
    }

    /// Whether all chunks of `other` are in it.
    #[must_use]
    pub const fn covers(self, other: Slice) -> bool {
        other.num_shard >= self.num_shard && other.shard_id % self.num_shard == self.shard_id
    }
}

const SECTORS: u64 = 1024;
const _: () = assert!(SECTORS_PER_CHUNK == 1024);

#[cfg(test)]
mod tests {
    use super::*;

    /// Counting chunks one by one gives the same as the formula, for every slice of a few.
    #[test]
    fn counts_what_it_keeps() {
        for count in [1, 2, 4, 8] {
            for id in 0..count {
                let slice = Slice::new(id, count).unwrap();
                for start in [0, 1, 1023, 1024, 5 * 1024, 9 * 1024] {
                    for chunks in 1..20 {
                        let shape = BlobShape::new(chunks * 262_144).unwrap();
                        let one_by_one = (0..chunks).filter(|index| slice.keeps(start, *index));
                        let want = u64::try_from(one_by_one.count()).unwrap();
                        assert_eq!(
                            slice.chunks(start, shape),
                            want,
                            "{slice:?} {start} {chunks}"
                        );
                    }
                }
            }
        }
    }

    /// Slices that do not exist are refused, in JSON too.
    #[test]
    fn refuses_what_is_none() {
        assert!(Slice::new(1, 1).is_err());
        assert!(Slice::new(0, 3).is_err());
        assert!(Slice::new(0, 0).is_err());
        assert!(serde_json::from_str::<Slice>(r#"{"shardId":2,"numShard":2}"#).is_err());
        let slice: Slice = serde_json::from_str(r#"{"shardId":1,"numShard":2}"#).unwrap();
        assert!(Slice::WHOLE.covers(slice) && !slice.covers(Slice::WHOLE));
    }
}
