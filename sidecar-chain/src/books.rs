//! The ledger as consensus sees it.

use std::{future::pending, sync::Arc};

use alloy_primitives::B256;
use lode_chain_consensus::{Execution, Validator};
use lode_chain_ledger::{Error as LedgerError, Ledger};
use lode_chain_types::{Block, Finality, Height, Round};
use tokio::sync::mpsc;

use crate::committees::{self, Committees};

/// What ends the chain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Members of a committee are not known.
    #[error("members of a committee are not known: {0}")]
    Committees(#[from] committees::Error),
}

/// The ledger as consensus sees it. What goes wrong with it goes to the service, which ends.
#[derive(Clone)]
pub struct Books {
    ledger: Ledger,
    committees: Arc<Committees>,
    failures: mpsc::Sender<Error>,
}

impl Books {
    /// The books, and whom to ask for members.
    pub fn new(ledger: Ledger, committees: Committees, failures: mpsc::Sender<Error>) -> Self {
        Books {
            ledger,
            committees: Arc::new(committees),
            failures,
        }
    }

    /// There is nothing that consensus could do about it: it never hears of it, and the service ends.
    async fn fail<T>(&self, error: Error) -> T {
        // One failure is enough: the others are of the same cause.
        let _ = self.failures.try_send(error);
        pending().await
    }
}

impl Execution for Books {
    fn genesis(&self) -> Block {
        self.ledger.chain().genesis.clone()
    }

    fn height(&self) -> Height {
        self.ledger.latest().tip()
    }

    fn knows(&self, block: B256) -> bool {
        match self.ledger.knows(&block) {
            Ok(known) => known,
            Err(error) => {
                let _ = self.failures.try_send(error.into());
                false
            }
        }
    }

    async fn propose(&self, parent: Block, round: Round) -> Option<Block> {
        self.ledger.propose(parent.hash(), round).await
    }

    async fn verify(&self, block: Block) -> bool {
        match self.ledger.verify(block).await {
            Ok(holds) => holds,
            // It could not be found out: consensus goes on without this vote.
            Err(error) => {
                tracing::debug!(%error, "no answer to whether a block holds");
                pending().await
            }
        }
    }

    async fn finalize(&self, block: Block, finality: Option<Finality>) {
        let height = block.height();
        if let Err(error) = self.ledger.finalize(block, finality).await {
            return self.fail(error.into()).await;
        }
        if let Err(error) = self.committees.note(&self.ledger, height) {
            self.fail(error.into()).await
        }
    }

    async fn committee(&self, epoch: u64, decided: Height) -> Vec<Validator> {
        if let Err(error) = self.until(decided).await {
            return self.fail(error.into()).await;
        }
        match self.committees.of(&self.ledger, epoch, decided) {
            Ok(members) => members,
            Err(error) => self.fail(error.into()).await,
        }
    }
}

impl Books {
    /// Waits until the block of a height is kept.
    async fn until(&self, height: Height) -> Result<(), LedgerError> {
        use futures_lite::StreamExt as _;
        loop {
            // First listen, then look: a block between the two is heard.
            let mut events = self.ledger.listen();
            while self.ledger.latest().tip() < height {
                if events.next().await.is_none() {
                    break;
                }
            }
            if self.ledger.latest().tip() >= height {
                return Ok(());
            }
            if self.ledger.is_stopped() {
                return Err(LedgerError::Stopped);
            }
        }
    }
}
