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
//! | forgets the tasks that wait when an executor ends, with all they hold | `tasks`: they are dropped first |
//! | closes a dropped file with its next look at the rings, so never if the executor ends | the end looks once more |
//! | sleeps although tasks are ready, if it was not scheduled at the wrong moment | `pace`: long preemption timer, looks at the rings by breathing, ticks |
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
mod pace;
mod tasks;

pub use file::{UringBuf, UringDisk, UringFile, UringRead};
pub use net::{UringListener, UringStream};

use crate::{Net, PRIME, Preflight, Program, Queue, World, launch::Gate, system};
use flight::Flights;
use futures_lite::FutureExt;
use glommio::{
    GlommioError, Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle,
    io::OpenOptions,
};
use pace::{Looks, PREEMPT, QUEUES, tick};
use std::{
    any::Any, future::Future, io, net::SocketAddr, panic::AssertUnwindSafe, rc::Rc, time::Duration,
};
use tasks::Tasks;

/// Requests that one ring holds. Deeper queues add latency, not throughput.
const RING_DEPTH: usize = 256;

/// How long a pinned executor spins before it sleeps: shorter than a wake-up costs.
const SPIN: Duration = Duration::from_micros(100);

/// What a task panicked with.
type Panic = Box<dyn Any + Send>;

/// One executor's view of a world of rings.
#[derive(Clone)]
pub struct UringWorld(Rc<Executor>);

struct Executor {
    queues: [TaskQueueHandle; QUEUES],
    flights: Rc<Flights>,
    looks: Rc<Looks>,
    tasks: Rc<Tasks>,
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
        glommio::spawn_local(tick()).detach();
        glommio::spawn_local(Rc::clone(&world.0.looks).serve()).detach();
        let (tasks, flights) = (Rc::clone(&world.0.tasks), Rc::clone(&world.0.flights));
        let program = async {
            let run = AssertUnwindSafe(program.run(world, index)).catch_unwind();
            run.await.err()
        };
        let panic = program.or(async { panicked.recv().await.ok() }).await;
        let panic = panic.or(tasks.end());
        flights.land().await;
        panic
    });
    // Dropped before the panic goes on, while nothing is in flight.
    drop(executor);
    match panic {
        Some(panic) => std::panic::resume_unwind(panic),
        None => Ok(()),
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
            looks: Looks::new(),
            tasks: Rc::default(),
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
        self.0.looks.breathe(self.0.queues)
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
        if let Some(leader) = self.0.tasks.lead_to(guarded) {
            glommio::spawn_local_into(leader, queue)
                .expect("the queues live as long as the executor")
                .detach();
        }
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
