//! `lode kv`: key-value streams, replayed from the flow of storage nodes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use lode_kv::{Config, Kv, NodeFeed, RpcConfig, StreamId, Streams};
use lode_proofs::Hash32;
use serde_json::json;

use crate::{
    args::OpenArgs,
    failure::{Failure, Outcome},
    journal, keys,
    output::Output,
    service, trust,
};

/// Arguments of `lode kv`.
#[derive(Args, Debug)]
pub struct KvArgs {
    /// Folder of the streams; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Storage nodes: where they serve 0G's storage RPC, by http:// or https:// (see --ca). The next one
    /// is asked when one fails
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub nodes: Vec<String>,
    /// A key-value node whose decisions about missing bytes are followed
    #[arg(long, value_name = "URL")]
    pub leader: Option<String>,
    /// Where the RPC is served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:6789")]
    pub listen: SocketAddr,
    /// Web pages that may ask, by origin; * stands for all
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<String>,
    /// Streams to hold [default: all]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub streams: Vec<Hash32>,
    /// The first submission to look at, of a new folder
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub from_seq: u64,
    /// The chain whose signatures add streams (admin_addStream) [default: nobody adds streams]
    #[arg(long, value_name = "N")]
    pub chain_id: Option<u64>,
    /// Blocks after which bytes that nobody has are given up [default: never]. Of several nodes that
    /// shall agree only one may have it; the others follow it by --leader
    #[arg(long, value_name = "BLOCKS", conflicts_with = "leader")]
    pub patience: Option<u64>,
    /// What decrypts the streams. With a key, all of them are encrypted: a transaction that the key does not
    /// open is refused.
    #[command(flatten)]
    pub open: OpenArgs,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info", env = "LODE_LOG")]
    pub log: String,
}

/// Serves until it is told to stop.
pub fn run(args: &KvArgs, ca: Option<&Path>, output: Output) -> Outcome<ExitCode> {
    journal::start_with(&args.log, false)?;
    let authorities = trust::authorities(ca)?;
    let feed = NodeFeed::new(&args.nodes, args.leader.as_deref(), &authorities)
        .map_err(|error| Failure::usage(error.to_string(), "check --nodes, --leader and --ca"))?;
    let mut config = Config::new(args.dir.clone());
    config.listen = args.listen;
    config.from_seq = args.from_seq;
    config.chain_id = args.chain_id;
    config.rules.patience = args.patience;
    config.rules.keys = keys::opening(&args.open)?.unwrap_or_default();
    config.rpc = RpcConfig {
        origins: args.origins.clone(),
        ..RpcConfig::default()
    };
    if !args.streams.is_empty() {
        let streams: BTreeSet<StreamId> = args.streams.iter().copied().map(StreamId).collect();
        config.streams = Streams::Listed(streams);
    }
    service::runtime()?.block_on(async {
        let handle = Kv::start(config, feed).await.map_err(|error| {
            let what = format!("the key-value node cannot start: {error}");
            Failure::other(what, "check --dir, --listen, --streams and the keys")
        })?;
        let url = format!("http://{}", handle.address());
        let json = json!({ "url": url, "pid": std::process::id() });
        let long = format!("lode kv ready at {url}  dir {}", args.dir.display());
        service::announce(&json, &url, &long, output)?;
        service::told_to_stop().await?;
        match handle.stop().await {
            None => Ok(ExitCode::SUCCESS),
            Some(why) => {
                let next = "starting it again goes on from what is on disk";
                Err(Failure::other(format!("the replay had ended: {why}"), next))
            }
        }
    })
}
