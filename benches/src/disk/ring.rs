//! The plainest use of io_uring that is still fast: one file, equal slots of aligned memory, both
//! registered where the memory lock limit allows, no futures and no allocation. A yardstick for
//! the store, so it shares no code with it.
#![allow(
    unsafe_code,
    reason = "the raw ring takes pointers; this module keeps them valid"
)]

use std::{fs::File, io, os::fd::AsRawFd};

use io_uring::{IoUring, opcode, squeue, types};
use memmap2::MmapMut;

const FILE: types::Fixed = types::Fixed(0);
/// The user data of a sync; slots are numbered from 0.
const SYNC: u64 = u64::MAX;

/// A ring over one file with `depth` slots of `slot_len` bytes.
pub struct Ring {
    // Dropped first: `drop` below waits for the kernel before memory and file go.
    ring: IoUring,
    memory: MmapMut,
    _file: File,
    slot_len: usize,
    registered: bool,
    free: Vec<usize>,
    in_flight: usize,
}

/// One completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The slot was read or written in full.
    Slot(usize),
    /// The sync returned.
    Sync,
}

impl Ring {
    /// Takes the file and the memory. `slot_len` is a multiple of the device's block.
    ///
    /// # Errors
    /// When io_uring is forbidden here, or memory is short.
    pub fn new(file: File, depth: usize, slot_len: usize) -> io::Result<Self> {
        let entries = u32::try_from(depth + 1)
            .map_err(io::Error::other)?
            .next_power_of_two();
        let fast = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(entries);
        let ring = fast.or_else(|_| IoUring::new(entries))?;
        let memory = MmapMut::map_anon(depth * slot_len)?;
        ring.submitter().register_files(&[file.as_raw_fd()])?;
        let free = (0..depth).collect();
        let mut this = Self {
            ring,
            memory,
            _file: file,
            slot_len,
            registered: false,
            free,
            in_flight: 0,
        };
        this.registered = this.register_memory().is_ok();
        Ok(this)
    }

    /// The bytes of a slot that is not in flight.
    pub fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        assert!(
            self.free.contains(&slot),
            "the kernel owns a slot in flight"
        );
        &mut self.memory[slot * self.slot_len..(slot + 1) * self.slot_len]
    }

    /// The bytes of a slot that is not in flight: what the last read brought.
    #[cfg(test)]
    pub fn slot(&self, slot: usize) -> &[u8] {
        assert!(
            self.free.contains(&slot),
            "the kernel owns a slot in flight"
        );
        &self.memory[slot * self.slot_len..(slot + 1) * self.slot_len]
    }

    /// True when a slot is free.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// True when nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Starts writing a free slot to `at`, and returns which.
    ///
    /// # Errors
    /// When the ring refuses the entry.
    pub fn write(&mut self, at: u64) -> io::Result<usize> {
        self.start(at, |memory, len, at, registered| {
            if registered {
                opcode::WriteFixed::new(FILE, memory, len, 0)
                    .offset(at)
                    .build()
            } else {
                opcode::Write::new(FILE, memory, len).offset(at).build()
            }
        })
    }

    /// Starts reading from `at` into a free slot, and returns which.
    ///
    /// # Errors
    /// When the ring refuses the entry.
    pub fn read(&mut self, at: u64) -> io::Result<usize> {
        self.start(at, |memory, len, at, registered| {
            if registered {
                opcode::ReadFixed::new(FILE, memory, len, 0)
                    .offset(at)
                    .build()
            } else {
                opcode::Read::new(FILE, memory, len).offset(at).build()
            }
        })
    }

    /// Starts an fdatasync. It covers the writes that have completed by now.
    ///
    /// # Errors
    /// When the ring refuses the entry.
    pub fn sync(&mut self) -> io::Result<()> {
        let entry = opcode::Fsync::new(FILE)
            .flags(types::FsyncFlags::DATASYNC)
            .build();
        self.push(&entry.user_data(SYNC))
    }

    /// Submits what was started, waits for at least one completion and appends all there are.
    ///
    /// # Errors
    /// The first that an operation had; a short read or write is one.
    pub fn wait(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        assert!(self.in_flight > 0, "something is on its way");
        self.ring.submit_and_wait(1)?;
        let mut end = Ok(());
        for entry in self.ring.completion() {
            self.in_flight -= 1;
            let result = entry.result();
            if entry.user_data() == SYNC {
                done.push(Done::Sync);
            } else {
                let slot = usize::try_from(entry.user_data()).expect("slots are numbered in usize");
                self.free.push(slot);
                done.push(Done::Slot(slot));
                if usize::try_from(result).is_ok_and(|moved| moved != self.slot_len) {
                    end = Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "short read or write",
                    ));
                }
            }
            if result < 0 {
                end = Err(io::Error::from_raw_os_error(-result));
            }
        }
        end
    }

    fn start(
        &mut self,
        at: u64,
        entry: impl FnOnce(*mut u8, u32, u64, bool) -> squeue::Entry,
    ) -> io::Result<usize> {
        let slot = self.free.pop().expect("the caller checked for room");
        let len = u32::try_from(self.slot_len).map_err(io::Error::other)?;
        let memory = self.slot_pointer(slot);
        let name = u64::try_from(slot).map_err(io::Error::other)?;
        self.push(&entry(memory, len, at, self.registered).user_data(name))?;
        Ok(slot)
    }

    fn slot_pointer(&mut self, slot: usize) -> *mut u8 {
        self.memory.as_mut_ptr().wrapping_add(slot * self.slot_len)
    }

    /// JUSTIFICATION: registered memory spares the kernel pinning pages for each operation, 15 % of
    /// the 4 KiB reads per second where this was first measured; a yardstick must not lack it.
    fn register_memory(&mut self) -> io::Result<()> {
        let base = self.memory.as_mut_ptr().cast();
        let whole = libc::iovec {
            iov_base: base,
            iov_len: self.memory.len(),
        };
        // SAFETY: the vector spans `self.memory`, which `Drop` keeps until the ring is idle.
        unsafe { self.ring.submitter().register_buffers(&[whole]) }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the entry points into a slot that left `free` and is handed out again only after
        // its completion; memory and file outlive every entry, because `Drop` waits for all.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)?;
        self.in_flight += 1;
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut done = Vec::new();
        while self.in_flight > 0 {
            let before = self.in_flight;
            // A failed operation has ended all the same; only a ring that reports nothing has not.
            if self.wait(&mut done).is_err() && self.in_flight == before {
                std::process::abort();
            }
        }
    }
}
