//! The index: where every blob of a shard is, in memory.
//!
//! A blob of one chunk costs an entry of 48 bytes and a slot of 5 to 11 bytes (hash table of u32 at
//! 44 to 88 % fill), so at most 60 bytes. A longer blob costs an entry, about 110 bytes for itself
//! and 8 bytes per chunk. Roots are kept whole: a hit needs no disk read to be sure.
//!
//! Tables are cut into 64 parts that grow one at a time, so growing never stops the shard for
//! longer than it takes to move 1/64 of the slots. The hash is keyed per process: a client that
//! grinds roots cannot aim at one slot.

use crate::Root;
use hashbrown::HashTable;

use crate::format::manifest;

/// Where a record is: segment number and position in the segment's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the segment in its shard.
    pub segment: u32,
    /// Position of the record's header in the segment's stream.
    pub at: u32,
}

impl Place {
    /// No place: the record is not there (yet).
    pub const NONE: Place = Place {
        segment: u32::MAX,
        at: u32::MAX,
    };

    /// Both numbers in one, as checkpoints store it.
    pub fn to_u64(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.at)
    }

    /// Undoes [`Place::to_u64`].
    pub fn from_u64(packed: u64) -> Place {
        let half = |value: u64| u32::try_from(value & 0xffff_ffff).expect("32 bits");
        Place {
            segment: half(packed >> 32),
            at: half(packed),
        }
    }
}

/// A blob as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A blob of one chunk.
    Single {
        /// Its record.
        place: Place,
        /// Bytes.
        len: u32,
        /// Expiry epoch, 0 for none.
        expiry: u32,
    },
    /// A longer blob.
    Long {
        /// Its parts.
        long: &'a Long,
        /// Expiry epoch, 0 for none.
        expiry: u32,
    },
}

impl Found<'_> {
    /// Bytes of the blob.
    pub fn size(&self) -> u64 {
        match self {
            Found::Single { len, .. } => u64::from(*len),
            Found::Long { long, .. } => long.size,
        }
    }

    /// Expiry epoch, 0 for none.
    pub fn expiry(&self) -> u32 {
        match self {
            Found::Single { expiry, .. } | Found::Long { expiry, .. } => *expiry,
        }
    }
}

/// The parts of a blob of more than one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long {
    /// The shard's number of the blob.
    pub blob: u64,
    /// Bytes.
    pub size: u64,
    /// Its manifest record.
    pub manifest: Place,
    /// Places of its chunks in order, then of its groups; [`Place::NONE`] for a lost one.
    pub parts: Box<[Place]>,
}

impl Long {
    /// Place of chunk `index`.
    pub fn chunk(&self, index: u64) -> Place {
        self.parts[usize::try_from(index).expect("64-bit")]
    }

    /// Place of group `index`.
    pub fn group(&self, index: u64) -> Place {
        self.chunk(manifest::chunks(self.size) + index)
    }
}

/// Which part of a longer blob a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Chunk by index.
    Chunk(u64),
    /// Group by index.
    Group(u64),
}

/// All blobs of a shard.
pub struct Index {
    keys: [u64; 2],
    tables: Vec<HashTable<u32>>,
    blocks: Vec<Vec<Entry>>,
    free: Vec<u32>,
    longs: Vec<Option<Long>>,
    longs_free: Vec<u32>,
    by_blob: std::collections::BTreeMap<u64, u32>,
    totals: Totals,
}

/// Sums over the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blobs.
    pub blobs: u64,
    /// Chunks of all blobs.
    pub chunks: u64,
    /// Bytes of all blobs.
    pub bytes: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    root: Root,
    /// The record of a single, or the slot of a long blob.
    place: Place,
    len: u32,
    expiry: u32,
}

const _: () = assert!(
    size_of::<Entry>() == 48,
    "the memory figure in the module head"
);

const TABLES: usize = 64;
const BLOCK: usize = 1024;
/// `len` of an entry whose place is a slot in `longs`.
const LONG: u32 = u32::MAX;
/// `len` of an entry that is free.
const FREE: u32 = 0;

impl Index {
    /// An empty index; `keys` are random.
    pub fn new(keys: [u64; 2]) -> Index {
        Index {
            keys,
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            blocks: Vec::new(),
            free: Vec::new(),
            longs: Vec::new(),
            longs_free: Vec::new(),
            by_blob: std::collections::BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// The blob of a root.
    pub fn get(&self, root: &Root) -> Option<Found<'_>> {
        let slot = self.find(root)?;
        Some(self.found(self.entry(slot)))
    }

    /// The root and parts of a longer blob by its number.
    pub fn long(&self, blob: u64) -> Option<(Root, &Long)> {
        let entry = self.entry(*self.by_blob.get(&blob)?);
        Some((entry.root, self.long_of(entry)))
    }

    /// Puts a blob of one chunk, replacing what had its root, which is returned.
    pub fn put_single(
        &mut self,
        root: Root,
        place: Place,
        len: u32,
        expiry: u32,
    ) -> Option<Removed> {
        assert!(len != FREE && len != LONG, "a single has 1..=262,144 bytes");
        let before = self.remove(&root);
        self.insert(Entry {
            root,
            place,
            len,
            expiry,
        });
        before
    }

    /// Puts a longer blob, replacing what had its root, which is returned.
    pub fn put_long(&mut self, root: Root, long: Long, expiry: u32) -> Option<Removed> {
        let before = self.remove(&root);
        let blob = long.blob;
        let slot = match self.longs_free.pop() {
            Some(slot) => slot,
            None => {
                self.longs.push(None);
                index_u32(self.longs.len() - 1)
            }
        };
        self.longs[index(slot)] = Some(long);
        let entry = Entry {
            root,
            place: Place {
                segment: 0,
                at: slot,
            },
            len: LONG,
            expiry,
        };
        let at = self.insert(entry);
        self.by_blob.insert(blob, at);
        before
    }

    /// Removes a blob; its parts are returned so that their bytes can be counted as dead.
    pub fn remove(&mut self, root: &Root) -> Option<Removed> {
        let hash = self.hash(root);
        let blocks = &self.blocks;
        let table = &mut self.tables[table_of(hash)];
        let (slot, _) = table
            .find_entry(hash, |&slot| entry_in(blocks, slot).root == *root)
            .ok()?
            .remove();
        let entry = *self.entry(slot);
        self.blocks[index(slot) / BLOCK][index(slot) % BLOCK].len = FREE;
        self.free.push(slot);
        let removed = if entry.len == LONG {
            let long = self.longs[index(entry.place.at)]
                .take()
                .expect("an entry owns its long");
            self.longs_free.push(entry.place.at);
            self.by_blob.remove(&long.blob);
            Removed::Long(long)
        } else {
            Removed::Single {
                place: entry.place,
                len: entry.len,
            }
        };
        self.count(removed.size(), false);
        Some(removed)
    }

    /// Sets the place of a part of a longer blob and returns the one before; none if the blob or
    /// the part does not exist.
    pub fn set_part(&mut self, blob: u64, part: Part, to: Place) -> Option<Place> {
        let slot = *self.by_blob.get(&blob)?;
        let at = self.entry(slot).place.at;
        let long = self.longs[index(at)]
            .as_mut()
            .expect("an entry owns its long");
        let chunks = manifest::chunks(long.size);
        let place = match part {
            Part::Chunk(index) if index >= chunks => return None,
            Part::Chunk(index) => long.parts.get_mut(usize::try_from(index).ok()?)?,
            Part::Group(index) => long.parts.get_mut(usize::try_from(chunks + index).ok()?)?,
        };
        Some(std::mem::replace(place, to))
    }

    /// Gives a longer blob another manifest, whose term counts from here on, and returns the place
    /// of the one before; none if the blob does not exist.
    pub fn set_manifest(&mut self, blob: u64, to: Place, expiry: u32) -> Option<Place> {
        let slot = *self.by_blob.get(&blob)?;
        let entry = &mut self.blocks[index(slot) / BLOCK][index(slot) % BLOCK];
        entry.expiry = expiry;
        let long = self.longs[index(entry.place.at)]
            .as_mut()
            .expect("an entry owns its long");
        Some(std::mem::replace(&mut long.manifest, to))
    }

    /// Sums over all blobs.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Memory of the index in bytes, by what its allocations hold.
    pub fn memory(&self) -> u64 {
        let tables: usize = self
            .tables
            .iter()
            .map(|table| table.allocation_size())
            .sum();
        let blocks = self.blocks.len() * BLOCK * size_of::<Entry>();
        let free = (self.free.capacity() + self.longs_free.capacity()) * size_of::<u32>();
        let longs = self.longs.capacity() * size_of::<Option<Long>>();
        let parts: usize = self
            .longs
            .iter()
            .flatten()
            .map(|long| long.parts.len() * size_of::<Place>())
            .sum();
        // A B-tree node of 11 keys is at least half full: 24 bytes per key bound its memory.
        let by_blob = self.by_blob.len() * 24;
        u64::try_from(tables + blocks + free + longs + parts + by_blob).expect("64-bit")
    }

    /// Blocks of entries, to walk the index in pieces that a caller can pause between.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The blobs of one block.
    pub fn block(&self, block: usize) -> impl Iterator<Item = (Root, Found<'_>)> {
        let entries = self
            .blocks
            .get(block)
            .map_or(&[][..], |entries| entries.as_slice());
        entries
            .iter()
            .filter(|entry| entry.len != FREE)
            .map(|entry| (entry.root, self.found(entry)))
    }

    fn found<'a>(&'a self, entry: &Entry) -> Found<'a> {
        if entry.len == LONG {
            return Found::Long {
                long: self.long_of(entry),
                expiry: entry.expiry,
            };
        }
        Found::Single {
            place: entry.place,
            len: entry.len,
            expiry: entry.expiry,
        }
    }

    fn long_of(&self, entry: &Entry) -> &Long {
        self.longs[index(entry.place.at)]
            .as_ref()
            .expect("an entry owns its long")
    }

    fn entry(&self, slot: u32) -> &Entry {
        entry_in(&self.blocks, slot)
    }

    fn find(&self, root: &Root) -> Option<u32> {
        let hash = self.hash(root);
        self.tables[table_of(hash)]
            .find(hash, |&slot| self.entry(slot).root == *root)
            .copied()
    }

    fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        self.blocks[index(slot) / BLOCK][index(slot) % BLOCK] = entry;
        let size = self.found(&entry).size();
        self.count(size, true);
        let hash = self.hash(&entry.root);
        let (keys, blocks) = (self.keys, &self.blocks);
        self.tables[table_of(hash)].insert_unique(hash, slot, |&slot| {
            hash_root(keys, &entry_in(blocks, slot).root)
        });
        slot
    }

    /// A slot at the end; blocks are never moved once made.
    fn grow(&mut self) -> u32 {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[last];
        block.push(Entry {
            root: Root::from([0; 32]),
            place: Place::NONE,
            len: FREE,
            expiry: 0,
        });
        index_u32(last * BLOCK + self.blocks[last].len() - 1)
    }

    fn count(&mut self, size: u64, added: bool) {
        let totals = &mut self.totals;
        let chunks = manifest::chunks(size);
        if added {
            totals.blobs += 1;
            totals.chunks += chunks;
            totals.bytes += size;
        } else {
            totals.blobs -= 1;
            totals.chunks -= chunks;
            totals.bytes -= size;
        }
    }

    fn hash(&self, root: &Root) -> u64 {
        hash_root(self.keys, root)
    }
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A blob of one chunk.
    Single {
        /// Its record.
        place: Place,
        /// Bytes.
        len: u32,
    },
    /// A longer blob.
    Long(Long),
}

impl Removed {
    fn size(&self) -> u64 {
        match self {
            Removed::Single { len, .. } => u64::from(*len),
            Removed::Long(long) => long.size,
        }
    }
}

/// Multiplies 128 bits of the root, keyed, and folds: roots are hashes already, the key only has
/// to hide which ones collide.
fn hash_root(keys: [u64; 2], root: &Root) -> u64 {
    let word =
        |at: usize| u64::from_le_bytes(root.as_bytes()[at..at + 8].try_into().expect("8 bytes"));
    let product = u128::from(word(0) ^ keys[0]) * u128::from(word(8) ^ keys[1] | 1);
    let low = u64::try_from(product & u128::from(u64::MAX)).expect("64 bits");
    let high = u64::try_from(product >> 64).expect("64 bits");
    low ^ high
}

/// Part of the hash that hashbrown's tables do not look at first: bits 40..46.
fn table_of(hash: u64) -> usize {
    usize::try_from(hash >> 40).expect("64-bit") % TABLES
}

fn entry_in(blocks: &[Vec<Entry>], slot: u32) -> &Entry {
    &blocks[index(slot) / BLOCK][index(slot) % BLOCK]
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).expect("64-bit")
}

fn index_u32(at: usize) -> u32 {
    u32::try_from(at).expect("a shard holds fewer than 2^32 blobs")
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
