//! A chain in memory, for tests: it loses messages before and after it has heard them, and goes
//! back when it is told to.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_rpc_types_eth::Log;

use crate::node::{BlockRef, Fees, Node, NodeError, Receipt};

/// A block: its hash, its logs, and the transactions in it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub hash: B256,
    pub logs: Vec<Log>,
    pub transactions: Vec<TxEnvelope>,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub blocks: Vec<Block>,
    pub pool: BTreeMap<(Address, u64), TxEnvelope>,
    /// One message of that many is lost; 0 for none.
    pub loses: u64,
    pub base: u128,
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

    fn at(&self, number: u64) -> Option<BlockRef> {
        let block = self.blocks.get(usize::try_from(number).ok()?)?;
        let hash = block.hash;
        Some(BlockRef { number, hash })
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
        let tip = u64::try_from(inside.blocks.len()).expect("few blocks") - 1;
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
            .blocks
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
        drop(inside);
        let found = block.map(|block| Receipt {
            block: u64::try_from(block).expect("few blocks"),
            success: true,
        });
        std::future::ready(self.heard("for a receipt").map(|()| found))
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
