//! The store as its users see it: one handle per executor, any blob from any of them.
//!
//! A blob of one chunk lives in the shard that its root names; a longer one in the shard that the
//! root names when it was declared, otherwise in a shard of the executor that took it. A look-up
//! asks the named shard first, then the one where a blob was last seen, then all. What changes a
//! shard is done on its executor, by letter; look-ups and reads of bytes look in from any (see
//! [`crate::shelf`]).

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    ops::Range,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use futures_channel::oneshot;
use lode_proofs::{ChunkHasher, ChunkProof, blob_tree};
use lode_world::{Queue, World};

pub(crate) use crate::terms::{expiry, longest};
use crate::{
    Error, Result, Root,
    across::{Across, Ask},
    finish::finish,
    format::superblock::fits_segment,
    mend,
    mesh::{Letter, Mesh, Release},
    piece::{Piece, PieceOf},
    shard::{Shard, open::Setup},
    space::{self, Space},
    stats::Stats,
    superblock,
    wait::Credit,
};
pub use crate::{
    fresh::{Fresh, Then, Walk},
    info::{BlobInfo, Progress, Scattered, Stored, UploadInfo},
    log::read::Verify,
    read::Reader,
    terms::Terms,
    upload::{Resumed, Upload},
};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub dir: PathBuf,
    /// Shards of a new store; an existing one keeps its own count.
    pub shards: u16,
    /// Bytes of a segment file of a new store (a multiple of 4 KiB, 1 MiB to 1 GiB).
    pub segment_len: u64,
    /// Bytes per shard that may be on their way to the disk.
    pub ingest_credit: u64,
    /// Scrub rate in bytes per second and shard; 0 turns the background scrub off.
    pub scrub_rate: u64,
    /// Share of the filesystem, in percent, that must stay free for new blobs to be taken; never
    /// less than it takes to empty a full store, which is two segments per shard and one more.
    pub reserve_percent: u8,
    /// How whole chunks are checked when they are read for a client. The scrub, compaction and
    /// proofs always hash.
    pub verify: Verify,
}

impl Options {
    /// The defaults for a directory: a shard per executor, 256 MiB segments, 48 MiB on their way
    /// per shard, scrub at 8 MiB/s, 5 % in reserve.
    pub fn new(dir: PathBuf, executors: usize) -> Options {
        Options {
            dir,
            shards: u16::try_from(executors).unwrap_or(u16::MAX).max(1),
            segment_len: 256 << 20,
            ingest_credit: 48 << 20,
            scrub_rate: 8 << 20,
            reserve_percent: 5,
            verify: Verify::Pages,
        }
    }

    fn check(&self) -> Result<()> {
        if fits_segment(self.segment_len) && self.reserve_percent < 100 {
            return Ok(());
        }
        let why =
            "segment_len is a multiple of 4096 from 1 MiB to 1 GiB, reserve_percent is below 100"
                .to_owned();
        Err(Error::Format {
            path: self.dir.display().to_string(),
            why,
        })
    }
}

/// Bytes of chunk buffers per executor that uploads may have on their way.
const UPLOAD_CREDIT: u64 = 32 << 20;
/// Roots whose shard an executor remembers.
const HINTS_MAX: usize = 4096;

/// One executor's handle on the whole store.
pub struct Store<W: World>(Rc<Inner<W>>);

struct Inner<W: World> {
    world: W,
    mesh: Mesh,
    index: usize,
    shards: u16,
    local: Rc<Local<W>>,
    across: Across<W>,
    credit: Credit,
    /// Where blobs that are not in the shard that their root names were last seen.
    hints: RefCell<BTreeMap<Root, u16>>,
    turn: Cell<usize>,
    space: Rc<Space<W>>,
    dir: PathBuf,
    /// Checks scattered chunks.
    hasher: RefCell<ChunkHasher>,
}

/// What a letter finds on the executor that it was sent to.
struct Local<W: World> {
    world: W,
    shards: BTreeMap<u16, Rc<Shard<W>>>,
}

impl<W: World> Clone for Store<W> {
    fn clone(&self) -> Self {
        Store(Rc::clone(&self.0))
    }
}

impl<W: World> Store<W> {
    /// Opens (or makes, where the directory is empty) the store's part on executor `index`. Every
    /// executor calls this once with a clone of the same mesh; returns when all of them are ready.
    pub async fn open(world: W, options: Options, mesh: Mesh, index: usize) -> Result<Self> {
        if index == 0 {
            let superblock = match options.check() {
                Ok(()) => superblock::load_or_make(&world, &options).await,
                Err(error) => Err(error),
            };
            mesh.announce(superblock).await?;
        }
        let superblock = mesh.announced(index).await?;
        let space = Rc::new(Space::new(
            world.clone(),
            options.dir.clone(),
            options.reserve_percent,
            space::reserve_least(superblock.shards, superblock.segment_len),
            mesh.recycled(),
        ));
        let opened = open_shards(&world, &options, superblock, &mesh, index, &space).await;
        mesh.report(opened.as_ref().map(|_| ()).map_err(Clone::clone))
            .await?;
        if index == 0 {
            let all = mesh.all_ready().await;
            mesh.announce(all.map(|()| superblock)).await?;
        }
        mesh.announced(index).await?;
        let local = Rc::new(Local {
            world: world.clone(),
            shards: opened?,
        });
        let across = Across::new(world.clone(), mesh.shelves(), options.verify);
        for shard in local.shards.values() {
            mend::start(shard);
            mend::scrub::start(shard, options.scrub_rate);
        }
        world.spawn(
            Queue::Serve,
            read_letters(Rc::clone(&local), mesh.letters(index)),
        );
        world.spawn(
            Queue::Serve,
            read_releases(Rc::clone(&local), mesh.releases(index)),
        );
        let inner = Inner {
            shards: superblock.shards,
            world,
            mesh,
            index,
            local,
            across,
            credit: Credit::new(UPLOAD_CREDIT),
            hints: RefCell::new(BTreeMap::new()),
            turn: Cell::new(index),
            space,
            dir: options.dir,
            hasher: RefCell::new(ChunkHasher::new()),
        };
        Ok(Store(Rc::new(inner)))
    }

    /// The world that this handle runs in.
    pub fn world(&self) -> &W {
        &self.0.world
    }

    /// Stores a blob of 1..=CHUNK_LEN bytes as one record; returns when it is durable.
    pub async fn put(&self, bytes: Bytes, terms: Terms) -> Result<Stored> {
        let root = blob_tree(&bytes).map_err(|_| Error::Empty)?.root();
        self.put_as(root, bytes, terms).await
    }

    /// As [`Store::put`], under a root that the caller has computed or checked already. The store
    /// keeps the bytes under it without a look: the wrong root is the caller's bug, and every
    /// client that verifies will refuse the blob.
    pub async fn put_as(&self, root: Root, bytes: Bytes, terms: Terms) -> Result<Stored> {
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        if bytes.len() > lode_proofs::CHUNK_LEN {
            return Err(Error::SizeMismatch {
                want: crate::format::manifest::CHUNK,
                got: u64::try_from(bytes.len()).expect("64-bit"),
            });
        }
        let expiry = terms.epoch();
        self.on(self.home(&root), move |shard| {
            shard.put(root, bytes, expiry)
        })
        .await?
    }

    /// Begins a blob of unknown root and size. Dropping the upload before `finish` forgets it.
    pub async fn begin(&self, terms: Terms) -> Result<Upload<W>> {
        Ok(Upload::undeclared(self.clone(), terms))
    }

    /// Begins or resumes the upload of a declared root; it outlives connections and restarts.
    pub async fn resume(&self, root: Root, size: u64, terms: Terms) -> Result<Resumed<W>> {
        Upload::declared(self.clone(), root, size, terms).await
    }

    /// An unfinished upload of `root`.
    pub async fn upload(&self, root: Root) -> Result<Option<UploadInfo>> {
        self.on(self.home(&root), move |shard| async move {
            shard.upload_info(root)
        })
        .await
    }

    /// Forgets an unfinished upload; false if there was none.
    pub async fn abandon(&self, root: Root) -> Result<bool> {
        self.on(self.home(&root), move |shard| shard.abandon(root))
            .await?
    }

    /// A stored blob.
    pub async fn stat(&self, root: Root) -> Result<Option<BlobInfo>> {
        for shard in self.order(&root) {
            let stat = match self.0.across.stat(shard, &root) {
                Ok(stat) => stat,
                Err(Ask) => {
                    let ask = move |shard: Rc<Shard<W>>| async move { shard.stat(root) };
                    self.on(shard, ask).await?
                }
            };
            if stat.is_some() {
                self.seen(root, shard);
                return Ok(stat);
            }
        }
        Ok(None)
    }

    /// A stored blob that a put of the same root under these terms need not store again.
    pub(crate) async fn held(&self, root: Root, terms: Terms) -> Result<Option<BlobInfo>> {
        let expiry = terms.epoch();
        self.find(
            root,
            move |shard| async move { Ok(shard.held(root, expiry)) },
        )
        .await
    }

    /// Verified bytes of a range (end exclusive, within the blob).
    pub async fn read(&self, root: Root, range: Range<u64>) -> Result<Option<Reader<W>>> {
        let Some(blob) = self.stat(root).await? else {
            return Ok(None);
        };
        Reader::new(self.clone(), blob, range).map(Some)
    }

    /// Bytes `within` of one chunk of a blob, verified; none if the blob or the chunk is not here.
    /// One look-up and one read of the disk.
    pub async fn read_chunk(
        &self,
        root: Root,
        chunk: u64,
        within: Range<usize>,
    ) -> Result<Option<PieceOf<W>>> {
        for shard in self.order(&root) {
            let read = match self.0.local.shards.get(&shard) {
                Some(shard) => Rc::clone(shard).read(root, chunk, within.clone()).await?,
                None => match self.0.across.read(shard, &root, chunk, &within).await {
                    Ok(read) => read,
                    Err(Ask) => self.ask_for(shard, root, chunk, within.clone()).await?,
                },
            };
            if read.is_some() {
                self.seen(root, shard);
                return Ok(read);
            }
        }
        Ok(None)
    }

    /// What [`Store::read_chunk`] gets by a letter: memory of another executor stays there.
    async fn ask_for(
        &self,
        shard: u16,
        root: Root,
        chunk: u64,
        within: Range<usize>,
    ) -> Result<Option<PieceOf<W>>> {
        let ask = move |shard: Rc<Shard<W>>| async move {
            let read = shard.read(root, chunk, within).await?;
            Ok(read.map(Piece::into_bytes))
        };
        let read: Result<Option<Bytes>> = self.on(shard, ask).await?;
        Ok(read?.map(Piece::from))
    }

    /// Proof that a chunk is part of the blob.
    pub async fn prove(&self, root: Root, chunk: u64) -> Result<Option<ChunkProof>> {
        self.find(root, move |shard| shard.prove(root, chunk)).await
    }

    /// Deletes a blob durably; false if there was none.
    pub async fn delete(&self, root: Root) -> Result<bool> {
        let mut deleted = false;
        for shard in self.order(&root) {
            deleted |= self.on(shard, move |shard| shard.delete(root)).await??;
        }
        self.0.hints.borrow_mut().remove(&root);
        Ok(deleted)
    }

    /// Up to `limit` blobs with roots after `after`, in root order. Costs a walk over the index.
    pub async fn list(&self, after: Option<Root>, limit: usize) -> Result<Vec<BlobInfo>> {
        let mut all = BTreeMap::new();
        for shard in 0..self.0.shards {
            let part = self
                .on(shard, move |shard| crate::list::list(shard, after, limit))
                .await?;
            all.extend(part.into_iter().map(|info| (info.root, info)));
        }
        Ok(all.into_values().take(limit).collect())
    }

    /// The next blobs of a walk over what a shard has taken in. Costs a look at a part of the
    /// index, and nothing where nothing is new; puts do not wait for it.
    pub async fn fresh(&self, shard: u16, walk: Walk) -> Result<Fresh> {
        self.on(shard, move |shard| crate::fresh::next(shard, walk))
            .await
    }

    /// Shards of the store, on all executors.
    pub fn shards(&self) -> u16 {
        self.0.shards
    }

    /// Counters and gauges of all shards, summed.
    pub async fn stats(&self) -> Result<Stats> {
        let mut sum = Stats::default();
        for shard in 0..self.0.shards {
            sum.add(&self.on(shard, |shard| async move { shard.stats() }).await?);
        }
        let space = self.0.space.look().await?;
        sum.disk_free = space.free;
        sum.disk_total = space.total;
        sum.full_refusals = self.0.space.refusals();
        sum.read_only = u64::from(self.0.space.full());
        Ok(sum)
    }

    /// Reads and checks everything once at up to `rate` bytes per second and shard (0: no limit).
    pub async fn scrub(&self, rate: u64) -> Result<()> {
        for shard in 0..self.0.shards {
            self.on(shard, move |shard| async move {
                mend::scrub::pass(&shard, rate).await
            })
            .await??;
        }
        Ok(())
    }

    /// Frees what can be freed now, and writes checkpoints.
    pub async fn mend(&self) -> Result<()> {
        for shard in 0..self.0.shards {
            self.on(shard, |shard| async move {
                mend::reclaim::run(&shard).await?;
                mend::checkpoint::write(&shard).await
            })
            .await??;
        }
        Ok(())
    }

    /// Tells the store which epoch it is: what has expired by it is dropped, and its space freed.
    /// Returns the epoch that the store is at, which is a later one if it has heard of that: time
    /// does not go back. An error after the epoch became durable does not undo it.
    pub async fn set_epoch(&self, epoch: u32) -> Result<u32> {
        // On the executor of the first shard, so that two callers cannot write at the same time.
        let dir = self.0.dir.clone();
        let epoch = self.on(0, move |shard| async move {
            let _turn = shard.mend.epoch.lock(()).await;
            superblock::set_epoch(&shard.world, &dir, epoch).await
        });
        let epoch = epoch.await??;
        let mut freed = Ok(());
        for shard in 0..self.0.shards {
            let told = self.on(shard, move |shard| async move {
                mend::reclaim::set_epoch(&shard, epoch).await
            });
            // One shard that cannot free its space does not keep the others in the past.
            freed = freed.and(told.await.flatten());
        }
        freed.map(|()| epoch)
    }

    /// Stops taking bytes, waits for what is in flight, closes segments and writes checkpoints of
    /// the shards on this executor.
    pub async fn close(&self) -> Result<()> {
        for shard in self.0.local.shards.values() {
            Rc::clone(shard).close().await?;
        }
        Ok(())
    }

    /// The shard that a root names.
    pub(crate) fn home(&self, root: &Root) -> u16 {
        let word = u64::from_le_bytes(root.as_bytes()[24..32].try_into().expect("8 bytes"));
        u16::try_from(word % u64::from(self.0.shards)).expect("below the number of shards")
    }

    /// A shard of this executor, or any shard if it has none; by turns.
    pub(crate) fn near(&self) -> u16 {
        let turn = self.0.turn.replace(self.0.turn.get() + 1);
        let local = &self.0.local.shards;
        match local.len() {
            0 => u16::try_from(turn % usize::from(self.0.shards))
                .expect("below the number of shards"),
            count => *local.keys().nth(turn % count).expect("below the count"),
        }
    }

    /// Checks the chunks that come with a proof.
    pub(crate) fn hasher(&self) -> &RefCell<ChunkHasher> {
        &self.0.hasher
    }

    pub(crate) fn credit(&self) -> &Credit {
        &self.0.credit
    }

    /// Remembers where a blob is.
    pub(crate) fn seen(&self, root: Root, shard: u16) {
        if shard != self.home(&root) {
            let mut hints = self.0.hints.borrow_mut();
            if hints.len() >= HINTS_MAX {
                hints.pop_first();
            }
            hints.insert(root, shard);
        }
    }

    /// Every shard, the likeliest for a root first.
    fn order(&self, root: &Root) -> impl Iterator<Item = u16> + 'static {
        let home = self.home(root);
        let hint = self.0.hints.borrow().get(root).copied().unwrap_or(home);
        let rest = (0..self.0.shards).filter(move |shard| *shard != home && *shard != hint);
        let home = Some(home).filter(|home| *home != hint);
        [hint].into_iter().chain(home).chain(rest)
    }

    /// Asks the shards, the likeliest first, until one has an answer.
    pub(crate) async fn find<T, F>(
        &self,
        root: Root,
        ask: impl Fn(Rc<Shard<W>>) -> F + Clone + Send + 'static,
    ) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<Option<T>>> + 'static,
    {
        for shard in self.order(&root) {
            if let Some(answer) = self.on(shard, ask.clone()).await?? {
                self.seen(root, shard);
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Runs `job` on the executor of a shard and waits for its output. The job runs to its end
    /// even if nobody waits any more.
    pub(crate) async fn on<T, F>(
        &self,
        shard: u16,
        job: impl FnOnce(Rc<Shard<W>>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        if let Some(shard) = self.0.local.shards.get(&shard) {
            return Ok(finish(&self.0.world, job(Rc::clone(shard))).await);
        }
        let (reply, answer) = oneshot::channel();
        let letter: Letter = Box::new(move |local: &dyn Any| {
            let local = local
                .downcast_ref::<Local<W>>()
                .expect("all executors of a mesh run one world");
            let Some(shard) = local.shards.get(&shard) else {
                return;
            };
            let job = job(Rc::clone(shard));
            local.world.spawn(Queue::Serve, async move {
                // Nobody waits any more: the job is done all the same.
                drop(reply.send(job.await));
            });
        });
        self.0.mesh.send(self.executor_of(shard), letter).await?;
        answer.await.map_err(|_| Error::Closing)
    }

    /// Where a lease on an upload of a shard ends.
    pub(crate) fn releases_to(&self, shard: u16) -> async_channel::Sender<Release> {
        self.0.mesh.releases_to(self.executor_of(shard))
    }

    fn executor_of(&self, shard: u16) -> usize {
        usize::from(shard) % self.0.mesh.executors()
    }

    /// Which executor this handle belongs to.
    pub fn executor(&self) -> usize {
        self.0.index
    }
}

/// Opens the shards that live on executor `index`.
async fn open_shards<W: World>(
    world: &W,
    options: &Options,
    superblock: crate::format::superblock::Superblock,
    mesh: &Mesh,
    index: usize,
    space: &Rc<Space<W>>,
) -> Result<BTreeMap<u16, Rc<Shard<W>>>> {
    let found = space.look().await?;
    let need = space::smallest(superblock.shards, superblock.segment_len);
    if index == 0 && found.total < need {
        tracing::warn!(
            dir = %options.dir.display(), total = found.total, need,
            "the filesystem is too small for this store: it is read and emptied, and takes no blobs"
        );
    }
    let mut shards = BTreeMap::new();
    for id in (0..superblock.shards).filter(|id| usize::from(*id) % mesh.executors() == index) {
        let setup = Setup {
            world: world.clone(),
            dir: options.dir.join(format!("shard-{id:05}")),
            id,
            superblock,
            space: Rc::clone(space),
            ingest_credit: options.ingest_credit,
            verify: options.verify,
        };
        let shard = Shard::open(setup).await?;
        mesh.put_shelf(id, Arc::clone(&shard.shelf));
        shards.insert(id, shard);
    }
    Ok(shards)
}

/// Runs the letters of an executor, one after the other; what they start runs beside them.
async fn read_letters<W: World>(local: Rc<Local<W>>, letters: async_channel::Receiver<Letter>) {
    while let Ok(letter) = letters.recv().await {
        letter(&*local);
    }
}

/// Ends the sessions whose leases have ended.
async fn read_releases<W: World>(local: Rc<Local<W>>, releases: async_channel::Receiver<Release>) {
    while let Ok(Release { shard, blob }) = releases.recv().await {
        if let Some(shard) = local.shards.get(&shard) {
            shard.release(blob);
        }
    }
}
