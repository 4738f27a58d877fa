//! One client's load: puts of all sizes, resumable uploads, deletes, reads, in an order that its
//! seed gives, until it is told to end or the node goes away.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use crate::{
    client::{Client, Progress, Trouble},
    failure::{Failure, Outcome},
    ledger::{Ledger, State},
    noise::Noise,
};

/// Bytes of a chunk.
pub const CHUNK: u64 = 256 * 1024;

// Offsets are counted in u64, memory in usize: one chunk, two types.
const _: () = assert!(lode_proofs::CHUNK_LEN == 256 * 1024);

/// Refusals in a row after which a filesystem counts as full for all sizes.
const FULL_AFTER: u32 = 6;

/// Pauses for an upload that is still held, and how many: 2 s, what the node's Retry-After says.
const HELD_PAUSE: Duration = Duration::from_millis(10);
const HELD_TRIES: u32 = 200;

/// What the threads of a load share.
#[derive(Default)]
pub struct Signals {
    /// Set before the node is killed or cut off: from here on errors are expected.
    pub going: AtomicBool,
    /// Set to end the load without touching the node.
    pub over: AtomicBool,
}

/// What a load is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes that one client keeps; beyond, it deletes more than it puts.
    pub live_limit: u64,
    /// Only adds, and ends when the node has refused several times in a row.
    pub until_full: bool,
}

/// One client under load.
pub struct Load<'a> {
    client: Client,
    ledger: &'a mut Ledger,
    dice: Noise,
    signals: &'a Signals,
    shape: Shape,
    refused_in_row: u32,
}

/// A request that did not go well, or a failure of the whole run.
enum Stop {
    Trouble(Trouble),
    Failure(Failure),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Stop::Trouble(trouble)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl<'a> Load<'a> {
    /// A load of `client`, recorded in `ledger`.
    pub fn new(
        client: Client,
        ledger: &'a mut Ledger,
        seed: u64,
        signals: &'a Signals,
        shape: Shape,
    ) -> Self {
        Load {
            client,
            ledger,
            dice: Noise::new(seed),
            signals,
            shape,
            refused_in_row: 0,
        }
    }

    /// Runs until the node is going, or the load is over.
    pub fn run(mut self) -> Outcome<()> {
        while !self.signals.over.load(SeqCst) && self.refused_in_row < FULL_AFTER {
            match self.step() {
                Ok(()) => {}
                Err(Stop::Failure(failure)) => return Err(failure),
                Err(Stop::Trouble(_)) if self.signals.going.load(SeqCst) => return Ok(()),
                // Busy is an answer: nothing was taken, and the next step comes later anyway.
                Err(Stop::Trouble(trouble)) if trouble.is("LODE0031") => {}
                Err(Stop::Trouble(trouble)) => return Err(Failure::Node(trouble.to_string())),
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        let crowded = self.ledger.live_bytes() > self.shape.live_limit;
        let roll = self.dice.below(100);
        if self.shape.until_full {
            return match roll {
                0..70 => self.put_new(),
                70..80 => self.begin(),
                _ => self.go_on(),
            };
        }
        match roll {
            _ if crowded && roll < 60 => self.delete(),
            0..30 => self.put_new(),
            30..35 => self.put_again(),
            35..38 => self.put_deleted(),
            38..43 => self.begin(),
            43..65 => self.go_on(),
            65..67 => self.abandon(),
            67..77 => self.delete(),
            _ => self.read(),
        }
    }

    /// Small, one chunk, or several chunks.
    fn put_new(&mut self) -> Result<(), Stop> {
        let size = match self.dice.below(10) {
            0..5 => self.dice.between(1, 4096),
            5..8 => self.dice.between(4097, CHUNK),
            _ => self.dice.between(CHUNK + 1, 6 * CHUNK),
        };
        let (index, bytes) = self.ledger.add(self.dice.draw(), size, State::Putting)?;
        self.put(index, &bytes)
    }

    fn put(&mut self, index: usize, bytes: &[u8]) -> Result<(), Stop> {
        let root = self.ledger.entries[index].root;
        let named = self.dice.chance(60);
        match patiently(|| self.client.put(root, bytes, named)) {
            Ok(()) => {
                self.ledger.set(index, State::Stored)?;
                self.ledger.counts.puts += 1;
                self.ledger.counts.bytes += self.ledger.entries[index].size;
                self.refused_in_row = 0;
                Ok(())
            }
            Err(trouble) => {
                self.refused(index, State::Gone, trouble)?;
                self.forget(index, named)
            }
        }
    }

    /// What a refused put of a declared root leaves could be resumed; this client does not.
    fn forget(&mut self, index: usize, named: bool) -> Result<(), Stop> {
        if !named {
            return Ok(());
        }
        let root = self.ledger.entries[index].root;
        match patiently(|| self.client.abandon(root)) {
            Err(trouble) if !trouble.is("LODE0011") => Err(trouble.into()),
            _ => Ok(()),
        }
    }

    /// A full disk's refusal leaves the blob as `state` says; other trouble is passed on.
    fn refused(&mut self, index: usize, state: State, trouble: Trouble) -> Result<(), Stop> {
        if trouble.is("LODE0030") {
            self.ledger.counts.refused_full += 1;
            self.refused_in_row += 1;
            self.ledger.set(index, state)?;
            return Ok(());
        }
        if trouble.is("LODE0031") {
            self.ledger.set(index, state)?;
        }
        Err(trouble.into())
    }

    /// A put of what is there already: nothing changes, whatever comes of it.
    fn put_again(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| state == State::Stored) else {
            return Ok(());
        };
        let entry = self.ledger.entries[index];
        let bytes = entry.contents();
        match patiently(|| self.client.put(entry.root, &bytes, true)) {
            Ok(()) => Ok(()),
            Err(trouble) => self.refused(index, State::Stored, trouble),
        }
    }

    /// A put of what was deleted, so that tombstones and new records meet.
    fn put_deleted(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| state == State::Gone) else {
            return Ok(());
        };
        self.ledger.set(index, State::Putting)?;
        let bytes = self.ledger.entries[index].contents();
        self.put(index, &bytes)
    }

    fn begin(&mut self) -> Result<(), Stop> {
        let size = self.dice.between(2 * CHUNK, 10 * CHUNK);
        let state = State::Upload { acked: 0, sent: 0 };
        let (index, _) = self.ledger.add(self.dice.draw(), size, state)?;
        let root = self.ledger.entries[index].root;
        match patiently(|| self.client.begin(root, size)) {
            Ok(Progress::Upto(0)) => Ok(()),
            Ok(other) => {
                Err(Trouble::Strange(format!("a new upload of {root} began at {other:?}")).into())
            }
            Err(trouble) => self.refused(index, State::Gone, trouble),
        }
    }

    /// The next piece of an upload. It begins where the node says, which is at least where it said
    /// before.
    fn go_on(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| matches!(state, State::Upload { .. })) else {
            return self.begin();
        };
        let entry = self.ledger.entries[index];
        let State::Upload { acked, sent } = entry.state else {
            return Ok(());
        };
        let at = match patiently(|| self.client.begin(entry.root, entry.size)) {
            Ok(Progress::Upto(at)) if at >= acked && at <= sent => at,
            Ok(other) => {
                let what = format!(
                    "upload of {} was at {acked} and is at {other:?}",
                    entry.root
                );
                return Err(Trouble::Strange(what).into());
            }
            Err(trouble) => return self.refused(index, entry.state, trouble),
        };
        let end = (at + self.dice.between(CHUNK, 3 * CHUNK)).min(entry.size);
        let state = State::Upload {
            acked: at,
            sent: sent.max(end),
        };
        self.ledger.set(index, state)?;
        let bytes = entry.contents();
        let [from, to] = [at, end].map(|byte| usize::try_from(byte).unwrap_or(usize::MAX));
        match patiently(|| self.client.patch(entry.root, at, &bytes[from..to])) {
            Ok(progress) => self.advanced(index, at, progress).map_err(Stop::from),
            Err(trouble) => self.refused(index, state, trouble),
        }
    }

    fn advanced(&mut self, index: usize, at: u64, progress: Progress) -> Outcome<()> {
        let entry = self.ledger.entries[index];
        self.refused_in_row = 0;
        let upto = match (progress, entry.state) {
            (Progress::Stored, _) => {
                self.ledger.counts.puts += 1;
                self.ledger.set(index, State::Stored)?;
                entry.size
            }
            (Progress::Upto(upto), State::Upload { sent, .. }) => {
                self.ledger
                    .set(index, State::Upload { acked: upto, sent })?;
                upto
            }
            (Progress::Upto(upto), _) => upto,
        };
        self.ledger.counts.pieces += 1;
        self.ledger.counts.bytes += upto.saturating_sub(at);
        Ok(())
    }

    fn abandon(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| matches!(state, State::Upload { .. })) else {
            return Ok(());
        };
        let entry = self.ledger.entries[index];
        if let State::Upload { sent, .. } = entry.state {
            // From here on the node may have none of it.
            self.ledger.set(index, State::Upload { acked: 0, sent })?;
        }
        match patiently(|| self.client.abandon(entry.root)) {
            Ok(()) => Ok(self.ledger.set(index, State::Gone)?),
            // Begun, but nothing of it was written yet.
            Err(trouble) if trouble.is("LODE0011") => Ok(self.ledger.set(index, State::Gone)?),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn delete(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| state == State::Stored) else {
            return Ok(());
        };
        self.ledger.set(index, State::Leaving)?;
        self.client.delete(self.ledger.entries[index].root)?;
        self.ledger.set(index, State::Gone)?;
        self.ledger.counts.deletes += 1;
        Ok(())
    }

    /// All of a blob or a part, compared.
    fn read(&mut self) -> Result<(), Stop> {
        let Some(index) = self.pick(|state| state == State::Stored) else {
            return Ok(());
        };
        let entry = self.ledger.entries[index];
        let part = self.dice.chance(50).then(|| {
            let start = self.dice.below(entry.size);
            (start, self.dice.between(1, entry.size - start))
        });
        let (start, len) = part.unwrap_or((0, entry.size));
        let [from, to] = [start, start + len].map(|byte| usize::try_from(byte).unwrap_or(0));
        match self.client.get(entry.root, part)? {
            Some(bytes) if bytes == entry.contents()[from..to] => {
                self.ledger.counts.reads += 1;
                Ok(())
            }
            Some(_) => Err(broken(format!("{} was read with other bytes", entry.root))),
            None => Err(broken(format!("{} was lost under load", entry.root))),
        }
    }

    fn pick(&mut self, wanted: impl Fn(State) -> bool) -> Option<usize> {
        let all = self.ledger.all(wanted);
        self.dice.index(all.len()).map(|at| all[at])
    }
}

/// Asks again while the node still holds the upload for the request before: it answers a moment
/// before it lets go. A node that never lets go is a failure like any other.
fn patiently<T>(ask: impl Fn() -> Result<T, Trouble>) -> Result<T, Trouble> {
    for _ in 0..HELD_TRIES {
        match ask() {
            Err(trouble) if trouble.is("LODE0018") => std::thread::sleep(HELD_PAUSE),
            answer => return answer,
        }
    }
    ask()
}

fn broken(what: String) -> Stop {
    Stop::Failure(Failure::Broken(vec![what]))
}
