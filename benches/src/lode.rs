//! Our own store as a subject: one executor for each core, or one alone as `lode node --shards 1`
//! has it, and many requests in flight on each.
//!
//! Jobs cross to the executors as messages; every lane of a job takes the next piece of work from
//! one shared counter, so that no executor waits for another's share. What it reads is verified as
//! always. Roots are given, not computed: no other store computes any, and the keccak bench and the
//! HTTP bench measure that step.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use lode_engine::{
    Root,
    mesh::Mesh,
    stats::Stats,
    store::{Options, Store, Terms},
};
use lode_world::{Net, Program, Queue, Running, World, launch, preflight};

use crate::{
    error::{Error, Result},
    store::Candidate,
    subject::{Fill, GROUP, Reads, SmallPuts, Subject},
    values::{CHUNK_LEN, Values},
};

/// Name among the figures.
pub const NAME: &str = "lode";

/// Name of the store with one shard, and so one executor. A disk that takes one sync after the other
/// stores small puts the faster the more of them share one, and clients of one shard may all do.
const ALONE: &str = "lode-one-shard";

/// Puts of a fill in flight at once: three groups for each of two shards, what a lane keeps on its
/// way to the disk.
const FILL_DEPTH: usize = 6 * GROUP;

/// Small puts in flight when only filling counts.
const SMALL_DEPTH: usize = 4096;

/// A store and the threads it runs on.
pub struct Lode {
    jobs: Vec<Sender<Job>>,
    running: Option<Running>,
}

/// How to open it.
pub fn candidates() -> Vec<Candidate> {
    vec![
        Candidate {
            name: NAME,
            open: |dir| Ok(Box::new(Lode::open(dir)?)),
        },
        Candidate {
            name: ALONE,
            open: |dir| Ok(Box::new(Lode::open_on(dir, 1)?)),
        },
    ]
}

/// What an executor is asked to do: `lanes` times the work, at once.
#[derive(Clone)]
struct Job {
    work: Work,
    lanes: usize,
    /// The next piece of work, shared by all executors.
    next: Arc<AtomicU64>,
    done: Sender<Result<()>>,
}

#[derive(Clone)]
enum Work {
    Put(Puts),
    Read(Gets),
    /// Ask for the counters, on one executor.
    Stats(std::sync::mpsc::Sender<Stats>),
    Close,
}

#[derive(Clone)]
struct Puts {
    values: Values,
    /// Numbers of the values.
    range: Range<u64>,
    len: usize,
    /// No put starts later.
    end: Option<Instant>,
    /// How many were stored.
    count: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Gets {
    values: Values,
    picks: Arc<[(u64, usize)]>,
    len: usize,
}

#[derive(Clone)]
struct Node {
    dir: PathBuf,
    mesh: Mesh,
    jobs: Vec<Receiver<Job>>,
    opened: Sender<Result<()>>,
}

impl Program for Node {
    async fn run<W: Net>(self, world: W, index: usize) {
        let mut options = Options::new(self.dir, self.mesh.executors());
        // The bench measures what it asks for, and fills no disk.
        (options.scrub_rate, options.reserve_percent) = (0, 0);
        let store = match Store::open(world, options, self.mesh, index).await {
            Ok(store) => store,
            Err(error) => return tell(&self.opened, Err(Error::subject(NAME)(error))).await,
        };
        tell(&self.opened, Ok(())).await;
        while let Ok(job) = self.jobs[index].recv().await {
            if matches!(job.work, Work::Close) {
                let closed = store.close().await.map_err(Error::subject(NAME));
                return tell(&job.done, closed).await;
            }
            for _ in 0..job.lanes {
                let (store, job) = (store.clone(), job.clone());
                let queue = if matches!(job.work, Work::Put(_)) {
                    Queue::Ingest
                } else {
                    Queue::Serve
                };
                store.world().clone().spawn(queue, async move {
                    let end = lane(&store, &job).await;
                    tell(&job.done, end).await;
                });
            }
        }
    }
}

/// Sends an answer; nobody listens any more once another answer was an error.
async fn tell(to: &Sender<Result<()>>, answer: Result<()>) {
    drop(to.send(answer).await);
}

/// Takes pieces of work one after the other until there are none.
async fn lane<W: World>(store: &Store<W>, job: &Job) -> Result<()> {
    loop {
        let at = job.next.fetch_add(1, Ordering::Relaxed);
        let more = match &job.work {
            Work::Put(puts) => put(store, puts, at).await?,
            Work::Read(gets) => get(store, gets, at).await?,
            Work::Stats(to) => {
                let stats = store.stats().await.map_err(Error::subject(NAME))?;
                to.send(stats).map_err(Error::subject(NAME))?;
                false
            }
            Work::Close => false,
        };
        if !more {
            return Ok(());
        }
    }
}

/// Stores value number `at` of the range; false when there is no more to start.
async fn put<W: World>(store: &Store<W>, puts: &Puts, at: u64) -> Result<bool> {
    let index = puts.range.start + at;
    if index >= puts.range.end {
        return Ok(false);
    }
    let value = puts.values.share(index, puts.len);
    let root = root_of(&puts.values, index);
    let stored = store.put_as(root, value, Terms::default()).await;
    stored.map_err(Error::subject(NAME))?;
    puts.count.fetch_add(1, Ordering::Relaxed);
    Ok(puts.end.is_none_or(|end| Instant::now() < end))
}

/// Reads pick number `at`; false when there is none.
async fn get<W: World>(store: &Store<W>, gets: &Gets, at: u64) -> Result<bool> {
    let at = usize::try_from(at).expect("a pick of the list");
    let Some(&(index, offset)) = gets.picks.get(at) else {
        return Ok(false);
    };
    let within = offset..offset + gets.len;
    let read = store
        .read_chunk(root_of(&gets.values, index), 0, within)
        .await;
    let read = read.map_err(Error::subject(NAME))?;
    let piece = read.unwrap_or_else(|| Bytes::new().into());
    let reads = Reads {
        values: &gets.values,
        picks: &gets.picks,
        len: gets.len,
        depth: 1,
    };
    reads.check(NAME, at, piece)?;
    Ok(true)
}

/// The root that stands for a value: any 32 bytes of its own do.
pub fn root_of(values: &Values, index: u64) -> Root {
    let mut head = [0; 32];
    values.write(index, &mut head);
    Root::from(*blake3::hash(&head).as_bytes())
}

impl Lode {
    /// Opens the store in `dir` on as many executors as there are cores.
    ///
    /// # Errors
    /// When the machine or the store refuses.
    pub fn open(dir: &Path) -> Result<Self> {
        let executors = thread::available_parallelism().map_or(1, usize::from);
        Self::open_on(dir, executors)
    }

    fn open_on(dir: &Path, executors: usize) -> Result<Self> {
        let dirs = [dir.to_owned()];
        let found = preflight(&dirs, executors, None).map_err(Error::io("examine", dir))?;
        let mailboxes: Vec<_> = (0..executors).map(|_| bounded(1)).collect();
        let (jobs, receivers): (Vec<_>, Vec<_>) = mailboxes.into_iter().unzip();
        let (opened, answers) = bounded(executors);
        let mesh = Mesh::new(executors);
        let node = Node {
            dir: dir.to_owned(),
            mesh,
            jobs: receivers,
            opened,
        };
        let running = launch(&found, node).map_err(Error::io("start executors in", dir))?;
        gather(&answers, executors)?;
        Ok(Self {
            jobs,
            running: Some(running),
        })
    }

    /// Spreads `lanes` over the executors, and waits for all of them.
    fn run(&self, work: Work, lanes: usize) -> Result<()> {
        let (done, answers) = bounded(lanes);
        let job = Job {
            work,
            lanes: 0,
            next: Arc::default(),
            done,
        };
        let executors = self.jobs.len();
        for (index, jobs) in self.jobs.iter().enumerate() {
            let lanes = lanes / executors + usize::from(index < lanes % executors);
            jobs.send_blocking(Job {
                lanes,
                ..job.clone()
            })
            .map_err(Error::subject(NAME))?;
        }
        drop(job);
        gather(&answers, lanes)
    }

    fn put(
        &self,
        values: &Values,
        range: Range<u64>,
        len: usize,
        lanes: usize,
        span: Option<Duration>,
    ) -> Result<u64> {
        let end = span.map(|span| Instant::now() + span);
        let count = Arc::new(AtomicU64::new(0));
        let puts = Puts {
            values: values.clone(),
            range,
            len,
            end,
            count: Arc::clone(&count),
        };
        self.run(Work::Put(puts), lanes)?;
        Ok(count.load(Ordering::Relaxed))
    }

    /// Stores `count` values of `len` bytes, thousands at a time.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn fill_small(&self, values: &Values, count: u64, len: usize) -> Result<()> {
        let stored = self.put(values, 0..count, len, SMALL_DEPTH, None)?;
        (stored == count)
            .then_some(())
            .ok_or("fewer values were stored than given")
            .map_err(Error::subject(NAME))
    }

    /// The store's counters.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn stats(&self) -> Result<Stats> {
        let (to, answer) = std::sync::mpsc::channel();
        self.run(Work::Stats(to), 1)?;
        answer.recv().map_err(Error::subject(NAME))
    }

    /// Closes the store on every executor, which ends them.
    fn close(&self) -> Result<()> {
        let (done, answers) = bounded(self.jobs.len());
        for jobs in &self.jobs {
            let job = Job {
                work: Work::Close,
                lanes: 0,
                next: Arc::default(),
                done: done.clone(),
            };
            jobs.send_blocking(job).map_err(Error::subject(NAME))?;
        }
        gather(&answers, self.jobs.len())
    }
}

fn gather(answers: &Receiver<Result<()>>, count: usize) -> Result<()> {
    (0..count).try_for_each(|_| answers.recv_blocking().map_err(Error::subject(NAME))?)
}

impl Subject for Lode {
    fn fill(&mut self, job: Fill<'_>) -> Result<()> {
        self.put(job.values, 0..job.count, CHUNK_LEN, FILL_DEPTH, None)
            .map(|_| ())
    }

    fn read(&mut self, job: Reads<'_>) -> Result<()> {
        let gets = Gets {
            values: job.values.clone(),
            picks: job.picks.into(),
            len: job.len,
        };
        self.run(Work::Read(gets), job.depth)
    }

    fn put_small(&mut self, job: SmallPuts<'_>) -> Result<u64> {
        self.put(
            job.values,
            job.first..u64::MAX,
            job.len,
            job.clients,
            Some(job.span),
        )
    }

    /// It reads the disk directly and keeps no cache.
    fn cool(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for Lode {
    fn drop(&mut self) {
        let closed = self.close();
        let joined = self.running.take().map_or(Ok(()), Running::join);
        // The figures were taken before, with every byte compared; this is only worth telling.
        if let Err(error) = closed.and(joined.map_err(Error::subject(NAME))) {
            eprintln!("{NAME}: closing: {error}");
        }
    }
}
