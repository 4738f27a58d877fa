//! A chain in memory, for tests: it loses messages before and after it has heard them, and goes
//! back when it is told to. It has the anchors' contract, as far as posters meet it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof, Log};
use alloy_sol_types::{SolCall, SolValue};

use crate::{
    abi::{Anchors, Flow, Market},
    addresses::{ANCHORS, FLOW, MARKET},
    anchors::Record,
    certified::{Certified, Contracts},
    node::{BlockRef, Fees, Node, NodeError, Receipt},
};

/// A block: its hash, its logs, the transactions in it, and those of them that were reverted.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub hash: B256,
    pub logs: Vec<Log>,
    pub transactions: Vec<TxEnvelope>,
    pub reverted: Vec<B256>,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub blocks: Vec<Block>,
    pub pool: BTreeMap<(Address, u64), TxEnvelope>,
    /// One message of that many is lost; 0 for none.
    pub loses: u64,
    pub base: u128,
    /// The one account of a test.
    pub poster: Address,
    /// Wei for a sector.
    pub price: u64,
    /// What was anchored; tests have one account.
    pub records: BTreeMap<B256, Record>,
    /// Wei that anchors have cost.
    pub paid: U256,
    /// Blocks that the node that is asked does not have yet.
    pub behind: usize,
    /// Root of the flow after each submission.
    pub flow_roots: Vec<B256>,
    /// Blocks have no certificates.
    pub uncertified: bool,
    /// Transactions that the node answers with, by the hashes that it is asked for, true or not.
    pub sent: BTreeMap<B256, TxEnvelope>,
    /// How many transactions were asked for at a time.
    pub asked: Vec<usize>,
    chance: u64,
}

/// The chain. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Model(pub Rc<RefCell<Inside>>);

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let model = Model::default();
        model.0.borrow_mut().chance = seed;
        model
    }

    /// A number below `below`, the same for the same seed.
    pub(crate) fn random(&self, below: u64) -> u64 {
        let mut inside = self.0.borrow_mut();
        let digest = keccak256(inside.chance.to_be_bytes());
        inside.chance = u64::from_be_bytes(digest[..8].try_into().expect("eight bytes"));
        inside.chance % below
    }

    /// Adds a block with a log of each of `marks`, and with what the pool has and can pay.
    pub(crate) fn mine(&self, marks: &[u64]) {
        let tag = self.random(u64::MAX);
        let mut inside = self.0.borrow_mut();
        let number = u64::try_from(inside.blocks.len()).expect("few blocks");
        let hash = keccak256([number.to_be_bytes(), tag.to_be_bytes()].concat());
        let logs = marks.iter().map(|mark| Log {
            inner: alloy_primitives::Log::new_unchecked(
                Address::ZERO,
                Vec::new(),
                Bytes::from(mark.to_be_bytes().to_vec()),
            ),
            block_number: Some(number),
            block_hash: Some(hash),
            ..Log::default()
        });
        let mut block = Block {
            hash,
            logs: logs.collect(),
            transactions: Vec::new(),
            reverted: Vec::new(),
        };
        let keys: Vec<_> = inside.pool.keys().copied().collect();
        for (account, nonce) in keys {
            let due = inside.count(account) + u64::try_from(block.transactions.len()).expect("few");
            let pays = inside.pool[&(account, nonce)].max_fee_per_gas() >= inside.base;
            if nonce == due && pays {
                block
                    .transactions
                    .extend(inside.pool.remove(&(account, nonce)));
            } else if nonce < due {
                inside.pool.remove(&(account, nonce));
            }
        }
        for transaction in &block.transactions {
            if transaction.to() == Some(ANCHORS) && inside.anchor(transaction, number).is_none() {
                block.reverted.push(*transaction.tx_hash());
            }
        }
        inside.blocks.push(block);
    }

    fn heard(&self, question: &'static str) -> Result<(), NodeError> {
        let loses = self.0.borrow().loses;
        if loses > 0 && self.random(loses) == 0 {
            let reason = "lost".to_owned();
            return Err(NodeError { question, reason });
        }
        Ok(())
    }
}

impl Inside {
    /// Transactions of an account in blocks; tests have one account.
    fn count(&self, _account: Address) -> u64 {
        let counts = self.blocks.iter().map(|block| block.transactions.len());
        u64::try_from(counts.sum::<usize>()).expect("few transactions")
    }

    /// The blocks that the node has which is asked.
    fn seen(&self) -> &[Block] {
        &self.blocks[..self.blocks.len() - self.behind]
    }

    fn at(&self, number: u64) -> Option<BlockRef> {
        let block = self.seen().get(usize::try_from(number).ok()?)?;
        let hash = block.hash;
        Some(BlockRef { number, hash })
    }

    /// Runs an anchor; none if it is reverted.
    fn anchor(&mut self, transaction: &TxEnvelope, block: u64) -> Option<()> {
        let call = Anchors::anchorCall::abi_decode(transaction.input()).ok()?;
        let nonce = u64::try_from(self.records.len()).expect("few anchors");
        let fee = U256::from(self.price) * U256::from(call.sectors);
        let right = call.nonce == nonce && !self.records.contains_key(&call.root);
        (right && transaction.value() >= fee).then_some(())?;
        let record = Record {
            index: nonce,
            count: call.entries,
            sectors: call.sectors,
            block,
        };
        self.records.insert(call.root, record);
        self.paid += transaction.value();
        Some(())
    }

    /// Answers a call of a contract.
    fn answer(&self, contract: Address, call: &Bytes) -> Option<Vec<u8>> {
        let selector = call.first_chunk::<4>().copied()?;
        let nonce = u64::try_from(self.records.len()).expect("few anchors");
        Some(match (contract, selector) {
            (MARKET, Market::pricePerSectorCall::SELECTOR) => self.price.abi_encode(),
            (ANCHORS, Anchors::depositOfCall::SELECTOR) => 0u64.abi_encode(),
            (ANCHORS, Anchors::nonceOfCall::SELECTOR) => nonce.abi_encode(),
            (ANCHORS, Anchors::recordOfCall::SELECTOR) => {
                let call = Anchors::recordOfCall::abi_decode(call).ok()?;
                let record = self.records.get(&call.root);
                let of = |field: fn(&Record) -> u64| record.map_or(0, field);
                let count = u64::from(record.map_or(0, |record| record.count));
                let block = of(|record| record.block);
                (
                    of(|record| record.index),
                    count,
                    of(|record| record.sectors),
                    block,
                )
                    .abi_encode()
            }
            (FLOW, Flow::marketCall::SELECTOR) => MARKET.abi_encode(),
            (FLOW, Flow::getFlowRootByTxSeqCall::SELECTOR) => {
                let call = Flow::getFlowRootByTxSeqCall::abi_decode(call).ok()?;
                let root = usize::try_from(call.txSeq).ok();
                let root = root.and_then(|seq| self.flow_roots.get(seq));
                root.copied().unwrap_or_default().abi_encode()
            }
            _ => return None,
        })
    }

    /// A record as the contract stores it.
    fn slot(&self, slot: B256) -> U256 {
        let mut found = self.records.iter();
        let found =
            found.find(|(root, _)| crate::anchors::record_slot(self.poster, **root) == slot);
        found.map_or(U256::ZERO, |(_, record)| {
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&record.index.to_be_bytes());
            bytes[20..24].copy_from_slice(&record.count.to_be_bytes());
            bytes[12..20].copy_from_slice(&record.sectors.to_be_bytes());
            bytes[4..12].copy_from_slice(&record.block.to_be_bytes());
            U256::from_be_bytes(bytes)
        })
    }

    /// Takes a transaction into the pool as nodes do: a replacement pays a tenth more.
    fn take(&mut self, raw: &[u8]) -> Result<(), String> {
        let transaction = TxEnvelope::decode_2718_exact(raw).map_err(|error| error.to_string())?;
        let account = transaction
            .recover_signer()
            .map_err(|error| error.to_string())?;
        let nonce = transaction.nonce();
        if nonce < self.count(account) {
            return Err("nonce too low".to_owned());
        }
        if let Some(there) = self.pool.get(&(account, nonce)) {
            if there == &transaction {
                return Err("already known".to_owned());
            }
            let least = |fee: u128| fee + fee / 10;
            if transaction.max_fee_per_gas() < least(there.max_fee_per_gas()) {
                return Err("replacement transaction underpriced".to_owned());
            }
        }
        self.pool.insert((account, nonce), transaction);
        Ok(())
    }
}

// Futures of a model never wait, so that a test can run them without a runtime; they are `Send`
// because they hold nothing: the work is done before they are made.
impl Node for Model {
    fn finalized(&self) -> impl Future<Output = Result<BlockRef, NodeError>> + Send {
        let inside = self.0.borrow();
        let tip = u64::try_from(inside.seen().len()).expect("few blocks") - 1;
        let found = inside.at(tip).expect("the tip is there");
        drop(inside);
        std::future::ready(self.heard("for the final block").map(|()| found))
    }

    fn block(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<Option<BlockRef>, NodeError>> + Send {
        let found = self.0.borrow().at(number);
        std::future::ready(self.heard("for a block").map(|()| found))
    }

    fn logs(
        &self,
        _addresses: &[Address],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<Log>, NodeError>> + Send {
        let inside = self.0.borrow();
        let logs = inside
            .seen()
            .iter()
            .flat_map(|block| block.logs.iter().cloned());
        let within = |log: &Log| log.block_number.is_some_and(|at| (from..=to).contains(&at));
        let found = logs.filter(within).collect();
        drop(inside);
        std::future::ready(self.heard("for logs").map(|()| found))
    }

    fn nonce(&self, account: Address) -> impl Future<Output = Result<u64, NodeError>> + Send {
        let count = self.0.borrow().count(account);
        std::future::ready(self.heard("for a nonce").map(|()| count))
    }

    fn fees(&self) -> impl Future<Output = Result<Fees, NodeError>> + Send {
        let base = self.0.borrow().base;
        std::future::ready(self.heard("for fees").map(|()| Fees { base, tip: 1 }))
    }

    fn broadcast(&self, raw: &[u8]) -> impl Future<Output = Result<(), NodeError>> + Send {
        let question = "to take a transaction";
        let sent = self.heard(question).and_then(|()| {
            let taken = self.0.borrow_mut().take(raw);
            taken.map_err(|reason| NodeError { question, reason })
        });
        // The answer is lost as often as the question.
        std::future::ready(sent.and_then(|()| self.heard(question)))
    }

    fn receipt(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Option<Receipt>, NodeError>> + Send {
        let inside = self.0.borrow();
        let is_in = |block: &Block| {
            block
                .transactions
                .iter()
                .any(|sent| sent.tx_hash() == &hash)
        };
        let block = inside.blocks.iter().position(is_in);
        let found = block.map(|block| Receipt {
            block: u64::try_from(block).expect("few blocks"),
            success: !inside.blocks[block].reverted.contains(&hash),
        });
        drop(inside);
        std::future::ready(self.heard("for a receipt").map(|()| found))
    }
}

impl Contracts for Model {
    fn chain_id(&self) -> impl Future<Output = Result<u64, NodeError>> + Send {
        std::future::ready(self.heard("for the chain's number").map(|()| 31_337))
    }

    fn ask(
        &self,
        contract: Address,
        call: Bytes,
    ) -> impl Future<Output = Result<Bytes, NodeError>> + Send {
        let question = "what a contract says";
        let answer = self.0.borrow().answer(contract, &call);
        let answer = answer.map(Bytes::from).ok_or_else(|| NodeError {
            question,
            reason: "no such contract".to_owned(),
        });
        std::future::ready(self.heard(question).and(answer))
    }

    fn transactions(
        &self,
        hashes: &[B256],
    ) -> impl Future<Output = Result<Vec<Option<TxEnvelope>>, NodeError>> + Send {
        let mut inside = self.0.borrow_mut();
        inside.asked.push(hashes.len());
        let found = hashes.iter().map(|hash| inside.sent.get(hash).cloned());
        let found = found.collect();
        drop(inside);
        std::future::ready(self.heard("for transactions").map(|()| found))
    }

    fn certified(
        &self,
        contract: Address,
        slot: B256,
        _from: u64,
    ) -> impl Future<Output = Result<Option<Certified>, NodeError>> + Send {
        let inside = self.0.borrow();
        let tip = u64::try_from(inside.blocks.len()).expect("few blocks") - 1;
        let proof = EIP1186AccountProofResponse {
            address: contract,
            storage_proof: vec![EIP1186StorageProof {
                key: slot.into(),
                value: inside.slot(slot),
                proof: Vec::new(),
            }],
            ..EIP1186AccountProofResponse::default()
        };
        let found = (!inside.uncertified).then(|| Certified {
            block: tip,
            header: Bytes::new(),
            finality: Bytes::new(),
            proof,
        });
        drop(inside);
        std::future::ready(self.heard("for a certificate").map(|()| found))
    }
}

/// Runs a future that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("a future of the model waited"),
    }
}
