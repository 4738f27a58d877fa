//! The chain as of its last block: blocks, receipts, places of transactions, and the state of any
//! block that is kept. A view does not move while blocks are added.

use alloy_consensus::{Header, ReceiptEnvelope, TxEnvelope};
use alloy_primitives::{Address, B256, keccak256};
use lode_chain_pool::{Account, Code};
use lode_chain_state::{apply, versions};
use lode_chain_types::{Block, Finality, Height};

use crate::{
    checkpoint::{self, Origin},
    error::Error,
    tables::{
        self, BODIES, Body, FINALITY, HASHES, HEADERS, PLACES, Place, RECEIPTS, decode_body,
        decode_finality, decode_header, decode_height, decode_place, decode_receipts,
    },
};

/// The chain as of its last block.
#[derive(Clone)]
pub struct View {
    pub(crate) state: versions::View,
    /// The oldest block whose state is kept.
    pub(crate) from: Height,
    /// The block that the ledger began with.
    pub(crate) base: Height,
}

/// A transaction with its block.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where it is.
    pub place: Place,
    /// Its block's header.
    pub header: Header,
    /// Itself.
    pub transaction: TxEnvelope,
    /// Who sent it.
    pub sender: Address,
}

impl View {
    /// The last block.
    pub fn tip(&self) -> Height {
        self.state.tip().unwrap_or(0)
    }

    /// The oldest block whose state is kept.
    pub fn from(&self) -> Height {
        self.from
    }

    /// The block that the ledger began with: of those below there are block zero and some headers.
    pub fn base(&self) -> Height {
        self.base
    }

    /// Whether a block is below the one that the ledger began with, and so not here.
    pub fn is_pruned(&self, height: Height) -> bool {
        (1..self.base).contains(&height)
    }

    /// What the ledger began with; none if that was block zero.
    ///
    /// # Errors
    /// When the store fails.
    pub fn origin(&self) -> Result<Option<Origin>, Error> {
        checkpoint::origin(self)
    }

    /// The state after a block.
    ///
    /// # Errors
    /// [`versions::Error::NotKept`].
    pub fn state(&self, at: Height) -> Result<versions::View, Error> {
        let (from, tip) = (self.from, self.tip());
        if at < from || at > tip {
            return Err(versions::Error::NotKept { at, from, tip }.into());
        }
        Ok(self.state.back(at))
    }

    /// What the last block leaves an account that sends transactions, as the pool wants to know it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of_sender(&self, sender: Address) -> Result<Account, versions::Error> {
        let Some(held) = apply::account(&self.state, &keccak256(sender))? else {
            return Ok(Account::default());
        };
        Ok(Account {
            nonce: held.nonce,
            balance: held.balance,
            code: Code::of(&apply::code(&self.state, &held.code_hash)?),
        })
    }

    /// A block's header; none above the tip.
    ///
    /// # Errors
    /// When the store fails.
    pub fn header(&self, height: Height) -> Result<Option<Header>, Error> {
        let row = self.state.row(HEADERS, height.to_be_bytes())?;
        row.map(|row| decode_header(&row)).transpose()
    }

    /// A block's transactions and what else it holds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn body(&self, height: Height) -> Result<Option<Body>, Error> {
        let row = self.state.row(BODIES, height.to_be_bytes())?;
        row.map(|row| decode_body(&row)).transpose()
    }

    /// A whole block, and who sent its transactions.
    ///
    /// # Errors
    /// When the store fails.
    pub fn block(&self, height: Height) -> Result<Option<(Block, Vec<Address>)>, Error> {
        let (Some(header), Some(body)) = (self.header(height)?, self.body(height)?) else {
            return Ok(None);
        };
        let block = Block::new(header, body.body, body.round);
        Ok(Some((block, body.senders)))
    }

    /// A block's receipts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<ReceiptEnvelope>>, Error> {
        let row = self.state.row(RECEIPTS, height.to_be_bytes())?;
        row.map(|row| decode_receipts(&row)).transpose()
    }

    /// What proves a block final; none where nothing does, as for block zero.
    ///
    /// # Errors
    /// When the store fails.
    pub fn finality(&self, height: Height) -> Result<Option<Finality>, Error> {
        let row = self.state.row(FINALITY, height.to_be_bytes())?;
        row.map(|row| decode_finality(&row)).transpose()
    }

    /// The height of a block; none if it is not in this chain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn height_of(&self, hash: &B256) -> Result<Option<Height>, Error> {
        let row = self.state.row(HASHES, hash)?;
        row.map(|row| decode_height(&row)).transpose()
    }

    /// Hash of a block of this chain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hash(&self, height: Height) -> Result<Option<B256>, versions::Error> {
        let row = self.state.row(HEADERS, height.to_be_bytes())?;
        Ok(row.map(keccak256))
    }

    /// Where a transaction is; none if it is in no block.
    ///
    /// # Errors
    /// When the store fails.
    pub fn place(&self, transaction: &B256) -> Result<Option<Place>, Error> {
        let row = self.state.row(PLACES, transaction)?;
        row.map(|row| decode_place(&row)).transpose()
    }

    /// A transaction with its block; none if it is in no block.
    ///
    /// # Errors
    /// When the store fails.
    pub fn transaction(&self, hash: &B256) -> Result<Option<Placed>, Error> {
        let Some(place) = self.place(hash)? else {
            return Ok(None);
        };
        let header = self.header(place.height)?;
        let mut body = self.body(place.height)?;
        let found = body.as_mut().and_then(|body| {
            let index = usize::try_from(place.index).ok()?;
            let transaction = body.body.transactions.get(index)?;
            Some((transaction.clone(), *body.senders.get(index)?))
        });
        let (Some(header), Some((transaction, sender))) = (header, found) else {
            return Err(Error::Damaged("a transaction's block"));
        };
        Ok(Some(Placed {
            place,
            header,
            transaction,
            sender,
        }))
    }

    /// Blocks between `from` and `to`, both included, with a log of an address or with a first topic
    /// (20 or 32 bytes), in order.
    pub fn logged(
        &self,
        what: &[u8],
        from: Height,
        to: Height,
    ) -> impl Iterator<Item = Result<Height, Error>> + use<> {
        let key = |height: Height| [what, &height.to_be_bytes()].concat();
        let keys = self.state.keys(tables::LOGGED, key(from)..=key(to));
        keys.map(|key| decode_height(&key?))
    }
}
