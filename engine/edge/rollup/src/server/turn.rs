//! The memory that one request and its answer may take: taken before they are there, given back when
//! the last byte of the answer is gone.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::visit::Serving;

/// Bytes of one permit.
const UNIT: u64 = 4_096;

/// Memory of a face. Clones share it.
#[derive(Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    units: u32,
    wait_max: Duration,
}

/// There is no room now, or never would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is under way; come again")]
pub struct Busy;

impl Room {
    /// So many bytes, for which a request waits so long.
    pub fn new(bytes: u32, wait_max: Duration) -> Room {
        let units = u32::try_from(u64::from(bytes).div_ceil(UNIT)).expect("fewer than bytes");
        let permits = usize::try_from(units).expect("64-bit");
        Room {
            free: Arc::new(Semaphore::new(permits)),
            units,
            wait_max,
        }
    }

    /// Bytes that are taken.
    #[cfg(test)]
    pub fn held(&self) -> u64 {
        let free = u64::try_from(self.free.available_permits()).expect("64-bit");
        (u64::from(self.units) - free) * UNIT
    }

    /// Waits for room: those who came first get it first. Whoever wants more than there is gets all of
    /// it, alone.
    async fn enter(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Busy> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let entering = Arc::clone(&self.free).acquire_many_owned(units.min(self.units));
        let entered = timeout(self.wait_max, entering).await;
        entered.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

/// One request's part of it. Clones are the same part.
#[derive(Clone)]
pub struct Turn(Arc<Taken>);

struct Taken {
    room: Room,
    permits: Mutex<Vec<OwnedSemaphorePermit>>,
    serving: Option<Serving>,
}

impl Turn {
    /// Begins one, with so many bytes.
    pub async fn begin(room: &Room, bytes: u64, serving: Option<Serving>) -> Result<Turn, Busy> {
        let permit = room.enter(bytes).await?;
        Ok(Turn(Arc::new(Taken {
            room: room.clone(),
            permits: Mutex::new(vec![permit]),
            serving,
        })))
    }

    /// Takes more: for an answer whose length is known now. What was taken for the request is kept until
    /// it is there, so two that wait for each other wait in vain, and both come again.
    pub async fn grow(&self, bytes: u64) -> Result<(), Busy> {
        let permit = self.0.room.enter(bytes).await?;
        self.0.permits.lock().push(permit);
        Ok(())
    }

    /// The answer is there; fetching it may take so long.
    pub fn answered(&self, time: Duration) {
        if let Some(serving) = &self.0.serving {
            serving.answered(time);
        }
    }

    /// These bytes, which count until the last piece of them is gone: hyper keeps pieces until the client
    /// has fetched them.
    pub fn hold(&self, bytes: Bytes) -> Bytes {
        struct Held(Bytes, #[expect(dead_code, reason = "held, not read")] Turn);
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Held(bytes, self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room is given back with the last piece of the answer, who waits gets it, and who waits too long
    /// is told so.
    #[tokio::test]
    async fn room_is_held() {
        let room = Room::new(1 << 20, Duration::from_millis(20));
        let turn = Turn::begin(&room, 1, None).await.expect("room");
        turn.grow(500_000).await.expect("room");
        assert_eq!(room.held(), 124 * UNIT);
        let piece = turn.hold(Bytes::from(vec![7; 100])).slice(99..);
        drop(turn);
        assert!(Turn::begin(&room, u64::MAX, None).await.is_err());
        assert_eq!((piece[0], room.held()), (7, 124 * UNIT));
        drop(piece);
        let all = Turn::begin(&room, u64::MAX, None).await;
        assert_eq!(room.held(), 1 << 20);
        drop(all);
        assert_eq!(room.held(), 0);
    }
}
