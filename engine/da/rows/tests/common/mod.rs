//! Records for tests: all of one follows from its number, so that what is read is compared with what
//! it should be and not with what was remembered.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod life;

use lode_da_rows::Holding;
use lode_proofs::{
    Hash32,
    da::{Head, Quorum, Shape, Statement},
};

/// Random numbers of a seed (SplitMix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.draw().to_le_bytes());
        let mut bytes: Vec<u8> = words.collect();
        bytes.truncate(len);
        bytes
    }

    pub fn hash(&mut self) -> Hash32 {
        Hash32(self.bytes(32).try_into().unwrap())
    }
}

/// A record: what is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub holding: Holding,
    pub rows: Vec<Vec<u8>>,
}

/// How large a record is.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Bytes of a row, a multiple of 64.
    pub width: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the table.
    pub table: usize,
}

impl Form {
    /// A small one, of every sort.
    pub fn small(number: u64) -> Form {
        let mut dice = Dice(number ^ 0x5eed);
        let width =
            64 * [1, 2, 63, 64, 65, dice.between(1, 200)][usize::try_from(dice.below(6)).unwrap()];
        let most = (120_000 / width).min(2500);
        let rows = [1, 2, most, dice.between(1, most)][usize::try_from(dice.below(4)).unwrap()];
        let table = usize::try_from(dice.below(40)).unwrap() * 77;
        Form { width, rows, table }
    }
}

/// Record number `number`, until `expiry`.
pub fn made(number: u64, expiry: u64, form: Form) -> Made {
    let mut dice = Dice(number.wrapping_mul(0x1234_5679) ^ 0xda);
    let columns = u16::try_from(dice.between(10, 12)).unwrap();
    let head = Head {
        row_root: dice.hash(),
        check_root: dice.hash(),
        namespace_root: dice.hash(),
        shape: Shape::new(form.width / 64 * 65_536).unwrap(),
        columns,
    };
    let statement = Statement {
        quorum: Quorum {
            chain_id: dice.draw(),
            epoch: dice.draw(),
            quorum: 7,
        },
        head,
        expiry,
    };
    let first = dice.below(3072 - form.rows + 1);
    let rows: Vec<u16> = (first..first + form.rows)
        .map(|row| u16::try_from(row).unwrap())
        .collect();
    let siblings = (0..dice.below(30)).map(|_| dice.hash()).collect();
    let checks = dice.bytes(2048 * usize::from(columns));
    let table = dice.bytes(form.table);
    let width = usize::try_from(form.width).unwrap();
    let bytes = rows.iter().map(|_| dice.bytes(width)).collect();
    let holding = Holding {
        statement,
        rows,
        siblings,
        checks,
        table,
    };
    Made {
        holding,
        rows: bytes,
    }
}

impl Made {
    pub fn container(&self) -> Hash32 {
        self.holding.container()
    }
}
