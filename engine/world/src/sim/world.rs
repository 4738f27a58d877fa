//! The simulated world as a program sees it.

use super::{
    chance::Dice,
    executor::Core,
    names::plain,
    op::{Handle, Op, Outcome},
    pages::Block,
};
use crate::{Buf, Disk, File, Open, Queue, Space, World, check, units::on_disk};
use std::{
    cell::{RefCell, RefMut},
    future::Future,
    io,
    path::Path,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

/// Seconds since the epoch when a simulation begins: a day in 2026.
const EPOCH_SECS: u64 = 1_790_000_000;

/// A simulated executor's view of its machine. Good for one run.
#[derive(Clone)]
pub struct SimWorld {
    core: Rc<RefCell<Core>>,
    life: u64,
}

impl SimWorld {
    pub(super) fn new(core: &Rc<RefCell<Core>>) -> Self {
        Self {
            core: Rc::clone(core),
            life: core.borrow().life,
        }
    }

    fn core(&self) -> RefMut<'_, Core> {
        let core = self.core.borrow_mut();
        assert_eq!(
            core.life, self.life,
            "this world, disk or file is of a run that has ended"
        );
        core
    }

    async fn ask(self, op: Op) -> io::Result<Outcome> {
        Waiting {
            world: self,
            what: What::Io(Some(op)),
        }
        .await
    }
}

/// What a [`Waiting`] waits for.
enum What {
    /// Not asked for yet: like a ring's, an IO begins when its future is first polled.
    Io(Option<Op>),
    Timer(Duration),
    Slot(usize),
    Over,
}

struct Waiting {
    world: SimWorld,
    what: What,
}

impl Future for Waiting {
    type Output = io::Result<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut core = this.world.core();
        let slot = match &mut this.what {
            What::Io(op) => {
                let op = op.take().expect("asked for once");
                let slot = core.ask(op, context.waker());
                this.what = What::Slot(slot);
                return Poll::Pending;
            }
            What::Timer(due) => {
                let slot = core.set_timer(*due, context.waker());
                this.what = What::Slot(slot);
                return Poll::Pending;
            }
            What::Slot(slot) => *slot,
            What::Over => panic!("polled after it was ready"),
        };
        let answer = core.poll_wait(slot, context.waker());
        if answer.is_ready() {
            this.what = What::Over;
        }
        answer
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Not through `core()`: futures of an ended run are dropped after it.
        if let What::Slot(slot) = self.what
            && let Ok(mut core) = self.world.core.try_borrow_mut()
            && core.life == self.world.life
        {
            core.abandon(slot);
        }
    }
}

/// Pending once, until every task that is ready has run.
struct Breath {
    world: SimWorld,
    taken: bool,
}

impl Future for Breath {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.taken {
            return Poll::Ready(());
        }
        self.taken = true;
        self.world.core().rest(context.waker());
        Poll::Pending
    }
}

impl World for SimWorld {
    type File = SimFile;
    type Disk = SimDisk;

    const PLANTED: Option<fn(&Self) -> u32> = Some(|world| world.core().machine.planted);

    fn now(&self) -> Duration {
        self.core().machine.now
    }

    fn unix_secs(&self) -> u64 {
        EPOCH_SECS + self.core().machine.now.as_secs()
    }

    fn random(&self) -> u64 {
        Dice::next(&mut self.core().machine.program_dice)
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + 'static {
        let due = self.core().machine.now + span;
        let waiting = Waiting {
            world: self.clone(),
            what: What::Timer(due),
        };
        async move {
            // A timer's answer is always `Ok(Nothing)`.
            let _ = waiting.await;
        }
    }

    fn breathe(&self) -> impl Future<Output = ()> + 'static {
        Breath {
            world: self.clone(),
            taken: false,
        }
    }

    fn spawn(&self, _queue: Queue, task: impl Future<Output = ()> + 'static) {
        // Destructors may spawn while a run is torn down: no look at `life` here. Such tasks never
        // start; what they own may look at the core as it is dropped, so it is not borrowed then.
        if self.core.borrow().is_running() {
            self.core.borrow_mut().add_task(Some(Box::pin(task)));
        }
    }

    fn disk(&self) -> SimDisk {
        SimDisk(self.clone())
    }
}

/// The names on a simulated disk.
#[derive(Clone)]
pub struct SimDisk(SimWorld);

impl SimDisk {
    async fn act(&self, op: Op) -> io::Result<()> {
        self.0.clone().ask(op).await.map(drop)
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn join(&self, file: SimShared) -> SimFile {
        SimFile {
            world: self.0.clone(),
            handle: file.0,
        }
    }

    async fn open(&self, path: &Path, how: Open) -> io::Result<SimFile> {
        match self
            .0
            .clone()
            .ask(Op::Open {
                path: plain(path),
                how,
            })
            .await?
        {
            Outcome::File(handle) => Ok(SimFile {
                world: self.0.clone(),
                handle,
            }),
            _ => unreachable!("an open returns a file"),
        }
    }

    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        match self.0.clone().ask(Op::List { dir: plain(dir) }).await? {
            Outcome::Names(names) => Ok(names),
            _ => unreachable!("a list returns names"),
        }
    }

    async fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.act(Op::MakeDir { dir: plain(dir) }).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(Op::Rename {
            from: plain(from),
            to: plain(to),
        })
        .await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.act(Op::Remove { path: plain(path) }).await
    }

    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.act(Op::SyncDir {
            dir: plain(dir),
            upto: 0,
        })
        .await
    }

    async fn space(&self, path: &Path) -> io::Result<Space> {
        match self.0.clone().ask(Op::Space { path: plain(path) }).await? {
            Outcome::Space(space) => Ok(space),
            _ => unreachable!("space returns space"),
        }
    }
}

/// An open file on a simulated disk.
#[derive(Clone)]
pub struct SimFile {
    world: SimWorld,
    handle: Handle,
}

/// A simulated file as executors share it.
#[derive(Clone)]
pub struct SimShared(Handle);

impl SimFile {
    fn act(&self, op: Op) -> impl Future<Output = io::Result<()>> + 'static {
        let asked = self.world.clone().ask(op);
        async move { asked.await.map(drop) }
    }

    fn file(&self) -> Handle {
        self.handle.clone()
    }
}

impl File for SimFile {
    type Buf = SimBuf;
    type Read = Vec<u8>;
    type Shared = SimShared;

    fn share(&self) -> SimShared {
        SimShared(self.file())
    }

    fn alloc(&self, len: usize) -> SimBuf {
        check::buffer(len);
        SimBuf(Block::new(len))
    }

    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<Vec<u8>>> + 'static {
        check::range(at, len);
        let asked = self.world.clone().ask(Op::Read {
            file: self.file(),
            at,
            len,
        });
        async move {
            match asked.await? {
                Outcome::Bytes(bytes) => Ok(bytes),
                _ => unreachable!("a read returns bytes"),
            }
        }
    }

    fn write(&self, at: u64, buf: SimBuf) -> impl Future<Output = io::Result<()>> + 'static {
        check::range(at, buf.as_ref().len());
        self.act(Op::Write {
            file: self.file(),
            at,
            block: Rc::new(buf.0),
        })
    }

    fn sync(&self) -> impl Future<Output = io::Result<()>> + 'static {
        self.act(Op::Sync {
            file: self.file(),
            upto: 0,
        })
    }

    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.act(Op::Allocate {
            file: self.file(),
            len,
        })
    }

    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.act(Op::Truncate {
            file: self.file(),
            len,
        })
    }

    fn len(&self) -> impl Future<Output = io::Result<u64>> + 'static {
        let asked = self.world.clone().ask(Op::Len { file: self.file() });
        async move {
            match asked.await? {
                Outcome::Len(len) => Ok(len),
                _ => unreachable!("a length returns a length"),
            }
        }
    }
}

/// Memory to write from, in a simulation.
pub struct SimBuf(Block);

impl AsRef<[u8]> for SimBuf {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsMut<[u8]> for SimBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl Buf for SimBuf {
    fn truncate(&mut self, len: usize) {
        check::len(on_disk(len));
        self.0.truncate(len);
    }
}
