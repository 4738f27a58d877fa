//! Memory for requests and their answers. A request is read when there is room for what it and its
//! answer may take; until then it waits in its connection, where it costs the sender's memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: u64 = 4_096;

/// Room for requests. Clones share it.
#[derive(Clone, Debug)]
pub struct Admission {
    room: Arc<Semaphore>,
    units: u32,
    peak: Arc<AtomicU64>,
}

/// Room that is taken, until this is dropped.
#[derive(Debug)]
pub struct Permit(Option<OwnedSemaphorePermit>);

impl Admission {
    /// Room for so many bytes.
    pub fn new(bytes: u32) -> Admission {
        let units = units_of(u64::from(bytes), u32::MAX);
        let permits = usize::try_from(units).expect("64-bit");
        Admission {
            room: Arc::new(Semaphore::new(permits)),
            units,
            peak: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Waits for room: those who came first get it first. Whoever wants more than there is gets all
    /// of it.
    pub async fn enter(&self, bytes: u64) -> Permit {
        let units = units_of(bytes, self.units);
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await;
        self.peak.fetch_max(self.held(), Relaxed);
        // It is never closed.
        Permit(permit.ok())
    }

    /// Bytes that are taken.
    pub fn held(&self) -> u64 {
        let free = u64::try_from(self.room.available_permits()).expect("64-bit");
        u64::from(self.units).saturating_sub(free) * UNIT
    }

    /// Most bytes that were taken at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }
}

fn units_of(bytes: u64, most: u32) -> u32 {
    let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
    units.clamp(1, most.max(1))
}

impl Permit {
    /// Gives back all but so many bytes of it.
    pub fn shrink(&mut self, bytes: u64) {
        let Some(permit) = &mut self.0 else { return };
        let held = permit.num_permits();
        let kept = usize::try_from(units_of(bytes, u32::MAX)).expect("64-bit");
        drop(permit.split(held.saturating_sub(kept)));
    }
}

/// Bytes that take room until the last piece of them is gone: hyper keeps pieces until the client
/// has fetched them.
pub fn held_by(bytes: Bytes, holder: impl Send + 'static) -> Bytes {
    struct Held<T>(Bytes, T);
    impl<T> AsRef<[u8]> for Held<T> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Held(bytes, holder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room is taken in whole units, given back in part and in whole, and more than all waits for all.
    #[tokio::test]
    async fn room_is_counted() {
        let admission = Admission::new(1 << 20);
        let mut first = admission.enter(500_000).await;
        assert_eq!(admission.held(), 123 * UNIT);
        first.shrink(1);
        assert_eq!(admission.held(), UNIT);
        let mut waiting = Box::pin(admission.enter(u64::MAX));
        let soon = tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting);
        assert!(soon.await.is_err(), "the first one has some of it");
        drop(first);
        let _all = waiting.await;
        assert_eq!(admission.held(), 1 << 20);
        assert_eq!(admission.peak(), 1 << 20);
    }

    /// An answer takes its room until its last piece is gone.
    #[tokio::test]
    async fn pieces_hold_the_room() {
        let admission = Admission::new(1 << 20);
        let permit = admission.enter(8_192).await;
        let bytes = held_by(Bytes::from(vec![7; 8_192]), permit);
        let piece = bytes.slice(100..101);
        drop(bytes);
        assert_eq!((piece[0], admission.held()), (7, 8_192));
        drop(piece);
        assert_eq!(admission.held(), 0);
    }
}
