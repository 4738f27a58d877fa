//! A ledger that begins with a block that others have made final, instead of with block zero.
//!
//! ```text
//!  Staging: pages of the state ─► fill ─► fill ─► … ─► install: one write, one sync
//!           a mark beside each: which block, how far                  │
//!                                                                     ▼
//!  block zero · headers of the 255 below · the checkpoint's block, state and certificate · blocks above
//! ```
//! Promises: until [`Staging::install`] returns there is no ledger: [`crate::Ledger::open`] refuses a
//! folder that is half filled. A staging that was killed goes on where its last page ended. What is
//! put into it was checked by whoever puts it there.

use std::{fs, io, path::Path};

use alloy_consensus::{Header, ReceiptEnvelope, transaction::SignerRecoverable};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use lode_chain_state::{
    key::Key,
    versions::{self, Changes, Read, Row, Versions},
    walk::Place,
};
use lode_chain_types::{Block, FINALITY_LEN, Finality, Height};

use crate::{
    chain::Chain,
    crypto,
    error::Error,
    tables::{self, CHECKPOINT, HEADERS},
    view::View,
};

/// Headers that contracts may ask for the hashes of (BLOCKHASH).
pub const HEADERS_MAX: u64 = 256;
/// Bytes of the state in memory while it is filled: nearly all is written and never read.
const MEMORY: usize = 1 << 20;

const HEIGHT: &[u8] = b"height";
const BOUNDARY: &[u8] = b"boundary";

/// A block that a ledger begins with, and what is needed of the chain below it. Its state comes apart
/// from it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The block.
    pub block: Block,
    /// What became of its transactions.
    pub receipts: Vec<ReceiptEnvelope>,
    /// What proves it final.
    pub finality: Finality,
    /// The headers below it, the youngest first: as many as contracts may ask for.
    pub headers: Vec<Header>,
    /// The last block of the epoch before, which says who the committee is; none in the first epoch,
    /// where block zero says it.
    pub boundary: Option<Block>,
}

/// What a ledger remembers of the block that it began with.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The block.
    pub block: Block,
    /// What proves it final.
    pub finality: Finality,
    /// The last block of the epoch before; none in the first.
    pub boundary: Option<Block>,
}

/// How far a staging is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// RLP of the checkpoint's header.
    pub header: Bytes,
    /// What proves it final.
    pub finality: Finality,
    /// The place of the node that comes next; none: the state is whole.
    pub next: Option<Place>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredMark {
    header: Bytes,
    finality: Bytes,
    /// None, or one.
    next: Vec<String>,
}

/// A ledger that is being filled.
pub struct Staging {
    versions: Versions,
}

impl Staging {
    /// Goes on with the one in a folder, or begins it.
    ///
    /// # Errors
    /// [`Error::Begun`] where there is a ledger, and when the store fails.
    pub fn open(dir: &Path) -> Result<Staging, Error> {
        let versions = Versions::open(dir, &tables::NAMES, MEMORY)?;
        match versions.tip() {
            Some(tip) => Err(Error::Begun { tip }),
            None => Ok(Staging { versions }),
        }
    }

    /// Removes what is in a folder without a ledger.
    ///
    /// # Errors
    /// [`Error::Begun`] where there is one, and when the folder cannot be removed.
    pub fn clear(dir: &Path) -> Result<(), Error> {
        let aside = dir.with_extension("old");
        remove(&aside)?;
        if dir.exists() {
            drop(Staging::open(dir)?);
            // Aside first: a folder that is removed by half would be neither empty nor a store.
            fs::rename(dir, &aside)?;
        }
        Ok(remove(&aside)?)
    }

    /// How far it is; none if it has only begun.
    ///
    /// # Errors
    /// When the store fails, or holds something else.
    pub fn mark(&self) -> Result<Option<Mark>, Error> {
        let mark = self.versions.filled()?;
        mark.map(|mark| Mark::decode(&mark)).transpose()
    }

    /// The state as far as it is there.
    pub fn state(&self) -> versions::View {
        self.versions.latest()
    }

    /// Whether a contract's code is there.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_code(&self, hash: &B256) -> Result<bool, Error> {
        Ok(self.state().get(&Key::code(hash))?.is_some())
    }

    /// Adds entries of the state, and says how far it is then.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put(
        &mut self,
        entries: impl IntoIterator<Item = (Key, Bytes)>,
        mark: &Mark,
    ) -> Result<(), Error> {
        Ok(self.versions.fill(entries, &mark.encode())?)
    }

    /// Makes a ledger of it, whose state is whole. It can be opened when this returns.
    ///
    /// # Errors
    /// When the block's transactions are not signed, or the store fails: then it is still a staging.
    pub fn install(mut self, chain: &Chain, checkpoint: &Checkpoint) -> Result<(), Error> {
        let height = checkpoint.block.height();
        let rows = rows(chain, checkpoint)?;
        self.versions.commit(height, &[&Changes::new()], rows)?;
        Ok(())
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn rows(chain: &Chain, checkpoint: &Checkpoint) -> Result<Vec<Row>, Error> {
    let Checkpoint {
        block,
        receipts,
        finality,
        headers,
        boundary,
    } = checkpoint;
    let senders = senders(block)?;
    let mut rows = tables::rows(block, &senders, receipts, Some(finality));
    rows.extend(tables::rows(&chain.genesis, &[], &[], None));
    let first = chain.genesis.height();
    for header in headers.iter().filter(|header| header.number > first) {
        rows.push(Row {
            table: HEADERS,
            key: header.number.to_be_bytes().to_vec(),
            value: alloy_rlp::encode(header),
        });
    }
    let row = |key: &[u8], value| Row {
        table: CHECKPOINT,
        key: key.to_vec(),
        value,
    };
    rows.push(row(HEIGHT, block.height().to_be_bytes().to_vec()));
    rows.extend(
        boundary
            .as_ref()
            .map(|boundary| row(BOUNDARY, boundary.encode())),
    );
    Ok(rows)
}

fn senders(block: &Block) -> Result<Vec<Address>, Error> {
    crypto::install();
    let senders = block.transactions().iter().map(|one| one.recover_signer());
    let senders: Result<Vec<Address>, _> = senders.collect();
    senders.map_err(|_| Error::Invalid {
        height: block.height(),
        rule: "a signature",
    })
}

/// The block that a ledger began with; 0 where that is block zero.
pub(crate) fn height(state: &versions::View) -> Result<Height, Error> {
    let row = state.row(CHECKPOINT, HEIGHT)?;
    row.map_or(Ok(0), |row| tables::decode_height(&row))
}

/// What is remembered of it.
pub(crate) fn origin(view: &View) -> Result<Option<Origin>, Error> {
    if view.base == 0 {
        return Ok(None);
    }
    let damaged = || Error::Damaged("the checkpoint");
    let (block, finality) = (view.block(view.base)?, view.finality(view.base)?);
    let (Some((block, _)), Some(finality)) = (block, finality) else {
        return Err(damaged());
    };
    let boundary = view.state.row(CHECKPOINT, BOUNDARY)?;
    let boundary = boundary.map(|bytes| Block::decode(&bytes).map_err(|_| damaged()));
    Ok(Some(Origin {
        block,
        finality,
        boundary: boundary.transpose()?,
    }))
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        StoredMark {
            header: self.header.clone(),
            finality: Bytes::copy_from_slice(&self.finality.encode()),
            next: self.next.iter().map(ToString::to_string).collect(),
        }
        .encode(&mut bytes);
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Result<Mark, Error> {
        let damaged = || Error::Damaged("how far a checkpoint was synced");
        let stored = StoredMark::decode(&mut bytes).map_err(|_| damaged())?;
        let finality = (stored.finality.len() == FINALITY_LEN)
            .then(|| Finality::decode(&stored.finality))
            .flatten();
        let next = match &stored.next[..] {
            [] => None,
            [place] => Some(place.parse().map_err(|_| damaged())?),
            _ => return Err(damaged()),
        };
        Ok(Mark {
            header: stored.header,
            finality: finality.ok_or_else(damaged)?,
            next,
        })
    }
}
