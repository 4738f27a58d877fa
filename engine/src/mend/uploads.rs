//! Unfinished uploads in checkpoints: without them, what is older than an upload's first record
//! could never be covered, and a start would read the log from there on, however old it is.
//!
//! They are written before the index, while both change. An upload that becomes a blob meanwhile is
//! in the index when that is written; whoever reads both keeps the blob. Records that came after
//! the checkpoint began are replayed in any case.

use lode_proofs::CHUNK_LEN;
use lode_world::World;

use crate::{
    catalog::{Declared, Unfinished},
    format::{
        checkpoint::{Encoder, Item, PLACES_MAX},
        manifest::{self, GROUP},
    },
    index::Place,
    shard::Shard,
};

/// The first upload from blob number `from` on.
pub(super) fn next<W: World>(shard: &Shard<W>, from: u64) -> Option<u64> {
    let catalog = shard.catalog.borrow();
    catalog.uploads.range(from..).next().map(|(blob, _)| *blob)
}

/// Writes what is known of the chunks of group `group` of an upload; whether there are more.
pub(super) fn push_group<W: World>(
    shard: &Shard<W>,
    blob: u64,
    group: u64,
    encoder: &mut Encoder,
) -> bool {
    let catalog = shard.catalog.borrow();
    let Some(upload) = catalog.uploads.get(&blob) else {
        return false;
    };
    if group == 0 {
        push_head(blob, upload, encoder);
    }
    let chunks = group * GROUP..(group + 1) * GROUP;
    let index = |chunk: u64| usize::try_from(chunk).expect("64-bit");
    let end = upload.chunks.len().min(index(chunks.end));
    let places = &upload.chunks[index(chunks.start).min(end)..end];
    for places in places.chunks(PLACES_MAX) {
        encoder.push(&Item::Chunks {
            blob,
            places: places.to_vec(),
        });
    }
    for (&chunk, &len) in upload.short.range(chunks.clone()) {
        encoder.push(&Item::Short { blob, chunk, len });
    }
    for (&chunk, &root) in upload.roots.range(chunks) {
        encoder.push(&Item::ChunkRoot { blob, chunk, root });
    }
    if let Some(&(place, root)) = upload.groups.get(&group) {
        encoder.push(&Item::Group {
            blob,
            group,
            place,
            root,
        });
    }
    upload.chunks.len() > end
}

fn push_head(blob: u64, upload: &Unfinished, encoder: &mut Encoder) {
    encoder.push(&Item::Upload { blob });
    if let Some(declared) = upload.declared {
        let Declared {
            root,
            size,
            expiry,
            place,
        } = declared;
        encoder.push(&Item::Declared {
            blob,
            root,
            size,
            expiry,
            place,
        });
    }
}

/// Takes an item of an upload into the catalog; none if it does not belong here. Nothing is made
/// larger than what was read.
pub(super) fn take<W: World>(shard: &Shard<W>, item: Item) -> Option<()> {
    let catalog = &mut *shard.catalog.borrow_mut();
    let uploads = &mut catalog.uploads;
    match item {
        Item::Upload { blob } => {
            let before = uploads.insert(blob, Unfinished::default());
            before.is_none().then_some(())?;
        }
        Item::Declared {
            blob,
            root,
            size,
            expiry,
            place,
        } => {
            (1..=manifest::BLOB_MAX).contains(&size).then_some(())?;
            uploads.get_mut(&blob)?.declared = Some(Declared {
                root,
                size,
                expiry,
                place,
            });
            catalog.declared.insert(root, blob);
        }
        Item::Chunks { blob, places } => uploads.get_mut(&blob)?.chunks.extend(places),
        Item::Short { blob, chunk, len } => {
            let upload = uploads.get_mut(&blob)?;
            let short = usize::try_from(len).is_ok_and(|len| len < CHUNK_LEN);
            (short && upload.chunk(chunk) != Place::NONE).then_some(())?;
            upload.short.insert(chunk, len);
        }
        Item::ChunkRoot { blob, chunk, root } => {
            uploads.get_mut(&blob)?.roots.insert(chunk, root);
        }
        Item::Group {
            blob,
            group,
            place,
            root,
        } => {
            uploads.get_mut(&blob)?.groups.insert(group, (place, root));
        }
        Item::Head { .. }
        | Item::Segment(_)
        | Item::Single { .. }
        | Item::Blob { .. }
        | Item::Places(_)
        | Item::End { .. } => return None,
    }
    Some(())
}
