//! Every block that anybody has been shown, once and for all.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use alloy_rpc_types_eth::Block;

/// What is kept of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its hash.
    pub hash: B256,
    /// Of the block below.
    pub parent: B256,
    /// Of the state after it.
    pub state_root: B256,
    /// Of its receipts.
    pub receipts_root: B256,
    /// How many transactions.
    pub transactions: u64,
}

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    blocks: BTreeMap<u64, Seen>,
    /// The highest that each validator has shown.
    shown: BTreeMap<usize, u64>,
    /// Broken promises, one line each.
    broken: Vec<String>,
}

impl Seen {
    /// What is kept of this block.
    pub fn of(block: &Block) -> Seen {
        let header = &block.header;
        Seen {
            hash: header.hash,
            parent: header.inner.parent_hash,
            state_root: header.inner.state_root,
            receipts_root: header.inner.receipts_root,
            transactions: u64::try_from(block.transactions.len()).unwrap_or(u64::MAX),
        }
    }
}

impl Book {
    /// A validator has shown a block.
    pub fn saw(&mut self, validator: usize, height: u64, seen: Seen) {
        let shown = self.shown.entry(validator).or_default();
        *shown = (*shown).max(height);
        let below = height
            .checked_sub(1)
            .and_then(|below| self.blocks.get(&below));
        let above = self.blocks.get(&(height + 1));
        let mut wrong = Vec::new();
        if let Some(known) = self.blocks.get(&height).filter(|known| **known != seen) {
            wrong.push(format!("shows {seen:?} where {known:?} was final"));
        }
        if let Some(below) = below.filter(|below| below.hash != seen.parent) {
            wrong.push(format!("does not lie on {}", below.hash));
        }
        if let Some(above) = above.filter(|above| above.parent != seen.hash) {
            wrong.push(format!("does not carry {}", above.hash));
        }
        for wrong in wrong {
            self.broken
                .push(format!("block {height} of validator {validator} {wrong}"));
        }
        self.blocks.entry(height).or_insert(seen);
    }

    /// A validator says that this is its last block.
    pub fn ends(&mut self, validator: usize, tip: u64) {
        let shown = self.shown(validator);
        if tip < shown {
            self.broken.push(format!(
                "validator {validator} ends with block {tip}, and had shown block {shown}"
            ));
            // Told once.
            self.shown.insert(validator, tip);
        }
    }

    /// The highest block that a validator has shown; 0 if none.
    pub fn shown(&self, validator: usize) -> u64 {
        self.shown.get(&validator).copied().unwrap_or(0)
    }

    /// The highest block that anybody has shown.
    pub fn tip(&self) -> u64 {
        self.blocks
            .last_key_value()
            .map_or(0, |(height, _)| *height)
    }

    /// What was seen at a height.
    pub fn at(&self, height: u64) -> Option<Seen> {
        self.blocks.get(&height).copied()
    }

    /// All blocks and all transactions in them.
    pub fn count(&self) -> (u64, u64) {
        let blocks = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let transactions = self.blocks.values().map(|seen| seen.transactions);
        (blocks, transactions.sum())
    }

    /// Another promise was broken.
    pub fn break_promise(&mut self, line: String) {
        self.broken.push(line);
    }

    /// Broken promises.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(number: u8, parent: u8) -> Seen {
        Seen {
            hash: B256::repeat_byte(number),
            parent: B256::repeat_byte(parent),
            state_root: B256::ZERO,
            receipts_root: B256::ZERO,
            transactions: 1,
        }
    }

    /// Agreeing validators break nothing; a second block, another root under the same hash, a wrong
    /// parent on either side and a lost block are each told.
    #[test]
    fn tells_what_is_broken() {
        let mut book = Book::default();
        for validator in 0..2 {
            for height in 1..=3 {
                book.saw(validator, u64::from(height), seen(height, height - 1));
            }
            book.ends(validator, 3);
        }
        assert_eq!((book.tip(), book.count()), (3, (3, 3)));
        assert!(book.broken().is_empty());
        book.saw(1, 3, seen(9, 2));
        let mut other_root = seen(3, 2);
        other_root.state_root = B256::repeat_byte(1);
        book.saw(1, 3, other_root);
        book.saw(1, 4, seen(4, 9));
        book.saw(0, 2, seen(8, 1));
        book.ends(1, 3);
        let told = [
            "where",
            "where",
            "does not lie on",
            "where",
            "does not carry",
            "ends with",
        ];
        assert_eq!(book.broken().len(), told.len(), "{:#?}", book.broken());
        for (line, told) in book.broken().iter().zip(told) {
            assert!(line.contains(told), "{line}");
        }
        assert_eq!(book.at(3), Some(seen(3, 2)));
    }
}
