//! Blocks that are executed and not final yet, each on its parent, down to the last final one.
//!
//! ```text
//!            ┌ a ─ b        a, b, c: changes in memory
//!  final tip ┤
//!            └ c            once b is final: tip = b, c is dropped
//! ```
//! At most [`BLOCKS_MAX`] are held; the oldest is dropped first. A block that is dropped and still
//! wanted is executed again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{Address, B256};
use lode_chain_state::{
    layers::Layers,
    versions::{self, Changes},
};
use lode_chain_types::{Block, Height};

use crate::{error::Error, view::View};

/// Blocks that are held.
pub const BLOCKS_MAX: usize = 256;

/// A block that is executed.
#[derive(Debug)]
pub struct Node {
    /// Itself.
    pub block: Block,
    /// Who sent its transactions.
    pub senders: Vec<Address>,
    /// What became of them.
    pub receipts: Vec<ReceiptEnvelope>,
    /// What it changes in the state.
    pub changes: Arc<Changes>,
}

/// Executed blocks above the last final one.
pub struct Tree {
    tip: B256,
    view: View,
    nodes: HashMap<B256, Arc<Node>>,
    order: VecDeque<B256>,
    youngest: Option<Youngest>,
}

/// The block that was executed last.
#[derive(Clone, Copy, Debug)]
pub struct Youngest {
    /// Its hash.
    pub hash: B256,
    /// Its transactions.
    pub transactions: usize,
    /// When it was there.
    pub since: Instant,
}

/// What a block is executed on.
pub struct Base {
    /// The header below.
    pub parent: Header,
    /// The state below.
    pub state: Layers<versions::View>,
    /// The chain below, but for blocks that are not final.
    pub view: View,
    /// Blocks below that are not final, the youngest first.
    pub above: Vec<Arc<Node>>,
}

impl Tree {
    /// Nothing above the tip.
    pub fn new(tip: B256, view: View) -> Tree {
        Tree {
            tip,
            view,
            nodes: HashMap::new(),
            order: VecDeque::new(),
            youngest: None,
        }
    }

    /// The chain as of the last final block.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// A block above the tip.
    pub fn get(&self, hash: &B256) -> Option<&Arc<Node>> {
        self.nodes.get(hash)
    }

    /// The block that was executed last, final or not; none after a start.
    pub fn youngest(&self) -> Option<Youngest> {
        self.youngest
    }

    /// Whether a block can be built upon.
    pub fn knows(&self, hash: &B256) -> bool {
        *hash == self.tip || self.nodes.contains_key(hash)
    }

    /// Holds a block.
    pub fn insert(&mut self, node: Node) -> Arc<Node> {
        let (hash, node) = (node.block.hash(), Arc::new(node));
        if self.nodes.insert(hash, Arc::clone(&node)).is_none() {
            self.order.push_back(hash);
            self.youngest = Some(Youngest {
                hash,
                transactions: node.block.transactions().len(),
                since: Instant::now(),
            });
        }
        if self.order.len() > BLOCKS_MAX {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.nodes.remove(&oldest));
        }
        node
    }

    /// What a child of `parent` is executed on.
    ///
    /// # Errors
    /// [`Error::Unknown`], and when the store fails.
    pub fn base(&self, parent: B256) -> Result<Base, Error> {
        let (mut above, mut at) = (Vec::new(), parent);
        while at != self.tip {
            let node = self.nodes.get(&at).ok_or(Error::Unknown(at))?;
            above.push(Arc::clone(node));
            at = node.block.parent_hash();
        }
        let base = Layers::new(self.view.state.clone());
        let state = above
            .iter()
            .rev()
            .fold(base, |state, node| state.with(Arc::clone(&node.changes)));
        let below = above.first().map(|node| node.block.header().clone());
        let parent = match below {
            Some(header) => header,
            None => self
                .view
                .header(self.view.tip())?
                .ok_or(Error::Unknown(at))?,
        };
        Ok(Base {
            parent,
            state,
            view: self.view.clone(),
            above,
        })
    }

    /// The states of blocks below `from` are kept no more.
    pub fn forget(&mut self, from: Height) {
        self.view.from = from;
    }

    /// Blocks up to `tip` are final: those that are not above it go.
    pub fn advance(&mut self, tip: B256, height: Height, view: View) {
        (self.tip, self.view) = (tip, view);
        self.nodes.retain(|_, node| node.block.height() > height);
        let nodes = &self.nodes;
        self.order.retain(|hash| nodes.contains_key(hash));
    }
}

impl Base {
    /// Hash of a block below by its number; zero where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hash(&self, number: Height) -> Result<B256, versions::Error> {
        let above = self.above.iter().find(|node| node.block.height() == number);
        match above {
            Some(node) => Ok(node.block.hash()),
            None => Ok(self.view.hash(number)?.unwrap_or(B256::ZERO)),
        }
    }
}
