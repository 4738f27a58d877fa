//! The command line.

mod chain;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    da::DaVerb, fleet::FleetArgs, indexer::IndexerArgs, kv::KvArgs, verbs::submit::SubmitArgs,
};

pub use chain::{ChainArgs, DevnetArgs, GenesisArgs};

/// What `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or some of several items failed
  2  wrong command line or configuration
  3  no such blob, upload or chunk
  4  bytes or a proof did not verify
  5  the node is not there or busy: the same command may work later
  7  a disk is full

Roots are written 0x and 64 lower-case hexadecimal digits; on input 0x is optional.
Every setting is also a key of the config file and an environment variable LODE_<KEY>;
`lode config show` prints each one and where it comes from.";

/// Keeps files safe and proves it.
#[derive(Debug, Parser)]
#[command(name = "lode", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What all commands know.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every command.
#[derive(Args, Debug, Default)]
pub struct Common {
    /// Print results, and errors on stderr, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only what scripts need: roots, proofs, nothing
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Read settings from this file and no other
    #[arg(long, global = true, value_name = "FILE", env = "LODE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Node to talk to; several for `submit` and `get`, one by one or with commas between them
    /// [default: http://127.0.0.1:5700]
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub node: Vec<String>,
    /// Trust only the authorities of this file (PEM) for https:// nodes, not the public ones
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a node
    Node(NodeFlags),
    /// Run a validator of the settlement chain
    Chain(ChainArgs),
    /// Tell 0G's clients which nodes hold what, and serve files over HTTP
    Indexer(IndexerArgs),
    /// Serve key-value streams that are replayed from the flow
    Kv(KvArgs),
    /// Data availability: run a node, post blobs, fetch and sample them
    #[command(subcommand)]
    Da(DaVerb),
    /// Run a whole network on this machine: validators, storage nodes, funded accounts
    Devnet(DevnetArgs),
    /// Make keys and a genesis file for validators at given addresses, of a development network
    Genesis(GenesisArgs),
    /// Store files, folders, or stdin, encrypted or not; run it again to resume
    Put(PutArgs),
    /// Submit files to the chain's flow, as 0G's clients do, and store them; each is paid for once
    Submit(SubmitArgs),
    /// Fetch a blob, a range of it, a file of several blobs, or a folder, verified
    Get(GetArgs),
    /// List what is in a folder
    Ls(LsArgs),
    /// Write a file of a folder to stdout, verified
    Cat(CatArgs),
    /// Tell what differs between a stored folder and a directory; exit code 1 if anything does
    Diff(DiffArgs),
    /// Show a blob, or the node's figures
    Stat(StatArgs),
    /// Delete blobs
    Rm(RmArgs),
    /// Compute roots of files, offline
    Root(RootArgs),
    /// Fetch the proof that a chunk is part of a blob
    Prove(ProveArgs),
    /// Check proof files, offline
    Verify(VerifyArgs),
    /// Let the node read and check everything it holds
    Scrub(ScrubArgs),
    /// Show the store's epoch, or set it: blobs whose expiry it reaches are gone for good
    Epoch(EpochArgs),
    /// Store files, kill the node in the middle of a put, get everything back, verified
    Demo(DemoArgs),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Settings
    #[command(subcommand)]
    Config(ConfigVerb),
}

/// Flags of `lode node`: one per setting. Values are checked with those of file and environment.
#[derive(Args, Debug, Default)]
pub struct NodeFlags {
    /// Data directory; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: Option<String>,
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:5700]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Executors, and shards of a new store; 0: one per core [default: 0]
    #[arg(long, value_name = "N")]
    pub shards: Option<String>,
    /// auto, uring or posix [default: auto]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Bytes of a segment file of a new store [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub segment: Option<String>,
    /// Bytes per shard on their way to the disk [default: 48MiB]
    #[arg(long, value_name = "SIZE")]
    pub ingest_memory: Option<String>,
    /// Bytes per second and shard of the background scrub; 0: none [default: 8MiB]
    #[arg(long, value_name = "SIZE")]
    pub scrub_rate: Option<String>,
    /// How gets of whole chunks are checked: pages (checksums) or hash (BLAKE3, 30 % more processor
    /// time per get); the scrub always hashes [default: pages]
    #[arg(long, value_name = "HOW")]
    pub verify: Option<String>,
    /// Percent of the filesystem kept free [default: 5]
    #[arg(long, value_name = "N")]
    pub reserve_percent: Option<String>,
    /// Open connections [default: 4096]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<String>,
    /// Bytes of one blob [default: 2TiB]
    #[arg(long, value_name = "SIZE")]
    pub max_blob: Option<String>,
    /// Time for a request's head [default: 10s]
    #[arg(long, value_name = "SPAN")]
    pub head_time: Option<String>,
    /// Time without a request before a connection is closed [default: 60s]
    #[arg(long, value_name = "SPAN")]
    pub idle_time: Option<String>,
    /// Time in which a body or a reply must move 64 KiB [default: 30s]
    #[arg(long, value_name = "SPAN")]
    pub progress_time: Option<String>,
    /// Time for requests in flight to end at a stop [default: 20s]
    #[arg(long, value_name = "SPAN")]
    pub drain_time: Option<String>,
    /// Settle what is stored on the chain behind this RPC; puts and gets never wait for it
    #[arg(long, value_name = "URL")]
    pub chain: Option<String>,
    /// Key of the account that pays for it (Web3 Secret Storage); it sends nothing else
    #[arg(long, value_name = "FILE")]
    pub chain_key: Option<String>,
    /// File with the key's password
    #[arg(long, value_name = "FILE")]
    pub chain_password_file: Option<String>,
    /// Serve 0G's storage RPC here, for what the chain's flow has ordered
    #[arg(long, value_name = "ADDR")]
    pub zgs_listen: Option<String>,
    /// Serve its gRPC twin here
    #[arg(long, value_name = "ADDR:PORT")]
    pub zgs_grpc_listen: Option<String>,
    /// Web pages that may ask it: origins, with commas between them, or *
    #[arg(long, value_name = "ORIGINS")]
    pub zgs_origins: Option<String>,
    /// The flow's contract, where it is not where our genesis has it
    #[arg(long, value_name = "ADDRESS")]
    pub flow_address: Option<String>,
    /// The block from which on the flow is followed [default: 0]
    #[arg(long, value_name = "BLOCK")]
    pub flow_first_block: Option<String>,
    /// Which slice of the flow is kept: number/count [default: 0/1]
    #[arg(long, value_name = "I/N")]
    pub slice: Option<String>,
    /// Speak to the other storage nodes here, and fetch from them what is missing
    #[arg(long, value_name = "ADDR:PORT")]
    pub peers_listen: Option<String>,
    /// Who they are, with commas between them; each needs this node among its own
    #[arg(long, value_name = "KEY@HOST:PORT")]
    pub peers: Option<String>,
    /// Answer the operator (0G's admin_* calls) at a unix socket that only this user may open, or at a
    /// port of this machine that asks for a word
    #[arg(long, value_name = "unix:PATH|ADDR:PORT")]
    pub operator_listen: Option<String>,
    /// File with the word of that port, mode 0600; made if there is none
    #[arg(long, value_name = "FILE")]
    pub operator_token: Option<String>,
    /// What to log: error, warn, info, debug, or a filter [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// human or json [default: human]
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
}

/// Arguments of `lode put`.
#[derive(Args, Debug)]
pub struct PutArgs {
    /// Files, directories, or - for stdin. A directory becomes a folder: a blob for each file below and one
    /// that names them all; links stay links
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub paths: Vec<PathBuf>,
    /// First epoch in which the blobs may be gone, from 1; without it they stay until deleted
    #[arg(long, value_name = "EPOCH", value_parser = clap::value_parser!(u32).range(1..))]
    pub expiry: Option<u32>,
    /// What to wait for: receipt (the bytes are durable), anchored (the chain has them), final (and
    /// anybody can check it) [default: final if the node settles, and no failure if it takes long]
    #[arg(long, value_name = "STEP")]
    pub wait: Option<Step>,
    /// Cut files into blobs of this many bytes, rounded up to a power of two; what is printed then is a
    /// list of roots, which `lode get` takes
    #[arg(long, value_name = "SIZE")]
    pub fragment_size: Option<String>,
    /// How it is encrypted, if it is.
    #[command(flatten)]
    pub seal: SealArgs,
}

/// Flags of what encrypts. Keys are never values of flags: every process of the machine could read them.
/// A second run stores the same bytes, and resumes.
#[derive(Args, Debug, Default)]
#[group(multiple = false)]
pub struct SealArgs {
    /// Encrypt with the key (64 hexadecimal digits) of this file, or of the variable NAME. Who reads it
    /// needs the same key
    #[arg(long, value_name = "FILE|env:NAME")]
    pub encryption_key: Option<String>,
    /// Encrypt to this public key (secp256k1, hexadecimal). Who reads it needs its private key
    #[arg(long, value_name = "PUBKEY")]
    pub encrypt_to: Option<String>,
    /// Encrypt to ourselves: to the public key of the private key of this file, or of the variable NAME
    #[arg(long, value_name = "FILE|env:NAME")]
    pub encrypt: Option<String>,
}

/// Flags of what decrypts. Nothing in stored bytes tells whether a key is the right one: a wrong one
/// gives noise.
#[derive(Args, Debug, Default)]
pub struct OpenArgs {
    /// Decrypt with the key (64 hexadecimal digits) of this file, or of the variable NAME
    #[arg(long, value_name = "FILE|env:NAME")]
    pub decryption_key: Option<String>,
    /// Decrypt what was encrypted to the private key of this file, or of the variable NAME
    #[arg(long, value_name = "FILE|env:NAME")]
    pub private_key: Option<String>,
}

/// How far a blob that was put has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Durable.
    Receipt,
    /// In an anchor that a block has settled.
    Anchored,
    /// And there is a certificate of it.
    Final,
}

/// Arguments of `lode get`.
#[derive(Args, Debug)]
pub struct GetArgs {
    /// Which blob; several, in order, of a file that was put in fragments
    #[arg(required = true, value_name = "ROOT", value_delimiter = ',')]
    pub roots: Vec<String>,
    /// File to write; - is stdout, which is also where bytes go without -o if it is no terminal
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// The blob is a folder: restore its files and links below the directory -o. What is there and right
    /// is kept, files that differ are replaced, nothing else is touched; run it again to resume
    #[arg(long, requires = "output", conflicts_with_all = ["range", "trust_node"])]
    pub folder: bool,
    /// What decrypts it.
    #[command(flatten)]
    pub open: OpenArgs,
    /// Only bytes A to B, both included; A- to the end, -N the last N
    #[arg(long, value_name = "A-B", allow_hyphen_values = true,
          conflicts_with_all = ["decryption_key", "private_key"])]
    pub range: Option<String>,
    /// Fetch a range without its proofs
    #[arg(long, requires = "range")]
    pub trust_node: bool,
    /// Of a submitted blob whose chunks lie with nodes of several slices: who they are.
    #[command(flatten)]
    pub fleet: FleetArgs,
}

/// Arguments of `lode ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// Which folder
    pub root: String,
    /// Only what is at and below this path in it
    pub path: Option<String>,
    /// What decrypts it.
    #[command(flatten)]
    pub open: OpenArgs,
}

/// Arguments of `lode cat`.
#[derive(Args, Debug)]
pub struct CatArgs {
    /// Which folder
    pub root: String,
    /// Which file in it
    pub path: String,
    /// What decrypts it.
    #[command(flatten)]
    pub open: OpenArgs,
}

/// Arguments of `lode diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The directory
    pub dir: PathBuf,
    /// The folder that it is compared with
    pub root: String,
    /// What decrypts it.
    #[command(flatten)]
    pub open: OpenArgs,
}

/// Arguments of `lode stat`.
#[derive(Args, Debug)]
pub struct StatArgs {
    /// Which blob; without it, the node
    pub root: Option<String>,
}

/// Arguments of `lode rm`.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// Which blobs
    #[arg(required = true)]
    pub roots: Vec<String>,
}

/// Arguments of `lode root`.
#[derive(Args, Debug)]
pub struct RootArgs {
    /// Files, or - for stdin
    #[arg(required = true, value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `lode prove`.
#[derive(Args, Debug)]
pub struct ProveArgs {
    /// Which blob
    pub root: String,
    /// Which chunk of 262144 bytes, from 0
    #[arg(long, value_name = "I")]
    pub chunk: u64,
    /// File to write; - is stdout [default: ROOT-I.lodeproof with 8 digits of ROOT]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave the chunk's bytes out
    #[arg(long)]
    pub no_data: bool,
    /// Go on from the blob's root to the chain: anchor, state, header, certificate
    #[arg(long)]
    pub whole: bool,
}

/// Arguments of `lode verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Proof files, or - for stdin
    #[arg(required = true, value_name = "PROOF|-")]
    pub files: Vec<PathBuf>,
    /// The proofs must be about this blob
    #[arg(long)]
    pub root: Option<String>,
    /// The chain's genesis file: all that is trusted of a proof that goes up to the chain
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
}

/// Arguments of `lode scrub`.
#[derive(Args, Debug)]
pub struct ScrubArgs {
    /// Bytes per second and shard, as 50MiB; 0: as fast as the disk goes
    #[arg(long, default_value = "0", value_name = "SIZE")]
    pub rate: String,
}

/// Arguments of `lode epoch`.
#[derive(Args, Debug)]
pub struct EpochArgs {
    /// The epoch that it is now; it only rises, and only on the node's own machine
    #[arg(value_name = "N")]
    pub epoch: Option<u32>,
}

/// Arguments of `lode demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Files to store; without any, a few that every machine has
    pub files: Vec<PathBuf>,
    /// Bytes of the put that is interrupted
    #[arg(long, default_value = "256MiB", value_name = "SIZE")]
    pub size: String,
    /// Seed of those bytes
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Keep the folder and print its path
    #[arg(long)]
    pub keep: bool,
    /// Make the folder below this directory
    #[arg(long, value_name = "DIR")]
    pub within: Option<PathBuf>,
    /// auto, uring or posix
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub backend: String,
}

/// Commands about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Print every setting, its value and where it comes from
    Show(NodeFlags),
}

impl NodeFlags {
    /// The flags that were given, by the setting that they set.
    pub fn given(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("dir", &self.dir),
            ("listen", &self.listen),
            ("shards", &self.shards),
            ("backend", &self.backend),
            ("segment", &self.segment),
            ("ingest_memory", &self.ingest_memory),
            ("scrub_rate", &self.scrub_rate),
            ("verify", &self.verify),
            ("reserve_percent", &self.reserve_percent),
            ("max_connections", &self.max_connections),
            ("max_blob", &self.max_blob),
            ("head_time", &self.head_time),
            ("idle_time", &self.idle_time),
            ("progress_time", &self.progress_time),
            ("drain_time", &self.drain_time),
            ("chain", &self.chain),
            ("chain_key", &self.chain_key),
            ("chain_password_file", &self.chain_password_file),
            ("zgs_listen", &self.zgs_listen),
            ("zgs_grpc_listen", &self.zgs_grpc_listen),
            ("zgs_origins", &self.zgs_origins),
            ("flow_address", &self.flow_address),
            ("flow_first_block", &self.flow_first_block),
            ("slice", &self.slice),
            ("peers_listen", &self.peers_listen),
            ("peers", &self.peers),
            ("operator_listen", &self.operator_listen),
            ("operator_token", &self.operator_token),
            ("log", &self.log),
            ("log_format", &self.log_format),
        ];
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?)))
            .collect()
    }
}

impl Common {
    /// Nodes that were named.
    pub fn nodes(&self) -> Vec<String> {
        let urls = self.node.iter();
        urls.map(|url| url.trim_end_matches('/').to_owned())
            .collect()
    }

    /// The settings among the common flags that were given.
    pub fn given(&self) -> Vec<(&'static str, &str)> {
        // Of several, each is checked where it is used.
        let node = self.node.first();
        [("node", node), ("ca", self.ca.as_ref())]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?.as_str())))
            .collect()
    }
}
