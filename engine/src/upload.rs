//! A blob on its way in: cut into chunks, hashed where the bytes are, sent to its shard.
//!
//! A first chunk is kept until it is clear whether more follows: a blob of one chunk becomes one
//! record. Longer ones send each chunk as it fills and hold no more than their window of chunks
//! and the executor's credit allow. The tree is folded from chunk roots in order.

use std::{collections::VecDeque, rc::Rc};

use bytes::Bytes;
use lode_proofs::{BlobHasher, CHUNK_LEN, ChunkHasher};
use lode_world::{Queue, World};

use crate::{
    Error, Result, Root,
    format::{
        manifest::{self, GROUP},
        record::Kind,
    },
    mesh::Lease,
    pool::ChunkBuf,
    shard::{
        Shard,
        upload::{Begun, PartHead, Start, group_part},
    },
    store::{BlobInfo, Store, Stored, Terms},
    wait::Latch,
};

/// Chunks of one upload that may be on their way: three frames of 16 MiB.
const WINDOW: usize = 192;
const CHUNK: u64 = 256 * 1024;
const _: () = assert!(CHUNK_LEN == 256 * 1024);

/// The answer to [`Store::resume`].
pub enum Resumed<W: World> {
    /// The blob is complete and durable already.
    Stored(Stored),
    /// Write from [`Upload::offset`] on.
    Upload(Box<Upload<W>>),
}

/// A blob on its way in. Holds at most one chunk of its own memory; `write` waits for credit.
///
/// Dropping it ends the upload: what was acknowledged of a declared root stays and can be
/// resumed, anything else is forgotten. The shard hears of that a moment later, and calls the
/// upload busy until then; after [`Upload::leave`] and [`Upload::finish`] it knows already.
pub struct Upload<W: World> {
    store: Store<W>,
    terms: Terms,
    declared: Option<(Root, u64)>,
    /// Set once the first chunk is sent, or from the start for a declared root.
    session: Option<Lease>,
    chunk: Option<ChunkBuf>,
    chunk_len: usize,
    hasher: BlobHasher,
    chunks: ChunkHasher,
    /// Chunks sent or durable.
    sent: u64,
    acknowledged: u64,
    on_the_way: VecDeque<(bool, Latch<Result<()>>)>,
    /// Roots of complete groups.
    groups: Vec<Root>,
    /// Chunk roots of the group that is not complete.
    roots: Vec<Root>,
    failed: Option<Error>,
}

impl<W: World> Upload<W> {
    pub(crate) fn undeclared(store: Store<W>, terms: Terms) -> Upload<W> {
        Upload {
            store,
            terms,
            declared: None,
            session: None,
            chunk: None,
            chunk_len: 0,
            hasher: BlobHasher::new(),
            chunks: ChunkHasher::new(),
            sent: 0,
            acknowledged: 0,
            on_the_way: VecDeque::new(),
            groups: Vec::new(),
            roots: Vec::new(),
            failed: None,
        }
    }

    pub(crate) async fn declared(
        store: Store<W>,
        root: Root,
        size: u64,
        terms: Terms,
    ) -> Result<Resumed<W>> {
        if size == 0 {
            return Err(Error::Empty);
        }
        if size > manifest::BLOB_MAX {
            return Err(Error::SizeMismatch {
                want: manifest::BLOB_MAX,
                got: size,
            });
        }
        if let Some(info) = store.held(root, terms).await? {
            info.same_size(size)?;
            store
                .on(store.home(&root), move |shard| shard.drop_idle(root))
                .await?;
            return Ok(Resumed::Stored(info.existed()));
        }
        let mut upload = Upload::undeclared(store, terms);
        upload.declared = Some((root, size));
        if size > CHUNK {
            let (home, expiry) = (upload.store.home(&root), terms.epoch());
            let to = upload.store.releases_to(home);
            match upload
                .store
                .on(home, move |shard| shard.resume(root, size, expiry, to))
                .await??
            {
                Begun::Stored(stored) => return Ok(Resumed::Stored(stored)),
                Begun::Start(start) => upload.begin(start),
            }
        }
        Ok(Resumed::Upload(Box::new(upload)))
    }

    /// Takes over what is durable of an earlier attempt.
    fn begin(&mut self, start: Start) {
        let Start {
            lease,
            groups,
            chunks,
        } = start;
        self.session = Some(lease);
        for root in &groups {
            self.hasher
                .push_run_root(GROUP, *root)
                .expect("nothing else was pushed");
        }
        for root in &chunks {
            self.hasher
                .push_chunk_root(*root)
                .expect("whole chunks only");
        }
        self.sent = u64::try_from(groups.len()).expect("64-bit") * GROUP
            + u64::try_from(chunks.len()).expect("64-bit");
        self.acknowledged = self.sent;
        self.groups = groups;
        self.roots = chunks;
    }

    /// Where the next written byte belongs. For a resumed upload: the durable prefix at first.
    pub fn offset(&self) -> u64 {
        self.sent * CHUNK + u64::try_from(self.chunk_len).expect("64-bit")
    }

    /// Durable bytes from the start, as far as this handle was told.
    pub fn durable(&self) -> u64 {
        self.acknowledged * CHUNK
    }

    /// Takes the next bytes, of any length.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.check_size(bytes.len())?;
        while !bytes.is_empty() {
            if self.chunk_len == CHUNK_LEN {
                self.send_chunk().await?;
            }
            let chunk = self.chunk.get_or_insert_default();
            let taken = chunk.fill(bytes);
            self.chunk_len += taken;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn check_size(&self, more: usize) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let got = self
            .offset()
            .saturating_add(u64::try_from(more).expect("64-bit"));
        let want = self.declared.map_or(manifest::BLOB_MAX, |(_, size)| size);
        if got > want {
            Err(Error::SizeMismatch { want, got })
        } else {
            Ok(())
        }
    }

    /// Waits until all whole chunks written are durable, so that a later `resume` starts there.
    pub async fn flush(&mut self) -> Result<()> {
        if self.chunk_len == CHUNK_LEN && (self.session.is_some() || self.declared.is_none()) {
            self.send_chunk().await?;
        }
        self.settle(0).await
    }

    /// Ends the upload as dropping it does, and returns when the next writer may come.
    pub async fn leave(mut self) {
        // Whether these parts became durable was for whoever wrote them to ask.
        while let Some((_, part)) = self.on_the_way.pop_front() {
            let _unasked = part.wait().await.is_err();
        }
        if let Some(lease) = self.session.take() {
            let shard = lease.shard;
            let left = self
                .store
                .on(shard, |shard| async move { shard.take_back(lease) });
            // A store that is closing has no next writer.
            let _closing = left.await.is_err();
        }
    }

    /// Waits until everything is durable and binds it to its root.
    pub async fn finish(mut self) -> Result<Stored> {
        let stored = self.bind().await;
        self.leave().await;
        stored
    }

    async fn bind(&mut self) -> Result<Stored> {
        if let Some((_, want)) = self.declared
            && self.offset() != want
        {
            return Err(Error::SizeMismatch {
                want,
                got: self.offset(),
            });
        }
        if self.session.is_none() && self.sent == 0 {
            return self.finish_single().await;
        }
        let size = self.offset();
        self.send_last().await?;
        let root = std::mem::take(&mut self.hasher)
            .finish()
            .map_err(|_| Error::Empty)?
            .root();
        self.settle(0).await?;
        if let Some((declared, _)) = self.declared
            && declared != root
        {
            // Every byte came and they are not the declared ones: there is nothing to resume.
            self.last(async |shard, blob| shard.abandon_blob(blob).await)
                .await??;
            return Err(Error::RootMismatch {
                declared,
                computed: root,
            });
        }
        if let Some(stored) = self.elsewhere(root, size).await? {
            self.last(async |shard, blob| shard.drop_upload(blob).await)
                .await?;
            return Ok(stored);
        }
        let expiry = self.terms.epoch();
        let roots = if manifest::groups(size) > 0 {
            &mut self.groups
        } else {
            &mut self.roots
        };
        let roots = std::mem::take(roots);
        let session = self.session.as_ref().expect("a longer blob has a session");
        let shard = session.shard;
        let stored = self
            .last(async move |shard, blob| {
                let shard = Rc::clone(shard);
                shard.finish(blob, root, size, roots, expiry).await
            })
            .await??;
        self.store.seen(root, shard);
        Ok(stored)
    }

    /// Has the shard do the last thing for this session, and gives the hold back with it.
    async fn last<T: Send + 'static>(
        &mut self,
        job: impl AsyncFnOnce(&Rc<Shard<W>>, u64) -> T + Send + 'static,
    ) -> Result<T> {
        let lease = self.session.take().expect("a longer blob has a session");
        let shard = lease.shard;
        let run = async move |shard: Rc<Shard<W>>| {
            let done = job(&shard, lease.blob).await;
            shard.take_back(lease);
            done
        };
        self.store.on(shard, run).await
    }

    /// The blob, if another shard has it already.
    async fn elsewhere(&self, root: Root, size: u64) -> Result<Option<Stored>> {
        let info = self.store.held(root, self.terms).await?;
        info.map_or(Ok(()), |info| info.same_size(size))?;
        Ok(info.map(BlobInfo::existed))
    }

    async fn finish_single(&mut self) -> Result<Stored> {
        let bytes = self.chunk.take().map(ChunkBuf::share).ok_or(Error::Empty)?;
        if let Some((declared, _)) = self.declared {
            let computed = lode_proofs::blob_tree(&bytes)
                .map_err(|_| Error::Empty)?
                .root();
            if declared != computed {
                return Err(Error::RootMismatch { declared, computed });
            }
        }
        self.store.put(bytes, self.terms).await
    }

    /// Sends the chunk that is full.
    async fn send_chunk(&mut self) -> Result<()> {
        let chunk = self.chunk.take().expect("a chunk is full");
        let whole = chunk.bytes().try_into().expect("a full chunk");
        let root = self.chunks.whole_root(whole);
        self.hasher
            .push_chunk_root(root)
            .expect("whole chunks only");
        self.send(root, chunk.share()).await
    }

    /// Sends the last chunk, whole or not, and the last group's roots.
    async fn send_last(&mut self) -> Result<()> {
        match self.chunk_len {
            0 => {}
            CHUNK_LEN => self.send_chunk().await?,
            _ => {
                let chunk = self.chunk.take().expect("it has bytes");
                self.hasher.update(chunk.bytes());
                let tree = self.hasher.clone().finish().map_err(|_| Error::Empty)?;
                let root = tree.last_chunk_root().expect("it was streamed");
                self.send(root, chunk.share()).await?;
            }
        }
        if !self.groups.is_empty() && !self.roots.is_empty() {
            let blob = self.session().await?.blob;
            self.send_group(blob).await?;
        }
        Ok(())
    }

    async fn send(&mut self, root: Root, payload: Bytes) -> Result<()> {
        self.chunk_len = 0;
        let blob = self.session().await?.blob;
        // A blob of up to 1024 chunks keeps their roots in its manifest: a group is sent only when
        // more follows.
        if u64::try_from(self.roots.len()).expect("64-bit") == GROUP {
            self.send_group(blob).await?;
        }
        let index = self.sent;
        self.sent += 1;
        let head = PartHead {
            kind: Kind::Chunk,
            blob,
            index,
            expiry: self.terms.epoch(),
            root,
        };
        self.part(head, payload).await?;
        self.roots.push(root);
        Ok(())
    }

    /// Sends the chunk roots of a group and keeps the group's root, if it is whole.
    async fn send_group(&mut self, blob: u64) -> Result<()> {
        let index = u64::try_from(self.groups.len()).expect("64-bit");
        let (head, payload) = group_part(blob, index, self.terms.epoch(), &self.roots);
        self.part(head, payload).await?;
        if u64::try_from(self.roots.len()).expect("64-bit") == GROUP {
            self.groups.push(head.root);
        }
        self.roots.clear();
        Ok(())
    }

    async fn session(&mut self) -> Result<&Lease> {
        if self.session.is_none() {
            let (shard, expiry) = (self.store.near(), self.terms.epoch());
            let to = self.store.releases_to(shard);
            let begun = self.store.on(shard, move |shard| shard.begin(expiry, to));
            self.session = Some(begun.await??);
        }
        Ok(self.session.as_ref().expect("it was just made"))
    }

    /// Starts to make a part durable; waits while the window is full.
    async fn part(&mut self, head: PartHead, payload: Bytes) -> Result<()> {
        self.settle(WINDOW - 1).await?;
        let bytes = u64::try_from(payload.len()).expect("64-bit");
        let permit = self.store.credit().take(bytes).await;
        let latch = Latch::new();
        let shard = self
            .session
            .as_ref()
            .expect("parts are sent in a session")
            .shard;
        let (store, sent) = (self.store.clone(), Latch::clone(&latch));
        self.store.world().spawn(Queue::Ingest, async move {
            let result = store
                .on(shard, move |shard| shard.part(head, payload))
                .await;
            drop(permit);
            sent.set(result.and_then(|part| part));
        });
        self.on_the_way.push_back((head.kind == Kind::Chunk, latch));
        Ok(())
    }

    /// Waits until at most `left` parts are on their way.
    async fn settle(&mut self, left: usize) -> Result<()> {
        while let Some((_, first)) = self.on_the_way.front() {
            let result = match first.get() {
                Some(result) => result,
                None if self.on_the_way.len() > left => first.wait().await,
                None => break,
            };
            let (chunk, _) = self.on_the_way.pop_front().expect("it was just looked at");
            if let Err(error) = result {
                self.failed = Some(error.clone());
                return Err(error);
            }
            self.acknowledged += u64::from(chunk);
        }
        Ok(())
    }
}
