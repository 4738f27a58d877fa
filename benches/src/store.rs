//! The store bench: every candidate does the same jobs in turn, and the disk does the same with the
//! plainest loop before and after, or in turns with it, so that every figure has its limit from the
//! same seconds: what else the machine does changes faster than that.
//!
//! | job | limit |
//! |---|---|
//! | durable puts of 256 KiB, in groups of 16 MiB | 1 MiB appends, fdatasync every 16 MiB |
//! | cold reads of 256 KiB, of 4 KiB within them; 32 in flight | random direct reads of that size, 32 in flight |
//! | durable puts of 4 KiB and 64 KiB by 64 clients | one write and one fdatasync at a time |
//!
//! Beside the last stands what the disk does when the bytes of all clients go out in one write and
//! are synced at once: the most that any store can make of 64 clients who wait for their answers.
//!
//! Cold: each pass reads every value once, in random order, after the caches were dropped; the
//! disk's loop does the same with a file of the same length that was written just before. A pass
//! checks the bytes it reads. Memory tables of some peers still hold their newest values, a few
//! per cent of them, which is left to their advantage.

use std::{fs, path::Path, time::Duration};

use crate::{
    disk::{self, Blocks, Disk, Flow, Order},
    error::{Error, Result},
    figures::{Figure, Table, Unit},
    meter::{Meter, Sample, bytes_of},
    scratch::Scratch,
    subject::{Fill, Reads, SmallPuts, Subject},
    values::{CHUNK_LEN, PAGE_LEN, Random, Values},
};

/// Reads in flight at once.
const DEPTH: usize = 32;
/// Clients of the small puts.
const CLIENTS: usize = 64;
/// The disk when the bytes of all clients are written and synced at once.
const TOGETHER: &str = "disk, all in one sync";
/// Turns that a candidate's reads and the disk's take.
const TURNS: u32 = 6;

/// A store that can be measured.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// Name among the figures.
    pub name: &'static str,
    /// Makes it in an empty folder.
    pub open: fn(&Path) -> Result<Box<dyn Subject>>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes to fill each store with, in whole groups of 16 MiB.
    pub len: u64,
    /// Least time of each read and small-put job.
    pub span: Duration,
    /// Rounds over all candidates.
    pub rounds: u32,
}

/// Every candidate that was compiled in, ours first.
pub fn candidates() -> Vec<Candidate> {
    #[cfg(feature = "peers")]
    let peers = crate::peers::candidates();
    #[cfg(not(feature = "peers"))]
    let peers = Vec::new();
    [crate::lode::candidates(), peers].concat()
}

/// Runs all jobs on all candidates in `dir`.
///
/// # Errors
/// The first refusal of a store or the disk, and any wrong byte.
pub fn run(dir: &Path, candidates: &[Candidate], settings: Settings) -> Result<Vec<Figure>> {
    let scratch = Scratch::within(dir, "store").map_err(Error::io("make a folder in", dir))?;
    let disk = Disk::new(&scratch.path().join("disk"), settings.len)?;
    let mut table = Table::default();
    for round in 0..settings.rounds {
        for candidate in candidates {
            eprintln!("round {} of {}", round + 1, settings.rounds);
            let dir = scratch.path().join("candidate");
            fs::create_dir(&dir).map_err(Error::io("make", &dir))?;
            let mut turn = Turn {
                name: candidate.name,
                subject: (candidate.open)(&dir)?,
                disk: &disk,
                values: Values::new(u64::from(round)),
                count: settings.len.div_ceil(bytes_of(CHUNK_LEN)),
                span: settings.span,
                table: &mut table,
                next: settings.len.div_ceil(bytes_of(CHUNK_LEN)),
            };
            turn.fill()?;
            turn.read("cold reads of 256 KiB", CHUNK_LEN)?;
            turn.read("cold reads of 4 KiB", PAGE_LEN)?;
            turn.put_small("durable puts of 4 KiB, 64 clients", PAGE_LEN)?;
            turn.put_small("durable puts of 64 KiB, 64 clients", 16 * PAGE_LEN)?;
            drop(turn);
            fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
        }
    }
    Ok(table.figures())
}

/// One candidate's turn in one round.
struct Turn<'bench> {
    name: &'static str,
    subject: Box<dyn Subject>,
    disk: &'bench Disk,
    values: Values,
    count: u64,
    span: Duration,
    table: &'bench mut Table,
    /// The first value that was not stored yet.
    next: u64,
}

impl Turn<'_> {
    fn fill(&mut self) -> Result<()> {
        let what = "durable puts of 256 KiB";
        self.tell(what);
        let before = self.disk.append(Blocks::Fresh, Flow::Pipelined)?;
        let meter = Meter::start();
        self.subject.fill(Fill {
            values: &self.values,
            count: self.count,
        })?;
        let sample = meter.stop(self.count, self.count * bytes_of(CHUNK_LEN));
        let limit = before.plus(self.disk.append(Blocks::Fresh, Flow::Pipelined)?);
        self.note(what, limit, Unit::Megabytes, sample);
        Ok(())
    }

    fn read(&mut self, what: &str, len: usize) -> Result<()> {
        self.tell(what);
        let mut blocks = self.disk.pass(Order::Random, len);
        let mut random = Random::new(bytes_of(len));
        let pieces = bytes_of(CHUNK_LEN / len);
        let (mut limit, mut sum) = (Sample::default(), Sample::default());
        let mut order = Vec::new();
        while sum.seconds < self.span.as_secs_f64() {
            let turn = blocks.read(DEPTH, self.span / TURNS)?;
            limit = limit.plus(turn);
            if order.is_empty() {
                order = random.order(self.count);
                self.subject.cool()?;
            }
            let most = usize::try_from(turn.operations).unwrap_or(usize::MAX);
            let rest = order.len() - order.len().min(most.max(DEPTH));
            let picks: Vec<(u64, usize)> = order
                .drain(rest..)
                .map(|index| (index, piece(&mut random, pieces) * len))
                .collect();
            let reads = Reads {
                values: &self.values,
                picks: &picks,
                len,
                depth: DEPTH,
            };
            let meter = Meter::start();
            self.subject.read(reads)?;
            let operations = bytes_of(picks.len());
            sum = sum.plus(meter.stop(operations, operations * bytes_of(len)));
        }
        self.note(what, limit, Unit::Operations, sum);
        Ok(())
    }

    fn put_small(&mut self, what: &str, len: usize) -> Result<()> {
        self.tell(what);
        let before = self.disk.write_sync(len, self.span / 2)?;
        let first = self.next;
        let (values, clients, span) = (&self.values, CLIENTS, self.span);
        let meter = Meter::start();
        let count = self.subject.put_small(SmallPuts {
            values,
            first,
            len,
            clients,
            span,
        })?;
        let sample = meter.stop(count, count * bytes_of(len));
        self.next += count;
        let limit = before.plus(self.disk.write_sync(len, self.span / 2)?);
        let mut most = self.disk.write_sync(len * CLIENTS, self.span / 4)?;
        most.operations *= bytes_of(CLIENTS);
        let picks: Vec<(u64, usize)> = (first..first + count).map(|index| (index, 0)).collect();
        self.subject.cool()?;
        self.subject.read(Reads {
            values,
            picks: &picks,
            len,
            depth: DEPTH,
        })?;
        self.note(what, limit, Unit::Operations, sample);
        self.table
            .push_against(what, &limit, TOGETHER, Unit::Operations, most);
        Ok(())
    }

    /// Says what is going on, beside the figures.
    fn tell(&self, what: &str) {
        eprintln!("  {}: {what}", self.name);
    }

    fn note(&mut self, what: &str, limit: Sample, unit: Unit, sample: Sample) {
        self.table
            .push_beside(what, (disk::NAME, limit), self.name, unit, sample);
    }
}

fn piece(random: &mut Random, pieces: u64) -> usize {
    usize::try_from(random.below(pieces)).expect("a piece of a chunk")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path, time::Duration};

    use super::{Candidate, Settings, TOGETHER, candidates, run};
    use crate::{
        error::{Error, Result},
        scratch::Scratch,
        subject::{Fill, Reads, SmallPuts, Subject},
        values::CHUNK_LEN,
    };

    const TINY: Settings = Settings {
        len: 1 << 20,
        span: Duration::from_millis(5),
        rounds: 1,
    };

    /// A store in memory; `rot` is a value whose last byte it gets wrong.
    #[derive(Default)]
    struct Memory {
        kept: BTreeMap<u64, Vec<u8>>,
        rot: Option<u64>,
    }

    impl Subject for Memory {
        fn fill(&mut self, job: Fill<'_>) -> Result<()> {
            self.kept
                .extend((0..job.count).map(|index| (index, job.values.value(index, CHUNK_LEN))));
            if let Some(value) = self.rot.and_then(|index| self.kept.get_mut(&index)) {
                value[CHUNK_LEN - 1] ^= 1;
            }
            Ok(())
        }

        fn read(&mut self, job: Reads<'_>) -> Result<()> {
            for (at, (index, offset)) in job.picks.iter().enumerate() {
                let value = self.kept.get(index).ok_or(Error::Wrong {
                    subject: "memory",
                    index: *index,
                })?;
                job.check("memory", at, &value[*offset..offset + job.len])?;
            }
            Ok(())
        }

        fn put_small(&mut self, job: SmallPuts<'_>) -> Result<u64> {
            self.kept.extend(
                (job.first..job.first + 3).map(|index| (index, job.values.value(index, job.len))),
            );
            Ok(3)
        }

        fn cool(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn sound(_: &Path) -> Result<Box<dyn Subject>> {
        Ok(Box::new(Memory::default()))
    }

    fn rotten(_: &Path) -> Result<Box<dyn Subject>> {
        Ok(Box::new(Memory {
            rot: Some(2),
            ..Memory::default()
        }))
    }

    /// Proves that every job is done beside its limit, and that each has a figure.
    #[test]
    fn runs_tiny() {
        let scratch = Scratch::new("store").unwrap();
        let figures = run(
            scratch.path(),
            &[Candidate {
                name: "memory",
                open: sound,
            }],
            TINY,
        )
        .unwrap();
        let ours: Vec<&str> = figures
            .iter()
            .filter(|figure| figure.subject == "memory")
            .map(|figure| figure.what.as_str())
            .collect();
        let expected = [
            "durable puts of 256 KiB",
            "cold reads of 256 KiB",
            "cold reads of 4 KiB",
            "durable puts of 4 KiB, 64 clients",
            "durable puts of 64 KiB, 64 clients",
        ];
        assert_eq!(ours, expected);
        // For each the disk's, and two more of what it does for all clients at once.
        assert_eq!(figures.len(), 12);
        assert!(
            figures
                .iter()
                .all(|figure| (figure.subject == "disk") == figure.of_limit.is_none())
        );
        let together = figures.iter().filter(|figure| figure.subject == TOGETHER);
        let together: Vec<&str> = together.map(|figure| figure.what.as_str()).collect();
        assert_eq!(together, expected[3..]);
    }

    /// Proves that a store that returns one wrong byte gets no figure.
    #[test]
    fn wrong_bytes_end_the_bench() {
        let scratch = Scratch::new("store").unwrap();
        let end = run(
            scratch.path(),
            &[Candidate {
                name: "memory",
                open: rotten,
            }],
            TINY,
        );
        assert!(matches!(end, Err(Error::Wrong { index: 2, .. })), "{end:?}");
    }

    /// Proves that every store that was compiled in keeps what it is given and passes every job.
    #[test]
    fn every_candidate_runs_tiny() {
        for candidate in candidates() {
            let scratch = Scratch::new("store").unwrap();
            let figures = run(scratch.path(), &[candidate], TINY);
            assert_eq!(figures.unwrap().len(), 12, "{}", candidate.name);
        }
    }
}
