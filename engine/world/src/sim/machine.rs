//! The simulated machine: disk, clock, dice and record of what happened. It outlives runs.
//!
//! An IO is two moments: [`Machine::start`], when it is asked for, and [`Machine::finish`], when
//! it takes effect and is answered. Between them it is in flight, and a crash may catch it.

use super::{
    chance::Dice,
    faults::{Counts, Damage, DamageKind, Faults},
    inode::{Change, Inode, pages_of},
    names::{Entry, NameChange, Names, split},
    pages::{Block, Mask, SECTOR},
    trace::{Act, Event, Trace, digest},
};
use crate::{
    ALIGN, Open, Space,
    units::{in_memory, on_disk},
};
use std::{collections::BTreeMap, io, rc::Rc, time::Duration};

/// EIO, EBADF and ENOSPC as Linux numbers them.
const EIO: i32 = 5;
const EBADF: i32 = 9;
const ENOSPC: i32 = 28;

/// An open file: its inode, kept alive, and what the handle allows.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) inode: u64,
    writable: bool,
    /// Held for its count: while it lives the inode's blocks are not given back.
    _open: Rc<()>,
}

/// An IO, as asked for.
pub(super) enum Op {
    Open {
        path: String,
        how: Open,
    },
    List {
        dir: String,
    },
    MakeDir {
        dir: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    SyncDir {
        dir: String,
        upto: u64,
    },
    Space {
        path: String,
    },
    Read {
        file: Handle,
        at: u64,
        len: usize,
    },
    Write {
        file: Handle,
        at: u64,
        block: Rc<Block>,
    },
    Sync {
        file: Handle,
        upto: u64,
    },
    Allocate {
        file: Handle,
        len: u64,
    },
    Truncate {
        file: Handle,
        len: u64,
    },
    Len {
        file: Handle,
    },
}

/// What a successful IO returns.
pub(super) enum Outcome {
    Nothing,
    Bytes(Vec<u8>),
    File(Handle),
    Names(Vec<String>),
    Space(Space),
    Len(u64),
}

#[derive(Clone)]
pub(super) struct Machine {
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) damage: Vec<Damage>,
    pub(super) trace: Trace,
    pub(super) now: Duration,
    pub(super) dice: Dice,
    /// What the program draws, apart from the faults, so that adding one does not change the other.
    pub(super) program_dice: Dice,
    pub(super) names: Names,
    pub(super) inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    /// Place of the last change in the disk's history.
    pub(super) seq: u64,
}

impl Machine {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let mut dice = Dice::new(seed);
        let program_dice = dice.split();
        Self {
            faults,
            counts: Counts::default(),
            damage: Vec::new(),
            trace: Trace::new(seed),
            now: Duration::ZERO,
            dice,
            program_dice,
            names: Names::new(),
            inodes: BTreeMap::new(),
            inodes_made: 0,
            seq: 0,
        }
    }

    /// The same machine with other luck ahead and a trace of its own.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let mut fork = self.clone();
        fork.dice = Dice::new(seed);
        fork.program_dice = fork.dice.split();
        fork.trace = Trace::new(seed);
        for inode in fork.inodes.values_mut() {
            // Handles of the original do not keep files of the fork.
            inode.open = Rc::new(());
        }
        fork
    }

    pub(super) fn record(&mut self, event: Event) {
        self.trace.push(self.now, event);
    }

    pub(super) fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes
            .get_mut(&number)
            .expect("an inode outlives its names and handles")
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Takes an IO; returns how long it will be in flight.
    pub(super) fn start(&mut self, io: u64, op: &mut Op) -> Duration {
        self.counts.ios += 1;
        let act = op.act();
        self.record(Event::Ask { io, act });
        let (low, high) = (self.faults.latency.start(), self.faults.latency.end());
        let mut latency = self.dice.within(nanos(*low)..=nanos(*high));
        match op {
            Op::Write { file, at, block } => self.inode(file.inode).take_off(io, *at, block),
            Op::Sync { upto, .. } | Op::SyncDir { upto, .. } => {
                *upto = self.seq;
                latency *= 4;
            }
            _ => {}
        }
        if self.dice.strikes(self.faults.stall) {
            self.counts.stalls += 1;
            latency += nanos(self.faults.stall_span);
        }
        Duration::from_nanos(latency)
    }

    /// Carries an IO out and answers it.
    pub(super) fn finish(&mut self, io: u64, op: Op) -> io::Result<Outcome> {
        let answer = match op {
            Op::Open { path, how } => self.open(&path, how),
            Op::List { dir } => self.list(&dir),
            Op::MakeDir { dir } => self.names.make_dir(&dir).map(|()| Outcome::Nothing),
            Op::Rename { from, to } => self.rename(&from, &to),
            Op::Remove { path } => self.remove(&path),
            Op::SyncDir { dir, upto } => self.sync_dir(&dir, upto),
            Op::Space { .. } => Ok(Outcome::Space(self.space())),
            Op::Read { file, at, len } => self.read(&file, at, len),
            Op::Write { file, at, block } => self.write(io, &file, at, &block),
            Op::Sync { file, upto } => self.sync(file.inode, upto),
            Op::Allocate { file, len } => self.allocate(&file, len),
            Op::Truncate { file, len } => self.truncate(&file, len),
            Op::Len { file } => Ok(Outcome::Len(self.inode(file.inode).visible.len)),
        };
        let (errno, digest) = match &answer {
            Ok(outcome) => (0, outcome.digest()),
            Err(error) => (error.raw_os_error().unwrap_or(-1), 0),
        };
        self.record(Event::Done { io, errno, digest });
        answer
    }

    fn open(&mut self, path: &str, how: Open) -> io::Result<Outcome> {
        let held = self.names.file(path);
        let inode = match (how, held) {
            (Open::Create, Ok(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Open::Create, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                let (dir, name) = split(path);
                self.names.dir(dir)?;
                self.check_space(0)?;
                let inode = self.inodes_made;
                self.inodes_made += 1;
                self.inodes.insert(inode, Inode::new(path));
                let seq = self.next_seq();
                let change = NameChange::Link {
                    name: name.to_owned(),
                    inode,
                };
                self.names.dir(dir)?.change(seq, change);
                inode
            }
            (_, held) => held?,
        };
        let open = Rc::clone(&self.inode(inode).open);
        Ok(Outcome::File(Handle {
            inode,
            writable: how != Open::Read,
            _open: open,
        }))
    }

    fn list(&mut self, dir: &str) -> io::Result<Outcome> {
        Ok(Outcome::Names(
            self.names.dir(dir)?.visible.keys().cloned().collect(),
        ))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<Outcome> {
        let (dir, from_name) = split(from);
        let (to_dir, to_name) = split(to);
        assert_eq!(dir, to_dir, "a rename stays within one directory");
        let inode = self.names.file(from)?;
        if from != to {
            if let Ok(replaced) = self.names.file(to) {
                self.inode(replaced).links -= 1;
            }
            to.clone_into(&mut self.inode(inode).path);
            let seq = self.next_seq();
            let change = NameChange::Rename {
                from: from_name.to_owned(),
                to: to_name.to_owned(),
            };
            self.names.dir(dir)?.change(seq, change);
        }
        Ok(Outcome::Nothing)
    }

    fn remove(&mut self, path: &str) -> io::Result<Outcome> {
        let inode = self.names.file(path)?;
        self.inode(inode).links -= 1;
        let (dir, name) = split(path);
        let seq = self.next_seq();
        self.names.dir(dir)?.change(
            seq,
            NameChange::Unlink {
                name: name.to_owned(),
            },
        );
        Ok(Outcome::Nothing)
    }

    fn sync_dir(&mut self, dir: &str, upto: u64) -> io::Result<Outcome> {
        if self.dice.strikes(self.faults.sync_lie) {
            self.counts.sync_lies += 1;
            return Ok(Outcome::Nothing);
        }
        let fails = self.dice.strikes(self.faults.sync_error);
        let upto = if fails {
            self.dice.within(0..=upto)
        } else {
            upto
        };
        self.names.dir(dir)?.sync(upto);
        if fails {
            self.counts.sync_errors += 1;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.forget_inodes();
        Ok(Outcome::Nothing)
    }

    /// Drops inodes that no name and no handle can reach, now or after a power loss.
    pub(super) fn forget_inodes(&mut self) {
        let names = &self.names;
        self.inodes.retain(|number, inode| {
            inode.is_used() || names.dirs.values().any(|dir| dir.may_name(*number))
        });
    }

    pub(super) fn space(&self) -> Space {
        let used: u64 = self
            .inodes
            .values()
            .filter(|inode| inode.is_used())
            .map(|inode| inode.visible.space())
            .sum();
        Space {
            total: self.faults.capacity,
            free: self.faults.capacity.saturating_sub(used),
        }
    }

    fn check_space(&mut self, needs: u64) -> io::Result<()> {
        if self.dice.strikes(self.faults.full) || (needs > 0 && needs > self.space().free) {
            self.counts.fulls += 1;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }

    fn check_writable(file: &Handle) -> io::Result<()> {
        if file.writable {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EBADF))
        }
    }

    fn allocate(&mut self, file: &Handle, len: u64) -> io::Result<Outcome> {
        Self::check_writable(file)?;
        let change = Change::Reserve { len };
        let needs = self.inode(file.inode).visible.needs(&change);
        self.check_space(needs)?;
        self.land(file.inode, change);
        Ok(Outcome::Nothing)
    }

    fn truncate(&mut self, file: &Handle, len: u64) -> io::Result<Outcome> {
        Self::check_writable(file)?;
        self.land(file.inode, Change::Cut { len });
        Ok(Outcome::Nothing)
    }

    pub(super) fn land(&mut self, inode: u64, change: Change) {
        let seq = self.next_seq();
        self.inode(inode).land(seq, change);
    }

    fn read(&mut self, file: &Handle, at: u64, len: usize) -> io::Result<Outcome> {
        let number = file.inode;
        let within = at + on_disk(len) <= self.inode(number).visible.len;
        if within && self.dice.strikes(self.faults.rot) {
            let bit = self.dice.below(on_disk(len) * 8);
            self.counts.rots += 1;
            self.spoil(number, at + bit / 8, 1 << (bit % 8));
        }
        if within && self.dice.strikes(self.faults.read_error_sticky) {
            let page = at / on_disk(ALIGN) + self.dice.below(on_disk(len / ALIGN));
            self.inode(number).unreadable.insert(page);
            self.damaged(
                number,
                page * on_disk(ALIGN),
                on_disk(ALIGN),
                DamageKind::Unreadable,
            );
        }
        let pages = pages_of(at, len);
        let broken = self.inode(number).unreadable.range(pages).next().is_some();
        if broken || self.dice.strikes(self.faults.read_error) {
            self.counts.read_errors += 1;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let dice = &mut self.dice;
        let inode = self.inodes.get(&number).expect("found above");
        inode.read(at, len, || dice.coin()).map(Outcome::Bytes)
    }

    /// Flips the bits of `mask` in the byte at `at`, in what reads see and in what would survive.
    pub(super) fn spoil(&mut self, number: u64, at: u64, mask: u8) {
        let page = at / on_disk(ALIGN);
        let offset = in_memory(at % on_disk(ALIGN));
        let inode = self.inode(number);
        inode
            .visible
            .pages
            .edit(page, |bytes| bytes[offset] ^= mask);
        inode
            .durable
            .pages
            .edit(page, |bytes| bytes[offset] ^= mask);
        self.damaged(number, at, 1, DamageKind::Rot);
    }

    /// Makes reads of the pages of `range` fail until they are written.
    pub(super) fn break_reads(&mut self, number: u64, range: &std::ops::Range<u64>) {
        let pages = pages_of(range.start, in_memory(range.end - range.start));
        self.inode(number).unreadable.extend(pages);
        self.damaged(
            number,
            range.start,
            range.end - range.start,
            DamageKind::Unreadable,
        );
    }

    pub(super) fn damaged(&mut self, file: u64, at: u64, len: u64, kind: DamageKind) {
        let path = self.inode(file).path.clone();
        self.damage.push(Damage {
            path,
            at,
            len,
            kind,
        });
        self.record(Event::Damage {
            file,
            at,
            len,
            kind,
        });
    }

    fn write(&mut self, io: u64, file: &Handle, at: u64, block: &Rc<Block>) -> io::Result<Outcome> {
        self.inode(file.inode).flying.retain(|write| write.io != io);
        Self::check_writable(file)?;
        if self.dice.strikes(self.faults.write_error) {
            self.counts.write_errors += 1;
            self.land_interrupted(file.inode, at, block);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let whole = Change::Write {
            at,
            block: Rc::clone(block),
            mask: Mask::All,
        };
        let needs = self.inode(file.inode).visible.needs(&whole);
        if needs > 0 {
            self.check_space(needs)?;
        }
        if self.dice.strikes(self.faults.misdirect) && self.stray(file.inode, at, block) {
            return Ok(Outcome::Nothing);
        }
        self.land(file.inode, whole);
        Ok(Outcome::Nothing)
    }

    /// Lets a write land in full, in part or not at all.
    pub(super) fn land_interrupted(&mut self, inode: u64, at: u64, block: &Rc<Block>) {
        let mask = if self.dice.strikes(self.faults.torn) {
            self.tear(&Mask::All, block.bytes().len() / SECTOR)
        } else if self.dice.coin() {
            Mask::All
        } else {
            return;
        };
        if let Mask::Sectors(sectors) = &mask {
            let landed = on_disk(sectors.iter().filter(|lands| **lands).count());
            self.record(Event::Landed {
                file: inode,
                at,
                sectors: landed,
            });
        }
        self.land(
            inode,
            Change::Write {
                at,
                block: Rc::clone(block),
                mask,
            },
        );
    }

    /// Some of the sectors that `mask` lets through: a prefix, or any subset.
    pub(super) fn tear(&mut self, mask: &Mask, sectors: usize) -> Mask {
        self.counts.torn += 1;
        let prefix = self.dice.coin();
        let kept = self.dice.index(sectors);
        let lands = |sector: usize, coin: bool| {
            let before = match mask {
                Mask::All => true,
                Mask::Nothing => false,
                Mask::Sectors(lands) => lands[sector],
            };
            before && if prefix { sector < kept } else { coin }
        };
        let dice = &mut self.dice;
        Mask::Sectors(
            (0..sectors)
                .map(|sector| lands(sector, !prefix && dice.coin()))
                .collect(),
        )
    }

    /// Puts a write on other pages than meant; false when there is nowhere to put it.
    fn stray(&mut self, number: u64, at: u64, block: &Rc<Block>) -> bool {
        let len = on_disk(block.bytes().len());
        let room = |inode: &Inode| inode.visible.len.saturating_sub(len) / on_disk(ALIGN);
        let files: Vec<(u64, u64)> = self
            .inodes
            .iter()
            .filter(|(_, inode)| inode.links > 0 && inode.visible.len >= len)
            .map(|(number, inode)| (*number, room(inode)))
            .collect();
        if files.is_empty() {
            return false;
        }
        let (victim, pages) = files[self.dice.index(files.len())];
        let there = self.dice.within(0..=pages) * on_disk(ALIGN);
        if victim == number && there == at {
            return false;
        }
        self.counts.misdirected += 1;
        let missed = Change::Write {
            at,
            block: Rc::clone(block),
            mask: Mask::Nothing,
        };
        self.land(number, missed);
        self.damaged(number, at, len, DamageKind::Missed);
        let astray = Change::Write {
            at: there,
            block: Rc::clone(block),
            mask: Mask::All,
        };
        self.land(victim, astray);
        self.damaged(victim, there, len, DamageKind::Overwritten);
        true
    }

    fn sync(&mut self, number: u64, upto: u64) -> io::Result<Outcome> {
        if self.dice.strikes(self.faults.sync_lie) {
            self.counts.sync_lies += 1;
            return Ok(Outcome::Nothing);
        }
        if self.dice.strikes(self.faults.sync_error) {
            self.counts.sync_errors += 1;
            self.fail_sync(number, upto);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.inode(number).sync(upto);
        Ok(Outcome::Nothing)
    }

    /// As Linux does it: the pages are marked clean whether or not they reached the disk, so that
    /// no later sync will write them again (the "fsyncgate" of 2018; man fsync, NOTES).
    fn fail_sync(&mut self, number: u64, upto: u64) {
        let inode = self.inode(number);
        let covered = inode.journal.partition_point(|(seq, _)| *seq <= upto);
        let changes: Vec<(u64, Change)> = inode.journal.drain(..covered).collect();
        for (_, change) in changes {
            let fate = self.dice.below(3);
            let inode = self.inode(number);
            match &change {
                Change::Write { at, block, .. } if fate > 0 => {
                    if fate == 2 {
                        inode.revert(*at, block);
                    }
                    let (at, len) = (*at, on_disk(block.bytes().len()));
                    self.damaged(number, at, len, DamageKind::Unsynced);
                }
                _ => inode.durable.apply(&change),
            }
        }
    }

    /// The inode that a name points to now.
    pub(super) fn find(&self, path: &str) -> Option<u64> {
        self.names.file(path).ok()
    }

    /// Every file by path, in order.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        for (dir, entries) in &self.names.dirs {
            for (name, entry) in &entries.visible {
                if let Entry::File(inode) = entry {
                    let path = if dir.is_empty() {
                        name.clone()
                    } else {
                        format!("{dir}/{name}")
                    };
                    files.push((path, *inode));
                }
            }
        }
        files.sort();
        files
    }
}

impl Op {
    fn act(&self) -> Act {
        let name = |path: &String| digest(path.as_bytes());
        match self {
            Self::Open { path, how } => {
                let how = match how {
                    Open::Read => 0,
                    Open::Write => 1,
                    Open::Create => 2,
                };
                Act::Open {
                    path: name(path),
                    how,
                }
            }
            Self::List { dir } => Act::List { path: name(dir) },
            Self::MakeDir { dir } => Act::MakeDir { path: name(dir) },
            Self::Rename { from, to } => Act::Rename {
                from: name(from),
                to: name(to),
            },
            Self::Remove { path } => Act::Remove { path: name(path) },
            Self::SyncDir { dir, .. } => Act::SyncDir { path: name(dir) },
            Self::Space { path } => Act::Space { path: name(path) },
            Self::Read { file, at, len } => Act::Read {
                file: file.inode,
                at: *at,
                len: on_disk(*len),
            },
            Self::Write { file, at, block } => Act::Write {
                file: file.inode,
                at: *at,
                len: on_disk(block.bytes().len()),
                content: digest(block.bytes()),
            },
            Self::Sync { file, .. } => Act::Sync { file: file.inode },
            Self::Allocate { file, len } => Act::Allocate {
                file: file.inode,
                len: *len,
            },
            Self::Truncate { file, len } => Act::Truncate {
                file: file.inode,
                len: *len,
            },
            Self::Len { file } => Act::Len { file: file.inode },
        }
    }
}

impl Outcome {
    fn digest(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => digest(bytes),
            Self::File(handle) => handle.inode,
            Self::Names(names) => names
                .iter()
                .fold(0, |all, name| all ^ digest(name.as_bytes())),
            Self::Space(space) => space.free,
            Self::Len(len) => *len,
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("spans of a simulation stay below 584 years")
}
