//! A Merkle Patricia trie that is changed where keys change, and nowhere else.
//!
//! ```text
//!  path of a node (nibbles from the root) ─► its RLP, by Nodes
//!
//!  set, remove ─► nodes on the way are read once ─► commit: hashed bottom-up ─► root, changed nodes
//! ```
//! Nodes are kept by path, not by hash: a change writes over what it replaces, and a store never
//! holds a node that no key needs. A node whose RLP is shorter than a hash lies inside its parent
//! and is not kept by itself; the root always is.
//!
//! Cost: a node's decoding and hashing for each level below the root that a change passes, each
//! once per commit. Keys have one length (64 nibbles in a state), so no branch has a value.
//!
//! Promises: the root and the set of nodes depend on the keys and values alone, not on the order
//! or the batches in which they came. What is read from [`Nodes`] is not hashed again: a damaged
//! store shows as [`Error::Damaged`] or as a root that is not the header's.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieMask,
    nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode, TrieNode},
};

/// Where a trie's nodes are kept.
pub trait Nodes {
    /// Why a node could not be read.
    type Error;

    /// The RLP of the node at a path, if there is one.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, Self::Error>;
}

/// Why a trie could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The store failed.
    Store(E),
    /// The store holds no trie: a node is missing, or is none.
    Damaged {
        /// Path of the node.
        path: Nibbles,
    },
}

/// What a commit leaves to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed {
    /// The root.
    pub root: B256,
    /// RLP of each node that is new or has changed, by path; none where there is no node any more.
    pub nodes: BTreeMap<Nibbles, Option<Bytes>>,
}

/// A trie that is being changed.
pub struct Trie<'nodes, N> {
    nodes: &'nodes N,
    root: Child,
    /// Paths of the nodes that were read from the store: each is written again, or gone.
    read: BTreeSet<Nibbles>,
}

/// What is below a node.
#[derive(Clone, Debug)]
enum Child {
    Empty,
    /// As the parent has it: not read.
    Kept(RlpNode),
    /// Read or made.
    Open(Box<Node>),
}

#[derive(Clone, Debug)]
enum Node {
    Leaf { key: Nibbles, value: Vec<u8> },
    Extension { key: Nibbles, child: Child },
    Branch(Box<[Child; 16]>),
}

impl<'nodes, N: Nodes> Trie<'nodes, N> {
    /// Opens the trie that is kept in `nodes`; an empty one if there is no root.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn open(nodes: &'nodes N) -> Result<Self, Error<N::Error>> {
        let mut trie = Trie {
            nodes,
            root: Child::Empty,
            read: BTreeSet::new(),
        };
        let path = Nibbles::new();
        if let Some(rlp) = nodes.node(&path).map_err(Error::Store)? {
            trie.root = Child::Open(Box::new(Node::decode(&rlp, &path)?));
            trie.read.insert(path);
        }
        Ok(trie)
    }

    /// Sets a key's value, which is its RLP and not empty.
    ///
    /// # Errors
    /// When a node on the way cannot be read; the trie is of no use then.
    pub fn set(&mut self, key: Nibbles, value: Vec<u8>) -> Result<(), Error<N::Error>> {
        assert!(!value.is_empty(), "a key without a value is removed");
        let root = std::mem::replace(&mut self.root, Child::Empty);
        self.root = Child::Open(Box::new(self.put(root, Nibbles::new(), key, value)?));
        Ok(())
    }

    /// Removes a key, if it is there.
    ///
    /// # Errors
    /// When a node on the way cannot be read; the trie is of no use then.
    pub fn remove(&mut self, key: Nibbles) -> Result<(), Error<N::Error>> {
        let root = std::mem::replace(&mut self.root, Child::Empty);
        self.root = self.take(root, Nibbles::new(), key)?;
        Ok(())
    }

    /// Hashes what has changed.
    pub fn commit(self) -> Committed {
        let mut nodes = BTreeMap::new();
        let root = match self.root {
            Child::Empty => EMPTY_ROOT_HASH,
            Child::Kept(_) => unreachable!("a root is read when its trie is opened"),
            Child::Open(node) => {
                let path = Nibbles::new();
                let rlp = node.encode(path, &mut nodes);
                let root = keccak256(&rlp);
                nodes.insert(path, Some(rlp));
                root
            }
        };
        for path in self.read {
            nodes.entry(path).or_insert(None);
        }
        Committed { root, nodes }
    }

    /// Puts a value under `child`, which is at `path`; `key` is what is left of the key there.
    fn put(
        &mut self,
        child: Child,
        path: Nibbles,
        key: Nibbles,
        value: Vec<u8>,
    ) -> Result<Node, Error<N::Error>> {
        let Some(node) = self.enter(child, path)? else {
            return Ok(Node::Leaf { key, value });
        };
        match node {
            Node::Branch(mut children) => {
                let (nibble, rest) = split(&key);
                let slot = &mut children[usize::from(nibble)];
                let below = std::mem::replace(slot, Child::Empty);
                let node = self.put(below, join(&path, &nibbles(nibble)), rest, value)?;
                children[usize::from(nibble)] = Child::Open(Box::new(node));
                Ok(Node::Branch(children))
            }
            Node::Leaf { key: old, .. } if old == key => Ok(Node::Leaf { key, value }),
            Node::Leaf {
                key: old,
                value: held,
            } => Ok(fork(&old, &key, value, |rest| {
                let (key, value) = (rest, held);
                Child::Open(Box::new(Node::Leaf { key, value }))
            })),
            Node::Extension { key: old, child } if key.starts_with(&old) => {
                let node = self.put(child, join(&path, &old), key.slice(old.len()..), value)?;
                Ok(Node::Extension {
                    key: old,
                    child: Child::Open(Box::new(node)),
                })
            }
            Node::Extension { key: old, child } => Ok(fork(&old, &key, value, |rest| {
                if rest.is_empty() {
                    return child;
                }
                Child::Open(Box::new(Node::Extension { key: rest, child }))
            })),
        }
    }

    /// Takes a key from under `child`; what is left of it.
    fn take(
        &mut self,
        child: Child,
        path: Nibbles,
        key: Nibbles,
    ) -> Result<Child, Error<N::Error>> {
        let Some(node) = self.enter(child, path)? else {
            return Ok(Child::Empty);
        };
        let node = match node {
            Node::Leaf { key: held, .. } if held == key => return Ok(Child::Empty),
            Node::Extension { key: held, child } if key.starts_with(&held) => {
                let below = join(&path, &held);
                let child = self.take(child, below, key.slice(held.len()..))?;
                self.prefixed(held, child, below)?
            }
            Node::Branch(mut children) => {
                let (nibble, rest) = split(&key);
                let slot = &mut children[usize::from(nibble)];
                let below = std::mem::replace(slot, Child::Empty);
                children[usize::from(nibble)] =
                    self.take(below, join(&path, &nibbles(nibble)), rest)?;
                self.narrowed(children, path)?
            }
            other => other,
        };
        Ok(Child::Open(Box::new(node)))
    }

    /// A branch that may have lost a child: one that has a single child left is none.
    fn narrowed(
        &mut self,
        mut children: Box<[Child; 16]>,
        path: Nibbles,
    ) -> Result<Node, Error<N::Error>> {
        let mut left = (0..16_u8).filter(|at| !children[usize::from(*at)].is_empty());
        let (Some(last), None) = (left.next(), left.next()) else {
            return Ok(Node::Branch(children));
        };
        let child = std::mem::replace(&mut children[usize::from(last)], Child::Empty);
        let key = nibbles(last);
        self.prefixed(key, child, join(&path, &key))
    }

    /// The node that has `child`, which is at `path`, behind `key`.
    fn prefixed(
        &mut self,
        key: Nibbles,
        child: Child,
        path: Nibbles,
    ) -> Result<Node, Error<N::Error>> {
        match self.enter(child, path)? {
            None => Err(Error::Damaged { path }),
            Some(Node::Leaf { key: rest, value }) => Ok(Node::Leaf {
                key: join(&key, &rest),
                value,
            }),
            Some(Node::Extension { key: rest, child }) => Ok(Node::Extension {
                key: join(&key, &rest),
                child,
            }),
            Some(branch) => Ok(Node::Extension {
                key,
                child: Child::Open(Box::new(branch)),
            }),
        }
    }

    /// Reads what is at `path`.
    fn enter(&mut self, child: Child, path: Nibbles) -> Result<Option<Node>, Error<N::Error>> {
        match child {
            Child::Empty => Ok(None),
            Child::Open(node) => Ok(Some(*node)),
            Child::Kept(inside) if !inside.is_hash() => Node::decode(&inside, &path).map(Some),
            Child::Kept(_) => {
                let rlp = self.nodes.node(&path).map_err(Error::Store)?;
                let rlp = rlp.ok_or(Error::Damaged { path })?;
                self.read.insert(path);
                Node::decode(&rlp, &path).map(Some)
            }
        }
    }
}

/// The nodes from the root to `key`, or to where it would be: what proves its value or its absence
/// to [`alloy_trie::proof::verify_proof`] and to every verifier of `eth_getProof` (EIP-1186).
///
/// # Errors
/// When a node cannot be read.
pub fn prove<N: Nodes>(nodes: &N, key: &Nibbles) -> Result<Vec<Bytes>, Error<N::Error>> {
    let (mut path, mut proof) = (Nibbles::new(), Vec::new());
    let Some(root) = nodes.node(&path).map_err(Error::Store)? else {
        return Ok(proof);
    };
    let mut node = Node::decode(&root, &path)?;
    proof.push(root);
    loop {
        let rest = key.slice(path.len()..);
        let child = match node {
            Node::Leaf { .. } => return Ok(proof),
            Node::Extension { key, .. } if !rest.starts_with(&key) => return Ok(proof),
            Node::Extension { key, child } => {
                path.extend(&key);
                child
            }
            Node::Branch(mut children) => {
                let (nibble, _) = split(&rest);
                path.push(nibble);
                std::mem::replace(&mut children[usize::from(nibble)], Child::Empty)
            }
        };
        node = match child {
            Child::Kept(inside) if !inside.is_hash() => Node::decode(&inside, &path)?,
            Child::Kept(_) => {
                let rlp = nodes.node(&path).map_err(Error::Store)?;
                let rlp = rlp.ok_or(Error::Damaged { path })?;
                let node = Node::decode(&rlp, &path)?;
                proof.push(rlp);
                node
            }
            Child::Empty | Child::Open(_) => return Ok(proof),
        };
    }
}

impl Child {
    fn is_empty(&self) -> bool {
        matches!(self, Child::Empty)
    }
}

impl Node {
    fn decode<E>(mut rlp: &[u8], path: &Nibbles) -> Result<Node, Error<E>> {
        let damaged = || Error::Damaged { path: *path };
        match TrieNode::decode(&mut rlp).map_err(|_| damaged())? {
            TrieNode::EmptyRoot => Err(damaged()),
            TrieNode::Leaf(LeafNode { key, value }) => Ok(Node::Leaf { key, value }),
            TrieNode::Extension(ExtensionNode { key, child }) => Ok(Node::Extension {
                key,
                child: Child::Kept(child),
            }),
            TrieNode::Branch(BranchNode { stack, state_mask }) => {
                let mut children = Box::new([const { Child::Empty }; 16]);
                let at = (0..16_u8).filter(|at| state_mask.is_bit_set(*at));
                for (at, child) in at.zip(stack) {
                    children[usize::from(at)] = Child::Kept(child);
                }
                Ok(Node::Branch(children))
            }
        }
    }

    /// The RLP of a node at `path`; those below that are kept by themselves go to `nodes`.
    fn encode(self, path: Nibbles, nodes: &mut BTreeMap<Nibbles, Option<Bytes>>) -> Bytes {
        let mut rlp = Vec::new();
        match self {
            Node::Leaf { key, value } => LeafNode { key, value }.encode(&mut rlp),
            Node::Extension { key, child } => {
                let child = child.seal(join(&path, &key), nodes);
                let child = child.expect("an extension has a child");
                ExtensionNode { key, child }.encode(&mut rlp);
            }
            Node::Branch(children) => {
                let (mut stack, mut mask) = (Vec::with_capacity(16), TrieMask::default());
                for (at, child) in (0..16_u8).zip(*children) {
                    if let Some(child) = child.seal(join(&path, &nibbles(at)), nodes) {
                        mask.set_bit(at);
                        stack.push(child);
                    }
                }
                BranchNode::new(stack, mask).encode(&mut rlp);
            }
        }
        rlp.into()
    }
}

impl Child {
    /// What a parent holds of it.
    fn seal(self, path: Nibbles, nodes: &mut BTreeMap<Nibbles, Option<Bytes>>) -> Option<RlpNode> {
        match self {
            Child::Empty => None,
            Child::Kept(node) => Some(node),
            Child::Open(node) => {
                let rlp = node.encode(path, nodes);
                let held = RlpNode::from_rlp(&rlp);
                if held.is_hash() {
                    nodes.insert(path, Some(rlp));
                }
                Some(held)
            }
        }
    }
}

/// The node in whose branch `old` and `key` part: what was at `old` moves below it by `moved`, and
/// a leaf stands beside it.
fn fork(
    old: &Nibbles,
    key: &Nibbles,
    value: Vec<u8>,
    moved: impl FnOnce(Nibbles) -> Child,
) -> Node {
    let common = old.common_prefix_length(key);
    let (from, rest) = split(&old.slice(common..));
    let (to, key_rest) = split(&key.slice(common..));
    let mut children = Box::new([const { Child::Empty }; 16]);
    children[usize::from(from)] = moved(rest);
    let leaf = Node::Leaf {
        key: key_rest,
        value,
    };
    children[usize::from(to)] = Child::Open(Box::new(leaf));
    let branch = Node::Branch(children);
    if common == 0 {
        return branch;
    }
    Node::Extension {
        key: key.slice(..common),
        child: Child::Open(Box::new(branch)),
    }
}

/// The first nibble, and the others.
fn split(key: &Nibbles) -> (u8, Nibbles) {
    let first = key.first().expect("all keys of a trie are equally long");
    (first, key.slice(1..))
}

fn join(path: &Nibbles, rest: &Nibbles) -> Nibbles {
    path.join(rest)
}

fn nibbles(one: u8) -> Nibbles {
    Nibbles::from_nibbles([one])
}

#[cfg(test)]
#[path = "trie_tests.rs"]
mod tests;
