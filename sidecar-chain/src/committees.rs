//! Who validates in which epoch: what the chain says of it, asked once and kept.
//!
//! ```text
//!  first block of epoch e   ─►  members of epoch e + 2  ─►  DIR/E.json
//! ```
//! An epoch's members are those that the state after the first block of the epoch two before names;
//! those of epochs 0 to 2 are in the state that the chain begins with. The answer is written down
//! when that block becomes final, because its state may be forgotten long before the epoch ends.

use std::{fs, io, path::PathBuf, sync::Arc};

use lode_chain_consensus::Validator;
use lode_chain_ledger::{Error as LedgerError, Ledger};
use lode_chain_types::Height;

use crate::ask::{After, Contracts};

/// Tells who is to validate in an epoch, as the state after a final block names them. Nobody: the
/// first committee goes on.
pub type Members =
    Arc<dyn Fn(&dyn Contracts, u64) -> Result<Vec<Validator>, LedgerError> + Send + Sync>;

/// Epochs between the block that names members and the epoch in which they validate.
pub(crate) const LEAD: u64 = 2;

/// Why members are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A list of members could not be kept or read.
    #[error("{file}: {source}", file = file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Members of all epochs that have been asked for.
pub struct Committees {
    dir: PathBuf,
    members: Members,
    blocks_per_epoch: u64,
}

impl Committees {
    /// Those in a folder, which is made if there is none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(dir: PathBuf, members: Members, blocks_per_epoch: u64) -> Result<Self, Error> {
        fs::create_dir_all(&dir).map_err(|source| Error::File {
            file: dir.clone(),
            source,
        })?;
        Ok(Committees {
            dir,
            members,
            blocks_per_epoch: blocks_per_epoch.max(1),
        })
    }

    /// Writes down what a block that has become final decides. Cost: nothing, but for the first block
    /// of an epoch.
    ///
    /// # Errors
    /// When the state cannot be read or the answer not be kept.
    pub fn note(&self, ledger: &Ledger, height: Height) -> Result<(), Error> {
        if !height.is_multiple_of(self.blocks_per_epoch) {
            return Ok(());
        }
        let last = height / self.blocks_per_epoch + LEAD;
        let first = if height == 0 { 0 } else { last };
        for epoch in first..=last {
            self.of(ledger, epoch, height)?;
        }
        Ok(())
    }

    /// Members of an epoch, as the final block at height `decided` names them. Nobody where that block
    /// is below the one that the ledger began with: what is needed of the epochs before was written
    /// down when it began.
    ///
    /// # Errors
    /// When nothing is written down, and the state is not kept any more.
    pub fn of(
        &self,
        ledger: &Ledger,
        epoch: u64,
        decided: Height,
    ) -> Result<Vec<Validator>, Error> {
        let file = self.dir.join(format!("{epoch}.json"));
        let failed = |source| Error::File {
            file: file.clone(),
            source,
        };
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if decided < ledger.latest().base() {
                    return Ok(Vec::new());
                }
                let height = decided;
                let members = (self.members)(&After { ledger, height }, epoch)?;
                self.put(epoch, &members)?;
                Ok(members)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Members of an epoch, as a state names them that is not in a ledger yet.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub(crate) fn ask(
        &self,
        contracts: &dyn Contracts,
        epoch: u64,
    ) -> Result<Vec<Validator>, LedgerError> {
        (self.members)(contracts, epoch)
    }

    /// Writes down who the members of an epoch are.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(crate) fn put(&self, epoch: u64, members: &[Validator]) -> Result<(), Error> {
        let file = self.dir.join(format!("{epoch}.json"));
        self.keep(&file, members)
            .map_err(|source| Error::File { file, source })
    }

    /// Whole or not at all, and on the disk: the state it comes from may be gone afterwards.
    fn keep(&self, file: &std::path::Path, members: &[Validator]) -> io::Result<()> {
        let fresh = file.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(members)?)?;
        fs::File::open(&fresh)?.sync_all()?;
        fs::rename(&fresh, file)?;
        fs::File::open(&self.dir)?.sync_all()
    }
}
