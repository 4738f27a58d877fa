//! `lode indexer`: which storage nodes there are, which of them hold a blob, and the bytes over plain
//! HTTP, as 0G's indexer and its gateway. Keeps nothing on disk.

use std::{
    net::SocketAddr,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use lode_indexer::{Config, Indexer, Machine};
use serde_json::json;

use crate::{
    failure::{Failure, Outcome},
    journal,
    output::Output,
    random, service,
};

/// Arguments of `lode indexer`.
#[derive(Args, Debug)]
pub struct IndexerArgs {
    /// Storage nodes that are trusted: where they serve 0G's storage RPC
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub nodes: Vec<String>,
    /// Where JSON-RPC and REST are served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:12345")]
    pub listen: SocketAddr,
    /// Web pages that may ask, by origin; * stands for all
    #[arg(
        long,
        value_name = "ORIGIN",
        value_delimiter = ',',
        default_value = "*"
    )]
    pub origins: Vec<String>,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info", env = "LODE_LOG")]
    pub log: String,
}

/// Serves until it is told to stop.
pub fn run(args: &IndexerArgs, output: Output) -> Outcome<ExitCode> {
    journal::start_with(&args.log, false)?;
    let config = Config {
        nodes: args.nodes.clone(),
        listen: args.listen,
        origins: args.origins.clone(),
        ..Config::default()
    };
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default()
    };
    let seed = u64::from_le_bytes(random::bytes()?);
    let machine = Machine::new(clock, seed);
    service::runtime()?.block_on(async {
        let handle = Indexer::start(config, machine).await.map_err(|error| {
            let what = format!("the indexer cannot serve on {}: {error}", args.listen);
            Failure::other(what, "check --nodes, --origins and --listen")
        })?;
        let url = format!("http://{}", handle.address());
        let json = json!({ "url": url, "nodes": args.nodes, "pid": std::process::id() });
        let count = args.nodes.len();
        let long = format!("lode indexer ready at {url}  {count} trusted nodes");
        service::announce(&json, &url, &long, output)?;
        service::told_to_stop().await?;
        handle.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}
