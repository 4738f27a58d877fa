//! The two queues that the kernel shares with an executor, and the IOs that are between them.
//!
//! ```text
//!   push ──► submission queue ──enter──► kernel ──► completion queue ──reap──► done
//!     └─► waiting ──►┘  (while there is no room in either queue)
//! ```
//!
//! Promises: the file and the memory of an IO are kept until the kernel is done with them, even
//! beyond the ring. No more IOs are on their way than the completion queue holds, so that the
//! kernel never has to keep a completion aside, nor to drop one. What the kernel refuses to take
//! now stays queued.

use super::arena::Memory;
use crate::units::on_disk;
use io_uring::{IoUring, opcode, squeue, types};
use slab::Slab;
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::Arc,
    task::Waker,
};

/// Entries of the submission queue: more than gather before they are submitted.
pub(super) const DEPTH: u32 = 256;

/// Entries of the completion queue, which is deeper than the queue of any disk.
pub(super) const COMPLETIONS: u32 = 4096;

/// Calls after which a kernel that wants one, and has nothing, is not believed until the bell rings:
/// more than it takes to work off all that may be on its way, 20 at a time.
pub(super) const VAIN: u32 = 256;

pub(super) struct Queues {
    // Dropped first, though the kernel may go on with IOs for a while: see `drop`.
    ring: IoUring,
    /// Whether completions wait for a call.
    pub(super) deferred: bool,
    /// How the kernel is called: tests put something in between that refuses.
    pub(super) submit: fn(&IoUring) -> io::Result<usize>,
    ops: Slab<Op>,
    /// Entries that no queue has room for; seldom any.
    waiting: VecDeque<squeue::Entry>,
    /// IOs from the submission queue to the completion queue.
    under_way: u32,
    /// Entries in the submission queue.
    gathered: usize,
    /// Whether the kernel refused the last call, for lack of memory as a rule.
    refused: bool,
    /// Whether the kernel wants a call, as it says: tests put something in between that lies.
    pub(super) called: fn(&mut IoUring) -> bool,
    /// How often it was called since it last had something. What marks the queue on one core can
    /// come after what took the work on another, and the mark stays until there is work again
    /// (`io_req_local_work_add`, seen on 6.18).
    in_vain: u32,
}

/// An IO that has begun.
struct Op {
    file: Arc<OwnedFd>,
    memory: Option<Memory>,
    state: State,
}

enum State {
    Waited(Waker),
    /// Nobody waits any more.
    Left,
    Done(i32),
}

/// What to do with a file.
pub(super) enum Act {
    Read { at: u64, into: Memory },
    Write { at: u64, from: Memory },
    Sync,
}

/// Bytes moved, and the memory of an IO that has some.
pub(super) type Moved = (io::Result<usize>, Option<Memory>);

/// What a turn has left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Nothing that can be done now.
    Quiet,
    /// Another turn would submit or complete something.
    Work,
    /// Another turn might, after a pause.
    Refused,
}

impl Queues {
    /// Queues whose completions wait for a call if `defer` and the kernel can do so.
    ///
    /// # Errors
    /// When the system refuses a ring.
    pub(super) fn new(defer: bool) -> io::Result<Self> {
        let (ring, deferred) = build(defer)?;
        Ok(Self {
            ring,
            deferred,
            submit: IoUring::submit,
            ops: Slab::new(),
            waiting: VecDeque::new(),
            under_way: 0,
            gathered: 0,
            refused: false,
            called: is_called,
            in_vain: 0,
        })
    }

    /// Lets the kernel ring `bell` when it has done something.
    pub(super) fn register_bell(&self, bell: BorrowedFd<'_>) -> io::Result<()> {
        self.ring.submitter().register_eventfd(bell.as_raw_fd())
    }

    /// Registers `memory` as the only fixed buffer; whether the limits allow it.
    ///
    /// # Safety
    /// The memory must stay mapped as long as an entry may name the buffer.
    pub(super) unsafe fn register_memory(&self, memory: libc::iovec) -> bool {
        // SAFETY: the caller's.
        unsafe { self.ring.submitter().register_buffers(&[memory]) }.is_ok()
    }

    /// Whether no IO is between its begin and its end, as those see it who wait for one.
    pub(super) fn is_idle(&self) -> bool {
        self.ops.is_empty()
    }

    /// Entries that a turn would submit.
    pub(super) fn gathered(&self) -> usize {
        self.gathered
    }

    /// IOs that the kernel has, or gets with the next call.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Queues an IO; its place among the ops. `fixed`: whether the arena is registered.
    pub(super) fn push(
        &mut self,
        file: Arc<OwnedFd>,
        act: Act,
        fixed: bool,
        waker: Waker,
    ) -> usize {
        let (entry, memory) = entry(types::Fd(file.as_raw_fd()), act, fixed);
        let key = self.ops.insert(Op {
            file,
            memory,
            state: State::Waited(waker),
        });
        let entry = entry.user_data(on_disk(key));
        // Not past those that wait already.
        if !self.waiting.is_empty() || !self.queue(&entry) {
            self.waiting.push_back(entry);
        }
        key
    }

    /// Whether both queues had room for an entry.
    fn queue(&mut self, entry: &squeue::Entry) -> bool {
        if self.under_way == COMPLETIONS {
            return false;
        }
        // SAFETY: the op keeps the entry's file and memory until its completion, or for ever.
        // JUSTIFICATION: no safe interface can know when the kernel is done with a buffer; what
        // the ring buys is told in `crate::uring`.
        let queued = unsafe { self.ring.submission().push(entry) }.is_ok();
        if queued {
            self.under_way += 1;
            self.gathered += 1;
        }
        queued
    }

    /// Submits what is queued and completes what the kernel has done. Who is to be woken is
    /// appended to `woken`; how many IOs have ended is returned.
    pub(super) fn turn(&mut self, woken: &mut Vec<Waker>) -> usize {
        while let Some(entry) = self.waiting.pop_front() {
            if !self.queue(&entry) {
                self.waiting.push_front(entry);
                break;
            }
        }
        let called = (self.called)(&mut self.ring);
        if self.gathered > 0 || called {
            self.enter();
        } else {
            self.refused = false;
        }
        let ended = self.reap(woken);
        self.in_vain = match called && ended == 0 {
            true => self.in_vain.saturating_add(1),
            false => 0,
        };
        ended
    }

    /// Lets the kernel take what has gathered, and give what it has done.
    fn enter(&mut self) {
        self.refused = match (self.submit)(&self.ring) {
            Ok(taken) => {
                let stuck = taken == 0 && self.gathered > 0;
                self.gathered -= taken;
                stuck
            }
            // Interrupted, or short of memory: what has gathered is still there.
            Err(error) if is_passing(&error) => true,
            Err(error) => panic!("the ring of files fails: {error}"),
        };
    }

    fn reap(&mut self, woken: &mut Vec<Waker>) -> usize {
        let mut ended = 0;
        for done in self.ring.completion() {
            let key = usize::try_from(done.user_data()).expect("a key that was given");
            ended += 1;
            self.under_way -= 1;
            let op = self.ops.get_mut(key).expect("an op completes once");
            match std::mem::replace(&mut op.state, State::Done(done.result())) {
                State::Waited(waker) => woken.push(waker),
                State::Left => drop(self.ops.remove(key)),
                State::Done(_) => unreachable!("an op completes once"),
            }
        }
        ended
    }

    /// What the next turn would do: loads from memory that the kernel shares.
    pub(super) fn outlook(&mut self) -> Outlook {
        let room = self.under_way < COMPLETIONS;
        if self.refused {
            Outlook::Refused
        } else if self.gathered > 0
            || (room && !self.waiting.is_empty())
            || (self.in_vain < VAIN && (self.called)(&mut self.ring))
            || !self.ring.completion().is_empty()
        {
            Outlook::Work
        } else {
            Outlook::Quiet
        }
    }

    /// What became of an IO that is over. Else `waker` is woken when it is, in place of the one that
    /// comes back.
    pub(super) fn finish(&mut self, key: usize, waker: &Waker) -> Result<Moved, Option<Waker>> {
        let op = self.ops.get_mut(key).expect("kept while it is waited for");
        match &mut op.state {
            State::Done(result) => {
                let result = *result;
                let op = self.ops.remove(key);
                drop(op.file);
                Ok((moved(result), op.memory))
            }
            State::Waited(same) if same.will_wake(waker) => Err(None),
            State::Waited(other) => Err(Some(std::mem::replace(other, waker.clone()))),
            State::Left => unreachable!("only a drop leaves"),
        }
    }

    /// Lets an IO go on alone; its waker, and its memory if it is over.
    pub(super) fn leave(&mut self, key: usize) -> (Option<Waker>, Option<Memory>) {
        let op = self.ops.get_mut(key).expect("kept while it is waited for");
        match std::mem::replace(&mut op.state, State::Left) {
            State::Waited(waker) => (Some(waker), None),
            State::Done(_) => (None, self.ops.remove(key).memory),
            State::Left => unreachable!("an IO is left once"),
        }
    }
}

impl Drop for Queues {
    /// The kernel ends the IOs of a closed ring when it comes to it. Their memory and files are
    /// given up: a read that lands in memory of somebody else is worse than a leak.
    fn drop(&mut self) {
        if !self.ops.is_empty() {
            tracing::warn!(count = self.ops.len(), "memory is lost to IO in flight");
            std::mem::forget(std::mem::take(&mut self.ops));
        }
    }
}

/// The fastest ring that this kernel makes (man io_uring_setup), and whether it defers completions.
fn build(defer: bool) -> io::Result<(IoUring, bool)> {
    if defer {
        let mut builder = IoUring::builder();
        builder
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
        if let Ok(ring) = builder.build(DEPTH) {
            return Ok((ring, true));
        }
        // Before 6.1 the flags are unknown.
    }
    let mut builder = IoUring::builder();
    Ok((builder.setup_cqsize(COMPLETIONS).build(DEPTH)?, false))
}

/// Whether the kernel wants a call to complete what it has done.
fn is_called(ring: &mut IoUring) -> bool {
    let queue = ring.submission();
    queue.taskrun() || queue.cq_overflow()
}

/// Whether a call that failed may work later (man io_uring_enter).
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ENOMEM)
    )
}

/// The queue entry of an act, and the memory that it needs.
fn entry(fd: types::Fd, act: Act, fixed: bool) -> (squeue::Entry, Option<Memory>) {
    let len = |memory: &Memory| u32::try_from(memory.bytes().len()).expect("an IO is below 4 GiB");
    match act {
        Act::Read { at, mut into } => {
            let (len, start) = (len(&into), into.bytes_mut().as_mut_ptr());
            let entry = if fixed && into.is_registered() {
                opcode::ReadFixed::new(fd, start, len, 0).offset(at).build()
            } else {
                opcode::Read::new(fd, start, len).offset(at).build()
            };
            (entry, Some(into))
        }
        Act::Write { at, from } => {
            let (len, start) = (len(&from), from.bytes().as_ptr());
            let entry = if fixed && from.is_registered() {
                opcode::WriteFixed::new(fd, start, len, 0)
                    .offset(at)
                    .build()
            } else {
                opcode::Write::new(fd, start, len).offset(at).build()
            };
            (entry, Some(from))
        }
        Act::Sync => {
            let sync = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC);
            (sync.build(), None)
        }
    }
}

/// The result of an entry, as io_uring tells it.
fn moved(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

const _: () = assert!(
    DEPTH <= COMPLETIONS,
    "what one call submits must have room to complete"
);
