//! One blob of the flow on its way to the nodes that hold it together: each gets the chunks of its slice,
//! and only those that it lacks.
//!
//! ```text
//!  cover ─► a task for each node ─► whole flow and its own API known?  ─► one stream     (Upload)
//!    ▲                            └ otherwise ─► chunk, proof ─► 0G's RPC, a few at once
//!    └── a node is lost: another one of those that keep its slice has its turn
//! ```
//! Nothing is remembered on this side: what a node has it says itself, chunk by chunk if it has some. What
//! the bar shows was acknowledged, and so is durable; what a lost node had acknowledged does not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use indicatif::ProgressBar;
use lode_indexer::client::{Class, Error};
use lode_proofs::{ChunkHasher, SECTOR_LEN};
use lode_wire::{FileInfo, Segment, Slice, Transaction};
use tokio::{
    task::{JoinError, JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    crown::Crown,
    failure::{Failure, Outcome},
    fleet::{Fleet, Member},
    output::Output,
    roots::CHUNK,
    source::Source,
    verbs::upload::Upload,
};

/// Chunks on their way to one node at once: enough to hide a round trip, and a quarter of the writes that
/// a node of 0G's takes (0G wire, 6: `max_writings`).
const WINDOW: usize = 4;
/// Tries of one chunk before the node counts as lost.
const TRIES: u32 = 5;
/// The same while it answers that it has too much to do.
const TRIES_BUSY: u32 = 40;
/// Pause after the first try; doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a node is asked for what takes a while.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Time in which a node must know a submission that another one knows.
const KNOW_TIME: Duration = Duration::from_secs(60);

/// What is sent.
pub struct Load {
    /// The bytes.
    pub file: File,
    /// Their root, and what proves each chunk.
    pub crown: Crown,
    /// Their place in the flow.
    pub tx: Transaction,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Spread {
    /// Bytes that were sent, each as often as there were nodes that took it.
    pub sent: u64,
    /// Nodes that hold the blob together.
    pub holders: Vec<String>,
    /// Nodes that were lost on the way.
    pub lost: Vec<String>,
}

/// Why a node got no further.
enum Trouble {
    /// It is of no use now: another one may be.
    Node(String),
    /// No node is at fault.
    Ours(Failure),
}

impl From<JoinError> for Trouble {
    fn from(error: JoinError) -> Self {
        Trouble::Ours(Failure::file("a task", &io::Error::other(error)))
    }
}

/// Sends until every chunk is acknowledged by `replicas` nodes.
///
/// # Errors
/// Nobody is left to keep a slice, or the file cannot be read. What was sent stays sent.
pub async fn run(
    fleet: &Fleet,
    load: &Arc<Load>,
    replicas: u64,
    output: Output,
    bar: &ProgressBar,
) -> Outcome<Spread> {
    let progress = Arc::new(Progress::new(bar.clone()));
    let (mut gone, mut begun) = (BTreeSet::new(), BTreeSet::new());
    let mut done = Spread::default();
    let mut feeding = JoinSet::new();
    loop {
        let cover = fleet.cover(replicas, &gone)?;
        for at in cover.difference(&begun).copied().collect::<Vec<_>>() {
            begun.insert(at);
            let feed = Feed::new(at, &fleet.members()[at], load, &progress, output);
            feeding.spawn(async move { (at, feed.run().await) });
        }
        let Some(fed) = feeding.join_next().await else {
            done.holders = urls(fleet, &cover);
            done.lost = urls(fleet, &gone);
            return Ok(done);
        };
        match fed {
            Ok((_, Ok(sent))) => done.sent += sent,
            Ok((at, Err(Trouble::Node(why)))) => {
                output.note(&format!(
                    "note: {} is left out: {why}",
                    fleet.members()[at].url()
                ));
                progress.forget(at);
                gone.insert(at);
            }
            Ok((_, Err(Trouble::Ours(failure)))) => return Err(failure),
            Err(error) => return Err(Failure::file("a task", &io::Error::other(error))),
        }
    }
}

fn urls(fleet: &Fleet, numbers: &BTreeSet<usize>) -> Vec<String> {
    let url = |at: &usize| fleet.members()[*at].url().to_owned();
    numbers.iter().map(url).collect()
}

/// Acknowledged bytes of each node, and how many it is to have.
struct Progress {
    bar: ProgressBar,
    nodes: Mutex<BTreeMap<usize, (u64, u64)>>,
}

impl Progress {
    fn new(bar: ProgressBar) -> Progress {
        Progress {
            bar,
            nodes: Mutex::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<usize, (u64, u64)>)) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut nodes);
        let (acked, all) = nodes.values().fold((0, 0), |sum, node| {
            (sum.0 + node.0.min(node.1), sum.1 + node.1)
        });
        self.bar.set_length(all);
        self.bar.set_position(acked);
    }

    fn begin(&self, at: usize, all: u64) {
        self.change(|nodes| {
            nodes.insert(at, (0, all));
        });
    }

    fn forget(&self, at: usize) {
        self.change(|nodes| {
            nodes.remove(&at);
        });
    }

    /// So many bytes in all.
    fn set(&self, at: usize, acked: u64) {
        self.change(|nodes| {
            if let Some(node) = nodes.get_mut(&at) {
                node.0 = acked;
            }
        });
    }

    /// So many more.
    fn add(&self, at: usize, acked: u64) {
        self.change(|nodes| {
            if let Some(node) = nodes.get_mut(&at) {
                node.0 += acked;
            }
        });
    }
}

/// What became of some chunks.
#[derive(Default)]
struct Round {
    /// Bytes that were sent.
    sent: u64,
    /// Chunks that were there.
    there: Vec<u64>,
}

/// One node and what it is to have. Cheap to clone.
#[derive(Clone)]
struct Feed {
    at: usize,
    member: Member,
    load: Arc<Load>,
    progress: Arc<Progress>,
    output: Output,
}

impl Feed {
    fn new(
        at: usize,
        member: &Member,
        load: &Arc<Load>,
        progress: &Arc<Progress>,
        output: Output,
    ) -> Feed {
        Feed {
            at,
            member: member.clone(),
            load: Arc::clone(load),
            progress: Arc::clone(progress),
            output,
        }
    }

    /// Until the node says that it has all chunks of its slice. Returns the bytes that were sent.
    async fn run(self) -> Result<u64, Trouble> {
        let all = self.all();
        self.progress.begin(self.at, all);
        let (mut sent, mut info) = (0, self.info().await?);
        if !info.finalized
            && let Some(by_lane) = self.by_lane().await?
        {
            sent += by_lane;
            info = self.info().await?;
        }
        if !info.finalized {
            self.progress.set(self.at, 0);
            let ask_first = info.uploaded_seg_num > 0;
            let round = self.chunks(self.indices(), ask_first).await?;
            sent += round.sent;
            info = self.info().await?;
            // A chunk that was given out but not counted, since its node died in between, is sent after all.
            if !info.finalized {
                sent += self.chunks(round.there.into_iter(), false).await?.sent;
                info = self.info().await?;
            }
        }
        match info.finalized {
            true => {
                self.progress.set(self.at, all);
                Ok(sent)
            }
            false => {
                let why = "it takes all chunks and does not say that it has them";
                Err(Trouble::Node(why.to_owned()))
            }
        }
    }

    /// Bytes that the node is to have.
    fn all(&self) -> u64 {
        let shape = self.load.crown.blob().shape;
        let indices = self.indices();
        indices.map(|index| len(shape.chunk_len(index))).sum()
    }

    /// Chunks of the blob that are in its slice.
    fn indices(&self) -> impl Iterator<Item = u64> + use<> {
        let start = self.load.tx.start_entry_index;
        let slice = self.member.slice;
        let chunks = self.load.crown.blob().shape.chunks();
        kept(slice, start, chunks)
    }

    /// What it says of the submission, as soon as it knows it.
    async fn info(&self) -> Result<FileInfo, Trouble> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let asked = self.member.zgs.blob_of(self.load.tx.seq).await;
            match asked {
                Ok(Some(info)) if info.tx == self.load.tx => return Ok(info),
                Ok(Some(_)) => {
                    let why = "it has another submission by that number: it follows another chain";
                    return Err(Trouble::Node(why.to_owned()));
                }
                Ok(None) if began.elapsed() < KNOW_TIME => sleep(ASK_EVERY).await,
                Ok(None) => {
                    let why = "it does not know the submission: it does not follow the chain";
                    return Err(Trouble::Node(why.to_owned()));
                }
                Err(error) => wait_or_fail(&mut tries, &error).await?,
            }
        }
    }

    /// The whole blob in one stream, to a node that has a lane for it. None: it has not, or that failed.
    async fn by_lane(&self) -> Result<Option<u64>, Trouble> {
        let lane = match &self.member.lane {
            Some(lane) if self.member.slice == Slice::WHOLE => lane.clone(),
            _ => return Ok(None),
        };
        let feed = self.clone();
        let uploaded = spawn_blocking(move || {
            let blob = feed.load.crown.blob();
            let source = Source::whole(&feed.load.file, blob.shape.size());
            let upload = Upload::new(&lane, source, blob.root);
            let acked = |bytes| feed.progress.set(feed.at, bytes);
            upload.run(feed.output.is_watched(), &acked)
        });
        match uploaded.await? {
            Ok(uploaded) => Ok(Some(uploaded.sent)),
            Err(failure) => {
                // A file that cannot be read, or a disk that is full, shows again, and as what it is.
                let (url, what) = (self.member.url(), failure.what);
                self.output
                    .note(&format!("note: {url}: chunk by chunk, since {what}"));
                Ok(None)
            }
        }
    }

    /// These chunks, a few at once.
    async fn chunks(
        &self,
        mut indices: impl Iterator<Item = u64>,
        ask_first: bool,
    ) -> Result<Round, Trouble> {
        let mut sending = JoinSet::new();
        let mut round = Round::default();
        loop {
            while sending.len() < WINDOW {
                let Some(index) = indices.next() else { break };
                let chunk = self.clone().chunk(index, ask_first);
                sending.spawn(async move { (index, chunk.await) });
            }
            let Some(chunk) = sending.join_next().await else {
                return Ok(round);
            };
            match chunk? {
                (index, Ok(0)) => round.there.push(index),
                (_, sent) => round.sent += sent?,
            }
        }
    }

    /// One chunk, unless it is there. Returns the bytes that were sent.
    async fn chunk(self, index: u64, ask_first: bool) -> Result<u64, Trouble> {
        let size = len(self.load.crown.blob().shape.chunk_len(index));
        if ask_first && self.has(index).await? {
            self.progress.add(self.at, size);
            return Ok(0);
        }
        let load = Arc::clone(&self.load);
        let segment = spawn_blocking(move || segment(&load, index)).await?;
        let segments = [segment.map_err(Trouble::Ours)?];
        let mut tries = 0;
        loop {
            let put = self.member.zgs.put_of(self.load.tx.seq, &segments).await;
            match put {
                Ok(()) => break,
                Err(error) if error.is_already_there() => break,
                Err(error) => wait_or_fail(&mut tries, &error).await?,
            }
        }
        self.progress.add(self.at, size);
        Ok(size)
    }

    /// Whether the node gives out the chunk's first sector.
    async fn has(&self, index: u64) -> Result<bool, Trouble> {
        let first = index * SECTORS;
        let mut tries = 0;
        loop {
            let seq = self.load.tx.seq;
            match self.member.zgs.sectors_of(seq, first, first + 1).await {
                Ok(sectors) => return Ok(sectors.is_some()),
                // Some give out nothing before all is there, and say so in their own words.
                Err(error) if error.class() == Class::Refused => return Ok(false),
                Err(error) => wait_or_fail(&mut tries, &error).await?,
            }
        }
    }
}

/// Sectors of a chunk.
const SECTORS: u64 = 1024;
const _: () = assert!(lode_proofs::SECTORS_PER_CHUNK == 1024);

/// Chunks of a blob of `chunks` that begins at sector `start`, in a slice. Steps over all others, so that
/// a small slice of a long blob costs no look at each of its chunks.
fn kept(slice: Slice, start: u64, chunks: u64) -> impl Iterator<Item = u64> {
    let count = slice.count();
    let first = (0..count.min(chunks)).find(|index| slice.keeps(start, *index));
    let step = usize::try_from(count).unwrap_or(usize::MAX);
    first
        .into_iter()
        .flat_map(move |first| (first..chunks).step_by(step))
}

/// A chunk as it travels. What is not the chunk that was hashed never leaves: the file has changed.
fn segment(load: &Load, index: u64) -> Outcome<Segment> {
    let blob = load.crown.blob();
    let size = blob.shape.chunk_len(index);
    let mut data = vec![0; size];
    let read = load.file.read_exact_at(&mut data, index * CHUNK);
    read.map_err(|error| Failure::file("the file", &error))?;
    let proof = load.crown.prove(index);
    let proof = proof.map_err(|refusal| changed(&refusal.to_string()))?;
    proof
        .verify_with(&mut ChunkHasher::new(), &data)
        .map_err(|refusal| changed(&refusal.to_string()))?;
    data.resize(size.next_multiple_of(SECTOR_LEN), 0);
    Ok(Segment {
        root: blob.root,
        data: Bytes::from(data),
        index,
        proof: proof.to_wire(),
        file_size: blob.shape.size(),
    })
}

fn changed(why: &str) -> Failure {
    Failure::other(
        format!("the file has changed since it was hashed: {why}"),
        "run the same command again when it is at rest; what it was is paid for already",
    )
}

/// A pause before the next try, or the end of patience.
async fn wait_or_fail(tries: &mut u32, error: &Error) -> Result<(), Trouble> {
    *tries += 1;
    let most = if error.is_busy() { TRIES_BUSY } else { TRIES };
    if error.class() != Class::Retry || *tries >= most {
        return Err(Trouble::Node(error.to_string()));
    }
    let doubled = PAUSE.saturating_mul(2u32.saturating_pow(*tries - 1));
    sleep(doubled.min(PAUSE_MAX)).await;
    Ok(())
}

fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stepping gives the chunks that asking about each gives.
    #[test]
    fn steps_over_the_others() {
        for count in [1, 2, 4, 16, 1 << 63] {
            for id in [0, 1, count / 2, count - 1] {
                let Ok(slice) = Slice::new(id, count) else {
                    continue;
                };
                for start in [0, 5, 1024, 3 * 1024, 17 * 1024] {
                    for chunks in [0, 1, 2, 3, 15, 40] {
                        let one_by_one = (0..chunks).filter(|index| slice.keeps(start, *index));
                        let want: Vec<u64> = one_by_one.collect();
                        let got: Vec<u64> = kept(slice, start, chunks).collect();
                        assert_eq!(got, want, "{slice:?} {start} {chunks}");
                    }
                }
            }
        }
    }

    /// The bar shows what those have acknowledged who are still there, and never more than there is.
    #[test]
    fn counts_who_is_there() {
        let progress = Progress::new(ProgressBar::hidden());
        let shows = || (progress.bar.position(), progress.bar.length());
        progress.begin(0, 100);
        progress.begin(1, 50);
        progress.add(0, 60);
        progress.set(1, 70);
        assert_eq!(shows(), (110, Some(150)));
        progress.forget(0);
        progress.add(0, 40);
        assert_eq!(shows(), (50, Some(50)));
        progress.begin(2, 100);
        assert_eq!(shows(), (50, Some(150)));
    }
}
