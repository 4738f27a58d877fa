//! A whole state as one run of trie nodes, in the order of keys, that can be cut anywhere: what one
//! node sends another that begins with the state of a block instead of with block zero.
//!
//! ```text
//!  root ─┬─ 0… ─ leaf of account A ─┬─ root of A's storage ─ …
//!        │                          └─ (its code goes by its hash, not here)
//!        └─ 1… ─ leaf of account B …
//! ```
//! Each node stands before those below it, and an account's storage right behind the leaf of the
//! account. The hash of every node is in one that came before, up to the root, which a header has.
//! So each node is checked when it arrives: none can be exchanged, left out or added, and a run ends
//! where the state ends. Nodes that lie inside their parents are no part of the run.
//!
//! Whoever takes nodes keeps a stack of those that come next: a few kilobytes, whatever the state's
//! size. The stack at any place follows from the nodes above it, so a place is enough to go on from.

use std::{cmp::Ordering, fmt, str::FromStr};

use alloy_primitives::{B256, Bytes, U256, hex, keccak256};
use alloy_rlp::{Decodable, encode};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieAccount,
    nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode, TrieNode},
};

use crate::{
    key::Key,
    versions::{self, Read},
};

/// Nibbles of a key.
const KEY_LEN: usize = 64;

/// Where a node is: in the trie of accounts, or in that of an account's storage.
///
/// Written as the nibbles of its path; behind those of the account and a colon in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose storage; none in the trie of accounts.
    pub account: Option<B256>,
    /// From the root.
    pub path: Nibbles,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// There is an account.
    Account {
        /// Keccak of its address.
        address: B256,
        /// What it holds.
        account: TrieAccount,
    },
    /// A slot has a value.
    Slot {
        /// Keccak of its account's address.
        address: B256,
        /// Keccak of its number.
        slot: B256,
        /// Its value.
        value: U256,
    },
}

impl Leaf {
    /// Its whole key.
    pub fn place(&self) -> Place {
        match self {
            Leaf::Account { address, .. } => Place {
                account: None,
                path: Nibbles::unpack(address),
            },
            Leaf::Slot { address, slot, .. } => Place {
                account: Some(*address),
                path: Nibbles::unpack(slot),
            },
        }
    }

    /// As the state keeps it.
    pub fn entry(&self) -> (Key, Bytes) {
        match self {
            Leaf::Account { address, account } => (Key::account(address), encode(account).into()),
            Leaf::Slot {
                address,
                slot,
                value,
            } => {
                let value = value.to_be_bytes_trimmed_vec();
                (Key::slot(address, slot), value.into())
            }
        }
    }
}

/// Why a node is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is another one, or was changed.
    #[error("the node at `{place}` has hash {found}, where its parent says {wanted}")]
    Hash {
        /// Where.
        place: Box<Place>,
        /// What the parent says.
        wanted: B256,
        /// Of the bytes.
        found: B256,
    },
    /// It is the right one and cannot be read: its state was made by another kind of program.
    #[error("the node at `{0}` is none of a state")]
    Form(Box<Place>),
    /// The state ended before it.
    #[error("a node behind the end of the state")]
    Beyond,
}

/// Why a walk cannot be taken up, or cut.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] versions::Error),
    /// A node that is kept is not what it should be.
    #[error("the state's store is damaged: {0}")]
    Refused(#[from] Refused),
}

/// A walk over a state: what comes next.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The next one last.
    ahead: Vec<Ahead>,
}

#[derive(Clone, Debug)]
struct Ahead {
    place: Place,
    hash: B256,
}

impl Walk {
    /// From the beginning of the state with that root.
    pub fn new(root: B256) -> Walk {
        let first = Ahead {
            place: Place::root(None),
            hash: root,
        };
        let ahead = if root == EMPTY_ROOT_HASH {
            Vec::new()
        } else {
            vec![first]
        };
        Walk { ahead }
    }

    /// At the end of any state.
    pub fn at_end() -> Walk {
        Walk { ahead: Vec::new() }
    }

    /// From the first node at a place or behind it, in a state that has all nodes above it. Cost: a
    /// node for each level.
    ///
    /// # Errors
    /// When the state cannot be read, or its nodes are not those of `root`.
    pub fn at(root: B256, place: &Place, state: &impl Read) -> Result<Walk, Error> {
        let mut walk = Walk::new(root);
        while let Some(next) = walk.ahead.last() {
            if next.place.is_above(place) {
                let node = next.place.read(state)?;
                walk.accept(&node, &mut Vec::new())?;
            } else if next.place.order(place) == Ordering::Less {
                walk.ahead.pop();
            } else {
                break;
            }
        }
        Ok(walk)
    }

    /// The leaf of a whole key in one trie, which has that root; none if the key is not in it. Only the
    /// nodes on the way are read, from wherever `read` has them, and each is checked.
    ///
    /// # Errors
    /// When a node cannot be read, or is none of the trie.
    pub fn find<E: From<Refused>>(
        root: B256,
        key: &Place,
        mut read: impl FnMut(&Place) -> Result<Bytes, E>,
    ) -> Result<Option<Leaf>, E> {
        let mut walk = Walk::new(root);
        for first in &mut walk.ahead {
            first.place.account = key.account;
        }
        let mut leaves = Vec::new();
        while let Some(next) = walk.ahead.last() {
            if next.place == *key || next.place.is_above(key) {
                let node = read(&next.place)?;
                walk.accept(&node, &mut leaves)?;
            } else if next.place.order(key) == Ordering::Less {
                walk.ahead.pop();
            } else {
                break;
            }
        }
        Ok(leaves.into_iter().find(|leaf| leaf.place() == *key))
    }

    /// Where the next node is; none at the end.
    pub fn next(&self) -> Option<&Place> {
        self.ahead.last().map(|next| &next.place)
    }

    /// Takes the next node; adds what it says to `leaves`, and tells where it is.
    ///
    /// # Errors
    /// When it is not the next one. The walk stays where it was.
    pub fn accept(&mut self, node: &[u8], leaves: &mut Vec<Leaf>) -> Result<Place, Refused> {
        let next = self.ahead.last().ok_or(Refused::Beyond)?;
        let found = keccak256(node);
        if found != next.hash {
            return Err(Refused::Hash {
                place: Box::new(next.place.clone()),
                wanted: next.hash,
                found,
            });
        }
        let place = next.place.clone();
        let mut below = Below::default();
        below
            .node(&place, node)
            .ok_or_else(|| Refused::Form(Box::new(place.clone())))?;
        self.ahead.pop();
        self.ahead.extend(below.ahead.into_iter().rev());
        leaves.append(&mut below.leaves);
        Ok(place)
    }

    /// The next nodes, as many as stay below both bounds, and one at least unless it is the end.
    ///
    /// # Errors
    /// When the state cannot be read, or is not that of the walk.
    pub fn page(
        &mut self,
        state: &impl Read,
        nodes_max: usize,
        len_max: usize,
    ) -> Result<Vec<Bytes>, Error> {
        let (mut page, mut len, mut leaves) = (Vec::new(), 0, Vec::new());
        while let Some(next) = self.ahead.last() {
            let node = next.place.read(state)?;
            len += node.len();
            if !page.is_empty() && (page.len() >= nodes_max || len > len_max) {
                break;
            }
            self.accept(&node, &mut leaves)?;
            leaves.clear();
            page.push(node);
        }
        Ok(page)
    }

    /// How far it is, in parts of a million: keys are hashes, so they fall evenly.
    pub fn parts_done(&self) -> u64 {
        let Some(next) = self.next() else {
            return 1_000_000;
        };
        let path = match &next.account {
            Some(account) => Nibbles::unpack(account),
            None => next.path,
        };
        let (mut done, mut share) = (0, 1_000_000);
        for at in 0..path.len().min(5) {
            share /= 16;
            done += share * u64::from(path.get_unchecked(at));
        }
        done
    }
}

/// What a node has below it, in order.
#[derive(Default)]
struct Below {
    ahead: Vec<Ahead>,
    leaves: Vec<Leaf>,
}

impl Below {
    fn node(&mut self, place: &Place, mut rlp: &[u8]) -> Option<()> {
        let node = TrieNode::decode(&mut rlp).ok()?;
        if !rlp.is_empty() {
            return None;
        }
        match node {
            TrieNode::EmptyRoot => None,
            TrieNode::Leaf(LeafNode { key, value }) => self.leaf(&place.below(&key)?, &value),
            TrieNode::Extension(ExtensionNode { key, child }) => {
                self.child(place.below(&key)?, &child)
            }
            TrieNode::Branch(BranchNode { stack, state_mask }) => {
                let at = (0..16_u8).filter(|at| state_mask.is_bit_set(*at));
                for (at, child) in at.zip(&stack) {
                    let nibble = Nibbles::from_nibbles_unchecked([at]);
                    self.child(place.below(&nibble)?, child)?;
                }
                Some(())
            }
        }
    }

    fn child(&mut self, place: Place, child: &RlpNode) -> Option<()> {
        match child.as_hash() {
            Some(hash) => {
                self.ahead.push(Ahead { place, hash });
                Some(())
            }
            None => self.node(&place, child),
        }
    }

    fn leaf(&mut self, place: &Place, mut value: &[u8]) -> Option<()> {
        let key = key_of(&place.path)?;
        let leaf = match place.account {
            Some(address) => Leaf::Slot {
                address,
                slot: key,
                value: U256::decode(&mut value).ok()?,
            },
            None => {
                let account = TrieAccount::decode(&mut value).ok()?;
                if account.storage_root != EMPTY_ROOT_HASH {
                    self.ahead.push(Ahead {
                        place: Place::root(Some(key)),
                        hash: account.storage_root,
                    });
                }
                Leaf::Account {
                    address: key,
                    account,
                }
            }
        };
        self.leaves.push(leaf);
        value.is_empty().then_some(())
    }
}

impl Place {
    /// The root of the trie of accounts, or of an account's storage.
    pub fn root(account: Option<B256>) -> Place {
        let path = Nibbles::new();
        Place { account, path }
    }

    /// The key under which the node is kept.
    pub fn key(&self) -> Key {
        match &self.account {
            Some(account) => Key::storage_node(account, &self.path),
            None => Key::node(&self.path),
        }
    }

    fn read(&self, state: &impl Read) -> Result<Bytes, versions::Error> {
        let node = state.get(&self.key())?;
        node.ok_or(versions::Error::Damaged("a trie lacks a node"))
    }

    /// None where a key cannot be so long.
    fn below(&self, key: &Nibbles) -> Option<Place> {
        let len = self.path.len() + key.len();
        if len > KEY_LEN || key.is_empty() && len < KEY_LEN {
            return None;
        }
        let mut place = self.clone();
        place.path.extend(key);
        Some(place)
    }

    /// Whether `other` is below this one.
    fn is_above(&self, other: &Place) -> bool {
        match (&self.account, &other.account) {
            (None, Some(account)) => Nibbles::unpack(account).starts_with(&self.path),
            (one, two) => {
                one == two
                    && other.path.len() > self.path.len()
                    && other.path.starts_with(&self.path)
            }
        }
    }

    /// Which of two comes first in a walk. A place above another comes before it.
    fn order(&self, other: &Place) -> Ordering {
        let steps = |place: &Place| {
            let mut steps = place.account.map_or_else(Vec::new, |account| {
                let mut steps = Nibbles::unpack(account).to_vec();
                steps.push(0);
                steps
            });
            steps.extend(place.path.to_vec());
            steps
        };
        steps(self).cmp(&steps(other))
    }
}

fn key_of(path: &Nibbles) -> Option<B256> {
    (path.len() == KEY_LEN).then(|| B256::from_slice(&path.pack()))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{}:", hex::encode(account))?;
        }
        self.path
            .to_vec()
            .iter()
            .try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

/// Text that is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is up to 64 hexadecimal digits, behind 64 of an account and a colon in a storage")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Place, NoPlace> {
        let (account, path) = match text.split_once(':') {
            Some((account, path)) => (Some(key_of(&nibbles(account)?).ok_or(NoPlace)?), path),
            None => (None, text),
        };
        let path = nibbles(path)?;
        Ok(Place { account, path })
    }
}

fn nibbles(text: &str) -> Result<Nibbles, NoPlace> {
    if text.len() > KEY_LEN {
        return Err(NoPlace);
    }
    let digit = |digit: char| match digit {
        // One spelling each.
        'A'..='F' => Err(NoPlace),
        digit => digit
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or(NoPlace),
    };
    let digits: Vec<u8> = text.chars().map(digit).collect::<Result<_, _>>()?;
    Ok(Nibbles::from_nibbles_unchecked(digits))
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
