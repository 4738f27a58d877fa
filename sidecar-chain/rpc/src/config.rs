//! What an operator may choose about the interface, and the bounds of all that callers may ask for.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::dev::Dev;

/// Choices and bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP and WebSocket are served. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Web pages that may ask, by origin; `*` stands for all. None: pages may not.
    pub origins: Vec<String>,
    /// What `web3_clientVersion` says.
    pub client: String,
    /// Gas that one call may use (`eth_call`, `eth_estimateGas`, traces).
    pub gas_max: u64,
    /// Time that one request may take, looked at between executions: the gas bounds a single one.
    pub time_max: Duration,
    /// Requests that execute or search at once.
    pub heavy_max: usize,
    /// Such requests that wait for their turn; further ones are refused.
    pub waiting_max: usize,
    /// Transactions whose signatures wait to be checked; further ones wait in their connections.
    pub unchecked_max: usize,
    /// Bytes of a request.
    pub request_len_max: u32,
    /// Bytes of an answer.
    pub response_len_max: u32,
    /// Requests in a batch.
    pub batch_max: u32,
    /// Connections at once.
    pub connections_max: u32,
    /// Subscriptions of a connection.
    pub subscriptions_max: u32,
    /// Filters of all callers.
    pub filters_max: usize,
    /// A filter that nobody asks for this long is gone.
    pub filter_idle: Duration,
    /// Blocks that one query for logs may span.
    pub log_blocks_max: u64,
    /// Logs that one query may answer with, unless they are all of one block.
    pub logs_max: usize,
    /// Bytes of memory that one trace may take, about.
    pub trace_len_max: usize,
    /// Whether `debug_` and `trace_` are served: they are the most work.
    pub traces: bool,
    /// Tip that `eth_maxPriorityFeePerGas` proposes when blocks have room, in wei.
    pub tip: u128,
    /// Helpers for who develops contracts; none in a network with money in it.
    pub dev: Option<Dev>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8545)),
            origins: Vec::new(),
            client: concat!("lode/v", env!("CARGO_PKG_VERSION")).to_owned(),
            gas_max: 50_000_000,
            time_max: Duration::from_secs(5),
            heavy_max: 4,
            waiting_max: 256,
            unchecked_max: 2_048,
            request_len_max: 16 << 20,
            response_len_max: 64 << 20,
            batch_max: 1_000,
            connections_max: 1_024,
            subscriptions_max: 128,
            filters_max: 1_024,
            filter_idle: Duration::from_secs(300),
            log_blocks_max: 10_000,
            logs_max: 20_000,
            trace_len_max: 64 << 20,
            traces: true,
            tip: 1_000_000,
            dev: None,
        }
    }
}
