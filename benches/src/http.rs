//! The HTTP bench: a real node in a process of its own, over loopback, and before each job the disk
//! and the store do what bounds it, so that every figure has its limit from the same minute.
//!
//! | job | limit |
//! |---|---|
//! | put of one long blob of unknown root | the lower of: the sector tree on one core, durable appends of the disk |
//! | get of that blob, every byte compared | direct reads of 256 KiB in order, 32 in flight |
//! | cold gets of blobs of 256 KiB, by 32 and by 128 clients | random direct reads of that size, 32 in flight; and beside it the store's own rate, opened on the same folder without a node |
//!
//! The costs in these tables are the node's; what the client spends is shown apart, because both
//! share the machine. The node's peak of memory is read before it ends, for the long blob and for
//! one of a sixteenth, each put to and got from a fresh node: whatever the length, it must not
//! grow. Cold: the store reads the disk directly and keeps no cache.
//!
//! Beside the node's cost of such a get stand the parts that no node can do without and
//! the store's cost without a node: what is more than the store and a socket's send is HTTP's.
//!
//! One connection is served by one executor, so a put or get of one blob uses one core of the node
//! and, on another, the client. Blobs of one chunk are filed under roots that are given, not
//! computed; a get checks their pages all the same, as it does for any blob.

mod client;
pub(crate) mod node;
mod parts;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{client::Crowd, node::Node};
use crate::{
    disk::{self, Blocks, Disk, Flow, Order},
    error::{Error, Result},
    figures::{self, Figure, Table, Unit},
    gauge::{self, Bound, Gauge, Gauges},
    lode::{self, Lode},
    meter::{Meter, Sample, bytes_of, float},
    scratch::Scratch,
    subject::{Fill, Reads, Subject},
    values::{CHUNK_LEN, Random, Values},
};

/// Name among the figures.
pub const NAME: &str = "lode over HTTP";

/// Reads in flight of the disk and of the store without a node.
const DEPTH: usize = 32;
/// Clients of the small gets: as many as that, of which some are always being sent to or read from
/// their sockets, so that the disk has fewer to do; and so many that it is kept busy.
const CROWDS: [usize; 2] = [DEPTH, 128];

/// The shorter blob whose memory is shown beside the long one's.
const SHORTER: u64 = 16;

/// MiB that a node may have at once.
const PEAK: Bound = Bound::AtMost(256.0);
/// Microseconds of the node's processor time for one get of 256 KiB.
const COST: Bound = Bound::AtMost(130.0);
/// Percent of the store's own rate of such reads.
const SHARE: Bound = Bound::AtLeast(85.0);

const PUT: &str = "put of one blob";
const GET: &str = "get of one blob";
const CPU: &str = "CPU per get of 256 KiB";
const GETS: &str = "cold gets of 256 KiB";

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of the long blob, in whole chunks; the blobs of one chunk have half of that together.
    pub len: u64,
    /// Least time of each job that has no length of its own.
    pub span: Duration,
    /// Rounds over all jobs.
    pub rounds: u32,
}

/// What was measured.
pub struct Found {
    /// Rates.
    pub figures: Vec<Figure>,
    /// Everything else.
    pub gauges: Vec<Gauge>,
}

/// Runs all jobs in `dir`, which takes the space of three and a half long blobs.
///
/// # Errors
/// The first refusal of the node, the store or the disk, and any wrong byte.
pub fn run(dir: &Path, settings: Settings) -> Result<Found> {
    let program = node::program()?;
    let scratch = Scratch::within(dir, "http").map_err(Error::io("make a folder in", dir))?;
    let mut bench = Bench {
        program,
        disk: Disk::new(&scratch.path().join("disk"), settings.len)?,
        dir: scratch.path().to_owned(),
        span: settings.span,
        table: Table::default(),
        gauges: Gauges::default(),
    };
    let chunks = settings.len.div_ceil(bytes_of(CHUNK_LEN));
    let small = Small {
        dir: scratch.path().join("small"),
        values: Values::new(u64::MAX),
        count: chunks.div_ceil(2),
    };
    bench.fill(&small)?;
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        let values = Values::new(u64::from(round));
        bench.long_blob(&values, chunks)?;
        bench.short_blob(&values, chunks.div_ceil(SHORTER))?;
        bench.small_gets(&small, u64::from(round))?;
    }
    Ok(Found {
        figures: bench.table.figures(),
        gauges: bench.gauges.all(),
    })
}

/// Prints rates, then the rest.
pub fn print(found: &Found) {
    figures::print(&found.figures);
    gauge::print(&found.gauges);
}

struct Bench {
    program: PathBuf,
    disk: Disk,
    dir: PathBuf,
    span: Duration,
    table: Table,
    gauges: Gauges,
}

/// A store full of blobs of one chunk.
struct Small {
    dir: PathBuf,
    values: Values,
    count: u64,
}

impl Bench {
    fn fill(&self, small: &Small) -> Result<()> {
        eprintln!("filling a store");
        fs::create_dir(&small.dir).map_err(Error::io("make", &small.dir))?;
        Lode::open(&small.dir)?.fill(Fill {
            values: &small.values,
            count: small.count,
        })
    }

    /// Puts and gets one blob, each beside its limits.
    fn long_blob(&mut self, values: &Values, chunks: u64) -> Result<()> {
        tell(PUT);
        let append = self.disk.append(Blocks::Fresh, Flow::Pipelined)?;
        let tree = parts::tree(values, self.span);
        let unit = Unit::Megabytes;
        self.table.push(PUT, disk::NAME, unit, append);
        self.table.push(PUT, "sector tree, one core", unit, tree);
        let lower = match append.megabytes_per_second() < tree.megabytes_per_second() {
            true => append,
            false => tree,
        };
        let bytes = chunks * bytes_of(CHUNK_LEN);
        let (dir, node) = self.fresh_node()?;
        let mut root = String::new();
        let put = node.time(chunks, bytes, || {
            root = client::put(node.address, values, chunks)?;
            Ok(())
        })?;
        self.table.push_against(PUT, &lower, NAME, unit, put.node);
        self.gauges.push(
            "client's CPU per GB",
            PUT,
            "s",
            Bound::None,
            put.client.cpu_seconds_per_gb(),
        );

        tell(GET);
        let order = Order::InOrder;
        let read = self.disk.pass(order, CHUNK_LEN).read(DEPTH, self.span)?;
        let get = node.time(chunks, bytes, || {
            client::get(node.address, &root, values, chunks)
        })?;
        let limit = (disk::NAME, read);
        self.table.push_beside(GET, limit, NAME, unit, get.node);
        self.gauges.push(
            "client's CPU per GB",
            GET,
            "s",
            Bound::None,
            get.client.cpu_seconds_per_gb(),
        );
        self.end(&dir, node, &blob_of(bytes))
    }

    /// Puts and gets a shorter blob, for its memory.
    fn short_blob(&mut self, values: &Values, chunks: u64) -> Result<()> {
        let subject = blob_of(chunks * bytes_of(CHUNK_LEN));
        tell(&subject);
        let (dir, node) = self.fresh_node()?;
        let root = client::put(node.address, values, chunks)?;
        client::get(node.address, &root, values, chunks)?;
        self.end(&dir, node, &subject)
    }

    /// Gets blobs of one chunk at random: of the disk, of the store, and of a node on that store.
    fn small_gets(&mut self, small: &Small, round: u64) -> Result<()> {
        tell(GETS);
        let unit = Unit::Operations;
        let read = self
            .disk
            .pass(Order::Random, CHUNK_LEN)
            .read(DEPTH, self.span)?;
        let mut store = Lode::open(&small.dir)?;
        let own = self.passes(small, round, |picks| {
            let (picks, len) = (each_whole(picks), CHUNK_LEN);
            let (values, depth) = (&small.values, DEPTH);
            let meter = Meter::start();
            store.read(Reads {
                values,
                picks: &picks,
                len,
                depth,
            })?;
            Ok(meter.stop(bytes_of(picks.len()), bytes_of(picks.len() * len)))
        })?;
        drop(store);
        let limit = (disk::NAME, read);
        let name = format!("{}, no node", lode::NAME);
        self.table.push_beside(GETS, limit, &name, unit, own);
        for clients in CROWDS {
            self.crowd_gets(small, round, clients, &read, &own)?;
        }
        let sums = parts::checksums(&small.values, self.span);
        let hash = parts::blake3(&small.values, self.span);
        let send = parts::send(&small.values, self.span)?;
        for (subject, sample) in [
            ("part: a direct read", read),
            ("part: checksums", sums),
            ("part: a plain socket's send", send),
            ("BLAKE3, if asked for", hash),
            (&*name, own),
        ] {
            let micros = sample.cpu_micros_per_operation();
            self.gauges.push(CPU, subject, "µs", Bound::None, micros);
        }
        Ok(())
    }

    /// Gets by so many clients of a node, beside reads of the disk and of the store.
    fn crowd_gets(
        &mut self,
        small: &Small,
        round: u64,
        clients: usize,
        disk: &Sample,
        own: &Sample,
    ) -> Result<()> {
        let subject = format!("{NAME}, {clients} clients");
        let node = Node::start(&self.program, &small.dir)?;
        let mut crowd = Crowd::connect(node.address, bytes_of(clients))?;
        let mut client = Sample::default();
        let gets = self.passes(small, round, |picks| {
            let operations = bytes_of(picks.len());
            let both = node.time(operations, operations * bytes_of(CHUNK_LEN), || {
                crowd.get(&small.values, picks)
            })?;
            client = client.plus(both.client);
            Ok(both.node)
        })?;
        self.table
            .push_against(GETS, disk, &subject, Unit::Operations, gets);
        let their = format!("client of {clients}");
        for (subject, bound, sample) in [(&subject, COST, gets), (&their, Bound::None, client)] {
            let micros = sample.cpu_micros_per_operation();
            self.gauges.push(CPU, subject, "µs", bound, micros);
        }
        let share = 100.0 * gets.operations_per_second() / own.operations_per_second();
        self.gauges.push(
            "cold gets of 256 KiB beside the store's own",
            &subject,
            "%",
            SHARE,
            share,
        );
        drop(crowd);
        let peak = node.peak_mebibytes()?;
        self.peak(&format!("{clients} clients"), peak);
        node.stop()
    }

    /// Passes over all blobs in random order, each blob once a pass, until the time is over.
    fn passes(
        &self,
        small: &Small,
        round: u64,
        mut pass: impl FnMut(&[u64]) -> Result<Sample>,
    ) -> Result<Sample> {
        let mut random = Random::new(round);
        let mut sum = Sample::default();
        while sum.seconds < self.span.as_secs_f64() {
            sum = sum.plus(pass(&random.order(small.count))?);
        }
        Ok(sum)
    }

    /// A node on a store of its own, and its folder.
    fn fresh_node(&self) -> Result<(PathBuf, Node)> {
        let dir = self.dir.join("node");
        fs::create_dir(&dir).map_err(Error::io("make", &dir))?;
        let node = Node::start(&self.program, &dir)?;
        Ok((dir, node))
    }

    /// Notes a node's peak of memory, and ends it.
    fn end(&mut self, dir: &Path, node: Node, subject: &str) -> Result<()> {
        let peak = node.peak_mebibytes()?;
        self.peak(subject, peak);
        node.stop()?;
        fs::remove_dir_all(dir).map_err(Error::io("remove", dir))
    }

    fn peak(&mut self, subject: &str, mebibytes: f64) {
        self.gauges
            .push("node's peak of memory", subject, "MiB", PEAK, mebibytes);
    }
}

/// Picks of whole values.
fn each_whole(picks: &[u64]) -> Vec<(u64, usize)> {
    picks.iter().map(|index| (*index, 0)).collect()
}

/// Says what is going on, beside the figures.
fn tell(what: &str) {
    eprintln!("  {what}");
}

fn blob_of(bytes: u64) -> String {
    let mebibytes = float(bytes) / 1_048_576.0;
    match mebibytes >= 1024.0 {
        true => format!("blob of {} GiB", mebibytes / 1024.0),
        false => format!("blob of {mebibytes} MiB"),
    }
}

#[cfg(test)]
mod tests;
