//! The simulated machine: disk, clock, dice and record of what happened. It outlives runs.
//!
//! An IO is two moments: [`Machine::start`], when it is asked for, and [`Machine::finish`], when
//! it takes effect and is answered. Between them it is in flight, and a crash may catch it.

use super::{
    chance::Dice,
    contents::EIO,
    faults::{Counts, Damage, Faults},
    inode::Inode,
    names::{Entry, NameChange, Names, split},
    op::{Handle, Op, Outcome},
    trace::{Event, Trace},
};
use crate::{Open, Space};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

const ENOSPC: i32 = 28;

#[derive(Clone)]
pub(super) struct Machine {
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) damage: Vec<Damage>,
    /// Which bug its programs have; 0 for none.
    pub(super) planted: u32,
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
            planted: 0,
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
            inode.open = Arc::new(());
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
        let open = Arc::clone(&self.inode(inode).open);
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

    pub(super) fn check_space(&mut self, needs: u64) -> io::Result<()> {
        if self.dice.strikes(self.faults.full) || (needs > 0 && needs > self.space().free) {
            self.counts.fulls += 1;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
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

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("spans of a simulation stay below 584 years")
}
