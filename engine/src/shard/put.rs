//! A blob of one chunk in: one record, one acknowledgement.

use std::rc::Rc;

use bytes::Bytes;
use lode_world::World;

use super::{Draft, Shard};
use crate::{
    Error, Result, Root,
    format::record::Kind,
    space::Need,
    store::{self, BlobInfo, Stored},
    terms,
};

impl<W: World> Shard<W> {
    /// Stores a blob of one chunk whose root the caller has computed.
    pub(crate) async fn put(
        self: Rc<Self>,
        root: Root,
        payload: Bytes,
        expiry: u32,
    ) -> Result<Stored> {
        self.admit(expiry).await?;
        let size = u64::try_from(payload.len()).expect("64-bit");
        // While the root is held nobody else puts or deletes it: what the log says last is true.
        let _held = self.roots.lock(root).await;
        if let Some(stored) = self.existing(root, size, expiry)? {
            return Ok(stored);
        }
        let expiry = self.longest(&root, expiry);
        let draft = Draft {
            kind: Kind::Single,
            flags: 0,
            blob: 0,
            detail: 0,
            expiry,
            root,
            check: None,
            payload,
        };
        match self.append(draft, Need::Blob).await {
            Ok(durable) => durable.apply(),
            Err(error) => {
                self.doubt_blob(&error, root, expiry);
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

    /// Refuses new bytes while the shard stops, the disk is full, or they are expired already.
    pub(crate) async fn admit(&self, expiry: u32) -> Result<()> {
        if self.stopping.get() {
            return Err(Error::Closing);
        }
        let now = self.epoch();
        if expiry != 0 && expiry <= now {
            return Err(Error::Expired { expiry, now });
        }
        self.space
            .admit()
            .await
            .inspect_err(|_| self.mend.space_wanted())
    }

    /// The answer to a put of a blob that is here for at least as long as asked; an error if its
    /// root is taken by a blob of another size.
    pub(crate) fn existing(&self, root: Root, size: u64, expiry: u32) -> Result<Option<Stored>> {
        let Some(info) = self.stat(root) else {
            return Ok(None);
        };
        info.same_size(size)?;
        Ok(self.holds(&root, expiry).then(|| info.existed()))
    }

    /// Whether the blob is here for at least as long as asked.
    pub(crate) fn holds(&self, root: &Root, expiry: u32) -> bool {
        // A delete of it failed, and the next start may find that it was done: it is put again.
        if self.doubts.borrow().blob(root).is_some() {
            return false;
        }
        let catalog = self.catalog.borrow();
        let index = catalog.index();
        let Some(found) = index.get(root) else {
            return false;
        };
        let term = |expiry: u32| if expiry == 0 { u32::MAX } else { expiry };
        !self.expired(found.expiry()) && term(found.expiry()) >= term(expiry)
    }

    /// The longest of the terms: the one asked for, that of a blob whose delete failed, and those of
    /// its records whose writes failed. A tombstone lasts as long as the blob, and has to outlast
    /// every record of it.
    pub(crate) fn longest(&self, root: &Root, expiry: u32) -> u32 {
        let catalog = self.catalog.borrow();
        let index = catalog.index();
        let found = index.get(root).map(|found| found.expiry());
        let doubt = self.doubts.borrow().blob(root);
        found.into_iter().chain(doubt).fold(expiry, store::longest)
    }

    /// The blob, if it is here for at least as long as asked.
    pub(crate) fn held(&self, root: Root, expiry: u32) -> Option<BlobInfo> {
        self.holds(&root, expiry).then(|| self.stat(root)).flatten()
    }

    /// Whether an expiry epoch has come.
    pub(crate) fn expired(&self, expiry: u32) -> bool {
        terms::expired(expiry, self.epoch())
    }
}
