//! Arguments of what runs a chain: a validator, a development network, a genesis file.

use std::{net::SocketAddr, path::PathBuf};

use alloy_primitives::Address;
use clap::Args;

/// Arguments of `lode chain`.
#[derive(Args, Debug)]
pub struct ChainArgs {
    /// Folder of the ledger and of consensus; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The file that the chain begins with
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// The validator's keys
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where it listens for other validators
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:30400")]
    pub listen: SocketAddr,
    /// Where the Ethereum JSON-RPC is served, HTTP and WebSocket
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8545")]
    pub rpc: SocketAddr,
    /// Web pages that may ask, by origin; * stands for all
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<String>,
    /// Who gets the fees of its blocks
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO)]
    pub beneficiary: Address,
    /// Milliseconds without a transaction after which there is a block all the same; the same for all
    /// validators of a chain
    #[arg(long, value_name = "MS", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub heartbeat_ms: u64,
    /// Begin an empty folder with the newest block of these nodes (their JSON-RPC) instead of with the
    /// chain's first; all that they say is checked by the genesis file. Nothing if there is a chain
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub checkpoint_sync: Vec<String>,
    /// Blocks whose state is kept below the last one; who serves checkpoints keeps an epoch's
    /// [default: all]
    #[arg(long, value_name = "N")]
    pub states: Option<u64>,
    /// Blocks that consensus keeps for validators that were away; at least those of the epoch and of
    /// the two before. The ledger keeps all
    #[arg(long, value_name = "N", default_value_t = 1 << 14)]
    pub keep_blocks: u64,
    /// Development: accounts whose keys everybody knows, and helpers of test tools
    #[arg(long)]
    pub dev: bool,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info", env = "LODE_LOG")]
    pub log: String,
}

/// Arguments of `lode devnet`.
#[derive(Args, Debug)]
pub struct DevnetArgs {
    /// Validators
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub validators: u16,
    /// Storage nodes
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(0..=100))]
    pub nodes: u16,
    /// Slices of the flow: node i keeps slice i mod N, so that nodes/N of them hold each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = slices)]
    pub slices: u16,
    /// Folder that a later start continues from [default: one that is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Write what the banner says, as JSON, when all is ready
    #[arg(long, value_name = "FILE")]
    pub config_out: Option<PathBuf>,
    /// The chain's number, of a new network
    #[arg(long, value_name = "N", default_value_t = 31_337)]
    pub chain_id: u64,
    /// Port of the first validator's RPC, of a new network
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    pub port: u16,
}

/// Arguments of `lode genesis`.
#[derive(Args, Debug)]
pub struct GenesisArgs {
    /// Folder for genesis.json and validators/N/key.json; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Where validators listen for each other: the first is validator 0
    #[arg(long, value_name = "ADDR:PORT", value_delimiter = ',', required = true)]
    pub peers: Vec<SocketAddr>,
    /// The chain's number
    #[arg(long, value_name = "N", default_value_t = 31_337)]
    pub chain_id: u64,
    /// Ether of each development account, whose keys everybody knows
    #[arg(long, value_name = "ETHER", default_value_t = 10_000)]
    pub balance: u64,
    /// Blocks after which members may change and keys are shared anew
    #[arg(long, value_name = "N", default_value_t = 1 << 16,
          value_parser = clap::value_parser!(u64).range(16..))]
    pub blocks_per_epoch: u64,
    /// Keys of as many validators more, which are in no committee before the stake registry has them
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u16).range(0..=100))]
    pub spare: u16,
}

/// A power of two.
fn slices(text: &str) -> Result<u16, String> {
    let slices = text
        .parse()
        .ok()
        .filter(|slices: &u16| slices.is_power_of_two());
    slices.ok_or_else(|| "it must be a power of two".to_owned())
}
