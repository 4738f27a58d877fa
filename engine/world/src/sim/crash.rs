//! What a crash leaves on the disk.
//!
//! The end of the process interrupts what is in flight; nothing else is lost, since completed
//! writes sit in the kernel or the drive. Power loss then falls back to the durable images and
//! keeps of the journals what luck lets it keep. Four sorts of luck are drawn, because independent
//! coins alone would hardly ever show "all", "nothing" or "everything up to here".

use super::{
    inode::Change,
    machine::Machine,
    op::Op,
    pages::{Mask, SECTOR},
    trace::Event,
};

/// What survives of the unsynced changes.
enum Luck {
    All,
    Nothing,
    /// Changes before this place in history; the next one may be torn.
    Before(u64),
    /// Each write by its own coin; names and lengths before this place.
    Each {
        names_before: u64,
    },
}

/// The fate of one unsynced change.
enum Fate {
    Kept,
    Torn,
    /// Only the length that it gave the file.
    Hollow,
    Lost,
}

impl Machine {
    /// Interrupts the IOs in flight, given in the order they were asked for.
    pub(super) fn interrupt(&mut self, mut flying: Vec<Op>) {
        while !flying.is_empty() {
            let op = flying.swap_remove(self.dice.index(flying.len()));
            match op {
                // A handle that only reads would have been refused.
                Op::Write { file, at, block } if file.writable => {
                    self.land_interrupted(file.inode, at, &block);
                }
                Op::Write { .. } => {}
                // An interrupted sync made some writes durable and others not; a power loss draws
                // that for every unsynced write anyway.
                Op::Sync { .. } | Op::SyncDir { .. } => {}
                Op::Open { .. }
                | Op::MakeDir { .. }
                | Op::Rename { .. }
                | Op::Remove { .. }
                | Op::Allocate { .. }
                | Op::Truncate { .. } => {
                    if self.dice.coin() {
                        // Nobody is left to hear whether it worked.
                        let _ = self.finish(u64::MAX, op);
                    }
                }
                Op::List { .. } | Op::Space { .. } | Op::Read { .. } | Op::Len { .. } => {}
            }
        }
        for inode in self.inodes.values_mut() {
            inode.flying.clear();
        }
        self.forget_inodes();
    }

    /// The process is gone already; its completed writes stay where they were.
    pub(super) fn kill(&mut self) {
        self.counts.crashes += 1;
        self.record(Event::Crash { power: false });
    }

    /// Loses what was never synced.
    pub(super) fn lose_power(&mut self) {
        self.counts.crashes += 1;
        self.record(Event::Crash { power: true });
        let first = self.first_unsynced();
        let cut = self.dice.within(first..=self.seq + 1);
        let luck = match self.dice.below(5) {
            0 => Luck::All,
            1 => Luck::Nothing,
            2 => Luck::Before(cut),
            _ => Luck::Each { names_before: cut },
        };
        let names_before = match luck {
            Luck::All => self.seq + 1,
            Luck::Nothing => 0,
            Luck::Before(cut) | Luck::Each { names_before: cut } => cut,
        };
        for dir in self.names.dirs.values_mut() {
            dir.sync(names_before.saturating_sub(1));
            self.counts.lost_names += dir.lose();
        }
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        for number in numbers {
            self.lose_contents(number, &luck, names_before);
        }
        self.recount_links();
        self.forget_inodes();
    }

    fn first_unsynced(&self) -> u64 {
        let names = self
            .names
            .dirs
            .values()
            .filter_map(|dir| dir.journal.first());
        let names = names.map(|(seq, _)| *seq);
        let files = self
            .inodes
            .values()
            .filter_map(|inode| inode.journal.first());
        let files = files.map(|(seq, _)| *seq);
        names.chain(files).min().unwrap_or(self.seq + 1)
    }

    fn lose_contents(&mut self, number: u64, luck: &Luck, names_before: u64) {
        let journal = std::mem::take(&mut self.inode(number).journal);
        for (seq, change) in journal {
            let Change::Write { at, block, mask } = &change else {
                if seq < names_before {
                    self.inode(number).durable.apply(&change);
                } else {
                    self.counts.lost_names += 1;
                    self.record(Event::Lost { seq });
                }
                continue;
            };
            let fate = match luck {
                Luck::All => Fate::Kept,
                Luck::Nothing => Fate::Lost,
                Luck::Before(cut) if seq < *cut => Fate::Kept,
                Luck::Before(cut) if seq > *cut => Fate::Lost,
                Luck::Before(_) => self.fate(false),
                Luck::Each { .. } => self.fate(true),
            };
            let mask = match fate {
                Fate::Kept => mask.clone(),
                Fate::Torn => self.tear(mask, block.bytes().len() / SECTOR),
                Fate::Hollow => {
                    self.counts.lost_writes += 1;
                    Mask::Nothing
                }
                Fate::Lost => {
                    self.counts.lost_writes += 1;
                    self.record(Event::Lost { seq });
                    continue;
                }
            };
            let kept = Change::Write {
                at: *at,
                block: block.clone(),
                mask,
            };
            self.inode(number).durable.apply(&kept);
        }
        let inode = self.inode(number);
        inode.durable.trim();
        inode.visible = inode.durable.clone();
    }

    fn fate(&mut self, may_keep: bool) -> Fate {
        if may_keep && self.dice.coin() {
            Fate::Kept
        } else if self.dice.strikes(self.faults.torn) {
            Fate::Torn
        } else if self.dice.below(4) == 0 {
            Fate::Hollow
        } else {
            Fate::Lost
        }
    }

    fn recount_links(&mut self) {
        for inode in self.inodes.values_mut() {
            inode.links = 0;
        }
        for (path, number) in self.files() {
            let inode = self.inode(number);
            inode.links += 1;
            inode.path = path;
        }
    }
}
