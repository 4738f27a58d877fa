//! Reads, writes, lengths and syncs of the simulated disk, with their faults.

use super::{
    faults::{Damage, DamageKind},
    inode::{Change, Inode, pages_of},
    machine::Machine,
    op::{Handle, Outcome},
    pages::{Block, Mask, SECTOR},
    trace::Event,
};
use crate::{
    ALIGN,
    units::{in_memory, on_disk},
};
use std::{io, rc::Rc};

pub(super) const EIO: i32 = 5;
const EBADF: i32 = 9;

impl Machine {
    fn check_writable(file: &Handle) -> io::Result<()> {
        if file.writable {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EBADF))
        }
    }

    pub(super) fn allocate(&mut self, file: &Handle, len: u64) -> io::Result<Outcome> {
        Self::check_writable(file)?;
        let change = Change::Reserve { len };
        let needs = self.inode(file.inode).visible.needs(&change);
        self.check_space(needs)?;
        self.land(file.inode, change);
        Ok(Outcome::Nothing)
    }

    pub(super) fn truncate(&mut self, file: &Handle, len: u64) -> io::Result<Outcome> {
        Self::check_writable(file)?;
        self.land(file.inode, Change::Cut { len });
        Ok(Outcome::Nothing)
    }

    pub(super) fn land(&mut self, inode: u64, change: Change) {
        let seq = self.next_seq();
        self.inode(inode).land(seq, change);
    }

    pub(super) fn read(&mut self, file: &Handle, at: u64, len: usize) -> io::Result<Outcome> {
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

    pub(super) fn write(
        &mut self,
        io: u64,
        file: &Handle,
        at: u64,
        block: &Rc<Block>,
    ) -> io::Result<Outcome> {
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

    pub(super) fn sync(&mut self, number: u64, upto: u64) -> io::Result<Outcome> {
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
}
