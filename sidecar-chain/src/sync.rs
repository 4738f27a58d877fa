//! Checkpoint sync: a folder that begins with the newest block that others have, and with the state
//! after it, instead of with block zero and every block since.
//!
//! ```text
//!  genesis file ─► Trust ─► newest certificate ─► header ─► state root ─► every node of the state
//!                    │                              └─► the 255 headers below, by their hashes
//!                    └─► certificates about the epoch's first block and the one before it:
//!                        who the committee is, and who will be
//! ```
//! | step | module |
//! |---|---|
//! | who is asked, and what goes wrong with it | [`source`] |
//! | the newest block, and headers of older ones, each proven | [`chain`] |
//! | the state of the block, page by page | [`download`] |
//! | who is a member of the epochs around it | [`members`] |
//!
//! Promises: nothing is taken on trust: what a source says holds by the genesis file alone, or is
//! refused with the source's name, and another one is asked. What no source can show is that its
//! newest block is the newest there is: the newest of all that are asked is taken. There is no chain
//! in the folder before all of it is there; one that was killed goes on with the page that came next.
//! Memory is bounded by a page, whatever the state's size.

pub mod chain;
pub mod download;
pub mod members;
pub mod source;

use std::{path::Path, path::PathBuf};

use alloy_genesis::Genesis;
use alloy_primitives::B256;
use lode_chain_consensus::Checkpoint as Beginning;
use lode_chain_ledger::{Chain, Checkpoint, Error as LedgerError, Staging};
use lode_chain_light::Trust;
use lode_chain_types::Height;

use crate::{
    committees::{Committees, Members},
    genesis::Ours,
};
use chain::{Proven, Tip};
use source::Asked;
pub use source::{Error, Lie, Source, Trouble};

/// Times that all sources are asked from anew when they forget a state before it is here.
const ROUNDS: u32 = 5;

/// What begins, and where.
#[derive(Clone)]
pub struct Config {
    /// What the chain begins with: all that is trusted.
    pub genesis: Genesis,
    /// Folder of the ledger and of consensus, as in [`crate::Config`].
    pub dir: PathBuf,
    /// Who is to validate in later epochs, as in [`crate::Config`].
    pub members: Members,
    /// Blocks that other validators keep: one that is further behind cannot catch up with them.
    pub blocks_kept: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The block whose state comes.
    pub block: Height,
    /// Parts of a million of it that are here.
    pub parts: u64,
    /// Nodes that have come since the program was started.
    pub nodes: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The folder begins with this block.
    At {
        /// Its number.
        block: Height,
        /// Its hash.
        hash: B256,
        /// What came.
        progress: Progress,
    },
    /// The folder has a chain already, which was left alone.
    Begun {
        /// Its last block.
        tip: Height,
        /// The newest block of the sources; none if none of them has shown one.
        newest: Option<Height>,
    },
}

/// Makes a folder begin with the newest block that one of the sources has. Tells how far it is after
/// each page.
///
/// # Errors
/// When no source could be used, with what each has done; and when the folder cannot be written.
pub fn run(
    config: &Config,
    sources: &[&dyn Source],
    mut tell: impl FnMut(&Progress),
) -> Result<Synced, Error> {
    let sync = Sync::new(config)?;
    let ledger = config.dir.join("ledger");
    if let Err(LedgerError::Begun { tip }) = Staging::open(&ledger) {
        let newest = newest(&sync, sources).ok();
        let newest = newest.map(|newest| newest.number());
        return Ok(Synced::Begun { tip, newest });
    }
    let mut failures = Vec::new();
    let mut progress = Progress::default();
    for _ in 0..ROUNDS {
        let newest = newest(&sync, sources)?;
        let tip = sync.goal(&ledger, newest)?;
        progress.block = tip.number();
        failures.clear();
        for source in sources {
            let asked = Asked::new(*source);
            match sync.from(&asked, &tip, &ledger, &mut progress, &mut tell) {
                Ok(()) => {
                    return Ok(Synced::At {
                        block: tip.number(),
                        hash: tip.hash(),
                        progress,
                    });
                }
                Err(error) if error.is_of_source() => {
                    tracing::warn!(%error, "a source of the checkpoint is left");
                    failures.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        if !failures.iter().any(Error::is_gone) {
            break;
        }
        tracing::info!(
            block = tip.number(),
            "the state is not kept any more: beginning with a newer block"
        );
        Staging::clear(&ledger)?;
    }
    Err(Error::all(failures))
}

/// The newest block that any of the sources has proven.
fn newest(sync: &Sync<'_>, sources: &[&dyn Source]) -> Result<Tip, Error> {
    let (mut newest, mut failures): (Option<Tip>, _) = (None, Vec::new());
    for source in sources {
        match chain::newest(&Asked::new(*source), &sync.trust, sync.blocks_per_epoch) {
            Ok(tip) => {
                if newest
                    .as_ref()
                    .is_none_or(|other| other.number() < tip.number())
                {
                    newest = Some(tip);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a source of the checkpoint is left");
                failures.push(error);
            }
        }
    }
    newest.ok_or_else(|| Error::all(failures))
}

/// What all steps need.
struct Sync<'config> {
    config: &'config Config,
    trust: Trust,
    chain: Chain,
    committees: Committees,
    blocks_per_epoch: u64,
}

impl<'config> Sync<'config> {
    fn new(config: &'config Config) -> Result<Self, Error> {
        let ours = Ours::of(&config.genesis)?;
        let blocks_per_epoch = ours.blocks_per_epoch.max(1);
        let committees = Committees::open(
            config.dir.join("committees"),
            config.members.clone(),
            blocks_per_epoch,
        )?;
        Ok(Sync {
            config,
            trust: Trust::of(&config.genesis)?,
            chain: Chain::new(&config.genesis)?,
            committees,
            blocks_per_epoch,
        })
    }

    /// The block to begin with: the one whose state is here by part, unless validators may not keep
    /// the blocks above it for as long as it takes.
    fn goal(&self, ledger: &Path, newest: Tip) -> Result<Tip, Error> {
        let begun = match Staging::open(ledger).and_then(|staging| staging.mark()) {
            Ok(mark) => mark,
            Err(LedgerError::Damaged(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let begun = begun.and_then(|mark| {
            let tip = Tip::check(
                mark.header,
                mark.finality,
                &self.trust,
                self.blocks_per_epoch,
            );
            tip.ok()
        });
        if let Some(tip) = begun
            && newest.number().saturating_sub(tip.number()) <= self.config.blocks_kept / 2
        {
            tracing::info!(
                block = tip.number(),
                "going on with a state that is here by part"
            );
            return Ok(tip);
        }
        Staging::clear(ledger)?;
        Ok(newest)
    }

    /// All of it from one source, but for what came from another before.
    fn from(
        &self,
        source: &Asked<'_>,
        tip: &Tip,
        ledger: &Path,
        progress: &mut Progress,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<(), Error> {
        let checkpoint = self.checkpoint(source, tip)?;
        let beginning = Beginning {
            block: checkpoint.block.clone(),
            finality: checkpoint.finality,
            boundary: checkpoint.boundary.clone(),
        };
        let mut members = beginning.members().map_err(|_| Error::Chain)?;
        members.extend(self.decided(source, tip)?);
        let mut staging = Staging::open(ledger)?;
        download::state(source, tip, &mut staging, progress, tell)?;
        for (epoch, members) in members {
            self.committees.put(epoch, &members)?;
        }
        staging.install(&self.chain, &checkpoint)?;
        Ok(())
    }

    /// The block, and what is needed of the chain below it.
    fn checkpoint(&self, source: &Asked<'_>, tip: &Tip) -> Result<Checkpoint, Error> {
        let block = chain::block(source, &tip.proven())?;
        let receipts = chain::receipts(source, &block)?;
        let headers = chain::headers_below(source, block.header())?;
        let first = tip.epoch() * self.blocks_per_epoch;
        let boundary = match first.checked_sub(1) {
            None => None,
            Some(last) => {
                let last = self.proven(source, tip, last)?;
                Some(chain::block(source, &last)?)
            }
        };
        Ok(Checkpoint {
            block,
            receipts,
            finality: tip.finality(),
            headers,
            boundary,
        })
    }

    /// Who is a member of the epoch that the first block of this one decides; in the first epoch, of
    /// all that block zero decides.
    fn decided(&self, source: &Asked<'_>, tip: &Tip) -> Result<members::Lists, Error> {
        if tip.epoch() == 0 {
            return members::of_genesis(&self.chain, &self.committees);
        }
        let first = self.proven(source, tip, tip.epoch() * self.blocks_per_epoch)?;
        members::decided(source, &self.chain, &self.committees, &first, tip.epoch())
    }

    /// A block at or below the newest one, proven by its certificate or by that of one above it.
    fn proven(&self, source: &Asked<'_>, tip: &Tip, number: Height) -> Result<Proven, Error> {
        chain::proven(source, tip, number, &self.trust)
    }
}
