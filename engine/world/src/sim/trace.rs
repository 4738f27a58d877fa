//! What happened in a simulation, as one number and as the last few hundred lines of a log.
//!
//! Two runs of one seed agree in every event, so their digests agree; where they do not, the
//! program drew on something outside its [`World`](crate::World).

use super::faults::DamageKind;
use std::{collections::VecDeque, fmt::Write as _, time::Duration};

/// Events kept for reading. A crash and what led to it fit in a few hundred.
const LOG_EVENTS_MAX: usize = 512;

/// One event. Files and tasks are numbered in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Run,
    Poll {
        task: u64,
    },
    Ask {
        io: u64,
        act: Act,
    },
    Done {
        io: u64,
        errno: i32,
        digest: u64,
    },
    Timer {
        timer: u64,
    },
    Damage {
        file: u64,
        at: u64,
        len: u64,
        kind: DamageKind,
    },
    Landed {
        file: u64,
        at: u64,
        sectors: u64,
    },
    Lost {
        seq: u64,
    },
    Crash {
        power: bool,
    },
    End,
}

/// An IO as asked for; paths and contents as digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Open {
        path: u64,
        how: u64,
    },
    List {
        path: u64,
    },
    MakeDir {
        path: u64,
    },
    Rename {
        from: u64,
        to: u64,
    },
    Remove {
        path: u64,
    },
    SyncDir {
        path: u64,
    },
    Space {
        path: u64,
    },
    Read {
        file: u64,
        at: u64,
        len: u64,
    },
    Write {
        file: u64,
        at: u64,
        len: u64,
        content: u64,
    },
    Sync {
        file: u64,
    },
    Allocate {
        file: u64,
        len: u64,
    },
    Truncate {
        file: u64,
        len: u64,
    },
    Len {
        file: u64,
    },
}

impl Act {
    fn words(self) -> [u64; 5] {
        match self {
            Self::Open { path, how } => [1, path, how, 0, 0],
            Self::List { path } => [2, path, 0, 0, 0],
            Self::MakeDir { path } => [3, path, 0, 0, 0],
            Self::Rename { from, to } => [4, from, to, 0, 0],
            Self::Remove { path } => [5, path, 0, 0, 0],
            Self::SyncDir { path } => [6, path, 0, 0, 0],
            Self::Space { path } => [7, path, 0, 0, 0],
            Self::Read { file, at, len } => [8, file, at, len, 0],
            Self::Write {
                file,
                at,
                len,
                content,
            } => [9, file, at, len, content],
            Self::Sync { file } => [10, file, 0, 0, 0],
            Self::Allocate { file, len } => [11, file, len, 0, 0],
            Self::Truncate { file, len } => [12, file, len, 0, 0],
            Self::Len { file } => [13, file, 0, 0, 0],
        }
    }
}

impl Event {
    fn words(self) -> [u64; 7] {
        match self {
            Self::Run => [1, 0, 0, 0, 0, 0, 0],
            Self::Poll { task } => [2, task, 0, 0, 0, 0, 0],
            Self::Ask { io, act } => {
                let [a, b, c, d, e] = act.words();
                [3, io, a, b, c, d, e]
            }
            Self::Done { io, errno, digest } => {
                [4, io, u64::from(errno.unsigned_abs()), digest, 0, 0, 0]
            }
            Self::Timer { timer } => [5, timer, 0, 0, 0, 0, 0],
            Self::Damage {
                file,
                at,
                len,
                kind,
            } => [6, file, at, len, kind.code(), 0, 0],
            Self::Landed { file, at, sectors } => [7, file, at, sectors, 0, 0, 0],
            Self::Lost { seq } => [8, seq, 0, 0, 0, 0, 0],
            Self::Crash { power } => [9, u64::from(power), 0, 0, 0, 0, 0],
            Self::End => [10, 0, 0, 0, 0, 0, 0],
        }
    }
}

impl DamageKind {
    fn code(self) -> u64 {
        match self {
            Self::Rot => 1,
            Self::Overwritten => 2,
            Self::Missed => 3,
            Self::Unsynced => 4,
            Self::Unreadable => 5,
        }
    }
}

/// The digest of all events so far and the last of them.
#[derive(Clone)]
pub(super) struct Trace {
    digest: u64,
    events: u64,
    log: VecDeque<(Duration, Event)>,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            digest: fold(seed, SALT[0]),
            events: 0,
            log: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, now: Duration, event: Event) {
        let nanos = u64::try_from(now.as_nanos()).expect("virtual time stays below 584 years");
        self.digest = fold(self.digest ^ nanos, SALT[1]);
        for word in event.words() {
            self.digest = fold(self.digest ^ word, SALT[2]);
        }
        self.events += 1;
        if self.log.len() == LOG_EVENTS_MAX {
            self.log.pop_front();
        }
        self.log.push_back((now, event));
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// The last events, one a line, oldest first.
    pub(super) fn text(&self) -> String {
        let skipped = self.events - crate::units::on_disk(self.log.len());
        let mut text = format!("({skipped} earlier events; numbers in hexadecimal)\n");
        for (now, event) in &self.log {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>12} us  {event:x?}", now.as_micros());
        }
        text
    }
}

/// Odd constants with even bit counts, from wyhash's secret.
const SALT: [u64; 4] = [
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];

/// Multiplies to 128 bits and folds the halves: one multiplication mixes 64 bits.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ SALT[3]) * u128::from(b);
    let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
    let high = u64::try_from(wide >> 64).expect("the upper half of 128 bits has 64");
    low ^ high
}

/// A fast digest of contents, for telling two runs apart; no defence against an adversary.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut lanes = SALT;
    let mut blocks = bytes.chunks_exact(32);
    for block in &mut blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = fold(*lane ^ u64::from_le_bytes(*word), SALT[1]);
        }
    }
    let mut all = fold(crate::units::on_disk(bytes.len()) ^ SALT[0], SALT[2]);
    for byte in blocks.remainder() {
        all = fold(all ^ u64::from(*byte), SALT[1]);
    }
    lanes
        .into_iter()
        .fold(all, |all, lane| fold(all ^ lane, SALT[2]))
}
