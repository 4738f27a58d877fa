//! Repair: a container that has lost rows is restored from any 1024, coded again, and offered to its holders
//! once more. Those who have their rows sign at once; those who lost them take them again, and check them as
//! they did at first, so nobody has to trust who repairs.
//!
//! ```text
//!  each in turn: whose turn is it? ─► who has rows? ── fewer than 1792 of 3072, or mine are lost ─► restore
//!                                                    └ enough ─► later
//! ```
//! Lazy, because one repair costs the whole container however few rows were lost.

use std::{sync::Arc, time::Duration};

use commonware_cryptography::ed25519::PublicKey;
use commonware_runtime::{Clock, Metrics, Spawner};
use lode_proofs::{
    Hash32,
    da::{Certificate, Coded, Container, Threshold},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    bounds::HAS_MAX,
    committee::Committees,
    desk::{Order, unix},
    keep::{Keep, Listed},
    outgoing::{Job, Lost},
    read::{ReadError, Reader},
};

/// Rows below which a container is repaired: 58 %.
pub const LIVE_MIN: usize = 1792;

/// Why a container was not repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MendError {
    /// Its rows cannot be had.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was restored has another id: more than a third of the holders have lied.
    #[error("what 1024 rows give is another container")]
    Other,
    /// Holders of too few rows took theirs.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Restores rows. Clones are of one node.
#[derive(Clone)]
pub struct Mender {
    reader: Reader,
    orders: mpsc::Sender<Order>,
    /// One at a time: each takes three times its container's memory.
    turn: Arc<Semaphore>,
}

impl Mender {
    pub(crate) fn new(reader: Reader, orders: mpsc::Sender<Order>) -> Mender {
        Mender {
            reader,
            orders,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    #[cfg(test)]
    pub(crate) fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    /// Restores a container and brings it to its holders again, until `expiry` if that is later than they
    /// keep it by now.
    ///
    /// # Errors
    /// [`MendError`]
    pub async fn mend(
        &self,
        context: &(impl Spawner + Metrics),
        container: Hash32,
        expiry: Option<u64>,
        threshold: Threshold,
    ) -> Result<Certificate, MendError> {
        let turn = self.turn.acquire().await;
        // Nobody closes it.
        let _turn = turn.expect("the semaphore is open");
        let known = self.reader.container(container).await?;
        let bytes = self.reader.originals(&known).await?;
        let (committee, mut statement) = (known.committee.clone(), known.statement);
        let (of, shape) = (committee.clone(), statement.head.shape);
        let coding = context
            .child("code")
            .shared(true)
            .spawn(move |_| async move {
                let container = Container::from_rows(shape, bytes).ok()?;
                Some(Coded::new(container, &of.quorum(), of.columns()))
            });
        let coded = coding.await.ok().flatten().ok_or(MendError::Other)?;
        if coded.head().id() != container {
            return Err(MendError::Other);
        }
        statement.expiry = statement.expiry.max(expiry.unwrap_or(0));
        let job = Arc::new(Job {
            coded,
            statement,
            committee,
            threshold,
        });
        let (waiting, certified) = oneshot::channel();
        let sent = self.orders.send(Order::Disperse(job, waiting)).await;
        sent.map_err(|_| ReadError::Stopped)?;
        Ok(certified.await.unwrap_or(Err(Lost::Stopped))?)
    }
}

/// Looks for containers that have lost rows.
pub(crate) struct Repair<K> {
    pub(crate) me: PublicKey,
    pub(crate) keep: K,
    pub(crate) committees: Committees,
    pub(crate) mender: Mender,
    pub(crate) every: Duration,
}

impl<K: Keep> Repair<K> {
    /// Looks, again and again.
    pub(crate) async fn run(self, context: impl Spawner + Metrics + Clock) {
        let mut round = 0_u64;
        loop {
            context.sleep(self.every).await;
            round = round.wrapping_add(1);
            let now = unix(context.current());
            let mut due: Vec<Listed> = self.keep.list();
            due.retain(|listed| listed.expiry > now && self.is_mine(listed, round));
            due.sort_by_key(|listed| listed.quorum);
            for group in due.chunk_by(|left, right| left.quorum == right.quorum) {
                for group in group.chunks(HAS_MAX) {
                    if self.look(&context, group).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Whether this node looks at a container in a round: each holder in its turn, and not all at once.
    fn is_mine(&self, listed: &Listed, round: u64) -> bool {
        let Some(statement) = self.keep.statement(listed.container) else {
            return false;
        };
        let Some(committee) = self.committees.of(statement.quorum) else {
            return false;
        };
        let (Some(seat), holders) = (committee.seat(&self.me), committee.peers().len()) else {
            return false;
        };
        let [a, b, ..] = listed.container.0;
        let first = usize::from(u16::from_be_bytes([a, b]));
        let turn = usize::try_from(round).unwrap_or(0).wrapping_add(first);
        turn % holders.max(1) == seat
    }

    /// Looks at containers of one committee.
    async fn look(
        &self,
        context: &(impl Spawner + Metrics + Clock),
        group: &[Listed],
    ) -> Result<(), ReadError> {
        let ids: Vec<Hash32> = group.iter().map(|listed| listed.container).collect();
        let statement = ids.first().and_then(|id| self.keep.statement(*id));
        let quorum = statement.map(|statement| statement.quorum);
        let Some(committee) = quorum.and_then(|quorum| self.committees.of(quorum)) else {
            return Ok(());
        };
        let live = self.mender.reader.live(&committee, &ids).await?;
        for (container, live) in ids.into_iter().zip(live) {
            if live >= LIVE_MIN {
                continue;
            }
            tracing::info!(%container, live, "a container has lost rows and is repaired");
            let mended = self
                .mender
                .mend(context, container, None, Threshold::LEAST)
                .await;
            match mended {
                Ok(_) => tracing::info!(%container, "is whole again"),
                Err(MendError::Read(ReadError::Stopped)) => return Err(ReadError::Stopped),
                Err(error) => tracing::warn!(%container, %error, "was not repaired"),
            }
        }
        Ok(())
    }
}
