//! Writing and loading checkpoints.
//!
//! `checkpoint-N` is written beside the running shard in pieces, so entries may be newer than the
//! sequence number it covers; replay from there on makes up for that. It counts only once it is
//! renamed from `new-N`, durable, and the directory synced. The one before stays until then.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use lode_world::{Disk, File, Open, World};

use super::uploads;
use crate::{
    Error, Result,
    format::{
        checkpoint::{Decoder, Encoder, Item, PLACES_MAX, SegmentItem},
        manifest,
        page::{self, Kind, PAGE, PAYLOAD},
    },
    index::{Found, Long, Place},
    log::{
        read::{PAGE_U64, TRIES},
        segment::State,
        supply::write_pages,
    },
    planted::{self, Bug},
    shard::Shard,
};

/// Payload bytes of one write: 255 pages.
const PIECE: usize = 255 * PAYLOAD;

/// What a loaded checkpoint covers.
pub(crate) struct Covered {
    /// Records below this number are in.
    pub sequence: u64,
    /// Closed segments of which all records are in, by number.
    pub segments: BTreeMap<u32, SegmentItem>,
}

/// Writes a checkpoint and removes the ones before.
pub(crate) async fn write<W: World>(shard: &Rc<Shard<W>>) -> Result<()> {
    let _turn = shard.mend.busy.lock(()).await;
    let number = shard.mend.checkpoint_number.get() + 1;
    let (new, done) = (
        shard.dir.join(format!("new-{number:010}")),
        path(&shard.dir, number),
    );
    let disk = shard.world.disk();
    let file = create(shard, &new).await?;
    let written = write_items(shard, &file).await;
    drop(file);
    let named = match written {
        Ok(covered) => disk.rename(&new, &done).await.map(|()| covered),
        Err(error) => Err(error),
    };
    let covered = match named {
        Ok(covered) => covered,
        Err(error) => {
            if let Err(left) = disk.remove(&new).await {
                tracing::warn!(path = %new.display(), error = %left, "unfinished checkpoint stays");
            }
            return Err(shard.space.refusal(&new, error));
        }
    };
    disk.sync_dir(&shard.dir)
        .await
        .map_err(Error::io(&shard.dir))?;
    shard.mend.checkpoint_number.set(number);
    shard.mend.covered.set(covered);
    let names = disk.list(&shard.dir).await.map_err(Error::io(&shard.dir))?;
    for old in names
        .iter()
        .filter(|name| number_of(name).is_some_and(|old| old < number))
    {
        let old = shard.dir.join(old);
        disk.remove(&old).await.map_err(Error::io(&old))?;
    }
    Ok(())
}

/// Makes the file of a new checkpoint; one that was left there half written is replaced.
async fn create<W: World>(shard: &Shard<W>, new: &Path) -> Result<W::File> {
    let disk = shard.world.disk();
    let created = match disk.open(new, Open::Create).await {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove(new).await.map_err(Error::io(new))?;
            disk.open(new, Open::Create).await
        }
        created => created,
    };
    created.map_err(|error| shard.space.refusal(new, error))
}

/// Streams every item into the file and syncs it; returns what it covers.
async fn write_items<W: World>(shard: &Rc<Shard<W>>, file: &W::File) -> std::io::Result<u64> {
    let tag = shard.world.random();
    let mut out = Output {
        file,
        tag,
        page: 0,
        encoder: Encoder::default(),
    };
    let (covered, head, segments) = {
        let covered = shard.covered();
        let catalog = shard.catalog.borrow();
        let covered = if planted::is(&shard.world, Bug::IndexAheadOfLog) {
            catalog.next_sequence
        } else {
            covered
        };
        let head = Item::Head {
            shard: shard.id,
            covered,
            tag,
            next_blob: catalog.next_blob,
        };
        let closed = catalog
            .segments()
            .values()
            .filter(|segment| segment.state.get() == State::Closed);
        let whole = closed.filter(|segment| segment.last.get() < covered);
        let segments: Vec<_> = whole.map(|segment| Item::Segment(segment.item())).collect();
        (covered, head, segments)
    };
    out.encoder.push(&head);
    segments.iter().for_each(|item| out.encoder.push(item));
    let mut from = 0;
    while let Some(blob) = uploads::next(shard, from) {
        let mut group = 0;
        while uploads::push_group(shard, blob, group, &mut out.encoder) {
            group += 1;
            out.flush(PIECE).await?;
            shard.world.breathe().await;
        }
        from = blob + 1;
        out.flush(PIECE).await?;
    }
    // Uploads that became blobs while those were written are in the index by now. Blocks that are
    // added from here on hold records that are replayed.
    let blocks = shard.catalog.borrow().index().blocks();
    for block in 0..blocks {
        push_block(shard, block, &mut out.encoder);
        out.flush(PIECE).await?;
        shard.world.breathe().await;
    }
    out.encoder.end();
    out.flush(1).await?;
    file.sync().await?;
    Ok(covered)
}

fn push_block<W: World>(shard: &Rc<Shard<W>>, block: usize, encoder: &mut Encoder) {
    let catalog = shard.catalog.borrow();
    for (root, found) in catalog.index().block(block) {
        match found {
            Found::Single { place, len, expiry } => encoder.push(&Item::Single {
                root,
                place,
                len,
                expiry,
            }),
            Found::Long { long, expiry } => {
                let Long {
                    blob,
                    size,
                    manifest,
                    ..
                } = *long;
                encoder.push(&Item::Blob {
                    root,
                    blob,
                    size,
                    expiry,
                    manifest,
                });
                long.parts
                    .chunks(PLACES_MAX)
                    .for_each(|places| encoder.push(&Item::Places(places.to_vec())));
            }
        }
    }
}

/// A checkpoint file being written.
struct Output<'a, F> {
    file: &'a F,
    tag: u64,
    page: u32,
    encoder: Encoder,
}

impl<F: File> Output<'_, F> {
    /// Writes while at least `least` bytes wait.
    async fn flush(&mut self, least: usize) -> std::io::Result<()> {
        while self.encoder.pending() >= least {
            let bytes = self.encoder.take(PIECE);
            let pages = page::paginate(&bytes, self.tag, self.page, Kind::Checkpoint);
            write_pages(self.file, self.page, &pages).await?;
            self.page += u32::try_from(pages.len() / PAGE).expect("255 pages");
        }
        Ok(())
    }
}

/// Loads the newest whole checkpoint into the shard's empty catalog.
pub(crate) async fn load<W: World>(
    shard: &Rc<Shard<W>>,
    names: &[String],
) -> Result<Option<Covered>> {
    let disk = shard.world.disk();
    for left in names.iter().filter(|name| name.starts_with("new-")) {
        let left = shard.dir.join(left);
        disk.remove(&left).await.map_err(Error::io(&left))?;
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    shard
        .mend
        .checkpoint_number
        .set(numbers.first().copied().unwrap_or(0));
    let mut found = None;
    for number in &numbers {
        if let Some(covered) = load_one(shard, &path(&shard.dir, *number)).await {
            found = Some((*number, covered));
            break;
        }
        tracing::error!(
            path = %path(&shard.dir, *number).display(),
            "checkpoint cannot be read; the log is read instead"
        );
        shard.clear_catalog();
    }
    // What is dropped from now on is dropped because this checkpoint does not need it; another
    // one that comes to light later would miss it.
    let kept = found.as_ref().map(|(number, _)| *number);
    remove(
        shard,
        numbers.into_iter().filter(|number| Some(*number) != kept),
    )
    .await?;
    let covered = found.map(|(_, covered)| covered);
    let sequence = covered.as_ref().map_or(0, |covered| covered.sequence);
    shard.mend.covered.set(sequence);
    Ok(covered)
}

/// Removes checkpoints, for good.
async fn remove<W: World>(
    shard: &Rc<Shard<W>>,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<()> {
    let disk = shard.world.disk();
    let mut removed = false;
    for number in numbers {
        let path = path(&shard.dir, number);
        disk.remove(&path).await.map_err(Error::io(&path))?;
        removed = true;
    }
    if removed {
        disk.sync_dir(&shard.dir)
            .await
            .map_err(Error::io(&shard.dir))?;
    }
    Ok(())
}

async fn load_one<W: World>(shard: &Rc<Shard<W>>, path: &Path) -> Option<Covered> {
    let file = shard.world.disk().open(path, Open::Read).await.ok()?;
    let len = file.len().await.ok()?;
    // It is made of pages: another length is that of a file which is none.
    len.is_multiple_of(PAGE_U64).then_some(())?;
    let mut decoder = Decoder::default();
    let mut loading = Loading {
        covered: None,
        tag: None,
        long: None,
    };
    let mut page = 0;
    while u64::from(page) * PAGE_U64 < len {
        let at = u64::from(page) * PAGE_U64;
        let bytes = (len - at).min(256 * PAGE_U64);
        let pages = read_often(&file, at, usize::try_from(bytes).ok()?).await?;
        let tag = match loading.tag {
            Some(tag) => tag,
            None => page::open(&pages.as_ref()[..PAGE]).ok()?.tag,
        };
        loading.tag = Some(tag);
        decoder.feed(&page::join(pages.as_ref(), tag, page, Kind::Checkpoint).ok()?);
        while let Some(item) = decoder.next_item().ok()? {
            loading.take(shard, item)?;
        }
        page += u32::try_from(bytes / PAGE_U64).ok()?;
        shard.world.breathe().await;
    }
    decoder.finish().ok()?;
    loading.finish(shard)?;
    loading.covered
}

/// Reads, several times if need be.
async fn read_often<F: File>(file: &F, at: u64, len: usize) -> Option<F::Read> {
    for _ in 0..TRIES {
        if let Ok(read) = file.read(at, len).await {
            return Some(read);
        }
    }
    None
}

/// A checkpoint being read.
struct Loading {
    covered: Option<Covered>,
    tag: Option<u64>,
    long: Option<(crate::Root, u32, LongParts)>,
}

struct LongParts {
    blob: u64,
    size: u64,
    manifest: Place,
    parts: Vec<Place>,
}

impl Loading {
    /// Takes in an item; none if it does not belong here.
    fn take<W: World>(&mut self, shard: &Shard<W>, item: Item) -> Option<()> {
        if !matches!(item, Item::Places(_)) {
            self.finish(shard)?;
        }
        let mut catalog = shard.catalog.borrow_mut();
        match item {
            Item::Head {
                shard: id,
                covered,
                tag,
                next_blob,
            } => {
                (id == shard.id && Some(tag) == self.tag && self.covered.is_none()).then_some(())?;
                self.covered = Some(Covered {
                    sequence: covered,
                    segments: BTreeMap::new(),
                });
                catalog.next_sequence = covered;
                catalog.next_blob = next_blob;
            }
            Item::Segment(segment) => {
                self.covered
                    .as_mut()?
                    .segments
                    .insert(segment.number, segment);
            }
            Item::Single {
                root,
                place,
                len,
                expiry,
            } => {
                self.covered.as_ref()?;
                (1..=u32::try_from(lode_proofs::CHUNK_LEN).ok()?)
                    .contains(&len)
                    .then_some(())?;
                catalog.index_mut().put_single(root, place, len, expiry);
            }
            Item::Blob {
                root,
                blob,
                size,
                expiry,
                manifest,
            } => {
                self.covered.as_ref()?;
                (1..=manifest::BLOB_MAX).contains(&size).then_some(())?;
                self.long = Some((
                    root,
                    expiry,
                    LongParts {
                        blob,
                        size,
                        manifest,
                        parts: Vec::new(),
                    },
                ));
            }
            Item::Places(places) => self.long.as_mut()?.2.parts.extend(places),
            Item::End { .. } => catalog.drop_complete_uploads(),
            upload => {
                self.covered.as_ref()?;
                drop(catalog);
                uploads::take(shard, upload)?;
            }
        }
        Some(())
    }

    /// Puts a longer blob whose places have all come; none if some are missing or too many.
    fn finish<W: World>(&mut self, shard: &Shard<W>) -> Option<()> {
        let Some((root, expiry, long)) = self.long.take() else {
            return Some(());
        };
        let want = manifest::chunks(long.size) + manifest::groups(long.size);
        (u64::try_from(long.parts.len()).ok()? == want).then_some(())?;
        let LongParts {
            blob,
            size,
            manifest,
            parts,
        } = long;
        let long = Long {
            blob,
            size,
            manifest,
            parts: parts.into_boxed_slice(),
        };
        shard
            .catalog
            .borrow_mut()
            .index_mut()
            .put_long(root, long, expiry);
        Some(())
    }
}

fn path(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("checkpoint-{number:010}"))
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?;
    (digits.len() == 10).then(|| digits.parse().ok())?
}
