//! The world of io_uring, over glommio 0.9.0: what is fast, with its defects designed around.
//!
//! | defect of glommio 0.9.0 | what is done here |
//! |---|---|
//! | panics or exits where io_uring is missing | [`crate::preflight`] comes first |
//! | judges a device by the first file it opens there, wrongly if that is empty; then every read fails with EOPNOTSUPP; it remembers per thread | each executor opens the non-empty [`crate::PRIME`] file of each directory before the program begins |
//! | `DmaFile::create` opens for writing only | [`Open::Create`](crate::Open::Create) opens for both |
//! | reads past the end and writes to a full disk are `Ok` with fewer bytes | lengths are checked |
//! | a dropped future cancels its IO, and may close the file under it | IO goes on in a task of its own |
//! | rings die under IO in flight when an executor ends | the end waits for it |
//! | when the preemption timer fires between polling for IO and running tasks, the executor takes its queues for empty and sleeps although tasks are ready | no queue asks for less than 10 ms, and ticks of four lengths end such a sleep, since one tick alone can be among the stuck tasks |
//! | errors carry a type parameter and hide the number | mapped to the [`io::Error`] inside |
//! | stream writes ignore all slices but the first | `sendmsg` on the socket |
//! | `file_size` asks by path, stale after a rename | `fstat` |
//! | a task's panic unwinds through the rings | caught, then raised where the executor ends |
#![allow(
    unsafe_code,
    reason = "glommio hands out raw file descriptors, which system calls need borrowed"
)]

mod file;
mod flight;
mod net;

pub use file::{UringBuf, UringDisk, UringFile, UringRead};
pub use net::{UringListener, UringStream};

use crate::{Net, PRIME, Preflight, Program, Queue, World, launch::Gate, system};
use flight::Flights;
use futures_lite::FutureExt;
use glommio::{
    GlommioError, Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle,
    io::OpenOptions,
};
use std::{
    any::Any, future::Future, io, net::SocketAddr, panic::AssertUnwindSafe, rc::Rc, time::Duration,
};

/// Requests that one ring holds. Deeper queues add latency, not throughput.
const RING_DEPTH: usize = 256;

/// How often a queue without a latency goal lets others in; glommio's own 100 ms starves replies.
const PREEMPT: Duration = Duration::from_millis(10);

/// How long a pinned executor spins before it sleeps: shorter than a wake-up costs.
const SPIN: Duration = Duration::from_micros(100);

/// How often an executor wakes although nothing happened; see the table above. Costs under 0.1 % of
/// a core. Several, because the tick that fires together with the preemption timer (a thread that
/// was not scheduled for a while) is itself one of the ready tasks that wait: a longer one, which
/// has not fired yet, ends that sleep.
const TICKS: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
];

/// What a task panicked with.
type Panic = Box<dyn Any + Send>;

/// One executor's view of a world of rings.
#[derive(Clone)]
pub struct UringWorld(Rc<Executor>);

struct Executor {
    queues: [TaskQueueHandle; 4],
    flights: Rc<Flights>,
    panics: async_channel::Sender<Panic>,
}

/// Runs the program as executor `index` on this thread.
pub(crate) fn run(
    preflight: &Preflight,
    index: usize,
    gate: Gate,
    program: impl Program,
) -> io::Result<()> {
    let builder = match preflight.cores.get(index) {
        Some(core) => LocalExecutorBuilder::new(Placement::Fixed(*core)).spin_before_park(SPIN),
        None => LocalExecutorBuilder::new(Placement::Unbound),
    };
    let made = builder
        .io_memory(preflight.io_memory)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT)
        .make()
        .map_err(into_io);
    let executor = match made {
        Ok(executor) => executor,
        Err(error) => {
            gate.pass(Err(error));
            return Ok(());
        }
    };
    let primed = executor.run(prime(preflight).or(async {
        tick().await;
        Ok(())
    }));
    if !gate.pass(primed) {
        return Ok(());
    }
    let panic = executor.run(async {
        let (panics, panicked) = async_channel::bounded(1);
        let world = UringWorld::new(panics);
        world.spawn(Queue::Serve, tick());
        let flights = Rc::clone(&world.0.flights);
        let program = async {
            let run = AssertUnwindSafe(program.run(world, index)).catch_unwind();
            run.await.err()
        };
        let panic = program.or(async { panicked.recv().await.ok() }).await;
        flights.land().await;
        panic
    });
    // Dropped with its tasks before the panic goes on, while nothing is in flight.
    drop(executor);
    match panic {
        Some(panic) => std::panic::resume_unwind(panic),
        None => Ok(()),
    }
}

/// Keeps timers running, so that no sleep is for ever.
async fn tick() {
    let [short, long, longer, longest] = TICKS.map(beat);
    short.or(long).or(longer).or(longest).await;
}

async fn beat(span: Duration) {
    loop {
        glommio::timer::sleep(span).await;
    }
}

/// Lets glommio see a non-empty file on each device before any other.
async fn prime(preflight: &Preflight) -> io::Result<()> {
    for dir in &preflight.dirs {
        let file = OpenOptions::new()
            .read(true)
            .dma_open(dir.join(PRIME))
            .await;
        file.map_err(into_io)?.close().await.map_err(into_io)?;
    }
    Ok(())
}

/// The error inside a glommio error, with its number and kind.
fn into_io(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. } => source,
        GlommioError::TimedOut(_) => io::ErrorKind::TimedOut.into(),
        other => io::Error::other(other.to_string()),
    }
}

impl UringWorld {
    /// Makes the queues of the current executor.
    fn new(panics: async_channel::Sender<Panic>) -> Self {
        let queue = |shares, latency, name| {
            glommio::executor().create_task_queue(Shares::Static(shares), latency, name)
        };
        let queues = [
            queue(1000, Latency::NotImportant, "serve"),
            queue(500, Latency::NotImportant, "ingest"),
            queue(50, Latency::NotImportant, "mend"),
            queue(20, Latency::NotImportant, "scrub"),
        ];
        Self(Rc::new(Executor {
            queues,
            flights: Rc::default(),
            panics,
        }))
    }
}

impl World for UringWorld {
    type File = UringFile;
    type Disk = UringDisk;

    fn now(&self) -> Duration {
        system::now()
    }

    fn unix_secs(&self) -> u64 {
        system::unix_secs()
    }

    fn random(&self) -> u64 {
        system::random()
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + 'static {
        let timer = glommio::timer::Timer::new(span);
        async move {
            timer.await;
        }
    }

    fn breathe(&self) -> impl Future<Output = ()> + 'static {
        let executor = glommio::executor();
        async move { executor.yield_task_queue_now().await }
    }

    fn spawn(&self, queue: Queue, task: impl Future<Output = ()> + 'static) {
        let [serve, ingest, mend, scrub] = self.0.queues;
        let queue = match queue {
            Queue::Serve => serve,
            Queue::Ingest => ingest,
            Queue::Mend => mend,
            Queue::Scrub => scrub,
        };
        let panics = self.0.panics.clone();
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                // Full means that an earlier panic is ending the executor already.
                let _ = panics.try_send(panic);
            }
        };
        glommio::spawn_local_into(guarded, queue)
            .expect("the queues live as long as the executor")
            .detach();
    }

    fn disk(&self) -> UringDisk {
        UringDisk::new(Rc::clone(&self.0.flights))
    }
}

impl Net for UringWorld {
    type Listener = UringListener;
    type Stream = UringStream;

    fn listen(&self, addr: SocketAddr) -> io::Result<UringListener> {
        UringListener::bind(addr)
    }

    fn local_addr(listener: &UringListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &UringListener) -> io::Result<(UringStream, SocketAddr)> {
        listener.accept().await
    }
}
