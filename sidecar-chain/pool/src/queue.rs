//! What one account has waiting, by nonce.
//!
//! ```text
//!   state.nonce        + executable
//!       │                   │
//!       ▼                   ▼
//!       5    6    7    8    9         12   13
//!      └────── executable ──┘        └ queued ┘
//! ```
//! Executable is what has no gap before it, is paid for by the balance together with all before it,
//! and is among the first `executable_max`. What is behind is queued. Only the last transaction can
//! be taken away without making a gap; that is why each knows the lowest price up to itself, which
//! says what the last one is worth to a block.

use std::collections::BTreeMap;

use alloy_primitives::U256;

use crate::{
    pool::Account,
    transaction::{Price, Transaction},
};

/// One that waits.
#[derive(Clone, Debug)]
pub struct Entry {
    pub transaction: Transaction,
    /// Counts what came in.
    pub arrival: u64,
    /// It is never taken away for lack of room.
    pub local: bool,
    /// The lowest fees of all up to this one.
    pub floor: Price,
}

/// The first executable one of an account, by which blocks choose accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub price: Price,
    pub arrival: u64,
}

/// What an account has waiting.
#[derive(Debug)]
pub struct Queue {
    state: Account,
    waiting: BTreeMap<u64, Entry>,
    /// How many are executable.
    executable: usize,
    /// What they may cost together.
    cost: U256,
    /// Bytes of memory of all.
    bytes: usize,
    head: Option<Head>,
    executable_max: usize,
}

/// How much an account has waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub executable: usize,
    pub queued: usize,
    pub bytes: usize,
}

impl Queue {
    pub fn new(state: Account, executable_max: usize) -> Self {
        Queue {
            state,
            waiting: BTreeMap::new(),
            executable: 0,
            cost: U256::ZERO,
            bytes: 0,
            head: None,
            executable_max,
        }
    }

    pub fn state(&self) -> Account {
        self.state
    }

    pub fn size(&self) -> Size {
        Size {
            executable: self.executable,
            queued: self.waiting.len() - self.executable,
            bytes: self.bytes,
        }
    }

    /// Wei that the executable ones may cost together.
    pub fn cost(&self) -> U256 {
        self.cost
    }

    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// The nonce behind the executable ones.
    pub fn next_nonce(&self) -> u64 {
        let count = u64::try_from(self.executable).expect("usize has at most 64 bits");
        // The last nonce there is cannot be used (EIP-2681), so the one behind exists.
        self.state.nonce + count
    }

    pub fn is_executable(&self, nonce: u64) -> bool {
        (self.state.nonce..self.next_nonce()).contains(&nonce)
    }

    /// Whether one that is paid for would be executable with this nonce.
    pub fn would_execute(&self, nonce: u64) -> bool {
        let room = self.executable < self.executable_max;
        self.is_executable(nonce) || (room && nonce == self.next_nonce())
    }

    pub fn get(&self, nonce: u64) -> Option<&Entry> {
        self.waiting.get(&nonce)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.waiting.values()
    }

    /// From a nonce on.
    pub fn from(&self, nonce: u64) -> impl Iterator<Item = &Entry> {
        self.waiting.range(nonce..).map(|(_, entry)| entry)
    }

    pub fn last(&self) -> Option<&Entry> {
        self.waiting.values().next_back()
    }

    /// The lowest fees up to one of that nonce and price.
    pub fn floor(&self, nonce: u64, price: Price) -> Price {
        let before = self.waiting.range(..nonce).next_back();
        before.map_or(price, |(_, entry)| entry.floor.lower(price))
    }

    /// Puts one in, in place of what has its nonce, and makes executable what can be.
    pub fn put(&mut self, entry: Entry) -> Option<Entry> {
        let nonce = entry.transaction.nonce();
        let inside = self.is_executable(nonce);
        self.bytes += entry.transaction.footprint();
        let cost = entry.transaction.cost();
        let before = self.waiting.insert(nonce, entry);
        if let Some(before) = &before {
            self.bytes -= before.transaction.footprint();
        }
        if let Some(before) = before.as_ref().filter(|_| inside) {
            self.cost = self.cost - before.transaction.cost() + cost;
        }
        self.lower_floors(nonce, nonce);
        self.extend();
        before
    }

    /// Takes the last one away.
    pub fn pop_last(&mut self) -> Option<Entry> {
        let (nonce, entry) = self.waiting.pop_last()?;
        self.bytes -= entry.transaction.footprint();
        if nonce < self.next_nonce() {
            self.executable -= 1;
            self.cost -= entry.transaction.cost();
        }
        self.note_head();
        Some(entry)
    }

    /// Takes one away. What is behind it waits for another.
    pub fn remove(&mut self, nonce: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&nonce)?;
        self.bytes -= entry.transaction.footprint();
        self.lower_floors(nonce, nonce);
        self.recount();
        Some(entry)
    }

    /// Takes the account as it is now, whose nonce is never lower than it was: those whose nonce is
    /// used up go, and those that it cannot pay even alone. Returns both.
    ///
    /// Costs as much as goes, unless the balance does not suffice any more: then as much as waits.
    pub fn settle(&mut self, state: Account) -> (Vec<Entry>, Vec<Entry>) {
        let used = self.take_used(state.nonce);
        self.state = state;
        if self.cost > state.balance {
            self.executable = 0;
            self.cost = U256::ZERO;
        }
        let first = self.next_nonce();
        let unpaid: Vec<Entry> = self
            .waiting
            .extract_if(first.., |_, entry| entry.transaction.cost() > state.balance)
            .map(|(_, entry)| entry)
            .collect();
        for gone in used.iter().chain(&unpaid) {
            self.bytes -= gone.transaction.footprint();
        }
        let last = unpaid
            .last()
            .map_or(state.nonce, |last| last.transaction.nonce());
        self.lower_floors(state.nonce, last);
        self.extend();
        (used, unpaid)
    }

    /// Takes away what has a lower nonce.
    fn take_used(&mut self, nonce: u64) -> Vec<Entry> {
        let executable = self.state.nonce..self.next_nonce();
        let mut used = Vec::new();
        while let Some(first) = self
            .waiting
            .first_entry()
            .filter(|first| *first.key() < nonce)
        {
            let (nonce, entry) = first.remove_entry();
            if executable.contains(&nonce) {
                self.executable -= 1;
                self.cost -= entry.transaction.cost();
            }
            used.push(entry);
        }
        used
    }

    fn recount(&mut self) {
        self.executable = 0;
        self.cost = U256::ZERO;
        self.extend();
    }

    /// Makes executable what follows without a gap and is paid for.
    fn extend(&mut self) {
        let first = self.next_nonce();
        // The range is asked for first: behind the last nonce there is no other.
        for ((nonce, entry), next) in self.waiting.range(first..).zip(first..) {
            let cost = self.cost.saturating_add(entry.transaction.cost());
            let full = self.executable == self.executable_max;
            if *nonce != next || full || cost > self.state.balance {
                break;
            }
            self.executable += 1;
            self.cost = cost;
        }
        self.note_head();
    }

    fn note_head(&mut self) {
        let first = self.waiting.values().next().filter(|_| self.executable > 0);
        self.head = first.map(|entry| Head {
            price: entry.transaction.price(),
            arrival: entry.arrival,
        });
    }

    /// Finds the lowest fees anew after changes from one nonce to another, as far as they reach.
    fn lower_floors(&mut self, from: u64, to: u64) {
        let before = self.waiting.range(..from).next_back();
        let mut floor = before.map(|(_, entry)| entry.floor);
        for (nonce, entry) in self.waiting.range_mut(from..) {
            let price = entry.transaction.price();
            let lowest = floor.map_or(price, |floor| floor.lower(price));
            if lowest == entry.floor && *nonce > to {
                break;
            }
            entry.floor = lowest;
            floor = Some(lowest);
        }
    }
}
