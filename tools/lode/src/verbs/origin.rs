//! Where bytes come from: one node's own API, or the nodes that keep the slices of a flow.
//!
//! ```text
//!   one node   GET of a range, again from where it was cut      checked as a whole by whoever takes them
//!   slices     chunk by chunk, a few ahead, from any holder     each proven before it goes on
//! ```

use std::{
    io::Read,
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lode_indexer::{
    Config, Machine,
    client::{Dialer, Settings},
    directory::Directory,
    download::{Content, Pace},
    failure::Failure as Lost,
    fetch::Source,
    gateway::meters::Meters,
    locate::{Cid, Locator, Survey},
};
use lode_proofs::{Hash32, ProofFile};
use tokio::{runtime::Runtime, sync::Semaphore};
use tokio_stream::StreamExt as _;

use crate::{
    client::Client,
    failure::{Exit, Failure, Outcome},
    fleet::{Fleet, FleetArgs, Nodes},
    output::Output,
    random,
    roots::CHUNK,
    service,
};

/// Connections in a row that bring no byte before we give up.
const TRIES: u32 = 5;
/// Pause after the first of them; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);
/// Bytes moved at once.
const BUFFER_LEN: usize = 256 * 1024;
/// Time in which nodes that have just answered are there again.
const MEET_TIME: Duration = Duration::from_secs(5);
/// Chunks that are asked for before their turn: two for each of four nodes.
const READ_AHEAD: usize = 8;
/// Time in which our own disk must take a chunk.
const TAKE_TIME: Duration = Duration::from_secs(600);

/// Where bytes come from.
pub enum Origin {
    /// A node that has whole blobs.
    Node(Client),
    /// Nodes that have slices of them.
    Slices(Box<Slices>),
}

/// Nodes of one flow, and what asks them.
pub struct Slices {
    runtime: Runtime,
    directory: Directory,
    locator: Locator,
    meters: Arc<Meters>,
    chunk_max: Duration,
}

impl Origin {
    /// One node, unless several were named, or whoever knows them.
    ///
    /// # Errors
    /// No node answers.
    pub fn find(nodes: &Nodes, args: &FleetArgs, output: Output) -> Outcome<Origin> {
        if nodes.named.len() < 2 && args.zgs.is_empty() && args.indexer.is_none() {
            return nodes.one().map(Origin::Node);
        }
        let slices = Slices::find(nodes, args, output)?;
        Ok(Origin::Slices(Box::new(slices)))
    }

    /// Bytes of a blob, as the origin says.
    pub fn size(&self, root: Hash32) -> Outcome<u64> {
        match self {
            Origin::Node(client) => client.head(root).map(|(size, _)| size),
            Origin::Slices(slices) => Ok(slices.survey(root)?.tx.size),
        }
    }

    /// Bytes of a range of the blob, which is within it, in order.
    pub fn fetch(
        &self,
        root: Hash32,
        range: Range<u64>,
        take: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        match self {
            Origin::Node(client) => fetch(client, root, range, take),
            Origin::Slices(slices) => slices.fetch(root, range, take),
        }
    }

    /// The same, every chunk proven before its bytes go on.
    pub fn proven(
        &self,
        root: Hash32,
        range: Range<u64>,
        take: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        match self {
            Origin::Node(client) => proven(client, root, range, take),
            Origin::Slices(slices) => slices.fetch(root, range, take),
        }
    }
}

/// Over as many connections as it takes.
fn fetch(
    client: &Client,
    root: Hash32,
    mut range: Range<u64>,
    mut take: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut tries = 0;
    let mut buffer = vec![0; BUFFER_LEN];
    while !range.is_empty() {
        let before = range.start;
        match stream(client, root, &mut range, &mut buffer, &mut take) {
            Ok(()) => {}
            // A disk of ours that is full is not the node's fault, and what was taken in stays so.
            Err(failure) if failure.exit == Exit::Unavailable && tries + 1 < TRIES => {
                tries = if range.start > before { 0 } else { tries + 1 };
                thread::sleep(PAUSE * 2u32.pow(tries));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Bytes of one connection. What comes shortens the range.
fn stream(
    client: &Client,
    root: Hash32,
    range: &mut Range<u64>,
    buffer: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let header = format!("bytes={}-{}", range.start, range.end - 1);
    let answer = client.get(root, Some(&header))?;
    if answer.status().as_u16() != 206 {
        let what = format!("asked for {header}, the node answered {}", answer.status());
        return Err(Failure::other(what, "check that --node names a Lode node"));
    }
    let mut body = answer
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    while !range.is_empty() {
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        match body.read(&mut buffer[..left.min(BUFFER_LEN)]) {
            Ok(0) => {
                return Err(Failure::unreachable(
                    client.node(),
                    "the connection ended too early",
                ));
            }
            Ok(read) => {
                take(&buffer[..read])?;
                range.start += u64::try_from(read).unwrap_or(u64::MAX);
            }
            Err(error) => return Err(Failure::unreachable(client.node(), error)),
        }
    }
    Ok(())
}

/// Chunk by chunk, each with its proof.
fn proven(
    client: &Client,
    root: Hash32,
    range: Range<u64>,
    mut take: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    for chunk in range.start / CHUNK..range.end.div_ceil(CHUNK) {
        let bytes = client.prove(root, chunk, true)?;
        let refused = |error: lode_proofs::DecodeError| {
            Failure::not_verified(error.to_string(), "do not trust this node")
        };
        let file = ProofFile::decode(&bytes).map_err(refused)?;
        let data = file.chunk().map_or(&[][..], |chunk| chunk.data);
        let cut = |at: u64| {
            let within = usize::try_from(at.saturating_sub(chunk * CHUNK));
            within.unwrap_or(usize::MAX).min(data.len())
        };
        take(&data[cut(range.start)..cut(range.end)])?;
    }
    Ok(())
}

impl Slices {
    fn find(nodes: &Nodes, args: &FleetArgs, output: Output) -> Outcome<Slices> {
        let runtime = service::runtime()?;
        let fleet = runtime.block_on(Fleet::find(nodes, args, output))?;
        let urls = fleet.members().iter().map(|member| member.url().to_owned());
        let config = Config {
            nodes: urls.collect(),
            ..Config::default()
        };
        let seed = u64::from_le_bytes(random::bytes()?);
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.unwrap_or_default()
        };
        let dialer = Dialer::new(Settings::default());
        let directory = runtime.block_on(async {
            let directory = Directory::start(&config, dialer, Machine::new(clock, seed));
            if let Ok(directory) = &directory {
                meet(directory).await;
            }
            directory
        });
        let directory = directory.map_err(|error| {
            Failure::usage(error.to_string(), "correct --node, --zgs or --indexer")
        })?;
        Ok(Slices {
            locator: Locator::new(directory.clone()),
            directory,
            runtime,
            meters: Arc::default(),
            chunk_max: config.chunk_max,
        })
    }

    /// Who has what of a blob.
    fn survey(&self, root: Hash32) -> Outcome<Survey> {
        let survey = self.runtime.block_on(self.locator.survey(Cid::Root(root)));
        survey.map_err(|lost| explain(&lost, None))
    }

    fn fetch(
        &self,
        root: Hash32,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        if range.is_empty() {
            return Ok(());
        }
        let survey = self.survey(root)?;
        survey
            .check(range.start / CHUNK, range.end.div_ceil(CHUNK))
            .map_err(|lost| explain(&lost, Some(&survey)))?;
        let source = Source::new(survey, self.chunk_max, Arc::clone(&self.meters));
        let pace = Pace {
            read_ahead: READ_AHEAD,
            client_chunk_max: TAKE_TIME,
            meters: Arc::clone(&self.meters),
        };
        // One download at a time, so there is a turn.
        let turn = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let turn = turn.map_err(|error| Failure::other(error.to_string(), "run it again"))?;
        let mut left = range.end - range.start;
        let content = Content::new(vec![source]);
        let sending = self.runtime.block_on(content.send(range, pace, turn));
        let mut pieces = sending.map_err(|missing| explain(&Lost::Missing(missing), None))?;
        while let Some(piece) = self.runtime.block_on(pieces.next()) {
            let piece = piece.map_err(|error| lost(error.to_string()))?;
            take(&piece)?;
            left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        match left {
            0 => Ok(()),
            _ => Err(lost("the chunks ended too early".to_owned())),
        }
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        self.directory.abandon();
    }
}

/// Waits until all nodes of a directory have answered once, or some do not.
async fn meet(directory: &Directory) {
    let began = Instant::now();
    let is_there = || directory.known().iter().all(|(_, _, alive)| *alive);
    while !is_there() && began.elapsed() < MEET_TIME {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn lost(what: String) -> Failure {
    Failure::late(
        what,
        "see to the nodes that keep it; what is here is kept, and the same command goes on",
    )
}

/// Why a blob cannot be had. `survey` knows who holds something of it.
fn explain(why: &Lost, survey: Option<&Survey>) -> Failure {
    match why {
        Lost::Unknown => Failure {
            exit: Exit::NotFound,
            ..Failure::other(
                "none of these nodes knows a submission of this blob",
                "check the root, or `lode submit` it",
            )
        },
        Lost::Incomplete { .. } | Lost::NotFinal => {
            let slices = survey.map(|survey| {
                let holders = survey.holders.iter();
                holders.map(|node| node.report.slice).collect::<Vec<_>>()
            });
            let gap = slices.and_then(|slices| Fleet::gap_among(&slices));
            let what = match gap {
                Some(gap) => format!("{why}: {gap} and have their part of the blob"),
                None => why.to_string(),
            };
            let next = "name a node that has it by --node, or `lode submit` the file again: it sends \
                        only what lacks";
            Failure::late(what, next)
        }
        _ => lost(why.to_string()),
    }
}
