//! What was promised, and what may be seen of it.
//!
//! Every operation is kept with the moments at which it was asked for and answered, on a clock of
//! events. An observation of a root between two moments is judged by these rules:
//!
//! - It **must** be there if a put of it was acknowledged before the look began, no delete of it
//!   ran after that put began, and no epoch that ends its term was ever asked for.
//! - It **may** be there if a put of it was asked for before the look ended, unless a delete that
//!   began after that put was over was acknowledged before the look began, or its term is over.
//!
//! A put that has no answer is over when its process ends: until then, and at the next start, it may
//! or may not come true. A put or a delete that failed is over when it failed, though the next start
//! may find that it was done: whoever deletes the blob after that and is told that it is gone must
//! not find it again, and whoever stores it and is told that it is there must find it there. The
//! same holds of an upload that could not be begun, and of one that could not be ended.

use std::{collections::BTreeSet, fmt::Display};

use lode_engine::{Error, Root, store::BlobInfo};

use crate::{plan::Profile, shelf::Blob, tally::Tally};

/// A moment on the clock of events.
pub type Tick = u64;
/// Not yet.
const NEVER: Tick = u64::MAX;

/// A put of a blob.
#[derive(Clone, Copy, Debug)]
struct Put {
    blob: usize,
    began: Tick,
    /// Acknowledged at.
    acked: Tick,
    /// From here on it cannot come true any more than it has.
    over: Tick,
    /// Until when it must last, 0 for ever.
    expiry: u32,
    /// Until when it may last: an upload that others began with a longer term keeps that, and so
    /// does a blob of which a delete failed.
    longest: u32,
}

/// A delete of a blob.
#[derive(Clone, Copy, Debug)]
struct Delete {
    blob: usize,
    began: Tick,
    acked: Tick,
    over: Tick,
}

/// What is known of a resumable upload.
#[derive(Clone, Copy, Debug, Default)]
struct Declared {
    /// Bytes that were told to be durable since the upload was last ended.
    floor: u64,
    /// Somebody gave it a term: what is durable of it may expire.
    termed: bool,
    /// Clients that resume it at this moment.
    resuming: u32,
    /// When somebody last asked to resume it.
    resumed: Tick,
    /// When somebody last asked to end it, by finishing or abandoning.
    ending: Tick,
    /// Wishes to end it that have no answer yet.
    enders: u32,
    /// When the last such wish that was fulfilled was asked for, and when it was answered.
    ended: Option<(Tick, Tick)>,
}

/// When an operation was asked for, and what was known then.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// When it began.
    pub began: Tick,
    epoch: u32,
}

/// A put or delete that runs.
#[derive(Clone, Copy, Debug)]
pub struct Running(usize);

/// What is known of a store.
pub struct Model {
    /// The seed's blobs.
    pub blobs: Vec<Blob>,
    /// How strict.
    pub profile: Profile,
    /// Counters.
    pub tally: Tally,
    puts: Vec<Put>,
    /// Terms that anyone ever asked for, by blob; 0 is for ever.
    asked: Vec<BTreeSet<u32>>,
    deletes: Vec<Delete>,
    declared: Vec<Declared>,
    clock: Tick,
    epoch_asked: u32,
    epoch_acked: u32,
    closing: bool,
    digest: u64,
    failure: Option<String>,
    log: Option<Vec<String>>,
}

impl Model {
    /// A model of an empty store; `log` keeps a readable account.
    pub fn new(blobs: Vec<Blob>, profile: Profile, log: bool) -> Model {
        Model {
            declared: vec![Declared::default(); blobs.len()],
            asked: vec![BTreeSet::new(); blobs.len()],
            blobs,
            profile,
            tally: Tally::default(),
            puts: Vec::new(),
            deletes: Vec::new(),
            clock: 1,
            epoch_asked: 0,
            epoch_acked: 0,
            closing: false,
            digest: 0,
            failure: None,
            log: log.then(Vec::new),
        }
    }

    /// Notes something for the reader of a replay.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    /// The account so far.
    pub fn take_log(&mut self) -> Vec<String> {
        self.log.take().unwrap_or_default()
    }

    /// Mixes an answer into the digest that two runs of a seed must share.
    pub fn mix(&mut self, word: u64) {
        self.digest = (self.digest.rotate_left(23) ^ word).wrapping_mul(0xa076_1d64_78bd_642f);
    }

    /// Digest of every answer.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Notes a finding; the first one counts.
    pub fn fail(&mut self, what: impl Display) {
        let what = what.to_string();
        self.note(|| format!("FOUND {what}"));
        self.failure.get_or_insert(what);
    }

    /// The finding.
    pub fn failure(&self) -> Option<&String> {
        self.failure.as_ref()
    }

    /// Moves the clock on.
    pub fn tick(&mut self) -> Tick {
        self.clock += 1;
        self.clock
    }

    /// An operation begins.
    pub fn begin(&mut self) -> Span {
        Span {
            began: self.tick(),
            epoch: self.epoch_acked,
        }
    }

    /// A put is asked for.
    pub fn put(&mut self, blob: usize, expiry: Option<u32>) -> Running {
        let began = self.tick();
        // Whoever asks to resume an upload of a blob that is there ends the upload.
        self.declared[blob].floor = 0;
        self.declared[blob].ending = began;
        let expiry = expiry.unwrap_or(0);
        let asked = &mut self.asked[blob];
        asked.insert(expiry);
        let longest = match self.profile.io_fails() {
            true => longest(asked),
            false => expiry,
        };
        self.puts.push(Put {
            blob,
            began,
            acked: NEVER,
            over: NEVER,
            expiry,
            longest,
        });
        Running(self.puts.len() - 1)
    }

    /// A put ends an upload, of which others may have asked for a longer term.
    pub fn finishes(&mut self, put: Running) {
        let put = &mut self.puts[put.0];
        put.longest = longest(&self.asked[put.blob]);
    }

    /// A put is acknowledged.
    pub fn put_acked(&mut self, put: Running) {
        let now = self.tick();
        let put = &mut self.puts[put.0];
        put.acked = now;
        put.over = now;
    }

    /// A put has failed: it may yet be found, but not by whoever deletes it from now on.
    pub fn put_failed(&mut self, put: Running) {
        let now = self.tick();
        self.puts[put.0].over = now;
    }

    /// A put was asked for earlier than it was entered.
    pub fn put_since(&mut self, put: Running, span: Span) {
        self.puts[put.0].began = span.began;
    }

    /// A delete is asked for.
    pub fn delete(&mut self, blob: usize) -> Running {
        // It ends an upload of the blob whose manifest could not be written.
        let began = match self.profile.io_fails() {
            true => self.ending(blob),
            false => self.tick(),
        };
        self.deletes.push(Delete {
            blob,
            began,
            acked: NEVER,
            over: NEVER,
        });
        Running(self.deletes.len() - 1)
    }

    /// A delete is answered.
    pub fn delete_over(&mut self, delete: Running, acked: bool) {
        let now = self.tick();
        let delete = &mut self.deletes[delete.0];
        delete.over = now;
        delete.acked = if acked { now } else { NEVER };
        let blob = delete.blob;
        if self.profile.io_fails() {
            self.answered(blob);
        }
    }

    /// A new epoch is announced; returns the number to announce.
    pub fn epoch_ask(&mut self, step: u32) -> u32 {
        self.epoch_asked = self.epoch_acked.max(self.epoch_asked) + step;
        self.epoch_asked
    }

    /// The store has taken an epoch in.
    pub fn epoch_ack(&mut self, epoch: u32) {
        self.epoch_acked = self.epoch_acked.max(epoch);
    }

    /// Judges an error of the store: whether this profile and this moment explain it.
    pub fn error(&mut self, error: &Error, who: &str) {
        use Profile::{Full, Misdirect, ReadError, Rot, Spot, SyncError, WriteError};
        let profile = self.profile;
        let (kind, explained) = match error {
            Error::Closing => ("closing", self.closing),
            Error::UploadBusy { .. } => ("upload busy", true),
            Error::Full { .. } => ("full", profile == Full),
            Error::WriteFailed { .. } => (
                "write failed",
                matches!(profile, WriteError | SyncError | Full),
            ),
            Error::Io { .. } => ("io", profile.io_fails() || profile == Rot),
            Error::Corrupt { .. } => ("corrupt", matches!(profile, Spot | Rot | Misdirect)),
            Error::Format { .. } => ("format", matches!(profile, ReadError | Rot | Misdirect)),
            _ => ("other", false),
        };
        self.tally.one("error", kind);
        self.mix(u64::try_from(kind.len()).expect("short"));
        self.note(|| format!("{who}: {error}"));
        if !explained {
            self.fail(format!("{who} fails without a reason: {error}"));
        }
    }

    /// The highest epoch that was announced.
    pub fn epoch(&self) -> u32 {
        self.epoch_asked
    }

    /// Whether the store may refuse a term as over.
    pub fn may_be_over(&self, expiry: Option<u32>) -> bool {
        expiry.is_some_and(|expiry| expiry <= self.epoch_asked)
    }

    /// Somebody has asked the store to close.
    pub fn close_asked(&mut self) {
        self.closing = true;
    }

    /// Whether somebody has.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The process has ended: what was on its way is over.
    pub fn life_over(&mut self) {
        let now = self.tick();
        self.closing = false;
        for declared in &mut self.declared {
            declared.resuming = 0;
            declared.enders = 0;
        }
        for put in &mut self.puts {
            put.over = put.over.min(now);
        }
        for delete in &mut self.deletes {
            delete.over = delete.over.min(now);
        }
    }

    fn must(&self, blob: usize, span: Span, except: Option<Running>) -> bool {
        let mut puts = self.puts.iter().filter(|put| put.blob == blob);
        puts.any(|put| {
            let spared = self.deletes.iter().enumerate().all(|(number, delete)| {
                delete.blob != blob
                    || except.is_some_and(|except| except.0 == number)
                    || delete.over <= put.began
            });
            let lasts = put.expiry == 0 || put.expiry > self.epoch_asked;
            put.acked <= span.began && spared && lasts
        })
    }

    fn may(&self, blob: usize, span: Span) -> bool {
        let mut puts = self.puts.iter().filter(|put| put.blob == blob);
        puts.any(|put| {
            let mut deletes = self.deletes.iter().filter(|delete| delete.blob == blob);
            let erased =
                deletes.any(|delete| delete.began >= put.over && delete.acked <= span.began);
            let over = put.longest != 0 && put.longest <= span.epoch;
            !erased && !over
        })
    }

    /// The blob of a root.
    pub fn blob_of(&self, root: &Root) -> Option<usize> {
        self.blobs.iter().position(|blob| blob.root == *root)
    }

    /// Something says that the blob is there.
    pub fn present(&mut self, blob: usize, span: Span, who: &str) {
        if self.profile.strict() && !self.may(blob, span) {
            let history = self.history(blob);
            self.fail(format!(
                "{who} sees {} although it must be gone; {history}",
                self.name(blob)
            ));
        } else if !self.puts.iter().any(|put| put.blob == blob) {
            self.fail(format!(
                "{who} sees {} which nobody ever put",
                self.name(blob)
            ));
        }
    }

    /// Something says that the blob is not there; a delete does not count against itself.
    pub fn absent(&mut self, blob: usize, span: Span, except: Option<Running>, who: &str) {
        if self.profile.strict() && self.must(blob, span, except) {
            let history = self.history(blob);
            self.fail(format!(
                "{who} misses {} which was acknowledged; {history}",
                self.name(blob)
            ));
        }
    }

    /// Whether the blob must be there now.
    pub fn must_now(&self, blob: usize) -> bool {
        let span = Span {
            began: self.clock,
            epoch: self.epoch_acked,
        };
        self.must(blob, span, None)
    }

    /// A look at a blob's entry.
    pub fn info(&mut self, blob: usize, span: Span, info: &BlobInfo, who: &str) {
        self.present(blob, span, who);
        let want = (self.blobs[blob].root, self.blobs[blob].size());
        if (info.root, info.size) != want {
            self.fail(format!("{who} says {info:?} of {}", self.name(blob)));
        }
        let expiry = info.expiry.unwrap_or(0);
        if !self.asked[blob].contains(&expiry) {
            self.fail(format!(
                "{who} says that {} lasts until {expiry}, which nobody asked for",
                self.name(blob)
            ));
        }
    }

    /// Short name of a blob.
    pub fn name(&self, blob: usize) -> String {
        let held = &self.blobs[blob];
        let root = held.root.to_string();
        format!(
            "blob {blob} ({} B, {})",
            held.size(),
            &root[..10.min(root.len())]
        )
    }

    fn history(&self, blob: usize) -> String {
        let at = |tick: Tick| match tick {
            NEVER => "-".to_owned(),
            tick => tick.to_string(),
        };
        let puts = self.puts.iter().filter(|put| put.blob == blob).map(|put| {
            let Put {
                began,
                acked,
                over,
                expiry,
                ..
            } = *put;
            (
                began,
                format!(
                    "put {began}..{} acked {} term {expiry}",
                    at(over),
                    at(acked)
                ),
            )
        });
        let deletes = self
            .deletes
            .iter()
            .filter(|delete| delete.blob == blob)
            .map(|delete| {
                let Delete {
                    began, acked, over, ..
                } = *delete;
                (
                    began,
                    format!("delete {began}..{} acked {}", at(over), at(acked)),
                )
            });
        let mut all: Vec<(Tick, String)> = puts.chain(deletes).collect();
        all.sort_unstable();
        let lines: Vec<String> = all.into_iter().map(|(_, line)| line).collect();
        format!("now {}: {}", self.clock, lines.join(", "))
    }

    /// Bytes of an upload that must be durable by now.
    pub fn floor(&self, blob: usize) -> u64 {
        self.declared[blob].floor
    }

    /// Somebody asks to resume an upload.
    pub fn resume_asked(&mut self, blob: usize, expiry: Option<u32>) -> Tick {
        let now = self.tick();
        self.asked[blob].insert(expiry.unwrap_or(0));
        if expiry.is_some() {
            self.declared[blob].termed = true;
            self.declared[blob].floor = 0;
        }
        self.declared[blob].resumed = now;
        self.declared[blob].resuming += 1;
        now
    }

    /// Somebody is done with what came of a wish to resume an upload.
    pub fn resume_over(&mut self, blob: usize) {
        self.declared[blob].resuming -= 1;
    }

    /// A session that began at `since` was told that `durable` bytes are durable.
    pub fn flushed(&mut self, blob: usize, since: Tick, durable: u64) {
        let declared = &mut self.declared[blob];
        if declared.ending < since && declared.enders == 0 && !declared.termed {
            declared.floor = declared.floor.max(durable);
        }
    }

    /// Somebody asks to end an upload.
    pub fn ending(&mut self, blob: usize) -> Tick {
        let now = self.tick();
        self.declared[blob].floor = 0;
        self.declared[blob].ending = now;
        self.declared[blob].enders += 1;
        now
    }

    /// A wish to end an upload has its answer, whichever.
    pub fn answered(&mut self, blob: usize) {
        self.declared[blob].enders -= 1;
    }

    /// An upload was ended, as somebody asked for at `asked`; `own` resumers were the same client.
    pub fn ended(&mut self, blob: usize, asked: Tick, own: u32) {
        let now = self.tick();
        // Somebody else who resumes it at this time may have begun it anew already.
        if self.declared[blob].resuming == own {
            self.declared[blob].ended = Some((asked, now));
        }
    }

    /// The store says how far an upload has come (none if there is no upload); `floor` bytes had
    /// to be durable when it was asked, at `began`.
    pub fn uploaded(
        &mut self,
        blob: usize,
        (began, floor): (Tick, u64),
        offset: Option<u64>,
        who: &str,
    ) {
        let Declared {
            resumed,
            ending,
            ended,
            ..
        } = self.declared[blob];
        if !self.profile.strict() {
            return;
        }
        if ending < began && offset.unwrap_or(0) < floor {
            self.fail(format!(
                "{who} finds {offset:?} bytes of the upload of {}, and {floor} were durable",
                self.name(blob)
            ));
        }
        let over = ended.is_some_and(|(asked, answered)| resumed < asked && answered <= began);
        if offset.is_some() && (over || resumed == 0) {
            self.fail(format!(
                "{who} finds an upload of {} that is over",
                self.name(blob)
            ));
        }
    }
}

/// The longest of some terms.
fn longest(terms: &BTreeSet<u32>) -> u32 {
    match terms.first() {
        Some(0) | None => 0,
        _ => terms.last().copied().unwrap_or(0),
    }
}
