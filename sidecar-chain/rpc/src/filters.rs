//! Filters: what has happened since a caller last asked. A filter holds where its caller is, not
//! what happened: blocks and logs are read when they are asked for, and none can be lost, as all
//! visible blocks are final.
//!
//! At most a number of filters live at once; one that nobody asks for is gone after a while.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U128};
use alloy_rpc_types_eth::Log as RpcLog;
use lode_chain_ledger::View;
use lode_chain_pool::Transaction;
use lode_chain_types::Height;
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::broadcast;

use crate::{
    arguments::{Arguments, text},
    events::waiting,
    failure::Failure,
    ids::Ids,
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
    ids: Ids,
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
            ids: Ids::default(),
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
        let id = self.ids.next();
        filters.insert(id, Filter { kind, asked: now });
        Ok(id)
    }

    /// Calls `look` with a filter that lives.
    fn with<R>(&self, id: &Id, look: impl FnOnce(&mut Kind) -> R) -> Answer<R> {
        let id = id.0.ok_or_else(not_found)?;
        let now = Instant::now();
        let mut filters = self.filters.lock();
        if let Some(filter) = filters.get_mut(&id)
            && now.duration_since(filter.asked) < self.idle
        {
            filter.asked = now;
            return Ok(look(&mut filter.kind));
        }
        filters.remove(&id);
        Err(not_found())
    }
}

fn not_found() -> Failure {
    Failure::server("filter not found")
}

/// What a caller names a filter by. Geth takes any text for one, of a filter that is not there.
struct Id(Option<U128>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| Ok(Id(text.parse().ok())))
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
    let Id(id) = arguments.required()?;
    arguments.end()?;
    let mut filters = service.filters.filters.lock();
    Ok(id.is_some_and(|id| filters.remove(&id).is_some()))
}

/// What is to be read for a caller, found while the filter is looked at.
enum Task {
    Done(Vec<B256>),
    Blocks(Height, Height),
    Logs(Box<Query>, Height, Height),
}

fn changes(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Changes> {
    let id: Id = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let tip = view.tip();
    let task = service.filters.with(&id, |kind| match kind {
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
            service.filters.with(&id, |kind| {
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
    let id: Id = arguments.required()?;
    arguments.end()?;
    let query = service.filters.with(&id, |kind| match kind {
        Kind::Logs(query, _) => Some(query.clone()),
        _ => None,
    })?;
    let query = query.ok_or_else(not_found)?;
    logs::find(service, &service.view(), &query)
}
