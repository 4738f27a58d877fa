//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Proves on real files that acknowledged bytes survive.
#[derive(Clone, Debug, Parser)]
#[command(name = "crash", version)]
pub struct Cli {
    /// Which proof.
    #[command(subcommand)]
    pub verb: Verb,
    /// What all proofs have in common.
    #[command(flatten)]
    pub common: Common,
}

/// Which proof.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// SIGKILL at random moments under load, restart on the same folder
    Kill {
        /// How many kills
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        cycles: u32,
    },
    /// Power loss on ext4: the filesystem forgets what it has not synced (root only)
    Power {
        /// How many cuts
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// The kill cycles under a seccomp filter that refuses io_uring
    Seccomp {
        /// How many kills
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        cycles: u32,
    },
    /// A filesystem that is filled to its end, freed, and filled again
    Full {
        /// Size of the filesystem, in MiB: the node's two shards need 56, and ext4 some for itself
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(80..))]
        size: u64,
    },
    /// SIGKILL of validators of the settlement chain under load, restart on the same folders
    Chain {
        /// How many kills of each network
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        cycles: u32,
        /// Validators of each network
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 4],
              value_parser = clap::value_parser!(u16).range(1..=16))]
        validators: Vec<u16>,
    },
    /// Four validators in network namespaces: split, healed, never two histories (root only)
    ChainPartition {
        /// How many splits of each kind
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// A validator joins and another leaves under load, and old light clients still verify
    ChainEpochs {
        /// Blocks of an epoch
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(16..))]
        blocks: u64,
    },
    /// A validator begins with the newest block of others, whose first blocks nobody sends any more,
    /// and becomes one of those that the chain cannot do without
    ChainSync {
        /// Blocks of an epoch
        #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(16..))]
        blocks: u64,
        /// Blocks of the chain before the newcomer: above 1024 for the first to be gone
        #[arg(long, default_value_t = 1600)]
        before: u64,
    },
    /// Four storage nodes of two slices: killed under uploads and downloads, robbed of their disks, cut
    /// off from each other (root only), and whole in the end
    Storage {
        /// How often all of it
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Blobs of each round, besides those of splits
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(5..=10_000))]
        blobs: u32,
        /// Size of the largest blobs, in MiB
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
        largest: u64,
    },
    /// Runs a command that dies with its parent
    #[command(hide = true)]
    Guarded {
        /// Refuse io_uring to it
        #[arg(long)]
        without_ring: bool,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// What all proofs have in common.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Folder in which a new one is made for everything (default: the folder for temporary files)
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The node's backend: auto, uring or posix
    #[arg(long, global = true, value_name = "NAME", default_value = "auto")]
    pub backend: String,
    /// Seed of sizes, contents and moments (default: from the clock, printed)
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// The lode binary (default: built by cargo beside this one)
    #[arg(long, global = true, value_name = "FILE")]
    pub lode: Option<PathBuf>,
    /// Print the result as one line of JSON
    #[arg(long, global = true)]
    pub json: bool,
}
