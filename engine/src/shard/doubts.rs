//! Records whose writes failed. The store goes on without them, and the next start may find them in
//! the log all the same; then they come true. Until that, nobody is told that what they may bring
//! back is gone before something later in the log says so.
//!
//! | the write that failed | what may be found | what settles it |
//! |---|---|---|
//! | a blob, or its manifest | the blob | a later put or delete of its root |
//! | a delete | that the blob is gone | the same |
//! | what declares an upload | an empty upload | an [`Abandon`] of its number |
//! | an [`Abandon`] | the upload, for it may be missing | another one |
//!
//! A chunk or a group whose write failed settles itself: more of an upload is there than was told.
//!
//! Each doubt has a record in a segment that its failure closed, so there are no more of them than
//! the disk has room for; they go with the process. 36 to 44 bytes each, and their share of a tree.
//!
//! [`Abandon`]: crate::format::record::Kind::Abandon

use std::{collections::BTreeMap, rc::Rc};

use lode_world::World;

use super::{Shard, delete::tombstone};
use crate::{
    Error, Result, Root, format::record::Kind, space::Need, store::longest, terms::expired,
};

/// What the next start may make of a shard's records is not known of these.
#[derive(Default)]
pub(crate) struct Doubts {
    /// Blobs, with the longest term of the records in doubt, 0 for ever.
    blobs: BTreeMap<Root, u32>,
    /// Uploads by the root that they declared, which is declared by no other meanwhile.
    uploads: BTreeMap<Root, Upload>,
}

/// An upload that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// Its blob number.
    pub blob: u64,
    /// Its expiry epoch, 0 for none.
    pub expiry: u32,
}

impl Doubts {
    /// The longest term of the records of a blob that are in doubt.
    pub fn blob(&self, root: &Root) -> Option<u32> {
        self.blobs.get(root).copied()
    }

    /// A later record of the blob is durable.
    pub fn blob_settled(&mut self, root: &Root) {
        self.blobs.remove(root);
    }

    /// Forgets what does not come back, whatever is found.
    pub fn drop_expired(&mut self, epoch: u32) {
        self.blobs.retain(|_, expiry| !expired(*expiry, epoch));
        self.uploads
            .retain(|_, upload| !expired(upload.expiry, epoch));
    }

    fn doubt_blob(&mut self, root: Root, expiry: u32) {
        let before = self.blobs.get(&root).copied();
        let expiry = before.map_or(expiry, |before| longest(before, expiry));
        self.blobs.insert(root, expiry);
    }

    fn doubt_upload(&mut self, root: Root, upload: Upload) {
        let before = self.uploads.insert(root, upload);
        assert!(
            before.is_none_or(|before| before.blob == upload.blob),
            "a root is declared again only after its doubt was settled"
        );
    }
}

impl<W: World> Shard<W> {
    /// A record that stores or deletes a blob was refused; notes whether it may be found.
    pub(super) fn doubt_blob(&self, error: &Error, root: Root, expiry: u32) {
        if matches!(error, Error::WriteFailed { .. }) {
            self.doubts.borrow_mut().doubt_blob(root, expiry);
        }
    }

    /// A record that begins or ends a declared upload was refused; notes whether it may be found.
    pub(super) fn doubt_upload(&self, error: &Error, root: Root, upload: Upload) {
        if matches!(error, Error::WriteFailed { .. }) {
            self.doubts.borrow_mut().doubt_upload(root, upload);
        }
    }

    /// Sees to it that an upload of which nothing is known comes back at no start; false if none may.
    /// Nobody else may declare the root meanwhile.
    pub(super) async fn settle_upload(self: &Rc<Self>, root: Root) -> Result<bool> {
        let doubt = self.doubts.borrow().uploads.get(&root).copied();
        let Some(Upload { blob, expiry }) = doubt else {
            return Ok(false);
        };
        let draft = tombstone(Kind::Abandon, Root::from([0; 32]), blob, expiry);
        self.append(draft, Need::Mend).await?.apply();
        self.doubts.borrow_mut().uploads.remove(&root);
        Ok(true)
    }
}
