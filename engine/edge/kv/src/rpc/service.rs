//! What methods know of the node, and how many of them run at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};

use super::{RpcConfig, arguments::Arguments, failure::Failure};
use crate::{replay::Progress, store::Reader};

/// Time that a request may wait for a submission.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// A method that reads.
pub(crate) type Method<R> = fn(&Service, &mut Arguments) -> Result<R, Failure>;

/// The node, as methods know it.
pub(crate) struct Service {
    pub(crate) config: RpcConfig,
    pub(crate) reader: Reader,
    pub(crate) progress: watch::Receiver<Progress>,
    /// The chain whose signatures count for new streams; none: nobody adds streams.
    pub(crate) chain_id: Option<u64>,
    /// Streams that may be held.
    pub(crate) streams_max: usize,
    reads: Semaphore,
    pub(crate) waits: Semaphore,
}

impl Service {
    pub(crate) fn new(
        config: RpcConfig,
        reader: Reader,
        progress: watch::Receiver<Progress>,
        chain_id: Option<u64>,
        streams_max: usize,
    ) -> Self {
        Service {
            reads: Semaphore::new(config.reads_max),
            waits: Semaphore::new(config.waits_max),
            config,
            reader,
            progress,
            chain_id,
            streams_max,
        }
    }

    /// Runs what reads files on a thread where nobody waits behind it.
    pub(crate) async fn run<R: Send + 'static>(
        self: Arc<Self>,
        method: Method<R>,
        mut arguments: Arguments,
    ) -> Result<R, Failure> {
        let stops = |_| Failure::internal("the node stops");
        let _turn = self.reads.acquire().await.map_err(stops)?;
        let service = Arc::clone(&self);
        let done = tokio::task::spawn_blocking(move || method(&service, &mut arguments));
        done.await
            .unwrap_or_else(|_| Err(Failure::internal("the method crashed")))
    }
}
