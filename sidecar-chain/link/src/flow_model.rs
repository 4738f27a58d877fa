//! A chain in memory with a flow: blocks with submissions, for tests of what follows it.

use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, Bytes, LogData, U256, keccak256};
use alloy_rpc_types_eth::Log;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolEvent;
use lode_proofs::{Hash32, SubmissionNode};

use crate::{
    abi::Flow::{self as Abi, Submit},
    addresses::FLOW,
    follow::Follow,
    logs::Submission,
    model::Model,
    store::Store,
};

/// A chain whose blocks have submissions.
pub(crate) struct Chain {
    pub model: Model,
    /// What each block has.
    pub blocks: Vec<Vec<Submission>>,
    /// The flow does not log who called it.
    pub unsaid: bool,
    /// Numbers of blobs.
    blobs: u64,
}

impl Chain {
    pub fn new(seed: u64) -> Self {
        let model = Model::new(seed);
        let blobs = 0;
        let mut chain = Chain {
            model,
            blocks: Vec::new(),
            unsaid: false,
            blobs,
        };
        chain.mine(0);
        chain
    }

    pub fn all(&self) -> Vec<Submission> {
        self.blocks.concat()
    }

    /// Adds a block with that many submissions, and noise of the same and of other contracts.
    pub fn mine(&mut self, count: u64) {
        self.model.mine(&[7]);
        let mut all = self.all();
        let mut list = Vec::new();
        for _ in 0..count {
            let made = self.make(&all);
            all.push(made.clone());
            list.push(made);
        }
        for of in &list {
            self.log(Address::ZERO, of.transaction, submit_of(of));
            self.log(FLOW, of.transaction, submit_of(of));
            if !self.unsaid {
                self.log(FLOW, of.transaction, by_of(of));
            }
            let other = keccak256(b"NewEpoch");
            let noise = LogData::new_unchecked(vec![other], Bytes::new());
            self.log(FLOW, of.transaction, noise);
        }
        self.blocks.push(list);
    }

    /// The next submission after `all`, by the words of the rules; its blob has no bytes.
    pub fn make(&mut self, all: &[Submission]) -> Submission {
        self.blobs += 1;
        let heights: &[u8] =
            [&[0][..], &[2, 0], &[12], &[4, 1], &[10, 9]][index(self.model.random(5))];
        let nodes: Vec<_> = heights
            .iter()
            .map(|&height| SubmissionNode {
                root: Hash32(keccak256([self.blobs.to_be_bytes(), [height; 8]].concat()).0),
                height,
            })
            .collect();
        let sectors: u64 = heights.iter().map(|height| 1 << height).sum();
        let length = all.last().map_or(1, |last| {
            let sectors = last.nodes.iter().map(|node| 1 << node.height);
            last.start + sectors.sum::<u64>()
        });
        let fits = |start: &u64| {
            let within = start / 1024 == (start + sectors - 1) / 1024;
            start.is_multiple_of(1 << heights[0]) && (start.is_multiple_of(1024) || within)
        };
        let (sender, transaction) = self.send();
        let (last, rest) = nodes.split_last().expect("a test has one");
        let fold = |right: Hash32, left: &SubmissionNode| {
            Hash32(keccak256([left.root.0, right.0].concat()).0)
        };
        Submission {
            seq: number(all.len()),
            root: rest.iter().rev().fold(last.root, fold),
            size: 256 * sectors,
            start: (length..).find(fits).expect("a test has one"),
            submitter: [9; 20],
            sender,
            tags: self.blobs.to_be_bytes().to_vec(),
            block: number(self.blocks.len()),
            transaction,
            nodes,
        }
    }

    /// Somebody signs a transaction, which the node has; who, and its hash.
    fn send(&self) -> ([u8; 20], [u8; 32]) {
        let key = keccak256([self.blobs % 3, 1].map(u64::to_be_bytes).concat());
        let key = PrivateKeySigner::from_bytes(&key).expect("a key");
        let mut made = TxLegacy {
            chain_id: Some(31_337),
            nonce: self.blobs,
            gas_limit: 600_000,
            to: FLOW.into(),
            ..TxLegacy::default()
        };
        let signature = key.sign_transaction_sync(&mut made).expect("a key signs");
        let made = TxEnvelope::Legacy(made.into_signed(signature));
        let hash = *made.tx_hash();
        self.model.0.borrow_mut().sent.insert(hash, made);
        (key.address().into_array(), hash.0)
    }

    /// Adds a log to the last block.
    pub fn log(&self, address: Address, transaction: [u8; 32], data: LogData) {
        let mut inside = self.model.0.borrow_mut();
        let number = number(inside.blocks.len()) - 1;
        let block = inside.blocks.last_mut().expect("a test has one");
        let log = Log {
            inner: alloy_primitives::Log { address, data },
            block_number: Some(number),
            block_hash: Some(block.hash),
            transaction_hash: Some(transaction.into()),
            log_index: u64::try_from(block.logs.len()).ok(),
            ..Log::default()
        };
        block.logs.push(log);
    }

    /// Goes back by some blocks, and on with another.
    pub fn reorg(&mut self, back: usize) {
        let len = self.blocks.len().saturating_sub(back).max(1);
        self.blocks.truncate(len);
        self.model.0.borrow_mut().blocks.truncate(len);
        self.mine(1);
    }

    pub fn follow(&self, store: &Store) -> Follow<Model> {
        Follow::open(self.model.clone(), store.clone(), "test", FLOW, 0)
            .expect("a test has a store")
    }
}

/// What the flow logs of a submission: what and where.
pub(crate) fn event(of: &Submission) -> Submit {
    let nodes = of.nodes.iter().map(|node| Abi::SubmissionNode {
        root: node.root.0.into(),
        height: U256::from(node.height),
    });
    let sectors: u64 = of.nodes.iter().map(|node| 1 << node.height).sum();
    let roots: Vec<u8> = of.nodes.iter().flat_map(|node| node.root.0).collect();
    Submit {
        sender: of.submitter.into(),
        identity: keccak256(roots),
        submissionIndex: U256::from(of.seq),
        startPos: U256::from(of.start),
        length: U256::from(sectors),
        submission: Abi::SubmissionData {
            length: U256::from(of.size),
            tags: of.tags.clone().into(),
            nodes: nodes.collect(),
        },
    }
}

/// The same, encoded.
pub(crate) fn submit_of(of: &Submission) -> LogData {
    event(of).encode_log_data()
}

/// What the flow logs of a submission: who.
pub(crate) fn by_of(of: &Submission) -> LogData {
    let (seq, caller) = (U256::from(of.seq), of.sender.into());
    Abi::SubmitBy {
        submissionIndex: seq,
        caller,
    }
    .encode_log_data()
}

/// Tests are small.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("a test is small")
}

/// Tests are small.
fn number(index: usize) -> u64 {
    u64::try_from(index).expect("a test is small")
}
