//! Who holds what: a quorum's holders, by their seats, with the names by which they are reached.

use std::{collections::BTreeMap, sync::Arc};

use commonware_cryptography::ed25519::PublicKey;
use lode_proofs::da::{
    Assignment, Quorum,
    shape::ROWS,
    signing::{HolderKey, Holders, SigningRefusal},
};
use parking_lot::RwLock;

/// A quorum of an epoch. The chain says who they are; here they are taken as they come.
#[derive(Clone, Debug)]
pub struct Committee {
    quorum: Quorum,
    holders: Holders,
    peers: Vec<PublicKey>,
    seats: BTreeMap<PublicKey, usize>,
    /// For each row its holder's seat.
    of_row: Vec<usize>,
}

/// Why lists are no committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// Keys and seats do not match.
    #[error(transparent)]
    Holders(#[from] SigningRefusal),
    /// Not one name for each seat.
    #[error("{got} names for {want} holders")]
    Peers {
        /// Names found.
        got: usize,
        /// Holders of the assignment.
        want: usize,
    },
    /// One name on two seats: their rows would be lost together.
    #[error("seats {first} and {second} have one name")]
    Twice {
        /// The lower seat.
        first: usize,
        /// The higher one.
        second: usize,
    },
}

impl Committee {
    /// Puts together what a chain knows of a quorum, in the order of seats.
    ///
    /// # Errors
    /// [`CommitteeError`]
    pub fn new(
        quorum: Quorum,
        assignment: Assignment,
        keys: Vec<HolderKey>,
        peers: Vec<PublicKey>,
    ) -> Result<Committee, CommitteeError> {
        let holders = Holders::new(assignment, keys)?;
        let (got, want) = (peers.len(), holders.assignment().holders());
        if got != want {
            return Err(CommitteeError::Peers { got, want });
        }
        let mut seats = BTreeMap::new();
        for (second, peer) in peers.iter().enumerate() {
            if let Some(first) = seats.insert(peer.clone(), second) {
                return Err(CommitteeError::Twice { first, second });
            }
        }
        let mut of_row = vec![0; ROWS];
        for seat in 0..want {
            for row in holders.assignment().rows_of(seat).unwrap_or_default() {
                of_row[usize::from(*row)] = seat;
            }
        }
        Ok(Committee {
            quorum,
            holders,
            peers,
            seats,
            of_row,
        })
    }

    /// Which quorum.
    #[must_use]
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// Its holders' keys and rows.
    #[must_use]
    pub const fn holders(&self) -> &Holders {
        &self.holders
    }

    /// Columns of checksums.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.holders.assignment().columns()
    }

    /// The rows of a seat, ascending; none of a seat that is not there.
    #[must_use]
    pub fn rows(&self, seat: usize) -> &[u16] {
        let rows = self.holders.assignment().rows_of(seat);
        rows.unwrap_or_default()
    }

    /// Holders by their seats.
    #[must_use]
    pub fn peers(&self) -> &[PublicKey] {
        &self.peers
    }

    /// The seat of a holder.
    #[must_use]
    pub fn seat(&self, peer: &PublicKey) -> Option<usize> {
        self.seats.get(peer).copied()
    }

    /// Who holds a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn seat_of_row(&self, row: u16) -> usize {
        self.of_row[usize::from(row)]
    }
}

/// All committees that a node knows, and the one that containers go to. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Committees(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    all: BTreeMap<(u64, u32), Arc<Committee>>,
    current: Option<Arc<Committee>>,
}

impl Committees {
    /// Takes a committee that is known from now on.
    pub fn add(&self, committee: Committee) -> Arc<Committee> {
        let committee = Arc::new(committee);
        let Quorum { epoch, quorum, .. } = committee.quorum;
        let mut known = self.0.write();
        known.all.insert((epoch, quorum), committee.clone());
        committee
    }

    /// Takes a committee that new containers go to from now on.
    pub fn begin(&self, committee: Committee) {
        let committee = self.add(committee);
        self.0.write().current = Some(committee);
    }

    /// The committee of a quorum.
    #[must_use]
    pub fn of(&self, quorum: Quorum) -> Option<Arc<Committee>> {
        let known = self.0.read();
        let found = known.all.get(&(quorum.epoch, quorum.quorum));
        found.filter(|found| found.quorum == quorum).cloned()
    }

    /// All of them, those of the newest epoch first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<Arc<Committee>> {
        self.0.read().all.values().rev().cloned().collect()
    }

    /// Where new containers go.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Committee>> {
        self.0.read().current.clone()
    }
}
