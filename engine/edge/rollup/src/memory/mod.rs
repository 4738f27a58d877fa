//! A store in memory, for tests and development: real containers, real certificates by test keys, and
//! real proofs. Nothing survives its process, and nobody but itself has a row.
//!
//! ```text
//!  post ─► queue ─► blobs of a container ─► coded ─► signed by all ─► shelf
//!          bounded  closed at `close_len` or         as many as the
//!          in bytes after `close_after`              weather allows
//! ```
//! [`Weather`] lets it fail in the ways in which a real one does, so that a rollup's operator sees what its
//! batcher does then.

mod committee;
mod dispatch;
mod shelf;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{BlobRange, Namespace, Quorum},
};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    availability::{
        Availability, BLOB_LEN_MAX, Evidence, GetError, Members, Milestone, PostError, Posted,
        RequestId, Status, StatusError,
    },
    handle::Handle,
    machine::Machine,
};
use committee::Committee;
use dispatch::{Dispatch, Job};
use shelf::{Found, Kept, Shelf};

/// Choices and bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The quorum that its certificates are of.
    pub quorum: Quorum,
    /// Holders, 1 to 340. Default: 4.
    pub holders: u16,
    /// Those of them who never sign. Default: none. A third of the rows may be theirs.
    pub absent: u16,
    /// What their keys follow from. Default: zeros, so that everybody can sign: it is for tests.
    pub seed: [u8; 32],
    /// Bytes at which a container is closed. Default: 32 MiB (da.md, 5.2). Longer blobs go alone.
    pub close_len: u64,
    /// Time after which it is closed, full or not. Default: 250 ms (da.md, 5.2).
    pub close_after: Duration,
    /// Bytes of blobs that wait. Default: 256 MiB, two of the longest.
    pub queue_len_max: u32,
    /// Bytes of containers that are kept, parity included. Default: 1 GiB.
    pub kept_len_max: u64,
    /// How long containers are kept. Default: 30 days, twice what Nitro's batch posters ask for.
    pub retention: Duration,
    /// From signed to in a block. Default: none.
    pub settle_after: Duration,
    /// From in a block to final. Default: none.
    pub final_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            quorum: Quorum {
                chain_id: 1,
                epoch: 1,
                quorum: 0,
            },
            holders: 4,
            absent: 0,
            seed: [0; 32],
            close_len: 32 << 20,
            close_after: Duration::from_millis(250),
            queue_len_max: 256 << 20,
            kept_len_max: 1 << 30,
            retention: Duration::from_secs(30 * 86_400),
            settle_after: Duration::ZERO,
            final_after: Duration::ZERO,
        }
    }
}

/// Blobs that wait, at most: as many as two containers have places.
const QUEUE_MAX: usize = 8_192;
/// Requests that are remembered. More than may wait, so that none is forgotten before its end.
const REQUESTS_MAX: usize = 65_536;
const _: () = assert!(REQUESTS_MAX > 2 * QUEUE_MAX);
/// Bytes for which one permit of the queue stands.
const UNIT: u64 = 4_096;

/// How it is with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// It works.
    #[default]
    Fair,
    /// It takes no more blobs for now.
    Overloaded,
    /// It neither takes nor gives.
    Down,
    /// It takes blobs, but half of the holders do not sign.
    Unsigned,
    /// It takes blobs, but cannot code them.
    Failing,
    /// It takes blobs, and nothing comes of them until the weather changes.
    Stuck,
}

/// See the file's head.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    committee: Arc<Committee>,
    shelf: Arc<Mutex<Shelf>>,
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    weather: watch::Sender<Weather>,
    machine: Machine,
}

impl Memory {
    /// Starts it, on the runtime that this is called in. It ends when its last clone is dropped.
    ///
    /// # Panics
    /// If there are no holders, or more than 340.
    #[must_use]
    pub fn start(config: Config, machine: Machine) -> Memory {
        let committee = Committee::new(config.quorum, config.holders, config.seed);
        let committee = Arc::new(committee);
        let shelf = Arc::new(Mutex::new(Shelf::new(config.kept_len_max, REQUESTS_MAX)));
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let (weather, forecast) = watch::channel(Weather::Fair);
        let permits = usize::try_from(u64::from(config.queue_len_max) / UNIT).expect("64-bit");
        let dispatch = Dispatch {
            config,
            committee: Arc::clone(&committee),
            shelf: Arc::clone(&shelf),
            weather: forecast,
            machine: machine.clone(),
        };
        tokio::spawn(dispatch.run(jobs));
        Memory(Arc::new(Inner {
            committee,
            shelf,
            queue,
            room: Arc::new(Semaphore::new(permits)),
            weather,
            machine,
        }))
    }

    /// From now on it is like this.
    pub fn change(&self, weather: Weather) {
        self.0.weather.send_replace(weather);
    }

    fn is_down(&self) -> Option<Arc<str>> {
        let down = *self.0.weather.borrow() == Weather::Down;
        down.then(|| "so it was told".into())
    }

    fn up(&self) -> Result<(), GetError> {
        self.is_down()
            .map_or(Ok(()), |why| Err(GetError::Unavailable(why)))
    }

    fn container(&self, id: Hash32) -> Result<Arc<Kept>, GetError> {
        self.up()?;
        let now = self.0.machine.unix_secs();
        match self.0.shelf.lock().container(id, now) {
            Found::Here(kept) => Ok(kept),
            Found::Gone => Err(GetError::Expired),
            Found::Never => Err(GetError::NotFound),
        }
    }

    /// A blob and the container that it is in.
    fn blob(&self, handle: Handle) -> Result<(Arc<Kept>, Arc<Posted>), GetError> {
        self.up()?;
        let (container, offset, len) = match handle {
            Handle::Place {
                container,
                offset,
                len,
            } => (container, offset, len),
            Handle::Root {
                root,
                epoch,
                quorum,
            } => {
                let posted = self.0.shelf.lock().blob(&(root, epoch, quorum));
                let posted = posted.ok_or(GetError::NotFound)?;
                (posted.container, posted.offset, posted.len)
            }
        };
        let kept = self.container(container)?;
        let same = |posted: &&Arc<Posted>| (posted.offset, posted.len) == (offset, len);
        let posted = kept.blobs.iter().find(same).cloned();
        posted.map(|posted| (kept, posted)).ok_or(GetError::Absent)
    }

    fn evidence(&self, evidence: Evidence) -> Result<Bytes, GetError> {
        match evidence {
            Evidence::Certificate(id) => Ok(self.container(id)?.certificate.clone()),
            Evidence::Sample(id, row) => {
                let kept = self.container(id)?;
                let sample = kept.coded.sample(row).ok_or(GetError::Absent)?;
                Ok(sample.encode().into())
            }
            Evidence::Namespace(id, namespace) => {
                let kept = self.container(id)?;
                Ok(kept.coded.namespace(namespace).encode().into())
            }
            Evidence::Range(handle, range) => {
                let (kept, posted) = self.blob(handle)?;
                let blob = bytes_of(&kept, &posted);
                let proof = BlobRange::prove(blob, range).ok_or(GetError::Absent)?;
                Ok(proof.encode().into())
            }
        }
    }
}

fn bytes_of<'kept>(kept: &'kept Kept, posted: &Posted) -> &'kept [u8] {
    let place = usize::try_from(posted.place).expect("at most 4096");
    let bytes = kept.coded.container().blob(place);
    bytes.expect("what is posted is in its container")
}

impl Availability for Memory {
    async fn post(&self, namespace: Namespace, blob: Bytes) -> Result<RequestId, PostError> {
        let len = u64::try_from(blob.len()).expect("64-bit");
        match *self.0.weather.borrow() {
            _ if blob.is_empty() => return Err(PostError::Empty),
            _ if len > BLOB_LEN_MAX => return Err(PostError::TooLong { len }),
            Weather::Down => return Err(PostError::Unavailable("so it was told".into())),
            Weather::Overloaded => return Err(PostError::Overloaded),
            _ => {}
        }
        let units = u32::try_from(len.div_ceil(UNIT)).expect("at most 32768");
        let room = Arc::clone(&self.0.room).try_acquire_many_owned(units);
        let room = room.map_err(|_| PostError::Overloaded)?;
        let request = RequestId(self.0.machine.fresh());
        let (progress, status) = watch::channel(Status::Queued);
        let job = Job {
            namespace,
            blob,
            progress,
            room,
        };
        // Known before it is queued: it might be done before it is known otherwise.
        self.0.shelf.lock().expect(request, status);
        let queued = self.0.queue.try_send(job);
        queued.map_err(|_| PostError::Overloaded)?;
        Ok(request)
    }

    async fn status(&self, request: RequestId) -> Result<Status, StatusError> {
        let status = self.0.shelf.lock().request(request);
        let status = status.ok_or(StatusError::Unknown)?;
        let status = status.borrow().clone();
        Ok(status)
    }

    async fn wait(
        &self,
        request: RequestId,
        until: Milestone,
        most: Duration,
    ) -> Result<Status, StatusError> {
        let status = self.0.shelf.lock().request(request);
        let mut status = status.ok_or(StatusError::Unknown)?;
        // Late, or nobody will tell: what is known counts either way.
        let _reached = timeout(most, status.wait_for(|status| status.ends(until)))
            .await
            .is_ok_and(|told| told.is_ok());
        let status = status.borrow().clone();
        Ok(status)
    }

    async fn find(&self, handle: Handle) -> Result<Arc<Posted>, GetError> {
        self.blob(handle).map(|(_, posted)| posted)
    }

    async fn get(&self, handle: Handle) -> Result<Bytes, GetError> {
        struct Part {
            kept: Arc<Kept>,
            posted: Arc<Posted>,
        }
        impl AsRef<[u8]> for Part {
            fn as_ref(&self) -> &[u8] {
                bytes_of(&self.kept, &self.posted)
            }
        }
        let (kept, posted) = self.blob(handle)?;
        Ok(Bytes::from_owner(Part { kept, posted }))
    }

    async fn show(&self, evidence: Evidence) -> Result<Bytes, GetError> {
        let this = self.clone();
        let shown = spawn_blocking(move || this.evidence(evidence)).await;
        shown.map_err(|error| GetError::Unavailable(error.to_string().into()))?
    }

    async fn members(&self, quorum: Quorum) -> Result<Option<Arc<Members>>, GetError> {
        self.up()?;
        let committee = &self.0.committee;
        Ok((committee.quorum == quorum).then(|| Arc::clone(&committee.members)))
    }
}

#[cfg(test)]
mod tests;
