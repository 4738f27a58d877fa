//! An executor's side: opens its stores, carries out what is asked, and closes them when told to stop.

use std::{
    cell::Cell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use lode_world::{Disk, Net, Program, Queue, World};

use super::{
    ask::{Ask, Reply},
    session,
};
use crate::{
    Error, Found, Options, Result, RowStore,
    wait::{Bell, either},
};

/// Most stores of a directory.
const SHARDS_MAX: u16 = 1024;

/// What executors need to serve a handle. Each takes a clone.
#[derive(Clone)]
pub struct Post {
    queues: Vec<Receiver<Ask>>,
    stopped: Receiver<()>,
    ended: Sender<()>,
}

/// What an executor has opened.
#[derive(Debug)]
pub struct Started {
    /// Stores of the directory, on all executors.
    pub shards: u16,
    /// What those of this executor found, by their number.
    pub found: BTreeMap<u16, Found>,
}

/// The program of executors that serve a handle and nothing else.
#[derive(Clone)]
pub struct Rows {
    pub post: Post,
    pub options: Options,
    pub told: Sender<Result<Started>>,
}

impl Program for Rows {
    async fn run<W: Net>(self, world: W, index: usize) {
        let Rows {
            post,
            options,
            told,
        } = self;
        let report = |opened| {
            // Nobody listens where another executor's failure was heard first.
            let _ = told.try_send(opened);
        };
        post.run(world, options, index, report).await;
    }
}

/// The stores of one executor, and the tasks that work with them.
struct Local<W: World> {
    world: W,
    stores: BTreeMap<u16, RowStore<W>>,
    stopped: Receiver<()>,
    tasks: Cell<usize>,
    ended: Bell,
}

impl Post {
    pub(super) fn new(
        queues: Vec<Receiver<Ask>>,
        stopped: Receiver<()>,
        ended: Sender<()>,
    ) -> Self {
        Post {
            queues,
            stopped,
            ended,
        }
    }

    /// Serves as executor `index` of as many as the handle was made for: opens the stores of the
    /// directory that belong to it, tells `report` how that went, and ends when the handle is told to
    /// stop, with all segments closed.
    pub async fn run<W: World>(
        self,
        world: W,
        options: Options,
        index: usize,
        report: impl FnOnce(Result<Started>),
    ) {
        let Post {
            queues,
            stopped,
            ended,
        } = self;
        let executors = queues.len();
        let door = Door(queues[index].clone());
        drop(queues);
        match open(&world, &options, index, executors).await {
            Ok((stores, started)) => {
                report(Ok(started));
                let local = Rc::new(Local {
                    world,
                    stores,
                    stopped,
                    tasks: Cell::new(0),
                    ended: Bell::default(),
                });
                serve(&local, &door.0).await;
            }
            Err(error) => report(Err(error)),
        }
        drop(door);
        // Whoever told it to stop may not wait.
        let _ = ended.try_send(());
    }
}

/// Where questions come in. However the executor ends, those that were not begun are dropped with their
/// replies then, so that whoever asked hears of it.
struct Door(Receiver<Ask>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

/// Opens the stores of executor `index`.
async fn open<W: World>(
    world: &W,
    options: &Options,
    index: usize,
    executors: usize,
) -> Result<(BTreeMap<u16, RowStore<W>>, Started)> {
    let (dir, shards) = shards(world, &options.dir, executors).await?;
    let mut stores = BTreeMap::new();
    let mut found = BTreeMap::new();
    for shard in (0..shards).filter(|shard| usize::from(*shard) % executors == index) {
        let options = Options {
            dir: dir.join(format!("shard-{shard:05}")),
            ..options.clone()
        };
        let opened = RowStore::open(world.clone(), options).await?;
        stores.insert(shard, opened.store);
        found.insert(shard, opened.found);
    }
    Ok((stores, Started { shards, found }))
}

/// The folder of the stores, which is named after their number, and the number: as many as executors
/// where there is no folder yet.
async fn shards<W: World>(world: &W, dir: &Path, executors: usize) -> Result<(PathBuf, u16)> {
    let disk = world.disk();
    disk.make_dir(dir).await.map_err(Error::io(dir))?;
    let names = disk.list(dir).await.map_err(Error::io(dir))?;
    let known: Vec<u16> = names
        .iter()
        .filter_map(|name| name.strip_prefix("shards-")?.parse().ok())
        .filter(|shards| (1..=SHARDS_MAX).contains(shards))
        .collect();
    let shards = match known[..] {
        [] => u16::try_from(executors)
            .unwrap_or(SHARDS_MAX)
            .min(SHARDS_MAX),
        [shards] => shards,
        _ => {
            let why =
                "it has stores of two numbers; move those away that do not belong here".to_owned();
            let path = dir.display().to_string();
            return Err(Error::Format { path, why });
        }
    };
    let dir = dir.join(format!("shards-{shards:05}"));
    disk.make_dir(&dir).await.map_err(Error::io(&dir))?;
    Ok((dir, shards))
}

/// Carries out what is asked until the handle is told to stop, then ends in peace.
async fn serve<W: World>(local: &Rc<Local<W>>, queue: &Receiver<Ask>) {
    loop {
        let next = async { queue.recv().await.ok() };
        let stop = async {
            // Nothing is ever sent: it ends when the other end is closed.
            let _ = local.stopped.recv().await;
            None
        };
        let Some(ask) = either(stop, next).await else {
            break;
        };
        local.tasks.set(local.tasks.get() + 1);
        let task = Rc::clone(local);
        let kind = match &ask {
            Ask::Begin { .. } => Queue::Ingest,
            Ask::Extend { .. } | Ask::Expire { .. } => Queue::Mend,
            Ask::Scrub { .. } => Queue::Scrub,
            _ => Queue::Serve,
        };
        local.world.spawn(kind, async move {
            let store = task.stores.get(&ask.shard()).cloned();
            match store {
                Some(store) => answer(&task, store, ask).await,
                // The reply is dropped: whoever asked hears that nobody is here.
                None => drop(ask),
            }
            task.tasks.set(task.tasks.get() - 1);
            task.ended.ring();
        });
        // As many as the queue holds wait for their turn in it, not here.
        while local.tasks.get() >= TASKS_MAX {
            local.ended.wait().await;
        }
    }
    for store in local.stores.values() {
        store.close().await;
    }
    while local.tasks.get() > 0 {
        local.ended.wait().await;
    }
}

/// Asks that one executor works on at a time. Records that are being appended count among them, and
/// have a lower bound of their own, so that they never keep others from being answered.
const TASKS_MAX: usize = 512;

async fn answer<W: World>(local: &Local<W>, store: RowStore<W>, ask: Ask) {
    match ask {
        Ask::Begin {
            holding,
            again,
            reply,
        } => {
            let container = holding.container();
            let begun = match again {
                false => store.begin(*holding).await,
                true => store.begin_again(*holding).await,
            };
            match begun {
                Ok(appending) => {
                    let (far, near) = session::pair(container);
                    reply.send(Ok(far));
                    near.run(appending, local.stopped.clone()).await;
                }
                Err(error) => reply.send(Err(error)),
            }
        }
        Ask::Extend {
            container,
            expiry,
            reply,
        } => reply.send(store.extend(container, expiry).await),
        Ask::Expiry { container, reply } => reply.send(Ok(store.expiry(&container))),
        Ask::List { after, most, reply } => reply.send(Ok(store.list(after, most))),
        Ask::Len { reply } => reply.send(Ok(store.len())),
        Ask::Damage { container, reply } => reply.send(Ok(store.damage(&container))),
        Ask::Damaged { reply } => reply.send(Ok(store.damaged())),
        Ask::Expire { now, reply } => reply.send(store.expire(now).await),
        Ask::Scrub { rate, reply } => reply.send(Ok(store.scrub(rate).await)),
        ask => read(store, ask).await,
    }
}

/// What is read of one record.
async fn read<W: World>(store: RowStore<W>, ask: Ask) {
    match ask {
        Ask::Statement { container, reply } => reply.send(store.statement(container).await),
        Ask::RowNumbers { container, reply } => reply.send(store.row_numbers(container).await),
        Ask::Holding { container, reply } => reply.send(store.holding(container).await),
        Ask::Table { container, reply } => send_bytes(reply, store.table(container).await),
        Ask::Checks { container, reply } => send_bytes(reply, store.checks(container).await),
        Ask::Siblings { container, reply } => reply.send(store.siblings(container).await),
        Ask::Rows {
            container,
            rows,
            reply,
        } => {
            let rows = store.rows(container, &rows).await;
            reply.send(rows.map(|rows| rows.into_iter().map(Bytes::from).collect()));
        }
        _ => unreachable!("all other questions have been answered"),
    }
}

fn send_bytes(reply: Reply<Bytes>, bytes: Result<Vec<u8>>) {
    reply.send(bytes.map(Bytes::from));
}
