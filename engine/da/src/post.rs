//! From a client's blob to its certificate: blobs wait for company, then one container is coded and
//! dispersed for all of them.
//!
//! ```text
//!  post ─► queue ─► container ─► coded ─► holders sign ─► certificate ─► posted
//!            │        closes with 32 MiB, 4096 blobs, or the age of its first blob: 20 ms if nothing else
//!            │        is on its way, 250 ms if something is
//!            └ full: told to come later
//! ```
//! Until there is a certificate nothing is promised: the blob is in this node's memory, and a node that ends
//! has lost it. Whoever posted asks for the state of his request, is told that nobody knows it, and posts
//! again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use commonware_macros::select;
use commonware_runtime::{Clock, Metrics, Spawner};
use lode_proofs::da::{
    Certificate, Coded, Container, ContainerBuilder, Entry, Namespace, Statement, Threshold,
    shape::CONTAINER_LEN_MAX,
    table::{BLOBS_MAX, table_len},
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::{
    bounds::CODED_LEN_MAX,
    committee::{Committee, Committees},
    desk::{Order, unix},
    outgoing::{Job, Lost},
};

/// Bytes of blobs from which on a container is closed: large enough that the checksums, which every holder
/// gets, do not count.
const CLOSE_LEN: u64 = 32 << 20;
/// Age of its first blob at which a container is closed although others are on their way.
const AGE_MAX: Duration = Duration::from_millis(250);
/// The same when none is: a rollup that posts alone does not wait for company.
const AGE_ALONE: Duration = Duration::from_millis(20);
/// Bytes of blobs that wait.
const QUEUE_LEN_MAX: usize = 512 << 20;
/// Blobs that wait.
const QUEUE_MAX: usize = 4 * BLOBS_MAX;
/// Requests that are remembered.
const REQUESTS_MAX: usize = 1 << 16;
/// Most bytes of a blob: a container with one blob.
pub const BLOB_LEN_MAX: u64 = CONTAINER_LEN_MAX - 128;
const _: () = assert!(table_len(1) == 128);

/// What a request is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why a blob is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// A blob has at least one byte.
    #[error("a blob has at least one byte")]
    Empty,
    /// It does not fit a container.
    #[error("{len} bytes, a blob has at most {BLOB_LEN_MAX}")]
    TooLong {
        /// Its bytes.
        len: u64,
    },
    /// As many wait as there is room for.
    #[error("too many blobs wait; try again in a second")]
    Overloaded,
    /// There is nobody to hold it.
    #[error("this node knows no committee that holds blobs now")]
    NoCommittee,
    /// The node stops.
    #[error("the node stops")]
    Stopped,
}

/// How a request stands.
#[derive(Clone, Debug)]
pub enum State {
    /// It waits for company.
    Queued,
    /// Its container is being coded.
    Coding,
    /// Holders are checking and storing.
    Dispersing,
    /// Holders of enough rows have signed.
    Certified(Arc<Posted>),
    /// They have not.
    Failed(Lost),
}

/// Where a blob is, and who says so.
#[derive(Clone, Debug)]
pub struct Posted {
    /// What was signed.
    pub statement: Statement,
    /// The certificate, encoded.
    pub certificate: Bytes,
    /// The blob's entry in the container's table.
    pub entry: Entry,
    /// Its place there.
    pub place: usize,
}

/// How long containers are kept, and by how many rows.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Seconds.
    pub term: u64,
    /// How many rows have to be signed for.
    pub threshold: Threshold,
}

/// Takes blobs. Clones are of one node.
#[derive(Clone)]
pub struct Poster {
    queue: mpsc::Sender<Blob>,
    requests: Requests,
    waiting: Arc<AtomicUsize>,
    committees: Committees,
}

struct Blob {
    namespace: Namespace,
    bytes: Bytes,
    came: SystemTime,
    state: watch::Sender<State>,
    /// Gives its room in the queue back.
    _room: Room,
}

/// Room in the queue.
struct Room(Arc<AtomicUsize>, usize);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}

#[derive(Clone, Default)]
struct Requests(Arc<(AtomicU64, Mutex<Remembered>)>);

#[derive(Default)]
struct Remembered {
    all: BTreeMap<RequestId, watch::Receiver<State>>,
    order: VecDeque<RequestId>,
}

impl Requests {
    fn add(&self, state: watch::Receiver<State>) -> RequestId {
        let (next, remembered) = &*self.0;
        let id = RequestId(next.fetch_add(1, Relaxed));
        let mut remembered = remembered.lock();
        remembered.all.insert(id, state);
        remembered.order.push_back(id);
        if remembered.order.len() > REQUESTS_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.all.remove(&oldest);
        }
        id
    }

    fn of(&self, id: RequestId) -> Option<watch::Receiver<State>> {
        self.0.1.lock().all.get(&id).cloned()
    }
}

impl Poster {
    /// A poster, and what has its blobs dispersed.
    pub(crate) fn new(committees: Committees, first: u64) -> (Poster, Dispatcher) {
        let (queue, blobs) = mpsc::channel(QUEUE_MAX);
        let requests = Requests::default();
        requests.0.0.store(first, Relaxed);
        let poster = Poster {
            queue,
            requests,
            waiting: Arc::default(),
            committees: committees.clone(),
        };
        (poster, Dispatcher { blobs, committees })
    }

    /// Takes a blob.
    ///
    /// # Errors
    /// [`PostError`]
    pub fn post(
        &self,
        namespace: Namespace,
        bytes: Bytes,
        now: SystemTime,
    ) -> Result<RequestId, PostError> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match len {
            0 => return Err(PostError::Empty),
            len if len > BLOB_LEN_MAX => return Err(PostError::TooLong { len }),
            _ => {}
        }
        if self.committees.current().is_none() {
            return Err(PostError::NoCommittee);
        }
        let before = self.waiting.fetch_add(bytes.len(), Relaxed);
        let room = Room(self.waiting.clone(), bytes.len());
        if before > 0 && before + bytes.len() > QUEUE_LEN_MAX {
            return Err(PostError::Overloaded);
        }
        let (state, heard) = watch::channel(State::Queued);
        let blob = Blob {
            namespace,
            bytes,
            came: now,
            state,
            _room: room,
        };
        self.queue.try_send(blob).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PostError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => PostError::Stopped,
        })?;
        Ok(self.requests.add(heard))
    }

    /// How a request stands; none if there is none, or it was long ago.
    #[must_use]
    pub fn state(&self, id: RequestId) -> Option<State> {
        let state = self.requests.of(id)?;
        let state = state.borrow();
        Some(state.clone())
    }

    /// Waits until there is a certificate, or none to be had; none if there is no such request, or the node
    /// stops.
    pub async fn end(&self, id: RequestId) -> Option<State> {
        let mut state = self.requests.of(id)?;
        let ended = |state: &State| matches!(state, State::Certified(_) | State::Failed(_));
        let state = state.wait_for(ended).await.ok()?;
        Some(state.clone())
    }
}

/// Makes containers of blobs, and has them dispersed.
pub(crate) struct Dispatcher {
    blobs: mpsc::Receiver<Blob>,
    committees: Committees,
}

impl Dispatcher {
    /// Works until nobody posts any more, or the desk ends.
    pub(crate) async fn run<E>(mut self, context: E, orders: mpsc::Sender<Order>, terms: Terms)
    where
        E: Spawner + Metrics + Clock,
    {
        let room = Arc::new(Semaphore::new(CODED_LEN_MAX));
        let memory = Arc::new(Mutex::new(Vec::new()));
        let mut held: Option<Blob> = None;
        loop {
            let first = match held.take() {
                Some(blob) => blob,
                None => match self.blobs.recv().await {
                    Some(blob) => blob,
                    None => return,
                },
            };
            let (blobs, next) = self.company(&context, first, &room).await;
            held = next;
            let len: usize = blobs.iter().map(|blob| blob.bytes.len()).sum();
            let cost = (3 * (len + table_len(blobs.len()))).clamp(1, CODED_LEN_MAX);
            let permits = u32::try_from(cost).unwrap_or(u32::MAX);
            // Nobody closes it.
            let permit = room.clone().acquire_many_owned(permits).await.ok();
            let Some(committee) = self.committees.current() else {
                continue;
            };
            let batch = Batch {
                blobs,
                committee,
                terms,
                memory: memory.clone(),
            };
            let orders = orders.clone();
            context.child("batch").spawn(move |context| async move {
                batch.run(context, orders).await;
                drop(permit);
            });
        }
    }

    /// Waits for more blobs to go with the first. Returns one that does not fit as well.
    async fn company<E: Clock>(
        &mut self,
        context: &E,
        first: Blob,
        room: &Semaphore,
    ) -> (Vec<Blob>, Option<Blob>) {
        let came = first.came;
        let mut len = u64::try_from(first.bytes.len()).unwrap_or(u64::MAX);
        let mut blobs = vec![first];
        while blobs.len() < BLOBS_MAX && len < CLOSE_LEN {
            let alone = room.available_permits() == CODED_LEN_MAX;
            let age = if alone { AGE_ALONE } else { AGE_MAX };
            let due = came + age;
            if context.current() >= due {
                // What waits already is company at no cost.
                let Ok(blob) = self.blobs.try_recv() else {
                    break;
                };
                match fits(&mut len, &blob, blobs.len()) {
                    true => blobs.push(blob),
                    false => return (blobs, Some(blob)),
                }
                continue;
            }
            select! {
                _ = context.sleep_until(due.min(context.current() + AGE_ALONE)) => {},
                blob = self.blobs.recv() => match blob {
                    Some(blob) => match fits(&mut len, &blob, blobs.len()) {
                        true => blobs.push(blob),
                        false => return (blobs, Some(blob)),
                    },
                    None => break,
                },
            }
        }
        (blobs, None)
    }
}

/// Whether a container has room for one more, which is then counted.
fn fits(len: &mut u64, blob: &Blob, count: usize) -> bool {
    let own = u64::try_from(blob.bytes.len()).unwrap_or(u64::MAX);
    let table = u64::try_from(table_len(count + 1)).unwrap_or(u64::MAX);
    let fill = 64 * u64::try_from(count + 1).unwrap_or(u64::MAX);
    let all = len.saturating_add(own);
    let fits = all.saturating_add(table).saturating_add(fill) <= CONTAINER_LEN_MAX;
    if fits {
        *len = all;
    }
    fits
}

/// Blobs that become one container.
struct Batch {
    blobs: Vec<Blob>,
    committee: Arc<Committee>,
    terms: Terms,
    /// Of parity rows that are not needed any more.
    memory: Arc<Mutex<Vec<u8>>>,
}

impl Batch {
    async fn run<E>(self, context: E, orders: mpsc::Sender<Order>)
    where
        E: Spawner + Metrics + Clock,
    {
        let Batch {
            mut blobs,
            committee,
            terms,
            memory,
        } = self;
        // The table has those of one namespace together, in the order in which they came.
        blobs.sort_by_key(|blob| blob.namespace);
        for blob in &blobs {
            blob.state.send_replace(State::Coding);
        }
        let expiry = unix(context.current()) + terms.term;
        let pieces = blobs
            .iter()
            .map(|blob| (blob.namespace, blob.bytes.clone()));
        let pieces: Vec<(Namespace, Bytes)> = pieces.collect();
        let (of, spare) = (committee.clone(), memory.clone());
        let coding = context
            .child("code")
            .shared(true)
            .spawn(move |_| async move {
                let spare = std::mem::take(&mut *spare.lock());
                Coded::in_memory(container(&pieces), &of.quorum(), of.columns(), spare)
            });
        let Ok(coded) = coding.await else {
            return;
        };
        for blob in &blobs {
            blob.state.send_replace(State::Dispersing);
        }
        let statement = Statement {
            quorum: committee.quorum(),
            head: *coded.head(),
            expiry,
        };
        let job = Arc::new(Job {
            coded,
            statement,
            committee,
            threshold: terms.threshold,
        });
        let (waiting, certified) = oneshot::channel();
        let sent = orders.send(Order::Disperse(job.clone(), waiting)).await;
        let ended = match sent {
            Ok(()) => certified.await.unwrap_or(Err(Lost::Stopped)),
            Err(_) => Err(Lost::Stopped),
        };
        tell(&blobs, &job, &ended);
        // The others may still be taking their rows.
        if let Some(job) = Arc::into_inner(job) {
            *memory.lock() = job.coded.into_memory();
        }
    }
}

fn container(blobs: &[(Namespace, Bytes)]) -> Container {
    let mut builder = ContainerBuilder::new();
    for (namespace, blob) in blobs {
        let added = builder.add(*namespace, blob);
        added.expect("no more were taken than fit");
    }
    builder.close().expect("there is a blob")
}

/// Tells each blob's owner what came of it.
fn tell(blobs: &[Blob], job: &Job, ended: &Result<Certificate, Lost>) {
    let entries = job.coded.container().table().entries();
    for (place, (blob, entry)) in blobs.iter().zip(entries).enumerate() {
        let state = match ended {
            Ok(certificate) => State::Certified(Arc::new(Posted {
                statement: job.statement,
                certificate: certificate.encode().into(),
                entry: *entry,
                place,
            })),
            Err(lost) => State::Failed(lost.clone()),
        };
        blob.state.send_replace(state);
    }
}
