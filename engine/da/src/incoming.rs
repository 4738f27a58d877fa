//! Slivers on their way in: which parts came, which are asked for, and when they are given up.
//!
//! ```text
//!  offer ─► room? ─► parts, at most 32 asked for at a time ─► whole ─► checked ─► stored ─► signed
//! ```
//! Knows no network and no clock: the desk does what it says.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use commonware_cryptography::ed25519::PublicKey;
use lode_proofs::{
    Hash32,
    da::{Refusal, Statement, Verifier},
};

use crate::{
    bounds::{INTAKE_LEN_MAX, INTAKES_MAX, PULL_MAX, PULL_QUIET, PULL_TRIES, PULL_WINDOW},
    committee::Committee,
    keep::Held,
    message::{Part, Pull, Refused},
    sliver::{Layout, Packed},
};

/// A sliver that somebody offers to this node, as far as it was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) from: PublicKey,
    pub(crate) statement: Statement,
    pub(crate) committee: Arc<Committee>,
    /// This node's.
    pub(crate) seat: usize,
    pub(crate) layout: Layout,
}

/// A sliver that has come as a whole, and takes room until it is told to be done.
pub(crate) struct Whole {
    pub(crate) wanted: Wanted,
    pub(crate) packed: Packed,
}

/// What a part led to.
pub(crate) enum Got {
    /// It was not asked for, or came twice.
    Nothing,
    /// It has another length than it can have.
    Wrong,
    /// More are to be asked for.
    More(Vec<Pull>),
    /// It was the last.
    Whole(Box<Whole>),
}

/// All slivers on their way.
#[derive(Default)]
pub(crate) struct Incoming {
    intakes: BTreeMap<Hash32, Intake>,
    bytes: usize,
}

struct Intake {
    wanted: Wanted,
    /// Taken when it is whole: then it is only room that is held.
    buffer: BytesMut,
    had: Vec<bool>,
    missing: usize,
    /// The next part that is asked for.
    next: usize,
    /// Parts that are asked for and have not come.
    open: usize,
    heard: SystemTime,
    tries: u32,
}

impl Incoming {
    /// Whether a container is on its way, or being checked.
    pub(crate) fn has(&self, container: Hash32) -> bool {
        self.intakes.contains_key(&container)
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for a sliver; what to ask for first.
    pub(crate) fn open(&mut self, wanted: Wanted, now: SystemTime) -> Result<Vec<Pull>, Refused> {
        let (len, parts) = (wanted.layout.len(), wanted.layout.parts());
        self.reserve(&wanted, now, parts)?;
        let id = wanted.statement.head.id();
        let intake = self.intakes.get_mut(&id).ok_or(Refused::Busy)?;
        intake.buffer = BytesMut::zeroed(len);
        Ok(intake.pulls(id))
    }

    /// Takes one that came with its offer; none if its length is wrong.
    pub(crate) fn whole(
        &mut self,
        wanted: Wanted,
        bytes: Bytes,
        now: SystemTime,
    ) -> Result<Whole, Refused> {
        if bytes.len() != wanted.layout.len() {
            return Err(Refused::Wrong);
        }
        self.reserve(&wanted, now, 0)?;
        let packed = Packed::new(wanted.layout, bytes);
        Ok(Whole { wanted, packed })
    }

    fn reserve(&mut self, wanted: &Wanted, now: SystemTime, parts: usize) -> Result<(), Refused> {
        let id = wanted.statement.head.id();
        let len = wanted.layout.len();
        let full = self.intakes.len() >= INTAKES_MAX
            || (self.bytes > 0 && self.bytes + len > INTAKE_LEN_MAX);
        if full || self.intakes.contains_key(&id) {
            return Err(Refused::Busy);
        }
        self.bytes += len;
        let intake = Intake {
            wanted: wanted.clone(),
            buffer: BytesMut::new(),
            had: vec![false; parts],
            missing: parts,
            next: 0,
            open: 0,
            heard: now,
            tries: 0,
        };
        self.intakes.insert(id, intake);
        Ok(())
    }

    /// A part came.
    pub(crate) fn part(&mut self, peer: &PublicKey, part: &Part, now: SystemTime) -> Got {
        let Some(intake) = self.intakes.get_mut(&part.container) else {
            return Got::Nothing;
        };
        let number = usize::try_from(part.part).unwrap_or(usize::MAX);
        if intake.wanted.from != *peer || intake.had.get(number) != Some(&false) {
            return Got::Nothing;
        }
        let range = intake.wanted.layout.part(number);
        if range.len() != part.bytes.len() {
            return Got::Wrong;
        }
        intake.buffer[range].copy_from_slice(&part.bytes);
        intake.had[number] = true;
        intake.missing -= 1;
        intake.open = intake.open.saturating_sub(1);
        (intake.heard, intake.tries) = (now, 0);
        if intake.missing > 0 {
            return Got::More(intake.pulls(part.container));
        }
        let bytes = std::mem::take(&mut intake.buffer).freeze();
        Got::Whole(Box::new(Whole {
            wanted: intake.wanted.clone(),
            packed: Packed::new(intake.wanted.layout, bytes),
        }))
    }

    /// What is late is asked for again, and given up in the end.
    pub(crate) fn late(&mut self, now: SystemTime) -> Vec<(PublicKey, Pull)> {
        let mut again = Vec::new();
        let mut freed = 0;
        self.intakes.retain(|id, intake| {
            if intake.missing == 0 || now < intake.heard + PULL_QUIET {
                return true;
            }
            intake.tries += 1;
            if intake.tries > PULL_TRIES {
                freed += intake.wanted.layout.len();
                return false;
            }
            (intake.heard, intake.next, intake.open) = (now, 0, 0);
            let from = intake.wanted.from.clone();
            let pulls = intake.pulls(*id).into_iter();
            again.extend(pulls.map(|pull| (from.clone(), pull)));
            true
        });
        self.bytes -= freed;
        again
    }

    /// One that was whole is stored, or not; its room is free.
    pub(crate) fn done(&mut self, container: Hash32) {
        if let Some(intake) = self.intakes.remove(&container) {
            self.bytes -= intake.wanted.layout.len();
        }
    }
}

impl Intake {
    /// What to ask for next, without asking for too much at a time.
    fn pulls(&mut self, container: Hash32) -> Vec<Pull> {
        let mut pulls = Vec::new();
        while self.open + PULL_MAX <= PULL_WINDOW {
            let missing = |at: &usize| !self.had[*at];
            let Some(first) = (self.next..self.had.len()).find(missing) else {
                break;
            };
            let run = (first..self.had.len()).take_while(missing);
            let count = run.take(PULL_MAX).count();
            self.next = first + count;
            self.open += count;
            let (Ok(part), Ok(count)) = (u32::try_from(first), u8::try_from(count)) else {
                break;
            };
            pulls.push(Pull {
                container,
                part,
                count,
            });
        }
        pulls
    }
}

impl Whole {
    /// What is kept, if everything holds that a holder has to check before it signs [D-23].
    pub(crate) fn check(&self) -> Result<Held, Refusal> {
        let Wanted {
            statement,
            committee,
            seat,
            ..
        } = &self.wanted;
        let verifier = Verifier::new(statement.head, &statement.quorum, committee.columns())?;
        let checks = self.packed.checks();
        let verifier = verifier.with_checks(&checks)?;
        let (_, holding) = verifier.held(committee.rows(*seat), &self.packed.sliver())?;
        Ok(Held {
            statement: *statement,
            table: self.packed.table(),
            checks,
            holding,
            rows: self.packed.rows(),
        })
    }
}
