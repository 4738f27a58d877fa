//! What the disk itself can do, in the patterns of the store and by the plainest loop that can do
//! them (as fio would): the limit that the store is measured against, in the same minutes.
//!
//! | pattern | loop |
//! |---|---|
//! | append | 1 MiB writes, 8 in flight, an fdatasync after every 16; the next group does not wait |
//! | append, drained | the same, but each group waits for the last one's fdatasync |
//! | read | aligned blocks of what was appended last, at random or in order, each once before any comes again, a fixed number in flight |
//! | write + sync | one block, one fdatasync, one at a time |
//!
//! All with O_DIRECT. Appends go to a fresh file with its blocks reserved, or to a recycled one,
//! all of whose blocks were written before. A virtual machine's host keeps a cache that O_DIRECT
//! does not pass: blocks that are read again and again come from there, several times as fast.

mod ring;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FallocateFlags, Mode, OFlags};

use crate::{
    error::{Error, Result},
    figures::{Figure, Table, Unit},
    meter::{Meter, Sample, bytes_of},
    values::{CHUNK_LEN, PAGE_LEN, Random, Values},
};
use ring::{Done, Ring};

/// Name of the limit among the figures.
pub const NAME: &str = "disk";

const WRITE_LEN: usize = 1 << 20;
const WRITE_DEPTH: usize = 8;
/// Writes of one group: 16 MiB.
const GROUP: u64 = 16;
/// Groups that may wait for their sync while the next is written.
const GROUPS_AHEAD: u64 = 3;

/// Whether the file's blocks were written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Reserved, never written: each first write of them also goes through the filesystem's journal.
    Fresh,
    /// Written before.
    Recycled,
}

/// Whether a group's writes wait for the last group's sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They do not.
    Pipelined,
    /// They do.
    Drained,
}

/// Which block is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any.
    Random,
    /// The next one, and the first after the last.
    InOrder,
}

/// One folder's disk.
pub struct Disk {
    dir: PathBuf,
    len: u64,
}

impl Disk {
    /// Works in `dir` with files of `len` bytes, rounded up to whole groups of 16 MiB.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(dir: &Path, len: u64) -> Result<Self> {
        fs::create_dir_all(dir).map_err(Error::io("make", dir))?;
        let group = GROUP * bytes_of(WRITE_LEN);
        Ok(Self {
            dir: dir.to_owned(),
            len: len.div_ceil(group).max(1) * group,
        })
    }

    /// Appends the whole length durably. A fresh file stays until the next is made.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&self, blocks: Blocks, flow: Flow) -> Result<Sample> {
        let path = self.file_of(blocks)?;
        self.append_to(&path, flow)
            .map_err(Error::io("append to", &path))
    }

    /// Reads of blocks of `block_len` from the fresh file that was appended last.
    pub fn pass(&self, order: Order, block_len: usize) -> Pass {
        let blocks = self.len / bytes_of(block_len);
        Pass {
            path: self.dir.join("fresh"),
            block_len,
            order: match order {
                Order::Random => Random::new(bytes_of(block_len)).order(blocks),
                Order::InOrder => (0..blocks).collect(),
            },
            next: 0,
        }
    }

    /// Writes and syncs blocks of `block_len` one at a time for `span`, into reserved blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_sync(&self, block_len: usize, span: Duration) -> Result<Sample> {
        let path = self.dir.join("small");
        reserve(&path, self.len).map_err(Error::io("reserve", &path))?;
        let sample = self
            .write_sync_to(&path, block_len, span)
            .map_err(Error::io("write", &path))?;
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        Ok(sample)
    }

    /// A file of the whole length in the state asked for.
    fn file_of(&self, blocks: Blocks) -> Result<PathBuf> {
        match blocks {
            Blocks::Fresh => {
                let path = self.dir.join("fresh");
                reserve(&path, self.len).map_err(Error::io("reserve", &path))?;
                Ok(path)
            }
            Blocks::Recycled => {
                let path = self.dir.join("recycled");
                if fs::metadata(&path).is_ok_and(|file| file.len() == self.len) {
                    return Ok(path);
                }
                reserve(&path, self.len).map_err(Error::io("reserve", &path))?;
                self.append_to(&path, Flow::Pipelined)
                    .map_err(Error::io("fill", &path))?;
                Ok(path)
            }
        }
    }

    fn append_to(&self, path: &Path, flow: Flow) -> io::Result<Sample> {
        let mut ring = Ring::new(open_direct(path)?, WRITE_DEPTH, WRITE_LEN)?;
        let values = Values::new(1);
        for slot in 0..WRITE_DEPTH {
            for (index, part) in (0..).zip(ring.slot_mut(slot).chunks_mut(CHUNK_LEN)) {
                values.write(bytes_of(slot) * 64 + index, part);
            }
        }
        let groups = self.len / bytes_of(WRITE_LEN) / GROUP;
        let ahead = if flow == Flow::Pipelined {
            GROUPS_AHEAD
        } else {
            0
        };
        let meter = Meter::start();
        Append {
            groups,
            ahead,
            ..Append::default()
        }
        .run(&mut ring)?;
        Ok(meter.stop(groups * GROUP, self.len))
    }

    fn write_sync_to(&self, path: &Path, len: usize, span: Duration) -> io::Result<Sample> {
        let mut ring = Ring::new(open_direct(path)?, 1, len)?;
        let values = Values::new(2);
        for (piece, index) in ring.slot_mut(0).chunks_mut(CHUNK_LEN).zip(0..) {
            values.write(index, piece);
        }
        let blocks = self.len / bytes_of(len);
        let mut done = Vec::with_capacity(1);
        let mut operations = 0;
        let meter = Meter::start();
        let end = Instant::now() + span;
        while operations == 0 || Instant::now() < end {
            ring.write(operations % blocks * bytes_of(len))?;
            ring.wait(&mut done)?;
            ring.sync()?;
            ring.wait(&mut done)?;
            operations += 1;
            done.clear();
        }
        Ok(meter.stop(operations, operations * bytes_of(len)))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for name in ["fresh", "recycled", "small"] {
            // What is left behind costs space, not correctness, and there is nobody to tell.
            drop(fs::remove_file(self.dir.join(name)));
        }
    }
}

/// Reads of every block of a file in some order, over and over.
pub struct Pass {
    path: PathBuf,
    block_len: usize,
    order: Vec<u64>,
    next: usize,
}

impl Pass {
    /// Goes on for `span`, with `depth` reads in flight.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read(&mut self, depth: usize, span: Duration) -> Result<Sample> {
        let path = self.path.clone();
        self.read_on(depth, span).map_err(Error::io("read", &path))
    }

    fn read_on(&mut self, depth: usize, span: Duration) -> io::Result<Sample> {
        let len = bytes_of(self.block_len);
        let mut ring = Ring::new(open_direct(&self.path)?, depth, self.block_len)?;
        let mut done = Vec::with_capacity(depth);
        let mut operations = 0;
        let meter = Meter::start();
        let end = Instant::now() + span;
        loop {
            let open = Instant::now() < end;
            while open && ring.has_room() {
                ring.read(self.order[self.next] * len)?;
                self.next = (self.next + 1) % self.order.len();
            }
            if ring.is_idle() {
                return Ok(meter.stop(operations, operations * len));
            }
            ring.wait(&mut done)?;
            operations += bytes_of(done.len());
            done.clear();
        }
    }
}

/// The state of an append: groups are written in order, and a sync covers all groups that were
/// complete when it began.
#[derive(Default)]
struct Append {
    groups: u64,
    ahead: u64,
    started: u64,
    completed: Vec<u64>,
    group_of_slot: [u64; WRITE_DEPTH],
    complete: u64,
    syncing: Option<u64>,
    durable: u64,
}

impl Append {
    fn run(mut self, ring: &mut Ring) -> io::Result<()> {
        let mut done = Vec::with_capacity(WRITE_DEPTH + 1);
        while self.durable < self.groups {
            while ring.has_room() && self.may_write() {
                let group = self.started / GROUP;
                let slot = ring.write(self.started * bytes_of(WRITE_LEN))?;
                self.group_of_slot[slot] = group;
                self.started += 1;
            }
            if self.syncing.is_none() && self.complete > self.durable {
                ring.sync()?;
                self.syncing = Some(self.complete);
            }
            ring.wait(&mut done)?;
            for done in done.drain(..) {
                match done {
                    Done::Slot(slot) => self.wrote(self.group_of_slot[slot]),
                    Done::Sync => self.durable = self.syncing.take().expect("one sync at a time"),
                }
            }
        }
        Ok(())
    }

    fn may_write(&self) -> bool {
        let group = self.started / GROUP;
        group < self.groups && group <= self.durable + self.ahead
    }

    fn wrote(&mut self, group: u64) {
        let group = usize::try_from(group).expect("a group of this file");
        self.completed
            .resize(self.completed.len().max(group + 1), 0);
        self.completed[group] += 1;
        let whole = self
            .completed
            .iter()
            .take_while(|&&writes| writes == GROUP)
            .count();
        self.complete = bytes_of(whole);
    }
}

/// A new file with `len` bytes of reserved blocks, durable.
fn reserve(path: &Path, len: u64) -> io::Result<()> {
    let file = File::create(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len) {
        Ok(()) => {}
        // Filesystems without reservation (overlay on some hosts): zeroes do the same job.
        Err(rustix::io::Errno::OPNOTSUPP) => write_zeroes(&file, len)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn write_zeroes(mut file: &File, len: u64) -> io::Result<()> {
    let zeroes = vec![0; WRITE_LEN];
    (0..len / bytes_of(WRITE_LEN)).try_for_each(|_| file.write_all(&zeroes))
}

fn open_direct(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// The bench `disk`: every pattern, `rounds` times in turn.
///
/// # Errors
/// When the disk refuses.
pub fn run(dir: &Path, len: u64, span: Duration, rounds: u32) -> Result<Vec<Figure>> {
    let disk = Disk::new(dir, len)?;
    let mut table = Table::default();
    for _ in 0..rounds {
        for (blocks, name) in [(Blocks::Fresh, "fresh"), (Blocks::Recycled, "recycled")] {
            for (flow, how) in [(Flow::Pipelined, "pipelined"), (Flow::Drained, "drained")] {
                let subject = format!("{name}, {how}");
                table.push(
                    "durable append",
                    &subject,
                    Unit::Megabytes,
                    disk.append(blocks, flow)?,
                );
            }
        }
        for (len, what) in [(CHUNK_LEN, "read 256 KiB"), (PAGE_LEN, "read 4 KiB")] {
            let mut pass = disk.pass(Order::Random, len);
            for depth in [1, 8, 32] {
                let sample = pass.read(depth, span)?;
                table.push(what, &format!("depth {depth}"), Unit::Operations, sample);
            }
        }
        for (len, subject) in [(PAGE_LEN, "4 KiB"), (16 * PAGE_LEN, "64 KiB")] {
            let sample = disk.write_sync(len, span)?;
            table.push("write + sync", subject, Unit::Operations, sample);
        }
    }
    Ok(table.figures())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::{Blocks, Disk, Flow, ring::Ring, run};
    use crate::{meter::bytes_of, scratch::Scratch, values::Values};

    const SPAN: Duration = Duration::from_millis(5);

    /// Proves that the ring writes and reads what it is given, where it is told.
    #[test]
    fn the_ring_moves_the_right_bytes() {
        let scratch = Scratch::new("ring").unwrap();
        let path = scratch.path().join("file");
        super::reserve(&path, 65_536).unwrap();
        let mut ring = Ring::new(super::open_direct(&path).unwrap(), 2, 4096).unwrap();
        let values = Values::new(1);
        values.write(1, ring.slot_mut(1));
        let mut done = Vec::new();
        assert_eq!(ring.write(8192).unwrap(), 1);
        ring.wait(&mut done).unwrap();
        ring.sync().unwrap();
        ring.wait(&mut done).unwrap();
        assert!(ring.is_idle() && done.len() == 2);
        let bytes = fs::read(&path).unwrap();
        assert!(values.matches(1, 0, &bytes[8192..12_288]));
        assert!(
            bytes[..8192]
                .iter()
                .chain(&bytes[12_288..])
                .all(|&byte| byte == 0)
        );
        ring.slot_mut(1).fill(0);
        let slot = ring.read(8192).unwrap();
        ring.wait(&mut done).unwrap();
        assert!(values.matches(1, 0, ring.slot(slot)));
    }

    /// Proves that a read past the end is an error, not a figure.
    #[test]
    fn a_short_read_is_an_error() {
        let scratch = Scratch::new("short").unwrap();
        let path = scratch.path().join("file");
        super::reserve(&path, 4096).unwrap();
        let mut ring = Ring::new(super::open_direct(&path).unwrap(), 1, 4096).unwrap();
        ring.read(4096).unwrap();
        assert!(ring.wait(&mut Vec::new()).is_err());
    }

    /// Proves that an append fills the whole file, in both flows, and leaves no zeroes behind.
    #[test]
    fn appends_fill_the_file() {
        for flow in [Flow::Pipelined, Flow::Drained] {
            let scratch = Scratch::new("append").unwrap();
            let disk = Disk::new(scratch.path(), 40 << 20).unwrap();
            let sample = disk.append(Blocks::Recycled, flow).unwrap();
            assert_eq!((sample.operations, sample.bytes), (48, 48 << 20));
            let bytes = fs::read(scratch.path().join("recycled")).unwrap();
            assert_eq!(bytes_of(bytes.len()), sample.bytes);
            assert!(
                bytes
                    .chunks(4096)
                    .all(|page| page.iter().any(|&byte| byte != 0)),
                "{flow:?}"
            );
        }
    }

    /// Proves that the whole bench runs on a tiny file and reports every pattern.
    #[test]
    fn runs_tiny() {
        let scratch = Scratch::new("disk").unwrap();
        let figures = run(scratch.path(), 1, SPAN, 1).unwrap();
        assert_eq!(figures.len(), 12);
        assert!(
            figures.iter().all(|figure| figure.best > 0.0),
            "{figures:?}"
        );
    }
}
