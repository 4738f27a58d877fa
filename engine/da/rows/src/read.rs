//! Reading records, checked page by page.
//!
//! A record is opened by its head page, or where that is damaged by one of its feet, which have the
//! same payload. It says where everything is, so a row takes one read more. What a damaged page held
//! is told by name, and remembered for whoever repairs.

use std::{collections::BTreeSet, ops::Range, rc::Rc};

use lode_proofs::{Hash32, da::Statement};
use lode_world::{File, World};

use crate::{
    Error, Result,
    append::Holding,
    damage::Damage,
    format::{
        array,
        outline::{FOOT_PAGES, Outline, Part, decode_rows},
        page::{self, Kind, PAGE, PAGE_U64, PAYLOAD, PAYLOAD_U64},
    },
    index::Place,
    planted::{self, Bug},
    segment::{Segment, State},
    store::Shared,
};

/// Bytes of rows that one request returns at most: 128 of the widest rows.
pub const READ_MAX: u64 = 16 << 20;

/// Pages of one read: 1 MiB.
pub const READ_PAGES: u32 = 256;

/// How often a page is asked for before it counts as lost: one refusal is not the end of a page.
pub const TRIES: usize = 4;

/// A record that was found, and its outline.
pub struct Record<W: World> {
    store: Rc<Shared<W>>,
    container: Hash32,
    file: W::File,
    outline: Outline,
    tag: u64,
    /// Payload of the head page.
    payload: Vec<u8>,
}

/// A part of a record's stream, zeros where it is lost.
struct Stretch {
    bytes: Vec<u8>,
    /// Pages that are lost, counted from the record's first.
    bad: Vec<u32>,
}

/// Opens the record of a container.
pub async fn record<W: World>(store: &Rc<Shared<W>>, container: Hash32) -> Result<Record<W>> {
    let place = store.index.borrow().get(&container);
    let place = place.ok_or(Error::NotHeld { container })?;
    let segment = store.segments.borrow().get(&place.segment).cloned();
    let segment = segment.ok_or(Error::NotHeld { container })?;
    let file = match store.file(&segment).await {
        Ok(file) => file,
        Err(_gone) if segment.state.get() == State::Ended => {
            return Err(Error::NotHeld { container });
        }
        Err(error) => return Err(Error::io(&*segment.path.borrow())(error)),
    };
    for page in copies(&place) {
        let read = read_page(&file, page).await;
        let opened = read.ok().and_then(|read| {
            let opened = open_copy(&segment, &place, &container, page, read.as_ref())?;
            Some((opened, read.as_ref()[..PAYLOAD].to_vec()))
        });
        if let Some(((outline, tag), payload)) = opened {
            return Ok(Record {
                store: Rc::clone(store),
                container,
                file,
                outline,
                tag,
                payload,
            });
        }
    }
    let parts = BTreeSet::from(Part::ALL);
    let rows = BTreeSet::new();
    Err(lost(
        store,
        container,
        place.sequence,
        Damage { rows, parts },
        |_| true,
    ))
}

/// The pages that have a record's outline: the head and the feet.
fn copies(place: &Place) -> [u32; 3] {
    let foot = place.first + place.pages - FOOT_PAGES;
    [place.first, foot, foot + 1]
}

/// Reads a page that should have the outline of this record.
fn open_copy<F: File>(
    segment: &Segment<F>,
    place: &Place,
    container: &Hash32,
    number: u32,
    bytes: &[u8],
) -> Option<(Outline, u64)> {
    let (outline, found) = open_outline(bytes)?;
    let first = number == place.first;
    let kind = [Kind::RecordFoot, Kind::RecordHead][usize::from(first)];
    let same = found.page == number
        && found.kind == kind
        && outline.segment == segment.number
        && outline.segment_tag == segment.tag
        && outline.first == place.first
        && outline.pages() == place.pages
        && outline.sequence == place.sequence
        && outline.container() == *container;
    same.then_some((outline, found.tag))
}

/// The outline in a page that proves itself and is the head or a foot of a record.
pub fn open_outline(bytes: &[u8]) -> Option<(Outline, page::Place)> {
    let place = page::open(bytes).ok()?;
    let kinds = [Kind::RecordHead, Kind::RecordFoot];
    kinds.contains(&place.kind).then_some(())?;
    let outline = Outline::decode(&bytes[..PAYLOAD]).ok()?;
    Some((outline, place))
}

/// Remembers a loss, unless the record was written again meanwhile, and makes the error of a request
/// that is for the rows that `wanted` says.
fn lost<W: World>(
    store: &Shared<W>,
    container: Hash32,
    sequence: u64,
    damage: Damage,
    wanted: impl Fn(u16) -> bool,
) -> Error {
    let place = store.index.borrow().get(&container);
    if place.is_some_and(|place| place.sequence == sequence) {
        tracing::error!(%container, rows = damage.rows.len(), parts = damage.parts.len(), "rows are damaged on disk");
        store.damage.borrow_mut().add(container, &damage);
    }
    Error::Lost {
        container,
        rows: damage.rows.into_iter().filter(|row| wanted(*row)).collect(),
        parts: damage.parts.into_iter().collect(),
    }
}

impl<W: World> Record<W> {
    /// What the holder signed.
    pub fn statement(&self) -> Statement {
        self.outline.statement
    }

    /// Which rows there are.
    pub async fn row_numbers(&self) -> Result<Vec<u16>> {
        let bytes = self.part(Part::RowNumbers).await?;
        let wrong = |_why| self.parts_lost([Part::RowNumbers]);
        decode_rows(&bytes).map_err(wrong)
    }

    /// The hashes beside the rows.
    pub async fn siblings(&self) -> Result<Vec<Hash32>> {
        let bytes = self.part(Part::Siblings).await?;
        let hashes = bytes.chunks_exact(32);
        Ok(hashes.map(|hash| Hash32(array(hash, 0))).collect())
    }

    /// Checksums of the original rows.
    pub async fn checks(&self) -> Result<Vec<u8>> {
        self.part(Part::Checks).await
    }

    /// The container's table.
    pub async fn table(&self) -> Result<Vec<u8>> {
        self.part(Part::Table).await
    }

    /// All that the record has besides rows.
    pub async fn holding(&self) -> Result<Holding> {
        Ok(Holding {
            statement: self.outline.statement,
            rows: self.row_numbers().await?,
            siblings: self.siblings().await?,
            checks: self.checks().await?,
            table: self.table().await?,
        })
    }

    /// Rows, in the order asked for.
    pub async fn rows(&self, wanted: &[u16]) -> Result<Vec<Vec<u8>>> {
        let width = u64::from(self.outline.statement.head.shape.width_u32());
        let asked = u64::try_from(wanted.len()).expect("64-bit") * width;
        if asked > READ_MAX {
            let most = READ_MAX;
            return Err(Error::TooMuch { asked, most });
        }
        let numbers = self.row_numbers().await?;
        let mut orders = Vec::with_capacity(wanted.len());
        for row in wanted {
            let (container, row) = (self.container, *row);
            let order = numbers.binary_search(&row);
            orders.push(order.map_err(|_none| Error::NoRow { container, row })?);
        }
        let mut rows = vec![Vec::new(); wanted.len()];
        let mut damage = Damage::default();
        for run in runs(&orders, self.outline.width()) {
            let stretch = self.stretch(self.outline.rows_at(run.clone())).await;
            damage.rows.extend(self.rows_of(&stretch.bad, &numbers));
            for (at, order) in orders.iter().enumerate() {
                if let Some(row) = order.checked_sub(run.start).filter(|_| *order < run.end) {
                    let from = row * self.outline.width();
                    rows[at] = stretch.bytes[from..from + self.outline.width()].to_vec();
                }
            }
        }
        match damage.is_empty() {
            true => Ok(rows),
            false => Err(self.lost(damage, |row| wanted.contains(&row))),
        }
    }

    /// The rows that have bytes in pages that are lost.
    fn rows_of(&self, bad: &[u32], numbers: &[u16]) -> Vec<u16> {
        let orders = bad.iter().flat_map(|page| self.outline.rows_in(*page));
        orders.map(|order| numbers[order]).collect()
    }

    /// The parts that have bytes in pages that are lost.
    fn parts_of(&self, bad: &[u32]) -> BTreeSet<Part> {
        let touches = |part: &Part| {
            let bytes = self.outline.part(*part);
            bad.iter().any(|page| {
                let from = usize::try_from(*page).expect("64-bit") * PAYLOAD;
                from < bytes.end && bytes.start < from + PAYLOAD
            })
        };
        Part::ALL.into_iter().filter(touches).collect()
    }

    fn lost(&self, damage: Damage, wanted: impl Fn(u16) -> bool) -> Error {
        lost(
            &self.store,
            self.container,
            self.outline.sequence,
            damage,
            wanted,
        )
    }

    fn parts_lost(&self, parts: impl IntoIterator<Item = Part>) -> Error {
        let (rows, parts) = (BTreeSet::new(), parts.into_iter().collect());
        self.lost(Damage { rows, parts }, |_| true)
    }

    async fn part(&self, part: Part) -> Result<Vec<u8>> {
        let range = self.outline.part(part);
        let on_disk = |at: usize| u64::try_from(at).expect("64-bit");
        let stretch = self.stretch(on_disk(range.start)..on_disk(range.end)).await;
        match stretch.bad.is_empty() {
            true => Ok(stretch.bytes),
            false => Err(self.parts_lost(self.parts_of(&stretch.bad))),
        }
    }

    /// Checks every page of the record, at most [`READ_PAGES`] in memory; `pace` hears of the bytes
    /// of each piece. Returns what is lost, which is also remembered.
    pub async fn check(&self, mut pace: impl AsyncFnMut(u64)) -> Damage {
        let mut bad = Vec::new();
        let mut page = 0;
        while page < self.outline.pages() {
            let count = READ_PAGES.min(self.outline.pages() - page);
            let pages = Pages::read(&self.file, self.outline.first + page, count).await;
            bad.extend((page..page + count).filter(|number| {
                let bytes = pages.get(number - page);
                bytes.is_none_or(|bytes| !self.is_whole(*number, bytes))
            }));
            pace(u64::from(count) * PAGE_U64).await;
            page += count;
        }
        // The head page and the feet stand for each other.
        bad.retain(|page| *page > 0 && self.outline.kind(*page) != Kind::RecordFoot);
        let mut damage = Damage {
            parts: self.parts_of(&bad),
            ..Damage::default()
        };
        if let Ok(numbers) = self.row_numbers().await {
            damage.rows = self.rows_of(&bad, &numbers).into_iter().collect();
        }
        if !damage.is_empty() {
            self.lost(damage.clone(), |_| true);
        }
        damage
    }

    fn is_whole(&self, number: u32, bytes: &[u8]) -> bool {
        page::check(bytes, self.outline.place(self.tag, number)).is_ok()
    }

    /// Reads a part of the record's stream.
    async fn stretch(&self, range: Range<u64>) -> Stretch {
        let page_of =
            |at: u64| u32::try_from(at / PAYLOAD_U64).expect("a record is below 2^24 pages");
        let len = usize::try_from(range.end - range.start).expect("64-bit");
        let mut stretch = Stretch {
            bytes: Vec::with_capacity(len),
            bad: Vec::new(),
        };
        let end = page_of(range.end + PAYLOAD_U64 - 1);
        let mut page = page_of(range.start);
        let mut skip = usize::try_from(range.start % PAYLOAD_U64).expect("below 4080");
        let trusted = planted::is(&self.store.world, Bug::SkipChecksum);
        while stretch.bytes.len() < len {
            let count = READ_PAGES.min(end - page);
            let pages = Pages::read(&self.file, self.outline.first + page, count).await;
            for number in page..page + count {
                let bytes = pages.get(number - page);
                let whole = bytes.filter(|bytes| trusted || self.is_whole(number, bytes));
                let payload = match (number, whole) {
                    (0, _) => &self.payload[..],
                    (_, Some(bytes)) => &bytes[..PAYLOAD],
                    (_, None) => {
                        stretch.bad.push(number);
                        &[0; PAYLOAD]
                    }
                };
                let run = (PAYLOAD - skip).min(len - stretch.bytes.len());
                stretch.bytes.extend_from_slice(&payload[skip..skip + run]);
                skip = 0;
            }
            page += count;
            if count == READ_PAGES {
                self.store.world.breathe().await;
            }
        }
        stretch
    }
}

/// The stretches of neighbouring rows among some, each of up to a read's length.
fn runs(orders: &[usize], width: usize) -> Vec<Range<usize>> {
    let most = (usize::try_from(READ_PAGES).expect("64-bit") * PAYLOAD / width).max(1);
    let sorted: BTreeSet<usize> = orders.iter().copied().collect();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for order in sorted {
        match runs.last_mut() {
            Some(run) if run.end == order && run.len() < most => run.end += 1,
            _ => runs.push(order..order + 1),
        }
    }
    runs
}

/// Neighbouring pages as they were read: in one piece, or where the disk refused that one by one.
enum Pages<F: File> {
    Whole(F::Read),
    Single(Vec<Option<F::Read>>),
}

impl<F: File> Pages<F> {
    async fn read(file: &F, first: u32, count: u32) -> Self {
        let len = usize::try_from(count).expect("64-bit") * PAGE;
        let read = file.read(u64::from(first) * PAGE_U64, len);
        if let Ok(whole) = read.await {
            return Pages::Whole(whole);
        }
        let mut single = Vec::new();
        for page in first..first + count {
            single.push(read_page(file, page).await.ok());
        }
        Pages::Single(single)
    }

    /// Page `at` of them; none if the disk refuses it.
    fn get(&self, at: u32) -> Option<&[u8]> {
        let at = usize::try_from(at).expect("64-bit");
        match self {
            Pages::Whole(read) => Some(&read.as_ref()[at * PAGE..(at + 1) * PAGE]),
            Pages::Single(pages) => pages[at].as_ref().map(AsRef::as_ref),
        }
    }
}

/// Reads a page, several times if need be.
pub async fn read_page<F: File>(file: &F, page: u32) -> std::io::Result<F::Read> {
    let mut tries = 1;
    loop {
        match file.read(u64::from(page) * PAGE_U64, PAGE).await {
            Err(_) if tries < TRIES => tries += 1,
            read => return read,
        }
    }
}
