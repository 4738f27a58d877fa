//! One function for each row of 0G wire, 3.2, but for the miner's.

use std::{collections::BTreeMap, sync::Arc};

use jsonrpsee::{RpcModule, types::Params};
use lode_flow::Submission;
use lode_proofs::sectors;
use lode_wire::{Slice, text};
use serde::Serialize;
use tokio::sync::watch;

use super::network::{
    LIST_MAX, Location, Network, NetworkInfo, PeerInfo, ServiceState, SyncInfo, Wish,
};
use crate::{
    meter::Metrics,
    methods::{Answer, Arguments},
    refusal::Refusal,
    room::Room,
};

/// What is said of a submission that the chain does not have.
const NO_SUBMISSION: &str = "Transaction not found";

/// The same, where the blob's holders are asked for.
const NO_HOLDERS: &str = "tx not found";

/// What is said of a submission that is not fetched and never was.
const NO_SYNC: &str = "unknown";

/// What the operator's methods share.
pub struct Desk {
    pub(super) room: Arc<Room>,
    pub(super) network: Arc<dyn Network>,
    pub(super) shutdown: watch::Sender<bool>,
}

/// All methods.
pub fn module(desk: Desk) -> RpcModule<Desk> {
    let mut methods = Methods(RpcModule::new(desk));
    methods.add("admin_findFile", find);
    methods.add("admin_shutdown", shutdown);
    methods.add("admin_startSyncFile", fetch);
    methods.add("admin_startSyncChunks", fetch_range);
    methods.add("admin_terminateSync", stop);
    methods.add("admin_getSyncServiceState", service);
    methods.add("admin_getSyncStatus", status);
    methods.add("admin_getSyncInfo", info);
    methods.add("admin_getNetworkInfo", this_node);
    methods.add("admin_getPeers", peers);
    methods.add("admin_getFileLocation", holders);
    methods.add("admin_getMetrics", metrics);
    methods.0
}

struct Methods(RpcModule<Desk>);

impl Methods {
    fn add<R, F>(&mut self, name: &'static str, method: fn(Arc<Desk>, Params<'static>) -> F)
    where
        R: Serialize + Send + Clone + 'static,
        F: Future<Output = Answer<R>> + Send + 'static,
    {
        let added = self
            .0
            .register_async_method(name, move |params, desk, _| async move {
                let answer = method(Arc::clone(&desk), params).await;
                answer.inspect_err(|refusal| desk.room.meter.refused(refusal.reason()))
            });
        added.expect("names of methods differ");
    }
}

impl Desk {
    fn submission(&self, seq: u64) -> Answer<Submission> {
        let found = self.room.book.submission(seq)?;
        found.ok_or_else(|| Refusal::Internal(NO_SUBMISSION.to_owned()))
    }

    /// Starts it, unless all of the submission that the node keeps is here.
    async fn start(&self, submission: &Submission, wish: Wish) -> Answer<()> {
        if self.room.shelf.held(submission).await?.whole {
            return Ok(());
        }
        let started = self.network.start(wish);
        started.map_err(|unwilling| Refusal::Internal(unwilling.to_string()))
    }
}

async fn find(desk: Arc<Desk>, params: Params<'static>) -> Answer<()> {
    let seq = Arguments::of(&params).next()?;
    let submission = desk.submission(seq)?;
    desk.start(&submission, Wish::Find { seq }).await
}

async fn shutdown(desk: Arc<Desk>, _params: Params<'static>) -> Answer<()> {
    tracing::info!("the operator ends this node");
    desk.shutdown.send_replace(true);
    Ok(())
}

async fn fetch(desk: Arc<Desk>, params: Params<'static>) -> Answer<()> {
    let seq = Arguments::of(&params).next()?;
    let submission = desk.submission(seq)?;
    desk.start(&submission, Wish::Fetch { seq }).await
}

async fn fetch_range(desk: Arc<Desk>, params: Params<'static>) -> Answer<()> {
    let (seq, first, end) = {
        let mut arguments = Arguments::of(&params);
        (arguments.next()?, arguments.next()?, arguments.next()?)
    };
    let submission = desk.submission(seq)?;
    if first >= end || end > sectors(submission.size) {
        return Err(Refusal::param("end_index", text::CHUNK_INDEX));
    }
    let wish = Wish::FetchRange { seq, first, end };
    desk.start(&submission, wish).await
}

async fn stop(desk: Arc<Desk>, params: Params<'static>) -> Answer<bool> {
    let seq = Arguments::of(&params).next()?;
    Ok(desk.network.stop(seq))
}

async fn service(desk: Arc<Desk>, _params: Params<'static>) -> Answer<ServiceState> {
    Ok(desk.network.service())
}

async fn status(desk: Arc<Desk>, params: Params<'static>) -> Answer<String> {
    let seq = Arguments::of(&params).next()?;
    let sync = desk.network.syncs(Some(seq)).remove(&seq);
    Ok(sync.map_or_else(|| NO_SYNC.to_owned(), |sync| sync.state.to_string()))
}

async fn info(desk: Arc<Desk>, params: Params<'static>) -> Answer<BTreeMap<u64, SyncInfo>> {
    let seq = Arguments::of(&params).optional()?;
    Ok(desk.network.syncs(seq))
}

async fn this_node(desk: Arc<Desk>, _params: Params<'static>) -> Answer<NetworkInfo> {
    Ok(desk.network.this_node())
}

async fn peers(desk: Arc<Desk>, _params: Params<'static>) -> Answer<BTreeMap<String, PeerInfo>> {
    Ok(desk.network.peers())
}

/// With `allShards`, null unless the holders have all of the blob between them.
async fn holders(desk: Arc<Desk>, params: Params<'static>) -> Answer<Option<Vec<Location>>> {
    let (seq, all) = {
        let mut arguments = Arguments::of(&params);
        (arguments.next()?, arguments.next::<bool>()?)
    };
    if desk.room.book.submission(seq)?.is_none() {
        return Err(Refusal::Internal(NO_HOLDERS.to_owned()));
    }
    let found = desk.network.holders(seq);
    let slices: Vec<Slice> = found.iter().map(|location| location.shard_config).collect();
    Ok((!all || cover(&slices)).then_some(found))
}

/// Whether every chunk of the flow is in one of these slices.
///
/// Slices of `n` are the leaves of a binary tree over the low bits of a chunk's number: the whole is
/// covered if the root is, and a node is if a slice is at it or both its children are. Only nodes
/// above a slice are walked, and there are at most as many as slices times 64 bits.
fn cover(slices: &[Slice]) -> bool {
    fn below(slices: &[Slice], id: u64, count: u64) -> bool {
        let here = |slice: &&Slice| slice.id() % count.min(slice.count()) == id % slice.count();
        let here: Vec<Slice> = slices.iter().filter(here).copied().collect();
        if here.iter().any(|slice| slice.count() <= count) {
            return true;
        }
        match count.checked_mul(2) {
            Some(next) if !here.is_empty() => {
                below(&here, id, next) && below(&here, id + count, next)
            }
            _ => false,
        }
    }
    below(&slices[..slices.len().min(LIST_MAX)], 0, 1)
}

/// Every number as its kind and value: what it is of stands in brackets behind its name.
async fn metrics(desk: Arc<Desk>, params: Params<'static>) -> Answer<BTreeMap<String, String>> {
    let prefix: Option<String> = Arguments::of(&params).optional()?;
    let prefix = prefix.unwrap_or_default();
    let numbers = Metrics::of(&desk.room).numbers().into_iter();
    let named = numbers.map(|number| {
        let name = match number.label {
            None => number.name.to_owned(),
            Some((_, value)) => format!("{}.{value}", number.name),
        };
        let kind = if number.counter { "counter" } else { "gauge" };
        (name, format!("{kind} {}", number.value))
    });
    Ok(named
        .filter(|(name, _)| name.starts_with(&prefix))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every set of slices of up to eight, against counting the chunks that each keeps.
    #[test]
    fn covers_what_it_covers() {
        let all: Vec<Slice> = [1, 2, 4, 8]
            .into_iter()
            .flat_map(|count| (0..count).filter_map(move |id| Slice::new(id, count).ok()))
            .collect();
        for set in 0..1_u32 << all.len() {
            let chosen = |at: &usize| set >> at & 1 == 1;
            let chosen: Vec<Slice> = (0..all.len()).filter(chosen).map(|at| all[at]).collect();
            let want = (0..8).all(|chunk| chosen.iter().any(|slice| slice.keeps(0, chunk)));
            assert_eq!(cover(&chosen), want, "{chosen:?}");
        }
        assert!(!cover(&[Slice::new(1, 1 << 63).unwrap()]));
    }
}
