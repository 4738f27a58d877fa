//! A whole machine from one seed: tasks, time, chance, and a disk that tears, drops, rots and fails.
//!
//! The disk belongs to the [`Sim`] and outlives runs, so a test crashes a program and starts it
//! again on what is left:
//!
//! ```
//! use lode_world::{Buf, Disk, File, Open, World, sim::{Crash, Faults, Sim}};
//! use std::path::Path;
//!
//! let sim = Sim::new(7, Faults::crashes());
//! sim.run(async |world| {
//!     let file = world.disk().open(Path::new("a"), Open::Create).await?;
//!     world.disk().sync_dir(Path::new("")).await?;
//!     let mut buf = file.alloc(4096);
//!     buf.as_mut().fill(1);
//!     file.write(0, buf).await?;
//!     file.sync().await
//! })
//! .unwrap()
//! .unwrap();
//! sim.crash(Crash::Power);
//! assert_eq!(sim.contents("a").unwrap(), vec![1; 4096]);
//! ```
//!
//! | file | job |
//! |---|---|
//! | [`faults`] | what may go wrong, and the count of what did |
//! | `chance` | the generator |
//! | `trace` | digest and log of every event |
//! | `pages`, `inode`, `names` | contents and names: visible, durable, and the journal between |
//! | `op` | what can be asked of the disk |
//! | `machine`, `contents` | carry out each IO, with its faults |
//! | `crash` | what a kill or a power loss leaves |
//! | `executor` | tasks, time, events |
//! | `world` | the [`World`](crate::World) over them |

mod chance;
mod contents;
mod crash;
mod executor;
pub mod faults;
mod inode;
mod machine;
mod names;
mod op;
mod pages;
mod trace;
mod world;

pub use chance::Chance;
pub use faults::{Counts, Damage, DamageKind, Faults};
pub use world::{SimBuf, SimDisk, SimFile, SimShared, SimWorld};

use crate::{ALIGN, units::on_disk};
use executor::Core;
use machine::Machine;
use std::{cell::RefCell, ops::Range, path::Path, rc::Rc, time::Duration};

/// Why a run ended before its program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// [`Faults::crash_after_ios`] struck. Call [`Sim::crash`] to say what sort of crash it was.
    #[error("crashed as planned")]
    Crashed,
    /// Nothing is ready, no IO is in flight and no timer runs: the program waits for itself.
    #[error("deadlock: {tasks} tasks wait, with no IO in flight and no timer set")]
    Deadlock {
        /// Tasks that have not ended, the main one included.
        tasks: usize,
    },
    /// [`Faults::steps_max`] was reached: the program spins.
    #[error("no end after {steps} polls; raise Faults::steps_max if the program needs more")]
    Endless {
        /// Polls made.
        steps: u64,
    },
}

/// How a machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process dies. Every write that completed stays, though it is no more durable than
    /// before: power may still take it.
    Kill,
    /// Everything not covered by a sync may be lost: each write kept, dropped or torn; names,
    /// lengths and allocations kept up to some point of the disk's history.
    Power,
}

/// One simulated machine. Two of one seed, one plan and one program do exactly the same.
///
/// When a test panics while it holds a `Sim`, the seed and the last events are printed.
pub struct Sim {
    seed: u64,
    core: Rc<RefCell<Core>>,
}

impl Sim {
    /// A machine with an empty disk.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        let core = Core::new(Machine::new(seed, faults));
        Self {
            seed,
            core: Rc::new(RefCell::new(core)),
        }
    }

    /// Runs a program until it returns or [`Stop`]s. Either way its tasks end with it, and the IOs
    /// that were still in flight land wholly, in part or not at all: the end of a run is the end
    /// of a process.
    ///
    /// # Errors
    /// A planned crash, a deadlock, or too many steps.
    ///
    /// # Panics
    /// When the program misuses the world: unaligned IO, overlapping writes in flight, or a file
    /// of an earlier run.
    pub fn run<T>(&self, program: impl AsyncFnOnce(SimWorld) -> T) -> Result<T, Stop> {
        let world = SimWorld::new(&self.core);
        executor::run(&self.core, program(world))
    }

    /// Crashes the machine between two runs.
    pub fn crash(&self, crash: Crash) {
        let core = &mut *self.core.borrow_mut();
        assert!(
            !core.is_running(),
            "crash from outside the run; use Faults::crash_after_ios within"
        );
        match crash {
            // The end of the run has interrupted what was in flight already.
            Crash::Kill => core.machine.kill(),
            Crash::Power => core.machine.lose_power(),
        }
    }

    /// A machine whose disk, clock and faults are as this one's now, and whose dice fall as `seed`
    /// says from here on: to try many crashes from one state. Its trace starts anew.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let core = self.core.borrow();
        assert!(!core.is_running(), "fork between runs");
        let machine = core.machine.fork(seed);
        Self {
            seed,
            core: Rc::new(RefCell::new(Core::new(machine))),
        }
    }

    /// The seed it was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Replaces the plan of faults; between runs or within one.
    pub fn set_faults(&self, faults: Faults) {
        self.core.borrow_mut().machine.faults = faults;
    }

    /// The plan of faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.core.borrow().machine.faults.clone()
    }

    /// Plants a bug in the programs that run from here on, by their own number for it; 0 for none.
    pub fn plant(&self, bug: u32) {
        self.core.borrow_mut().machine.planted = bug;
    }

    /// How often each fault has struck.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.borrow().machine.counts
    }

    /// Every byte that the simulation spoiled, in order; crashes apart.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.core.borrow().machine.damage.clone()
    }

    /// Virtual time since the machine was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.core.borrow().machine.now
    }

    /// A digest of every event so far: polls, IOs with their arguments, contents and answers,
    /// timers, faults and crashes.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.core.borrow().machine.trace.digest()
    }

    /// The last few hundred events, one a line, oldest first.
    #[must_use]
    pub fn log(&self) -> String {
        self.core.borrow().machine.trace.text()
    }

    /// Every file with its length, sorted by path.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut core = self.core.borrow_mut();
        let files = core.machine.files();
        files
            .into_iter()
            .map(|(path, inode)| (path, core.machine.inode(inode).visible.len))
            .collect()
    }

    /// The bytes of a file as a read would see them, past any fault; `None` when there is no such file.
    #[must_use]
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let mut core = self.core.borrow_mut();
        let inode = core.machine.find(&names::plain(path.as_ref()))?;
        let image = &core.machine.inode(inode).visible;
        let whole = image.len.next_multiple_of(on_disk(ALIGN));
        let mut bytes = image.pages.read(0, crate::units::in_memory(whole));
        bytes.truncate(crate::units::in_memory(image.len));
        Some(bytes)
    }

    /// Changes every byte of `range` to another value, at rest and for good.
    ///
    /// # Panics
    /// When there is no such file or the range is past its end.
    pub fn rot(&self, path: impl AsRef<Path>, range: Range<u64>) {
        self.on_range(path.as_ref(), &range, |machine, inode| {
            for at in range.clone() {
                let change = u8::try_from(machine.dice.within(1..=255)).expect("at most 255");
                machine.spoil(inode, at, change);
            }
        });
    }

    /// Flips one bit somewhere in `range`, at rest and for good; returns the byte's offset.
    ///
    /// # Panics
    /// When there is no such file or the range is past its end.
    pub fn flip(&self, path: impl AsRef<Path>, range: Range<u64>) -> u64 {
        self.on_range(path.as_ref(), &range, |machine, inode| {
            let at = machine.dice.within(range.start..=range.end - 1);
            let bit = machine.dice.below(8);
            machine.spoil(inode, at, 1 << bit);
            at
        })
    }

    /// Makes reads of the pages of `range` fail with EIO until they are written.
    ///
    /// # Panics
    /// When there is no such file or the range is past its end.
    pub fn break_reads(&self, path: impl AsRef<Path>, range: Range<u64>) {
        self.on_range(path.as_ref(), &range, |machine, inode| {
            machine.break_reads(inode, &range)
        });
    }

    fn on_range<T>(
        &self,
        path: &Path,
        range: &Range<u64>,
        act: impl FnOnce(&mut Machine, u64) -> T,
    ) -> T {
        let machine = &mut self.core.borrow_mut().machine;
        let path = names::plain(path);
        let inode = machine
            .find(&path)
            .unwrap_or_else(|| panic!("{path} does not exist"));
        let len = machine.inode(inode).visible.len;
        assert!(
            range.start < range.end && range.end <= len,
            "{path} has no bytes {range:?}"
        );
        act(machine, inode)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(core) = self.core.try_borrow()
        {
            eprintln!(
                "simulation of seed {}:\n{}",
                self.seed,
                core.machine.trace.text()
            );
        }
    }
}

#[cfg(test)]
mod tests;
