//! What a node may choose for itself.

use std::{fmt, sync::Arc, time::Duration};

use alloy_primitives::Address;
use lode_chain_pool::Limits;

/// Seconds since 1970, as the node's clock has them.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a node may choose for itself.
#[derive(Clone)]
pub struct Options {
    /// Who gets the fees of blocks that it proposes.
    pub beneficiary: Address,
    /// After this long without a transaction a block is proposed all the same.
    pub heartbeat: Duration,
    /// Blocks whose state is kept below the last one; none: all.
    pub states: Option<u64>,
    /// Bytes of the state that are kept in memory.
    pub memory: usize,
    /// Bounds of what waits for a block.
    pub pool: Limits,
    /// Transactions of at most this many bytes are put into a block.
    pub block_len: usize,
    /// Threads that find senders.
    pub recoverers: usize,
    /// Tells the time.
    pub clock: Clock,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("beneficiary", &self.beneficiary)
            .field("heartbeat", &self.heartbeat)
            .field("states", &self.states)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
