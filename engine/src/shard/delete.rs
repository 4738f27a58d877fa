//! A blob or an upload away: a tombstone in the log, then gone from the catalog.
//!
//! Compaction carries a tombstone along while the shard has older segments, so an index that is
//! rebuilt from the log alone cannot bring the blob back.

use std::rc::Rc;

use bytes::Bytes;
use lode_world::World;

use super::{Draft, Shard};
use crate::{Error, Result, Root, catalog::Declared, format::record::Kind, space::Need};

impl<W: World> Shard<W> {
    /// Deletes a blob durably; false if it is not here.
    pub(crate) async fn delete(self: Rc<Self>, root: Root) -> Result<bool> {
        let _held = self.roots.lock(root).await;
        let (expiry, blob, there) = {
            let catalog = self.catalog.borrow();
            let index = catalog.index();
            let Some(found) = index.get(&root) else {
                return Ok(false);
            };
            let blob = match found {
                crate::index::Found::Long { long, .. } => long.blob,
                crate::index::Found::Single { .. } => 0,
            };
            (found.expiry(), blob, !self.expired(found.expiry()))
        };
        let draft = tombstone(Kind::Delete, root, blob, expiry);
        match self.append(draft, Need::Mend).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                if matches!(error, Error::WriteFailed { .. }) {
                    self.doubts.borrow_mut().insert(root);
                }
                return Err(error);
            }
        }
        self.mend.bytes_died();
        Ok(there)
    }

    /// Forgets an upload durably; false if it is not here.
    pub(crate) async fn abandon(self: Rc<Self>, root: Root) -> Result<bool> {
        let _writer = self.writers.lock(root).await;
        let blob = self.catalog.borrow().declared.get(&root).copied();
        match blob {
            Some(blob) => self.abandon_blob(blob).await,
            None => Ok(false),
        }
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
        let Some(Declared { expiry, .. }) = self.declared(blob) else {
            return Ok(false);
        };
        let draft = tombstone(Kind::Abandon, Root::from([0; 32]), blob, expiry);
        match self.append(draft, Need::Mend).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                // The next start may find the tombstone: nothing may be added to this upload.
                if matches!(error, Error::WriteFailed { .. }) {
                    self.catalog.borrow_mut().forget(blob);
                }
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
        if let Some(blob) = blob {
            self.drop_upload(blob).await;
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

fn tombstone(kind: Kind, root: Root, blob: u64, expiry: u32) -> Draft {
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
