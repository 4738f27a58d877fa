//! A blob or an upload away: a tombstone in the log, then gone from the catalog.
//!
//! Compaction carries a tombstone along while the shard has older segments, so an index that is
//! rebuilt from the log alone cannot bring the blob back.

use std::rc::Rc;

use bytes::Bytes;
use lode_world::World;

use super::{Draft, Shard};
use crate::{Result, Root, format::record::Kind, space::Need};

impl<W: World> Shard<W> {
    /// Deletes a blob durably; false if it is not here.
    pub(crate) async fn delete(self: Rc<Self>, root: Root) -> Result<bool> {
        let _held = self.roots.lock(root).await;
        let (expiry, blob) = {
            let catalog = self.catalog.borrow();
            let Some(found) = catalog.index.get(&root) else {
                return Ok(false);
            };
            let blob = match found {
                crate::index::Found::Long { long, .. } => long.blob,
                crate::index::Found::Single { .. } => 0,
            };
            (found.expiry(), blob)
        };
        let draft = tombstone(Kind::Delete, root, blob, expiry);
        self.append(draft, Need::Mend).await?.apply();
        self.mend.bytes_died();
        Ok(true)
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

    /// Forgets the upload of a blob number.
    pub(crate) async fn abandon_blob(self: &Rc<Self>, blob: u64) -> Result<bool> {
        let expiry = {
            let catalog = self.catalog.borrow();
            let Some(upload) = catalog.uploads.get(&blob) else {
                return Ok(false);
            };
            upload.declared.map_or(0, |declared| declared.expiry)
        };
        let draft = tombstone(Kind::Abandon, Root::from([0; 32]), blob, expiry);
        self.append(draft, Need::Mend).await?.apply();
        self.mend.bytes_died();
        Ok(true)
    }
}

fn tombstone(kind: Kind, root: Root, blob: u64, expiry: u32) -> Draft {
    let check = *blake3::hash(&[]).as_bytes();
    Draft {
        kind,
        flags: 0,
        blob,
        detail: 0,
        expiry,
        root,
        check,
        payload: Bytes::new(),
    }
}
