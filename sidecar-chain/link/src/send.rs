//! Sends transactions so that each is paid for once, whatever fails in between.
//!
//! ```text
//!  send     name ─▶ intent: nonce fixed, first attempt signed ─▶ on disk ─▶ broadcast
//!  tend     in a final block?  ─▶ outcome on disk
//!           waiting for long?  ─▶ attempt with a higher fee, same nonce ─▶ on disk ─▶ broadcast
//!           else               ─▶ broadcast the last attempt again
//! ```
//! An intent has one nonce for ever, and every attempt at it uses that nonce: the chain takes one of
//! them at most. The caller names what it wants done; asked again under the same name, after a
//! restart too, it gets the intent there is. The account must be this sender's alone: a nonce that
//! somebody else used ends its intent as [`Outcome::Taken`], and nothing is sent in its place.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer_local::PrivateKeySigner;
use serde::{Deserialize, Serialize};

use crate::{
    node::{Fees, Node, NodeError},
    store::{Store, StoreError},
};

/// Intents that may wait at once.
pub const PENDING_MAX: usize = 64;
/// Attempts at one intent. The last one is broadcast until it is taken.
pub const ATTEMPTS_MAX: usize = 16;

/// What a sender keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// Wei for a unit of gas, at most.
    pub fee_max: u128,
    /// Blocks to wait before the fee is raised.
    pub patience_blocks: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Whom to call.
    pub to: Address,
    /// Wei to send along.
    pub value: U256,
    /// The call.
    pub data: Bytes,
    /// Gas it may use.
    pub gas_limit: u64,
}

/// A signed transaction of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
    /// Wei for a unit of gas, at most, tip included.
    pub fee: u128,
    /// Wei for a unit of gas that goes to the proposer, at most.
    pub tip: u128,
    /// The final block when it was signed.
    pub since: u64,
}

/// How an intent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is in a final block.
    Done {
        /// Which attempt.
        hash: B256,
        /// Which block.
        block: u64,
        /// False if it was reverted; its fee is paid all the same.
        success: bool,
    },
    /// Another transaction of the account, not ours, has its nonce: it was not done, and cost nothing.
    Taken,
}

/// A wish with its nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The caller's name for it.
    pub name: B256,
    /// What is to be done.
    pub wish: Wish,
    /// The account's nonce that it uses.
    pub nonce: u64,
    /// Transactions that were signed for it, each with a higher fee than the one before.
    pub attempts: Vec<Attempt>,
    /// None while it waits.
    pub outcome: Option<Outcome>,
}

/// Why a wish was not taken on, or not looked after.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The node did not answer: ask again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Nothing can be promised without the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot sign.
    #[error("the key did not sign: {0}")]
    Key(#[from] alloy_signer::Error),
    /// Another wish has that name.
    #[error("{name} names another wish already")]
    OtherWish {
        /// The name.
        name: B256,
    },
    /// Too much waits: tend first.
    #[error("{PENDING_MAX} transactions wait already")]
    TooMany,
    /// The chain asks for more than the limit.
    #[error("the chain asks {asked} wei for a unit of gas, the limit is {limit}")]
    TooDear {
        /// What it asks.
        asked: u128,
        /// What may be paid.
        limit: u128,
    },
}

/// Sends for one account.
pub struct Sender<N> {
    node: N,
    store: Store,
    signer: PrivateKeySigner,
    limits: Limits,
    /// Intents without an outcome, by nonce.
    pending: Vec<Intent>,
    next_nonce: u64,
}

impl<N: Node> Sender<N> {
    /// Takes up what was left undone.
    ///
    /// # Errors
    /// When node or store fail.
    pub async fn open(
        node: N,
        store: Store,
        signer: PrivateKeySigner,
        limits: Limits,
    ) -> Result<Self, SendError> {
        let account = signer.address();
        let intents: Vec<Intent> = store.all(&format!("intent/{account}/"))?;
        let used = intents.iter().map(|intent| intent.nonce + 1).max();
        let mined = node.nonce(account).await?;
        let waits = |intent: &Intent| intent.outcome.is_none();
        let mut pending: Vec<Intent> = intents.into_iter().filter(waits).collect();
        pending.sort_by_key(|intent| intent.nonce);
        Ok(Sender {
            node,
            store,
            signer,
            limits,
            pending,
            next_nonce: used.unwrap_or(0).max(mined),
        })
    }

    /// The intent of that name, if there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn intent(&self, name: B256) -> Result<Option<Intent>, SendError> {
        Ok(self.store.get(&self.key(name))?)
    }

    /// Takes a wish on. When this returns an intent it will be done, or its nonce is used by
    /// somebody else: broadcasting may have failed, then [`Sender::tend`] does it again.
    ///
    /// # Errors
    /// Nothing was taken on.
    pub async fn send(&mut self, name: B256, wish: Wish) -> Result<Intent, SendError> {
        if let Some(intent) = self.intent(name)? {
            let same = intent.wish == wish;
            return same.then_some(intent).ok_or(SendError::OtherWish { name });
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(SendError::TooMany);
        }
        let fees = self.node.fees().await?;
        let since = self.node.finalized().await?.number;
        let (fee, tip) = usual(fees);
        let limit = self.limits.fee_max;
        if fees.base.saturating_add(fees.tip) > limit {
            let asked = fees.base.saturating_add(fees.tip);
            return Err(SendError::TooDear { asked, limit });
        }
        let mut intent = Intent {
            name,
            wish,
            nonce: self.next_nonce,
            attempts: Vec::new(),
            outcome: None,
        };
        self.attempt(&mut intent, fee.min(limit), tip, since)?;
        self.next_nonce += 1;
        self.pending.push(intent.clone());
        self.broadcast(&intent).await;
        Ok(intent)
    }

    /// Forgets an intent that has ended; one that waits stays. The name is then free: only for a
    /// caller that has noted the outcome and will never ask for it again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget(&self, name: B256) -> Result<(), SendError> {
        if self
            .intent(name)?
            .is_some_and(|intent| intent.outcome.is_some())
        {
            self.store.remove(&self.key(name))?;
        }
        Ok(())
    }

    /// Looks after what waits; returns what has ended. To be called again and again.
    ///
    /// # Errors
    /// What has ended before the error is stored, and found by [`Sender::intent`].
    pub async fn tend(&mut self) -> Result<Vec<Intent>, SendError> {
        let tip = self.node.finalized().await?.number;
        let mined = self.node.nonce(self.signer.address()).await?;
        let mut ended = Vec::new();
        let mut at = 0;
        while let Some(intent) = self.pending.get(at).cloned() {
            let outcome = self.outcome(&intent, tip, mined).await?;
            if outcome.is_none() {
                self.push(at, tip).await?;
                at += 1;
                continue;
            }
            let intent = Intent { outcome, ..intent };
            self.store
                .put(&[(self.key(intent.name).as_str(), &intent)])?;
            self.pending.remove(at);
            ended.push(intent);
        }
        Ok(ended)
    }

    /// How an intent has ended, if it has.
    async fn outcome(
        &self,
        intent: &Intent,
        tip: u64,
        mined: u64,
    ) -> Result<Option<Outcome>, SendError> {
        for attempt in intent.attempts.iter().rev() {
            let Some(receipt) = self.node.receipt(attempt.hash).await? else {
                continue;
            };
            let (hash, block, success) = (attempt.hash, receipt.block, receipt.success);
            let done = Outcome::Done {
                hash,
                block,
                success,
            };
            return Ok((block <= tip).then_some(done));
        }
        // `mined` was asked before the receipts: a final transaction of ours would have had one.
        Ok((mined > intent.nonce).then_some(Outcome::Taken))
    }

    /// Broadcasts an intent that waits, with a higher fee if it has waited for long.
    async fn push(&mut self, at: usize, tip: u64) -> Result<(), SendError> {
        let mut intent = self.pending[at].clone();
        let last = intent.attempts.last().expect("an intent has an attempt");
        let waited = tip.saturating_sub(last.since);
        if waited >= self.limits.patience_blocks && intent.attempts.len() < ATTEMPTS_MAX {
            let (fee, tip_now) = usual(self.node.fees().await?);
            let fee = fee.max(raised(last.fee));
            let most = tip_now.max(raised(last.tip));
            if fee <= self.limits.fee_max {
                self.attempt(&mut intent, fee, most, tip)?;
                self.pending[at] = intent.clone();
            }
        }
        self.broadcast(&intent).await;
        Ok(())
    }

    /// Signs an attempt and stores it; only then may anybody see it.
    fn attempt(
        &self,
        intent: &mut Intent,
        fee: u128,
        tip: u128,
        since: u64,
    ) -> Result<(), SendError> {
        let tip = tip.min(fee);
        let mut transaction = TxEip1559 {
            chain_id: self.limits.chain_id,
            nonce: intent.nonce,
            gas_limit: intent.wish.gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(intent.wish.to),
            value: intent.wish.value,
            input: intent.wish.data.clone(),
            ..TxEip1559::default()
        };
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let signed = transaction.into_signed(signature);
        intent.attempts.push(Attempt {
            hash: *signed.hash(),
            raw: signed.encoded_2718().into(),
            fee,
            tip,
            since,
        });
        let key = self.key(intent.name);
        self.store.put(&[(key.as_str(), &*intent)])?;
        Ok(())
    }

    /// Whatever comes of it, the intent is stored and will be tended.
    async fn broadcast(&self, intent: &Intent) {
        let last = intent.attempts.last().expect("an intent has an attempt");
        if let Err(error) = self.node.broadcast(&last.raw).await {
            let (nonce, hash) = (intent.nonce, last.hash);
            tracing::debug!(nonce, %hash, %error, "broadcast failed, will be tried again");
        }
    }

    fn key(&self, name: B256) -> String {
        format!("intent/{}/{name}", self.signer.address())
    }
}

/// Fee and tip that the next blocks will take, even if the base fee doubles.
fn usual(fees: Fees) -> (u128, u128) {
    let fee = fees.base.saturating_mul(2).saturating_add(fees.tip);
    (fee, fees.tip)
}

/// An eighth more: nodes replace a transaction for a tenth more, and refuse less.
fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
