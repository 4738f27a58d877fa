//! What a shard holds: its index, its unfinished uploads and its segments, as one history of
//! records makes them. Live records and replayed ones pass through the same [`Catalog::apply`].
//!
//! Applying a shard's records in the order of their sequence numbers, from any point at which a
//! checkpoint covered what came before, ends in the same catalog; so does applying a record twice
//! in a row of replays. Places that stop being pointed to are taken off their segment's live bytes.

mod unfinished;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    rc::Rc,
    sync::Arc,
};

use lode_world::File;

use crate::{
    Root,
    format::{
        manifest,
        record::{HEADER, Header, Kind},
    },
    index::{Found, Index, Long, Part, Place, Removed},
    log::segment::Segment,
    shelf::Shelf,
    terms::expired,
};

pub use unfinished::{Declared, Unfinished};

/// A shard's blobs, uploads and segments.
pub struct Catalog<F: File> {
    /// The index of complete blobs and the segments' files, where other executors look in.
    shelf: Arc<Shelf<F::Shared>>,
    /// Uploads by blob number.
    pub uploads: BTreeMap<u64, Unfinished>,
    /// Resumable uploads by declared root.
    pub declared: BTreeMap<Root, u64>,
    /// Segments by number.
    segments: BTreeMap<u32, Rc<Segment<F>>>,
    /// Next blob number.
    pub next_blob: u64,
    /// Next sequence number.
    pub next_sequence: u64,
    /// The log is being replayed over a checkpoint, which may know later records already.
    pub replaying: bool,
}

impl<F: File> Catalog<F> {
    /// An empty catalog around an empty shelf.
    pub fn new(shelf: Arc<Shelf<F::Shared>>) -> Self {
        Catalog {
            shelf,
            uploads: BTreeMap::new(),
            declared: BTreeMap::new(),
            segments: BTreeMap::new(),
            next_blob: 1,
            next_sequence: 1,
            replaying: false,
        }
    }

    /// Complete blobs.
    pub fn index(&self) -> impl Deref<Target = Index> + '_ {
        self.shelf.index()
    }

    /// Complete blobs, to change them.
    pub fn index_mut(&mut self) -> impl DerefMut<Target = Index> + '_ {
        self.shelf.index_mut()
    }

    /// Segments by number.
    pub fn segments(&self) -> &BTreeMap<u32, Rc<Segment<F>>> {
        &self.segments
    }

    /// Takes in a segment.
    pub fn add_segment(&mut self, segment: Rc<Segment<F>>) {
        self.shelf
            .show(segment.number, segment.tag, segment.file.share());
        self.segments.insert(segment.number, segment);
    }

    /// Takes a segment out.
    pub fn take_segment(&mut self, number: u32) -> Option<Rc<Segment<F>>> {
        self.shelf.hide(number);
        self.segments.remove(&number)
    }

    /// Takes in a durable record.
    pub fn apply(&mut self, header: &Header, place: Place) {
        self.next_sequence = self.next_sequence.max(header.sequence + 1);
        self.next_blob = self.next_blob.max(header.blob + 1);
        match header.kind {
            Kind::Single => self.apply_single(header, place),
            Kind::Chunk => self.apply_part(header, place, Part::Chunk(header.detail)),
            Kind::Group => self.apply_part(header, place, Part::Group(header.detail)),
            Kind::Manifest => self.apply_manifest(header, place),
            Kind::Open => self.apply_open(header, place),
            Kind::Delete => {
                // A moved one may be older than what has its root now: whoever replays it looks.
                if !header.moved() {
                    self.remove(&header.root);
                }
                // Its chunks may outlive its manifest in the log, and look like an upload then.
                if header.blob != 0 {
                    self.forget(header.blob);
                }
                self.bury(header, place);
            }
            Kind::Abandon => {
                self.forget(header.blob);
                // A manifest whose write failed may have been replayed before.
                let root = self.index().long(header.blob).map(|(root, _)| root);
                if let Some(root) = root {
                    self.remove(&root);
                    self.forget(header.blob);
                }
                self.bury(header, place);
            }
        }
    }

    /// Whether the record at `place` is what the catalog points to. Tombstones are not asked here.
    pub fn points_to(&self, header: &Header, place: Place) -> bool {
        let upload = || self.uploads.get(&header.blob);
        let index = self.index();
        let long = || index.long(header.blob).map(|(_, long)| long);
        match header.kind {
            Kind::Single => match index.get(&header.root) {
                Some(Found::Single { place: at, .. }) => at == place,
                _ => false,
            },
            Kind::Chunk => match long() {
                Some(long) => {
                    header.detail < manifest::chunks(long.size)
                        && long.chunk(header.detail) == place
                }
                None => upload().is_some_and(|upload| upload.chunk(header.detail) == place),
            },
            Kind::Group => match long() {
                Some(long) => {
                    header.detail < manifest::groups(long.size)
                        && long.group(header.detail) == place
                }
                None => upload().is_some_and(|upload| {
                    upload
                        .groups
                        .get(&header.detail)
                        .is_some_and(|held| held.0 == place)
                }),
            },
            Kind::Manifest => long().is_some_and(|long| long.manifest == place),
            Kind::Open => upload()
                .and_then(|upload| upload.declared)
                .is_some_and(|declared| declared.place == place),
            Kind::Delete | Kind::Abandon => false,
        }
    }

    /// Removes a blob and counts its bytes as dead; whether there was one.
    pub fn remove(&mut self, root: &Root) -> bool {
        let removed = self.index_mut().remove(root);
        let there = removed.is_some();
        removed.into_iter().for_each(|removed| self.lose(removed));
        there
    }

    /// Counts the bytes of what the index has lost as dead.
    fn lose(&mut self, removed: Removed) {
        match removed {
            Removed::Single { place, len } => self.dead(place, total(len)),
            // What removes it may be older than it: then its manifest is still to come, and its
            // chunks, which were taken in as parts of it, have to be there.
            Removed::Long(long) if self.replaying => {
                let own = record_len(manifest::encoded_len(long.size));
                self.dead(long.manifest, own);
                self.uploads
                    .insert(long.blob, Unfinished::without_manifest(&long));
            }
            Removed::Long(long) => {
                for (place, bytes) in long_places(&long) {
                    self.dead(place, bytes);
                }
            }
        }
    }

    /// Forgets an upload and counts its bytes as dead; whether there was one.
    pub fn forget(&mut self, blob: u64) -> bool {
        let Some(upload) = self.take_upload(blob) else {
            return false;
        };
        for (place, bytes) in upload.places() {
            self.dead(place, bytes);
        }
        true
    }

    /// Forgets uploads that are blobs by now; after a checkpoint was loaded that knows both.
    pub fn drop_complete_uploads(&mut self) {
        let complete = |blob: &u64| self.index().long(*blob).is_some();
        let complete: Vec<u64> = self.uploads.keys().copied().filter(complete).collect();
        for blob in complete {
            self.take_upload(blob);
        }
    }

    /// Takes what is lost off the uploads: what they had in segments that are not there. A
    /// checkpoint may know an upload of which the log knows nothing any more.
    pub fn prune_uploads(&mut self) {
        let segments = &self.segments;
        let gone = |place: &Place| !segments.contains_key(&place.segment);
        let mut undeclared = Vec::new();
        for (blob, upload) in &mut self.uploads {
            upload.prune(gone);
            if upload
                .declared
                .is_some_and(|declared| gone(&declared.place))
            {
                undeclared.push(*blob);
            }
        }
        for blob in undeclared {
            self.forget(blob);
        }
    }

    /// Counts the bytes of everything that the catalog points to; after a checkpoint was loaded.
    pub fn count_live(&mut self) {
        for (place, bytes) in self.uploads.values().flat_map(Unfinished::places) {
            self.add_live(place, bytes);
        }
        for block in 0..self.index().blocks() {
            for (_, found) in self.index().block(block) {
                match found {
                    Found::Single { place, len, .. } => self.add_live(place, total(len)),
                    Found::Long { long, .. } => {
                        for (place, bytes) in long_places(long) {
                            self.add_live(place, bytes);
                        }
                    }
                }
            }
        }
    }

    /// Forgets every upload whose expiry epoch has come, but those that are being written.
    pub fn drop_expired_uploads(&mut self, epoch: u32, in_session: impl Fn(u64) -> bool) {
        let uploads = self.uploads.iter();
        let gone: Vec<u64> = uploads
            .filter(|(blob, upload)| expired(upload.expiry(), epoch) && !in_session(**blob))
            .map(|(blob, _)| *blob)
            .collect();
        for blob in gone {
            self.forget(blob);
        }
    }

    /// Removes every blob whose expiry epoch has come; how many.
    pub fn drop_expired(&mut self, epoch: u32) -> u64 {
        let mut dropped = 0;
        let blocks = self.index().blocks();
        for block in 0..blocks {
            let gone = |found: &Found<'_>| found.expiry() != 0 && found.expiry() <= epoch;
            let roots: Vec<Root> = self
                .index()
                .block(block)
                .filter(|(_, found)| gone(found))
                .map(|(root, _)| root)
                .collect();
            for root in roots {
                self.remove(&root);
                dropped += 1;
            }
        }
        dropped
    }

    /// Places that point into segments which are not there: records that are lost.
    pub fn lost(&self) -> u64 {
        let mut lost = 0;
        for block in 0..self.index().blocks() {
            for (_, found) in self.index().block(block) {
                lost += match found {
                    Found::Single { place, .. } => {
                        u64::from(!self.segments.contains_key(&place.segment))
                    }
                    Found::Long { long, .. } => {
                        let gone =
                            |(place, _): &(Place, u64)| !self.segments.contains_key(&place.segment);
                        long_places_raw(long)
                            .filter(gone)
                            .count()
                            .try_into()
                            .expect("64-bit")
                    }
                };
            }
        }
        lost
    }

    fn apply_single(&mut self, header: &Header, place: Place) {
        // In one step: whoever looks in from another executor finds the one or the other.
        let before = self
            .index_mut()
            .put_single(header.root, place, header.len, header.expiry);
        before.into_iter().for_each(|before| self.lose(before));
        self.add_live(place, header.total_len());
    }

    fn apply_part(&mut self, header: &Header, place: Place, part: Part) {
        if self.index().long(header.blob).is_some() {
            let before = self.index_mut().set_part(header.blob, part, place);
            if let Some(before) = before {
                self.dead(before, header.total_len());
                self.add_live(place, header.total_len());
            }
            return;
        }
        let upload = self.upload(header);
        let before = match part {
            Part::Group(_) => upload.put_group(header, place),
            _ => upload.put_chunk(header, place),
        };
        if let Some((place, bytes)) = before {
            self.dead(place, bytes);
        }
        self.add_live(place, header.total_len());
    }

    fn apply_manifest(&mut self, header: &Header, place: Place) {
        // A copy; or the first one's write failed and can be read all the same: the last one, which
        // was acknowledged, says how long the blob lasts.
        let before = self
            .index_mut()
            .set_manifest(header.blob, place, header.expiry);
        if let Some(before) = before {
            self.dead(before, header.total_len());
            self.add_live(place, header.total_len());
            return;
        }
        let upload = self.take_upload(header.blob).unwrap_or_default();
        if let Some(declared) = upload.declared {
            self.dead(declared.place, total(0));
        }
        let size = header.detail;
        let chunks = (0..manifest::chunks(size)).map(|index| upload.chunk(index));
        let groups = (0..manifest::groups(size))
            .map(|index| upload.groups.get(&index).map_or(Place::NONE, |held| held.0));
        let parts = chunks.chain(groups).collect();
        let long = Long {
            blob: header.blob,
            size,
            manifest: place,
            parts,
        };
        let before = self.index_mut().put_long(header.root, long, header.expiry);
        before.into_iter().for_each(|before| self.lose(before));
        self.add_live(place, header.total_len());
    }

    fn apply_open(&mut self, header: &Header, place: Place) {
        // A checkpoint may know the complete blob when the record that began it is replayed.
        if self.index().long(header.blob).is_some() {
            return;
        }
        let upload = self.upload(header);
        let declared = Declared {
            root: header.root,
            size: header.detail,
            expiry: header.expiry,
            place,
        };
        if let Some(before) = upload.declared.replace(declared) {
            self.dead(before.place, header.total_len());
        }
        self.add_live(place, header.total_len());
        // A root has one upload: an older one is there only if its end did not become durable.
        let older = self.declared.insert(header.root, header.blob);
        if let Some(older) = older.filter(|older| *older != header.blob) {
            self.forget(older);
        }
    }

    fn take_upload(&mut self, blob: u64) -> Option<Unfinished> {
        let upload = self.uploads.remove(&blob)?;
        if let Some(declared) = upload.declared
            && self.declared.get(&declared.root) == Some(&blob)
        {
            self.declared.remove(&declared.root);
        }
        Some(upload)
    }

    fn upload(&mut self, header: &Header) -> &mut Unfinished {
        self.uploads.entry(header.blob).or_default()
    }

    fn bury(&mut self, header: &Header, place: Place) {
        if let Some(segment) = self.segments.get(&place.segment) {
            segment
                .tombstones
                .set(segment.tombstones.get() + header.total_len());
        }
    }

    fn add_live(&self, place: Place, bytes: u64) {
        if let Some(segment) = self.segments.get(&place.segment) {
            segment.live.set(segment.live.get() + bytes);
        }
    }

    fn dead(&self, place: Place, bytes: u64) {
        if let Some(segment) = self.segments.get(&place.segment) {
            segment.live.set(segment.live.get().saturating_sub(bytes));
        }
    }
}

/// Places of a longer blob's records that exist, with their bytes.
pub fn long_places(long: &Long) -> impl Iterator<Item = (Place, u64)> + '_ {
    long_places_raw(long).filter(|(place, _)| *place != Place::NONE)
}

fn long_places_raw(long: &Long) -> impl Iterator<Item = (Place, u64)> + '_ {
    let chunks = (0..manifest::chunks(long.size)).map(|index| {
        (
            long.chunk(index),
            record_len(manifest::chunk_len(long.size, index)),
        )
    });
    let groups = (0..manifest::groups(long.size))
        .map(|index| (long.group(index), record_len(manifest::GROUP_LEN)));
    let own = (long.manifest, record_len(manifest::encoded_len(long.size)));
    chunks.chain(groups).chain([own])
}

fn record_len(payload: usize) -> u64 {
    u64::try_from(HEADER + payload).expect("64-bit")
}

fn total(len: u32) -> u64 {
    u64::from(len) + record_len(0)
}
