//! The world of io_uring: files on a ring of our own, all else on glommio 0.9.0, with its defects
//! designed around.
//!
//! Why a ring of our own: glommio submits and completes only when it looks at its three rings, and a
//! look costs about eight system calls, so an IO either waits for the next look or pays for one of
//! its own. `ring` hands IOs to the disk a few at a time in one call that also takes in what is
//! done. Gets of 4 KiB then take 10 to 25 % less CPU each, and the disk has its next IO sooner.
//! While the executor sleeps, glommio polls an eventfd that the kernel rings (`bell`): a ring with
//! deferred completions wakes nobody who polls the ring's own descriptor (seen on 6.18).
//!
//! | defect of glommio 0.9.0 | what is done here |
//! |---|---|
//! | panics or exits where io_uring is missing | [`crate::preflight`] comes first |
//! | a dropped future forgets its call on the helper thread, and the end of an executor does not wait for it | such calls go on in a task of their own, and the end waits for them as for all IO |
//! | forgets the tasks that wait when an executor ends, with all they hold | `tasks`: they are dropped first; a descriptor of glommio's own stays open |
//! | lets go of a dropped socket that is waited for with its next look at the rings, so never if the executor ends | the end looks once more |
//! | sleeps although tasks are ready, if it was not scheduled at the wrong moment | `pace`: long preemption timer, looks at the rings by breathing, ticks |
//! | errors carry a type parameter and hide the number | mapped to the [`io::Error`] inside |
//! | stream writes ignore all slices but the first | `sendmsg` on the socket |
//! | polls nothing but sockets | the bell poses as one |
//! | a task's panic unwinds through the rings | caught, then raised where the executor ends |
#![allow(
    unsafe_code,
    reason = "the kernel writes to memory on its own, and glommio hands out raw descriptors"
)]

mod arena;
mod bell;
mod file;
mod flight;
mod net;
mod pace;
mod queues;
mod ring;
mod tasks;

pub use file::{UringBuf, UringDisk, UringFile, UringRead};
pub use net::{UringListener, UringStream};

use crate::{Net, Preflight, Program, Queue, World, launch::Gate, system};
use flight::Flights;
use futures_lite::FutureExt;
use glommio::{GlommioError, Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle};
use pace::{Looks, PREEMPT, QUEUES, look, tick};
use ring::Ring;
use std::{
    any::Any, future::Future, io, net::SocketAddr, panic::AssertUnwindSafe, rc::Rc, time::Duration,
};
use tasks::Tasks;

/// Requests that one of glommio's rings holds. Deeper queues add latency, not throughput.
const RING_DEPTH: usize = 256;

/// What glommio takes for its own buffers at least, in bytes (source: `Reactor::new`, 0.9.0). None
/// is used: sockets here use the program's memory.
pub(crate) const SOCKET_MEMORY: usize = 64 << 10;

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
    ring: Rc<Ring>,
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
        .io_memory(SOCKET_MEMORY)
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
    let flights = Rc::new(Flights::default());
    let memory = preflight.io_memory;
    let ring = match Ring::new(memory, preflight.defer_completions, Rc::clone(&flights)) {
        Ok(ring) => ring,
        Err(error) => {
            gate.pass(Err(error));
            return Ok(());
        }
    };
    if !gate.pass(Ok(())) {
        return Ok(());
    }
    let panic = executor.run(async {
        let (panics, panicked) = async_channel::bounded(1);
        let pumps = Rc::<Tasks>::default();
        let world = UringWorld::new(panics, ring, flights, &pumps);
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
        // The ring goes with its pump, which had to run until here.
        let panic = panic.or(pumps.end());
        look().await;
        panic
    });
    // Dropped before the panic goes on, while nothing is in flight.
    drop(executor);
    match panic {
        Some(panic) => std::panic::resume_unwind(panic),
        None => Ok(()),
    }
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
    /// Makes the queues of the current executor, and starts the pump as one of `pumps`.
    fn new(
        panics: async_channel::Sender<Panic>,
        ring: Rc<Ring>,
        flights: Rc<Flights>,
        pumps: &Rc<Tasks>,
    ) -> Self {
        let queue = |shares, latency, name| {
            glommio::executor().create_task_queue(Shares::Static(shares), latency, name)
        };
        let queues = [
            queue(1000, Latency::NotImportant, "serve"),
            queue(500, Latency::NotImportant, "ingest"),
            queue(50, Latency::NotImportant, "mend"),
            queue(20, Latency::NotImportant, "scrub"),
        ];
        let files = queue(1000, Latency::NotImportant, "files");
        let pump = guarded(panics.clone(), Rc::clone(&ring).pump());
        spawn(pumps, pump, files);
        Self(Rc::new(Executor {
            queues,
            flights,
            looks: Looks::new(),
            ring,
            tasks: Rc::default(),
            panics,
        }))
    }
}

/// `task`, whose panic ends the executor.
async fn guarded(panics: async_channel::Sender<Panic>, task: impl Future<Output = ()> + 'static) {
    if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
        // Full means that an earlier panic is ending the executor already.
        let _ = panics.try_send(panic);
    }
}

/// Starts `task` as one of `tasks`, unless they have ended.
fn spawn(tasks: &Rc<Tasks>, task: impl Future<Output = ()> + 'static, queue: TaskQueueHandle) {
    if let Some(leader) = tasks.lead_to(task) {
        glommio::spawn_local_into(leader, queue)
            .expect("the queues live as long as the executor")
            .detach();
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
        self.0.ring.turn();
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
        let task = guarded(self.0.panics.clone(), task);
        spawn(&self.0.tasks, task, queue);
    }

    fn disk(&self) -> UringDisk {
        UringDisk::new(Rc::clone(&self.0.ring), Rc::clone(&self.0.flights))
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
