//! From the queue into containers, one after the other: while one is coded, the blobs of the next one
//! gather.

use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::da::{
    Coded, ContainerBuilder, Namespace, Statement,
    namespace::NamespaceTree,
    shape::CONTAINER_LEN_MAX,
    table::{BLOBS_MAX, table_len},
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};

use super::{
    Config, Weather,
    committee::Committee,
    shelf::{Kept, Shelf},
};
use crate::{
    availability::{Milestone, Posted, Status},
    machine::Machine,
};

/// A blob that waits.
pub struct Job {
    /// Whose it is.
    pub namespace: Namespace,
    /// Its bytes.
    pub blob: Bytes,
    /// Where it is told how far it is.
    pub progress: watch::Sender<Status>,
    /// Its room in the queue.
    pub room: OwnedSemaphorePermit,
}

/// See the file's head.
pub struct Dispatch {
    /// Choices and bounds.
    pub config: Config,
    /// Who signs.
    pub committee: Arc<Committee>,
    /// Where containers go.
    pub shelf: Arc<Mutex<Shelf>>,
    /// What is to fail.
    pub weather: watch::Receiver<Weather>,
    /// The time.
    pub machine: Machine,
}

/// Blobs of one container.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    /// Bytes of all blobs, each with its fill.
    len: u64,
}

impl Batch {
    /// Bytes of the container, with this blob if one is given.
    fn len_with(&self, more: Option<&Job>) -> u64 {
        let blob = more.map_or(0, |job| filled(&job.blob));
        let table = table_len(self.jobs.len() + usize::from(more.is_some()));
        self.len + blob + u64::try_from(table).expect("a table is short")
    }

    fn takes(&self, job: &Job, close_len: u64) -> bool {
        let most = close_len.min(CONTAINER_LEN_MAX);
        self.jobs.is_empty() || (self.jobs.len() < BLOBS_MAX && self.len_with(Some(job)) <= most)
    }

    fn push(&mut self, job: Job) {
        self.len += filled(&job.blob);
        self.jobs.push(job);
    }

    fn tell(&self, status: &Status) {
        for job in &self.jobs {
            job.progress.send_replace(status.clone());
        }
    }
}

fn filled(blob: &Bytes) -> u64 {
    let len = u64::try_from(blob.len()).expect("64-bit");
    len.next_multiple_of(64)
}

impl Dispatch {
    /// Until nobody can post any more.
    pub async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut carried = None;
        loop {
            let first = match carried.take() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let mut batch = Batch::default();
            batch.push(first);
            carried = self.gather(&mut batch, &mut jobs).await;
            self.fair().await;
            self.make(batch).await;
        }
    }

    /// Fills a container; gives back the blob that did not fit.
    async fn gather(&self, batch: &mut Batch, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
        let mut late = std::pin::pin!(sleep(self.config.close_after));
        while batch.len_with(None) < self.config.close_len && batch.jobs.len() < BLOBS_MAX {
            let next = tokio::select! {
                next = jobs.recv() => next,
                () = &mut late => None,
            };
            match next {
                None => return None,
                Some(job) if batch.takes(&job, self.config.close_len) => batch.push(job),
                Some(job) => return Some(job),
            }
        }
        None
    }

    /// Waits while nothing is to come of blobs.
    async fn fair(&mut self) {
        // The sender goes with the last clone of the store: then nobody waits any more.
        let _gone = self
            .weather
            .wait_for(|weather| *weather != Weather::Stuck)
            .await
            .is_err();
    }

    async fn make(&self, batch: Batch) {
        batch.tell(&Status::Encoding);
        let weather = *self.weather.borrow();
        if weather == Weather::Failing {
            return batch.tell(&Status::Failed("so it was told".into()));
        }
        let signers = match weather {
            Weather::Unsigned => usize::from(self.config.holders / 2),
            _ => usize::from(self.config.holders.saturating_sub(self.config.absent)),
        };
        let expiry = self.machine.unix_secs() + self.config.retention.as_secs();
        let committee = Arc::clone(&self.committee);
        let made = spawn_blocking(move || {
            let made = container(&batch, &committee, expiry, signers);
            (batch, made)
        });
        match made.await {
            Ok((batch, Some(kept))) => {
                let blobs = kept.blobs.clone();
                self.shelf.lock().keep(kept, self.machine.unix_secs());
                self.ripen(batch, blobs);
            }
            Ok((batch, None)) => batch.tell(&Status::Unsigned),
            // A bug: those who wait are told by the end of their channel, and it is logged here.
            Err(error) => tracing::error!(%error, "a container was not made"),
        }
    }

    /// Tells of blobs that are certified, and in their time of blocks.
    fn ripen(&self, batch: Batch, blobs: Vec<Arc<Posted>>) {
        let (settle, finish) = (self.config.settle_after, self.config.final_after);
        let places = places(&batch);
        let tell = move |batch: &Batch, milestone| {
            for (job, place) in batch.jobs.iter().zip(&places) {
                let posted = Arc::clone(&blobs[*place]);
                job.progress.send_replace(Status::Posted(milestone, posted));
            }
        };
        tell(&batch, Milestone::Certified);
        tokio::spawn(async move {
            let batch = Batch {
                jobs: batch.jobs.into_iter().map(Job::without_bytes).collect(),
                len: 0,
            };
            sleep(settle).await;
            tell(&batch, Milestone::Settled);
            sleep(finish).await;
            tell(&batch, Milestone::Final);
        });
    }
}

impl Job {
    /// The container has them now.
    fn without_bytes(mut self) -> Job {
        self.blob = Bytes::new();
        drop(self.room.split(self.room.num_permits()));
        self
    }
}

/// For each blob its place in the table: by namespace, and in one namespace as they came ([D-4]).
fn places(batch: &Batch) -> Vec<usize> {
    let mut order: Vec<usize> = (0..batch.jobs.len()).collect();
    order.sort_by_key(|at| batch.jobs[*at].namespace);
    let mut places = vec![0; order.len()];
    for (place, at) in order.into_iter().enumerate() {
        places[at] = place;
    }
    places
}

/// Makes a container and has it signed; none if too few sign.
fn container(batch: &Batch, committee: &Committee, expiry: u64, signers: usize) -> Option<Kept> {
    let mut builder = ContainerBuilder::new();
    for job in &batch.jobs {
        let added = builder.add(job.namespace, &job.blob);
        added.expect("the batch has counted it");
    }
    let closed = builder.close().expect("a batch has a blob");
    batch.tell(&Status::Encoding);
    let coded = Coded::new(closed, &committee.quorum, committee.columns());
    batch.tell(&Status::Gathering);
    let statement = Statement {
        quorum: committee.quorum,
        head: *coded.head(),
        expiry,
    };
    let certificate = committee.certify(statement, signers)?;
    let blobs = posted(&coded, &certificate, &statement);
    Some(Kept {
        coded,
        certificate,
        blobs,
        expiry,
    })
}

fn posted(coded: &Coded, certificate: &Bytes, statement: &Statement) -> Vec<Arc<Posted>> {
    let table = coded.container().table();
    let tree = NamespaceTree::new(table);
    let blobs = table.entries().iter().enumerate().map(|(place, entry)| {
        Arc::new(Posted {
            container: coded.head().id(),
            place: u32::try_from(place).expect("at most 4096"),
            namespace: entry.namespace,
            root: entry.root,
            offset: entry.offset,
            len: entry.len,
            quorum: statement.quorum,
            expiry: statement.expiry,
            certificate: certificate.clone(),
            entry: tree.show(table, place..place + 1).encode().into(),
        })
    });
    blobs.collect()
}
