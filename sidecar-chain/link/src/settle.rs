//! Settles what the books hold, one anchor after the other.
//!
//! ```text
//!  closed ─▶ does the chain have it?  ─yes─────────────────────────┐
//!               │ no: price, deposit, nonce                        ▼
//!               ▼                                              anchored ─▶ certificate ─▶ final
//!             intent ─▶ broadcast ─▶ final block ─ success ────────┘
//!               ▲                       │ reverted, or its nonce was taken
//!               └── a new one ◀─────────┘
//! ```
//! Every anchor has one intent at a time, under a name made of the anchor and of how often it has
//! failed, so whatever dies in between, it is sent and paid for once (see [`crate::send`]). The
//! contract takes a poster's root once, whoever sends it twice. While one anchor waits, all blobs
//! that come meanwhile wait for the next: a chain that was away for a day is told of the day in a
//! few anchors.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;

use crate::{
    abi::{Anchors as Contract, Market},
    addresses::{ANCHORS, MARKET},
    anchors::{self, Record},
    book::{Anchor, Book, BookError, Home},
    certified::{Certified, Contracts},
    node::NodeError,
    send::{Intent, Limits, Outcome, SendError, Sender, Wish},
    store::Store,
};

/// Gas that an anchor may use: several times what the costliest one takes, which is the first of
/// an account (see the table of `tests/gas.rs`).
pub const ANCHOR_GAS: u64 = 500_000;

/// What settling keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Wei for a unit of gas, at most.
    pub fee_max: u128,
    /// Blocks to wait before the fee is raised.
    pub patience_blocks: u64,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All that was closed is settled and can be shown.
    Idle,
    /// Something waits for the chain.
    Waits,
    /// An anchor was settled, or can be shown now.
    Progress,
    /// A transaction was reverted or its nonce was taken: the next one should wait longer.
    Failed,
}

/// Why a turn was not to its end. All of it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The chain's node did not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Sending failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The books failed.
    #[error(transparent)]
    Book(#[from] BookError),
    /// A contract's answer is none.
    #[error("the contract at {contract} answered strangely: {why}")]
    Contract {
        /// Which.
        contract: Address,
        /// What is wrong.
        why: alloy_sol_types::Error,
    },
    /// The chain shows something else under the anchor's name than what was settled.
    #[error("the chain's node shows another record of anchor {root} than was settled")]
    OtherRecord {
        /// The anchor's root.
        root: B256,
    },
}

/// Settles for one account.
pub struct Settler<N> {
    node: N,
    sender: Sender<N>,
    poster: Address,
}

/// What the contracts say to an anchor that is to be sent.
struct Terms {
    value: U256,
    nonce: u64,
}

impl<N: Contracts + Clone> Settler<N> {
    /// Takes up what was left undone. The node must be there; if its chain is another one than the
    /// books have settled on, nothing is done.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn open(
        node: N,
        store: Store,
        book: &Book,
        signer: PrivateKeySigner,
        bounds: Bounds,
    ) -> Result<Self, SettleError> {
        let (chain_id, poster) = (node.chain_id().await?, signer.address());
        let genesis = node.block(0).await?.ok_or_else(|| NodeError {
            question: "for the first block",
            reason: "it has none".to_owned(),
        })?;
        book.settle_at(Home {
            chain_id,
            genesis: genesis.hash,
            poster,
        })?;
        let limits = Limits {
            chain_id,
            fee_max: bounds.fee_max,
            patience_blocks: bounds.patience_blocks,
        };
        Ok(Settler {
            sender: Sender::open(node.clone(), store, signer, limits).await?,
            node,
            poster,
        })
    }

    /// Takes what is closed as far as it goes now. To be called again and again.
    ///
    /// # Errors
    /// See [`SettleError`]; what was reached is in the books.
    pub async fn turn(&mut self, book: &mut Book) -> Result<Turn, SettleError> {
        if let Some(anchor) = book.current() {
            let turn = self.settle(book, anchor).await?;
            if turn != Turn::Progress {
                return Ok(turn);
            }
        }
        match book.unproven()? {
            Some(anchor) => self.prove(book, anchor).await,
            None => Ok(Turn::Idle),
        }
    }

    /// Sends the anchor, or looks after what was sent of it.
    async fn settle(&mut self, book: &mut Book, anchor: Anchor) -> Result<Turn, SettleError> {
        let name = name(&anchor);
        let intent = match self.sender.intent(name)? {
            Some(intent) => intent,
            None => match self.send(book, anchor, name).await? {
                Some(intent) => intent,
                None => return Ok(Turn::Progress),
            },
        };
        let sent = intent.attempts.last().map(|attempt| attempt.hash);
        if sent != anchor.sent {
            book.note(Anchor { sent, ..anchor })?;
        }
        self.sender.tend().await?;
        let ended = self.sender.intent(name)?.and_then(|intent| intent.outcome);
        let anchor = Anchor { sent, ..anchor };
        match ended {
            None => Ok(Turn::Waits),
            Some(Outcome::Done {
                hash,
                block,
                success: true,
            }) => {
                let settled = Anchor {
                    sent: Some(hash),
                    block: Some(block),
                    ..anchor
                };
                book.note(settled)?;
                self.sender.forget(name)?;
                Ok(Turn::Progress)
            }
            Some(_) => {
                let failures = anchor.failures.saturating_add(1);
                book.note(Anchor { failures, ..anchor })?;
                self.sender.forget(name)?;
                Ok(Turn::Failed)
            }
        }
    }

    /// Sends the anchor, unless the chain has it already: then that is noted.
    async fn send(
        &mut self,
        book: &mut Book,
        anchor: Anchor,
        name: B256,
    ) -> Result<Option<Intent>, SettleError> {
        if let Some(record) = self.record(&anchor).await? {
            let block = Some(record.block);
            book.note(Anchor { block, ..anchor })?;
            return Ok(None);
        }
        let terms = self.terms(anchor.sectors).await?;
        let wish = Wish {
            to: ANCHORS,
            value: terms.value,
            data: anchors::anchor_call(anchor.head(), terms.nonce),
            gas_limit: ANCHOR_GAS,
        };
        Ok(Some(self.sender.send(name, wish).await?))
    }

    /// The chain's record of an anchor.
    async fn record(&self, anchor: &Anchor) -> Result<Option<Record>, SettleError> {
        let call = Contract::recordOfCall {
            poster: self.poster,
            root: anchor.root,
        };
        let record = self.ask(ANCHORS, call).await?;
        Ok((record.count != 0).then_some(Record {
            index: record.index,
            count: record.count,
            sectors: record.sectors,
            block: record.blockNumber,
        }))
    }

    /// What so many sectors cost beyond what is deposited, and the poster's next nonce.
    async fn terms(&self, sectors: u64) -> Result<Terms, SettleError> {
        let poster = self.poster;
        let price = self.ask(MARKET, Market::pricePerSectorCall {}).await?;
        let deposit = self
            .ask(ANCHORS, Contract::depositOfCall { poster })
            .await?;
        let nonce = self.ask(ANCHORS, Contract::nonceOfCall { poster }).await?;
        let fee = price.saturating_mul(U256::from(sectors));
        let value = fee.saturating_sub(deposit);
        Ok(Terms { value, nonce })
    }

    async fn ask<C: SolCall>(&self, contract: Address, call: C) -> Result<C::Return, SettleError> {
        let answer = self.node.ask(contract, call.abi_encode().into()).await?;
        C::abi_decode_returns_validate(&answer)
            .map_err(|why| SettleError::Contract { contract, why })
    }

    /// Fetches what shows an anchor.
    async fn prove(&self, book: &mut Book, anchor: Anchor) -> Result<Turn, SettleError> {
        let slot = anchors::record_slot(self.poster, anchor.root);
        let from = anchor.block.unwrap_or(0);
        let Some(certified) = self.node.certified(ANCHORS, slot, from).await? else {
            return Ok(Turn::Waits);
        };
        if !shows(&certified, &anchor, slot) {
            return Err(SettleError::OtherRecord { root: anchor.root });
        }
        book.keep(&certified)?;
        Ok(Turn::Progress)
    }
}

/// Whether the slot holds the record of the anchor.
fn shows(certified: &Certified, anchor: &Anchor, slot: B256) -> bool {
    let record = certified.value(ANCHORS, slot).and_then(anchors::record);
    record.is_some_and(|record| (record.count, record.sectors) == (anchor.count, anchor.sectors))
}

/// The name of an anchor's present intent.
fn name(anchor: &Anchor) -> B256 {
    let failures = U256::from(anchor.failures).to_be_bytes::<32>();
    keccak256([anchor.root.as_slice(), &failures].concat())
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
