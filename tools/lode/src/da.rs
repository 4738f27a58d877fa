//! `lode da`: data availability. A node that holds rows and serves rollups, and what one asks of it.
//!
//! ```text
//!  rollup ─► faces ─► availability ─► lode_da, its committee over the network
//!                          ▲                │ certificates
//!  chain ── committees ────┴── settle ◄─────┘
//! ```
//! In reading order: `run` puts a node together, `chain` is what it takes from the chain and gives to it,
//! `availability` is the node as faces see it, `ask` are the commands that speak to one, `proof` those that
//! prove and check what it said.

mod ask;
mod availability;
mod chain;
mod proof;
mod run;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{failure::Outcome, output::Output};

pub use run::{holder_key, peer_key};

/// What is done.
#[derive(Debug, Subcommand)]
pub enum DaVerb {
    /// Run a node: hold rows, disperse blobs, serve rollups
    Run(run::RunArgs),
    /// Post a file as one blob, and wait until it is certified
    Post(ask::PostArgs),
    /// Tell how far a request is
    Status(ask::StatusArgs),
    /// Fetch a blob by its handle
    Get(ask::GetArgs),
    /// Fetch rows at random, check each, and print how likely a miss is
    Sample(ask::SampleArgs),
    /// Add to a certificate file what proves it by a genesis file alone
    Prove(proof::ProveArgs),
    /// Check a certificate file, and the file it is about, offline
    Verify(proof::VerifyArgs),
}

/// Does it.
pub fn run(verb: &DaVerb, output: Output) -> Outcome<ExitCode> {
    match verb {
        DaVerb::Run(args) => run::run(args, output),
        DaVerb::Post(args) => ask::post(args, output),
        DaVerb::Status(args) => ask::status(args, output),
        DaVerb::Get(args) => ask::get(args, output),
        DaVerb::Sample(args) => ask::sample(args, output),
        DaVerb::Prove(args) => proof::prove(args, output),
        DaVerb::Verify(args) => proof::verify(args, output),
    }
}
