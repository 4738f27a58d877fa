//! A world of ordinary system calls, for hosts that forbid io_uring.
//!
//! ```text
//!   executor thread                      IO threads (few, shared by all executors)
//!   tokio current_thread + LocalSet ──jobs, bounded──► pread, pwrite, fdatasync, … on O_DIRECT
//!             ▲                                                   │
//!             └─────────────── oneshot, wakes the task ◄──────────┘
//! ```
//!
//! Costs a thread switch per IO, 26–37 µs of CPU per 4 KiB read where the ring needs 5. Queues
//! have no shares here: tasks of all of them run first come, first served.

mod file;
mod jobs;
mod net;

pub use file::{PosixBuf, PosixDisk, PosixFile};
pub use net::{PosixListener, PosixStream};

use crate::{Net, Queue, World, system};
use futures_lite::FutureExt;
pub(crate) use jobs::Jobs;
use std::{
    future::Future, io, net::SocketAddr, panic::AssertUnwindSafe, rc::Rc, sync::Arc, time::Duration,
};
use tokio::task::LocalSet;

/// What a task panicked with.
type Panic = Box<dyn std::any::Any + Send>;

/// One executor's view of a world of system calls.
#[derive(Clone)]
pub struct PosixWorld {
    jobs: Arc<Jobs>,
    /// Carries the panic of a detached task to the executor, which ends with it: tokio would
    /// swallow it, and a shard that lost a task must not go on as if nothing had happened.
    panics: Rc<async_channel::Sender<Panic>>,
}

/// The IO threads that all executors of a process share.
pub(crate) fn start_jobs(threads: usize) -> io::Result<Arc<Jobs>> {
    Jobs::start(threads)
}

/// Runs `program` on this thread until it returns, then drops the tasks it left.
pub(crate) fn run<F: Future<Output = ()>>(
    jobs: Arc<Jobs>,
    program: impl FnOnce(PosixWorld) -> F,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (panics, panicked) = async_channel::bounded(1);
    let world = PosixWorld {
        jobs,
        panics: Rc::new(panics),
    };
    let tasks = LocalSet::new();
    let panic = tasks.block_on(&runtime, async {
        let program = async {
            program(world).await;
            None
        };
        program.or(async { panicked.recv().await.ok() }).await
    });
    match panic {
        Some(panic) => std::panic::resume_unwind(panic),
        None => Ok(()),
    }
}

impl World for PosixWorld {
    type File = PosixFile;
    type Disk = PosixDisk;

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
        tokio::time::sleep(span)
    }

    fn breathe(&self) -> impl Future<Output = ()> + 'static {
        tokio::task::yield_now()
    }

    fn spawn(&self, _queue: Queue, task: impl Future<Output = ()> + 'static) {
        let panics = Rc::clone(&self.panics);
        tokio::task::spawn_local(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                // Full means that an earlier panic is ending the executor already.
                let _ = panics.try_send(panic);
            }
        });
    }

    fn disk(&self) -> PosixDisk {
        PosixDisk::new(Arc::clone(&self.jobs))
    }
}

impl Net for PosixWorld {
    type Listener = PosixListener;
    type Stream = PosixStream;

    fn listen(&self, addr: SocketAddr) -> io::Result<PosixListener> {
        PosixListener::bind(addr)
    }

    fn local_addr(listener: &PosixListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &PosixListener) -> io::Result<(PosixStream, SocketAddr)> {
        listener.accept().await
    }
}
