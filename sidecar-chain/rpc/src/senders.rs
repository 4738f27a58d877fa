//! Who sent a transaction, asked of the ledger's threads: 50 µs of arithmetic each, kept away from the
//! threads that serve connections. What they found they remember, so no signature is looked at again
//! when its block is checked.
//!
//! A batch of transactions is handed over whole before its first one is looked at, so all threads
//! work on it while its answers keep their order.

use std::{sync::Arc, time::Duration};

use lode_chain_pool::{
    Checked, Error, Transaction,
    recover::{Recovery, Refused},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How long to wait for room that others than this interface have taken.
const AGAIN: Duration = Duration::from_millis(1);

type Found = Result<Transaction, Error>;

/// This interface's part of what waits for the ledger's threads.
#[derive(Clone, Debug)]
pub struct Senders {
    recovery: Recovery,
    room: Arc<Semaphore>,
}

impl Senders {
    /// Has senders found by `recovery`, with `waiting_max` transactions on their way at most.
    pub fn new(recovery: Recovery, waiting_max: usize) -> Senders {
        let room = Arc::new(Semaphore::new(waiting_max));
        Senders { recovery, room }
    }

    /// Hands a transaction over; none if there is no room.
    pub fn try_begin(&self, checked: Checked) -> Option<oneshot::Receiver<Found>> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        self.submit(checked, permit).ok()
    }

    /// Hands a transaction over, when there is room. Without threads the answer ends unanswered.
    pub async fn begin(&self, checked: Checked) -> oneshot::Receiver<Found> {
        loop {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let permit = permit.expect("the room is never closed");
            match self.submit(checked.clone(), permit) {
                Ok(found) => return found,
                Err(Refused::NoWorker) => return oneshot::channel().1,
                Err(Refused::Busy { .. }) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    fn submit(
        &self,
        checked: Checked,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Found>, Refused> {
        let (answer, found) = oneshot::channel();
        self.recovery.submit(vec![checked], move |all| {
            drop(permit);
            if let Some(one) = all.into_iter().next() {
                // Whoever asked may have gone.
                let _ = answer.send(one);
            }
        })?;
        Ok(found)
    }
}
