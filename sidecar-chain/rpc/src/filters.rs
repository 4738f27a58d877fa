//! Filters: what has happened since a caller last asked. A filter holds where its caller is, not
//! what happened: blocks and logs are read when they are asked for, and none can be lost, as all
//! visible blocks are final.
//!
//! At most a number of filters live at once; one that nobody asks for is gone after a while.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U128, keccak256};
use alloy_rpc_types_eth::Log as RpcLog;
use lode_chain_ledger::View;
use lode_chain_pool::Transaction;
use lode_chain_types::Height;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::{
    arguments::Arguments,
    events::waiting,
    failure::Failure,
    logs::{self, Query, Span},
    selector::Selector,
    service::{Answer, Methods, Service},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("eth_newFilter", new_logs);
    methods.quick("eth_newBlockFilter", new_blocks);
    methods.quick("eth_newPendingTransactionFilter", new_pending);
    methods.quick("eth_uninstallFilter", uninstall);
    methods.heavy("eth_getFilterChanges", changes);
    methods.heavy("eth_getFilterLogs", all_logs);
}

/// All filters.
#[derive(Debug)]
pub struct Filters {
    filters: Mutex<HashMap<U128, Filter>>,
    made: AtomicU64,
    count_max: usize,
    idle: Duration,
}

#[derive(Debug)]
struct Filter {
    kind: Kind,
    asked: Instant,
}

#[derive(Debug)]
enum Kind {
    /// Hashes of blocks above a height.
    Blocks(Height),
    /// Logs of blocks above a height.
    Logs(Box<Query>, Height),
    /// Hashes of transactions that wait.
    Pending(broadcast::Receiver<Transaction>),
}

/// What has happened.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<RpcLog>),
}

impl Filters {
    /// None yet.
    pub fn new(count_max: usize, idle: Duration) -> Filters {
        Filters {
            filters: Mutex::default(),
            made: AtomicU64::new(0),
            count_max,
            idle,
        }
    }

    fn add(&self, kind: Kind) -> Answer<U128> {
        let now = Instant::now();
        let mut filters = self.filters.lock();
        if filters.len() >= self.count_max {
            filters.retain(|_, filter| now.duration_since(filter.asked) < self.idle);
        }
        if filters.len() >= self.count_max {
            let data = serde_json::json!({ "filtersMax": self.count_max });
            return Err(Failure::limit("too many filters", data));
        }
        // Hard to guess for who did not make it, so that callers do not eat each other's changes.
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{count} {now:?} {:p}", self);
        let id = U128::from_be_slice(&keccak256(seed)[..16]);
        filters.insert(id, Filter { kind, asked: now });
        Ok(id)
    }

    /// Calls `look` with a filter that lives.
    fn with<R>(&self, id: U128, look: impl FnOnce(&mut Kind) -> R) -> Answer<R> {
        let now = Instant::now();
        let mut filters = self.filters.lock();
        if let Some(filter) = filters.get_mut(&id)
            && now.duration_since(filter.asked) < self.idle
        {
            filter.asked = now;
            return Ok(look(&mut filter.kind));
        }
        filters.remove(&id);
        Err(Failure::server("filter not found"))
    }
}

fn new_logs(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U128> {
    let query: Query = arguments.required()?;
    arguments.end()?;
    if matches!(query.span, Span::Block(_)) {
        return Err(Failure::argument("invalid block range params"));
    }
    let tip = service.view().tip();
    service.filters.add(Kind::Logs(Box::new(query), tip))
}

fn new_blocks(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U128> {
    arguments.end()?;
    service.filters.add(Kind::Blocks(service.view().tip()))
}

fn new_pending(service: &Service, _: &mut Arguments<'_>) -> Answer<U128> {
    service.filters.add(Kind::Pending(service.events.pending()))
}

fn uninstall(service: &Service, arguments: &mut Arguments<'_>) -> Answer<bool> {
    let id: U128 = arguments.required()?;
    Ok(service.filters.filters.lock().remove(&id).is_some())
}

/// What is to be read for a caller, found while the filter is looked at.
enum Task {
    Done(Vec<B256>),
    Blocks(Height, Height),
    Logs(Box<Query>, Height, Height),
}

fn changes(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Changes> {
    let id: U128 = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let tip = view.tip();
    let task = service.filters.with(id, |kind| match kind {
        Kind::Pending(queue) => Task::Done(waiting(queue)),
        Kind::Blocks(seen) => {
            let to = tip.min(*seen + service.config.log_blocks_max);
            Task::Blocks(std::mem::replace(seen, to), to)
        }
        Kind::Logs(query, seen) => {
            let to = tip.min(*seen + service.config.log_blocks_max);
            Task::Logs(query.clone(), *seen, to)
        }
    })?;
    match task {
        Task::Done(hashes) => Ok(Changes::Hashes(hashes)),
        Task::Blocks(seen, to) => {
            let hashes = (seen + 1..=to).filter_map(|height| view.hash(height).transpose());
            Ok(Changes::Hashes(hashes.collect::<Result<_, _>>()?))
        }
        Task::Logs(query, seen, to) => {
            let logs = since(service, &view, &query, seen, to)?;
            // Only now: a caller whose question failed asks again and loses nothing.
            service.filters.with(id, |kind| {
                if let Kind::Logs(_, seen) = kind {
                    *seen = to.max(*seen);
                }
            })?;
            Ok(Changes::Logs(logs))
        }
    }
}

/// Logs of blocks above `seen`, within the query's own range.
fn since(
    service: &Service,
    view: &View,
    query: &Query,
    seen: Height,
    to: Height,
) -> Answer<Vec<RpcLog>> {
    let (mut first, mut last) = (seen + 1, to);
    if let Span::Range(from, until) = query.span {
        if let Selector::Number(from) = from {
            first = first.max(from);
        }
        if let Selector::Number(until) = until {
            last = last.min(until);
        }
    }
    if first > last {
        return Ok(Vec::new());
    }
    logs::between(service, view, &query.wanted, first, last)
}

fn all_logs(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<RpcLog>> {
    let id: U128 = arguments.required()?;
    arguments.end()?;
    let query = service.filters.with(id, |kind| match kind {
        Kind::Logs(query, _) => Some(query.clone()),
        _ => None,
    })?;
    let query = query.ok_or_else(|| Failure::server("filter not found"))?;
    logs::find(service, &service.view(), &query)
}
