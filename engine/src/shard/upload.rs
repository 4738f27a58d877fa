//! A longer blob in, chunk by chunk: chunks and groups are durable one by one under a blob number,
//! and a manifest makes the blob exist, all at once, under its root.
//!
//! A session is one writer of one blob number. It ends when its writer has gone and nothing it
//! sent is on its way any more; an upload that declared no root is forgotten then.

use std::rc::Rc;

use async_channel::Sender;
use bytes::Bytes;
use lode_proofs::fold_roots;
use lode_world::World;

use super::{Draft, Shard, doubts};
use crate::{
    Error, Result, Root,
    format::{
        manifest::{self, GROUP},
        record::Kind,
    },
    mesh::{Lease, Release},
    space::Need,
    store::{self, Stored, UploadInfo, longest},
    wait::KeyGuard,
};

/// One writer of one upload, or all those who scatter the chunks of one blob.
#[derive(Default)]
pub(crate) struct Session {
    /// Keeps other writers of the same declared root out.
    pub(super) _writer: Option<KeyGuard<Root>>,
    /// Records on their way.
    pub(super) in_flight: u32,
    /// The writer has gone.
    pub(super) released: bool,
    /// Chunks come in any order, from anybody.
    pub(super) scatter: bool,
}

/// Where an upload begins.
#[derive(Debug)]
pub(crate) struct Start {
    /// The hold on it.
    pub lease: Lease,
    /// Roots of the complete groups that are durable.
    pub groups: Vec<Root>,
    /// Roots of the durable whole chunks after them, without a gap.
    pub chunks: Vec<Root>,
}

/// The answer to a declared upload.
pub(crate) enum Begun {
    /// The blob is here already.
    Stored(Stored),
    /// Go on from here.
    Start(Start),
}

/// What a chunk or group record carries besides its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartHead {
    pub kind: Kind,
    pub blob: u64,
    pub index: u64,
    pub expiry: u32,
    pub root: Root,
}

impl<W: World> Shard<W> {
    /// Begins an upload of unknown root.
    pub(crate) async fn begin(self: Rc<Self>, expiry: u32, to: Sender<Release>) -> Result<Lease> {
        self.admit(expiry).await?;
        let blob = self.next_blob();
        self.sessions.borrow_mut().insert(blob, Session::default());
        Ok(Lease::new(self.id, blob, to))
    }

    /// Begins or resumes the upload of a declared root.
    pub(crate) async fn resume(
        self: Rc<Self>,
        root: Root,
        size: u64,
        expiry: u32,
        to: Sender<Release>,
    ) -> Result<Begun> {
        if let Some(stored) = self.existing(root, size, expiry)? {
            Rc::clone(&self).drop_idle(root).await;
            return Ok(Begun::Stored(stored));
        }
        self.admit(expiry).await?;
        let writer = self.writer(root).await?;
        let known = self.catalog.borrow().declared.get(&root).copied();
        let blob = match known {
            Some(blob) => self.same_size(blob, size)?,
            None => self.declare(root, size, expiry).await?,
        };
        let session = Session {
            _writer: Some(writer),
            ..Session::default()
        };
        self.sessions.borrow_mut().insert(blob, session);
        let lease = Lease::new(self.id, blob, to);
        match self.durable(blob, size, expiry).await {
            Ok((groups, chunks)) => Ok(Begun::Start(Start {
                lease,
                groups,
                chunks,
            })),
            Err(error) => {
                self.take_back(lease);
                Err(error)
            }
        }
    }

    /// The right to write the upload of a root. Whoever had it a moment ago may have gone without
    /// this shard having heard of it.
    pub(super) async fn writer(&self, root: Root) -> Result<KeyGuard<Root>> {
        if let Some(writer) = self.writers.try_lock(root) {
            return Ok(writer);
        }
        self.world.breathe().await;
        self.writers
            .try_lock(root)
            .ok_or(Error::UploadBusy { root })
    }

    pub(super) fn same_size(&self, blob: u64, size: u64) -> Result<u64> {
        let catalog = self.catalog.borrow();
        let declared = catalog
            .uploads
            .get(&blob)
            .and_then(|upload| upload.declared);
        match declared {
            Some(declared) if declared.size != size => Err(Error::SizeMismatch {
                want: declared.size,
                got: size,
            }),
            _ => Ok(blob),
        }
    }

    /// Declares an upload that is not known; the caller is the root's only writer.
    pub(super) async fn declare(
        self: &Rc<Self>,
        root: Root,
        size: u64,
        expiry: u32,
    ) -> Result<u64> {
        // Else an earlier one, which may come back, would outlive whoever ends this one.
        self.settle_upload(root).await?;
        let blob = self.next_blob();
        let draft = Draft {
            kind: Kind::Open,
            flags: 0,
            blob,
            detail: size,
            expiry,
            root,
            check: None,
            payload: Bytes::new(),
        };
        match self.append(draft, Need::Blob).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                self.doubt_upload(&error, root, doubts::Upload { blob, expiry });
                return Err(error);
            }
        }
        Ok(blob)
    }

    /// What is durable of an upload: roots of groups, then of chunks. A group whose record a crash
    /// kept from being written is written now, from the chunk roots.
    async fn durable(
        self: &Rc<Self>,
        blob: u64,
        size: u64,
        expiry: u32,
    ) -> Result<(Vec<Root>, Vec<Root>)> {
        let prefix = self
            .catalog
            .borrow()
            .uploads
            .get(&blob)
            .map_or(0, |upload| upload.prefix());
        let complete = if manifest::groups(size) > 0 {
            prefix / GROUP
        } else {
            0
        };
        let mut groups = Vec::new();
        for index in 0..complete {
            let (known, roots) = {
                let catalog = self.catalog.borrow();
                let upload = catalog.uploads.get(&blob).expect("the session keeps it");
                let roots = upload.roots.range(index * GROUP..(index + 1) * GROUP);
                (
                    upload.groups.get(&index).map(|held| held.1),
                    roots.map(|(_, root)| *root).collect::<Vec<_>>(),
                )
            };
            let root = match known {
                Some(root) => root,
                None => self.write_group(blob, index, expiry, &roots).await?,
            };
            groups.push(root);
        }
        let catalog = self.catalog.borrow();
        let rest = complete * GROUP..prefix;
        let chunks = catalog
            .uploads
            .get(&blob)
            .map(|upload| upload.roots.range(rest).map(|(_, root)| *root).collect());
        Ok((groups, chunks.unwrap_or_default()))
    }

    pub(super) async fn write_group(
        self: &Rc<Self>,
        blob: u64,
        index: u64,
        expiry: u32,
        roots: &[Root],
    ) -> Result<Root> {
        let (head, payload) = group_part(blob, index, expiry, roots);
        Rc::clone(self).part(head, payload).await?;
        Ok(head.root)
    }

    /// Makes a chunk or group durable.
    pub(crate) async fn part(self: Rc<Self>, head: PartHead, payload: Bytes) -> Result<()> {
        self.enter(head.blob)?;
        let draft = Draft {
            kind: head.kind,
            flags: 0,
            blob: head.blob,
            detail: head.index,
            expiry: head.expiry,
            root: head.root,
            check: None,
            payload,
        };
        let result = self
            .append(draft, Need::Blob)
            .await
            .map(|durable| durable.apply());
        self.leave(head.blob);
        result
    }

    /// A record of a session is on its way: until it is there, the session lasts.
    fn enter(&self, blob: u64) -> Result<()> {
        match self.sessions.borrow_mut().get_mut(&blob) {
            Some(session) => session.in_flight += 1,
            None => return Err(Error::Closing),
        }
        Ok(())
    }

    pub(super) fn leave(&self, blob: u64) {
        if let Some(session) = self.sessions.borrow_mut().get_mut(&blob) {
            session.in_flight -= 1;
        }
        self.end_session(blob);
    }

    /// Binds a blob whose chunks and groups are durable to its root. If its writer goes meanwhile,
    /// its parts stay until this is done.
    pub(crate) async fn finish(
        self: Rc<Self>,
        blob: u64,
        root: Root,
        size: u64,
        roots: Vec<Root>,
        expiry: u32,
    ) -> Result<Stored> {
        self.enter(blob)?;
        let result = self.bind(blob, root, size, roots, expiry).await;
        self.leave(blob);
        result
    }

    async fn bind(
        self: &Rc<Self>,
        blob: u64,
        root: Root,
        size: u64,
        roots: Vec<Root>,
        expiry: u32,
    ) -> Result<Stored> {
        let _held = self.roots.lock(root).await;
        self.bind_held(blob, root, size, roots, expiry).await
    }

    /// As `bind`; the caller holds the root.
    pub(super) async fn bind_held(
        self: &Rc<Self>,
        blob: u64,
        root: Root,
        size: u64,
        roots: Vec<Root>,
        expiry: u32,
    ) -> Result<Stored> {
        if let Some(stored) = self.existing(root, size, expiry)? {
            self.drop_upload_held(blob).await;
            return Ok(stored);
        }
        self.complete(blob, size)?;
        let expiry = self.longest(&root, self.longest_declared(blob, expiry));
        let payload = Bytes::from(manifest::encode(&roots));
        let draft = Draft {
            kind: Kind::Manifest,
            flags: 0,
            blob,
            detail: size,
            expiry,
            root,
            check: None,
            payload,
        };
        match self.append(draft, Need::Blob).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                self.doubt_blob(&error, root, expiry);
                if let Error::WriteFailed { .. } = error
                    && let Some(upload) = self.catalog.borrow_mut().uploads.get_mut(&blob)
                {
                    upload.doubt = Some((root, expiry));
                }
                return Err(error);
            }
        }
        Ok(Stored {
            root,
            size,
            expiry: store::expiry(expiry),
            existed: false,
        })
    }

    /// The longest of the terms asked for: now, when the upload was begun, and when its manifest
    /// could not be written. What began it would outlast a manifest of a shorter term, and look
    /// like an upload again; and a tombstone, which lasts as long as the blob, has to outlast every
    /// record of it.
    pub(super) fn longest_declared(&self, blob: u64, expiry: u32) -> u32 {
        let catalog = self.catalog.borrow();
        let upload = catalog.uploads.get(&blob);
        let declared = upload.and_then(|upload| upload.declared);
        let doubt = upload
            .and_then(|upload| upload.doubt)
            .map(|(_, expiry)| expiry);
        let terms = declared.map(|declared| declared.expiry).into_iter();
        terms.chain(doubt).fold(expiry, longest)
    }

    /// Checks that everything a manifest will point to is durable.
    fn complete(&self, blob: u64, size: u64) -> Result<()> {
        let catalog = self.catalog.borrow();
        let upload = catalog.uploads.get(&blob).ok_or(Error::Closing)?;
        let chunks = (0..manifest::chunks(size))
            .all(|index| upload.chunk(index) != crate::index::Place::NONE);
        let groups = (0..manifest::groups(size)).all(|index| upload.groups.contains_key(&index));
        assert!(
            chunks && groups,
            "a writer finishes after every part was acknowledged"
        );
        Ok(())
    }

    /// The writer gives its hold back: whoever asks after this may write.
    pub(crate) fn take_back(&self, lease: Lease) {
        self.release(lease.hand_in());
    }

    /// The writer has gone.
    pub(crate) fn release(&self, blob: u64) {
        if let Some(session) = self.sessions.borrow_mut().get_mut(&blob) {
            session.released = true;
        }
        self.end_session(blob);
    }

    fn end_session(&self, blob: u64) {
        let mut sessions = self.sessions.borrow_mut();
        if sessions
            .get(&blob)
            .is_some_and(|session| session.released && session.in_flight == 0)
        {
            sessions.remove(&blob);
            let mut catalog = self.catalog.borrow_mut();
            if catalog
                .uploads
                .get(&blob)
                .is_some_and(|upload| upload.declared.is_none() && upload.doubt.is_none())
            {
                catalog.forget(blob);
                self.mend.bytes_died();
            }
        }
    }

    /// The unfinished upload of a root.
    pub(crate) fn upload_info(&self, root: Root) -> Option<UploadInfo> {
        let catalog = self.catalog.borrow();
        let upload = catalog.uploads.get(catalog.declared.get(&root)?)?;
        let declared = upload.declared?;
        let offset = (upload.prefix() * manifest::CHUNK).min(declared.size);
        Some(UploadInfo {
            root,
            size: declared.size,
            offset,
            expiry: store::expiry(declared.expiry),
        })
    }
}

/// Head and payload of a group record over up to 1024 chunk roots.
pub(crate) fn group_part(blob: u64, index: u64, expiry: u32, roots: &[Root]) -> (PartHead, Bytes) {
    let mut payload = manifest::encode(roots);
    payload.resize(manifest::GROUP_LEN, 0);
    let whole = payload.len() == roots.len() * 32;
    let root = if whole {
        fold_roots(roots).expect("1024 roots")
    } else {
        Root::from([0; 32])
    };
    (
        PartHead {
            kind: Kind::Group,
            blob,
            index,
            expiry,
            root,
        },
        Bytes::from(payload),
    )
}
