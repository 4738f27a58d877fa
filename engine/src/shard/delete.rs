//! A blob or an upload away: a tombstone in the log, then gone from the catalog.
//!
//! Compaction carries a tombstone along while the shard has older segments, so an index that is
//! rebuilt from the log alone cannot bring the blob back.

use std::rc::Rc;

use bytes::Bytes;
use lode_world::World;

use super::{Draft, Shard, doubts};
use crate::{
    Error, Result, Root, catalog::Declared, format::record::Kind, index::Found, space::Need,
};

impl<W: World> Shard<W> {
    /// Deletes a blob durably; false if it is not here, and no start can bring it back. An upload of
    /// it whose manifest could not be written goes with it.
    pub(crate) async fn delete(self: Rc<Self>, root: Root) -> Result<bool> {
        let _held = self.roots.lock(root).await;
        let Some((blob, expiry)) = self.deletable(&root) else {
            return Ok(false);
        };
        let unbound = self.unbound(&root);
        if !unbound.is_empty() {
            // Whoever writes to one of them must not lose it from under his hands.
            let _writer = self.writer(root).await?;
            for blob in &unbound {
                self.abandon_held(*blob).await?;
            }
        }
        let draft = tombstone(Kind::Delete, root, blob, self.longest(&root, expiry));
        match self.append(draft, Need::Mend).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                self.doubt_blob(&error, root, expiry);
                return Err(error);
            }
        }
        // Those that declared nothing are forgotten by any start now.
        for blob in unbound {
            self.catalog.borrow_mut().forget(blob);
        }
        self.mend.bytes_died();
        Ok(!self.expired(expiry))
    }

    /// Blob number and term of what a delete of this root has to outlast, if there is anything.
    fn deletable(&self, root: &Root) -> Option<(u64, u32)> {
        let catalog = self.catalog.borrow();
        match catalog.index().get(root) {
            Some(Found::Long { long, expiry }) => Some((long.blob, expiry)),
            Some(found @ Found::Single { .. }) => Some((0, found.expiry())),
            None => self.doubts.borrow().blob(root).map(|expiry| (0, expiry)),
        }
    }

    /// Uploads whose manifests with this root may be found by the next start.
    fn unbound(&self, root: &Root) -> Vec<u64> {
        if self.doubts.borrow().blob(root).is_none() {
            return Vec::new();
        }
        let catalog = self.catalog.borrow();
        let uploads = catalog.uploads.iter();
        uploads
            .filter(|(_, upload)| upload.doubt.is_some_and(|(of, _)| of == *root))
            .map(|(blob, _)| *blob)
            .collect()
    }

    /// Forgets an upload durably; false if it is not here, and no start can bring it back.
    pub(crate) async fn abandon(self: Rc<Self>, root: Root) -> Result<bool> {
        let _writer = self.writers.lock(root).await;
        let blob = self.catalog.borrow().declared.get(&root).copied();
        let ended = match blob {
            Some(blob) => self.abandon_blob(blob).await?,
            None => false,
        };
        Ok(ended || self.settle_upload(root).await?)
    }

    /// Forgets the declared upload of a blob number. Its root is held meanwhile, so that
    /// compaction cannot copy what declared it past the tombstone.
    pub(crate) async fn abandon_blob(self: &Rc<Self>, blob: u64) -> Result<bool> {
        let declared = self.declared(blob);
        let Some(declared) = declared else {
            return Ok(false);
        };
        let _held = self.roots.lock(declared.root).await;
        self.abandon_held(blob).await
    }

    fn declared(&self, blob: u64) -> Option<Declared> {
        self.catalog.borrow().uploads.get(&blob)?.declared
    }

    /// Forgets the declared upload of a blob number; the caller holds its root.
    pub(crate) async fn abandon_held(self: &Rc<Self>, blob: u64) -> Result<bool> {
        let Some(Declared { root, expiry, .. }) = self.declared(blob) else {
            return Ok(false);
        };
        let expiry = self.longest_declared(blob, expiry);
        let draft = tombstone(Kind::Abandon, Root::from([0; 32]), blob, expiry);
        match self.append(draft, Need::Mend).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                // The next start may find the tombstone: nothing may be added to this upload. And it
                // may find none: the upload is not gone before another one is durable.
                if matches!(error, Error::WriteFailed { .. }) {
                    self.catalog.borrow_mut().forget(blob);
                }
                self.doubt_upload(&error, root, doubts::Upload { blob, expiry });
                return Err(error);
            }
        }
        self.mend.bytes_died();
        Ok(true)
    }

    /// Forgets an upload that nobody writes, because its blob is here.
    pub(crate) async fn drop_idle(self: Rc<Self>, root: Root) {
        let Some(_writer) = self.writers.try_lock(root) else {
            return;
        };
        let blob = self.catalog.borrow().declared.get(&root).copied();
        match blob {
            Some(blob) => self.drop_upload(blob).await,
            None => {
                if let Err(error) = self.settle_upload(root).await {
                    tracing::warn!(shard = self.id, %root, %error, "an upload of a stored blob may come back");
                }
            }
        }
    }

    /// Forgets an upload whose blob is here. That it could not be forgotten is no reason to tell a
    /// client that its blob is not stored: the upload stays until the next one asks.
    pub(crate) async fn drop_upload(self: &Rc<Self>, blob: u64) {
        let dropped = self.abandon_blob(blob).await;
        self.warn_if_stays(blob, dropped);
    }

    /// As [`Shard::drop_upload`]; the caller holds the root.
    pub(crate) async fn drop_upload_held(self: &Rc<Self>, blob: u64) {
        let dropped = self.abandon_held(blob).await;
        self.warn_if_stays(blob, dropped);
    }

    fn warn_if_stays(&self, blob: u64, dropped: Result<bool>) {
        if let Err(error) = dropped {
            tracing::warn!(shard = self.id, blob, %error, "an upload of a stored blob stays");
        }
    }
}

/// The record that something is gone.
pub(super) fn tombstone(kind: Kind, root: Root, blob: u64, expiry: u32) -> Draft {
    Draft {
        kind,
        flags: 0,
        blob,
        detail: 0,
        expiry,
        root,
        check: None,
        payload: Bytes::new(),
    }
}
