//! `indexer_*` (0G wire, 3.4). Lists are never null; what else may be null is as in 0G's indexer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use jsonrpsee::{
    Methods, RpcModule,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle, TowerService, stop_channel},
    types::{ErrorObjectOwned, Params},
};
use lode_proofs::Hash32;
use lode_wire::{ShardedNode, ShardedNodes};
use tower::{Service as _, layer::util::Identity};

use super::{
    Gateway,
    problem::{self, Problem},
};
use crate::{
    config::Location,
    failure::Failure,
    locate::Cid,
    selection::{Method, Unmet, Wanted, choose},
};

/// Answers JSON-RPC requests.
#[derive(Clone)]
pub struct Rpc {
    wire: TowerService<Identity, Identity>,
    /// Requests are answered for as long as this is here.
    _server: ServerHandle,
}

/// The code of all failures that have none of their own, as with 0G's indexer.
const SERVER: i32 = -32000;
/// URLs that a client may drop: more than there are nodes.
const DROPPED_MAX: usize = 4096;
/// 0G wire, 3.4, to the letter.
const NOT_FOUND: &str = "file not found";

impl Rpc {
    /// Over a gateway.
    pub fn new(gateway: &Arc<Gateway>) -> Rpc {
        let config = &gateway.config;
        let settings = ServerConfig::builder()
            .http_only()
            .max_request_body_size(config.rpc_len_max)
            .max_connections(u32::try_from(config.connections_max).unwrap_or(u32::MAX))
            .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
            .build();
        let (stop, server) = stop_channel();
        let builder = Server::builder().set_config(settings).to_service_builder();
        Rpc {
            wire: builder.build(module(Arc::clone(gateway)), stop),
            _server: server,
        }
    }
}

/// `POST /`
pub async fn answer(State(rpc): State<Rpc>, request: Request) -> Response {
    match rpc.wire.clone().call(request).await {
        Ok(response) => response.into_response(),
        Err(error) => {
            tracing::debug!(%error, "a JSON-RPC request has no answer");
            Problem::new(problem::INTERNAL, error.to_string()).into_response()
        }
    }
}

fn module(gateway: Arc<Gateway>) -> Methods {
    let mut module = RpcModule::from_arc(gateway);
    module
        .register_method("indexer_getShardedNodes", |_, gateway, _| {
            gateway.meters.call("indexer_getShardedNodes");
            Ok::<_, ErrorObjectOwned>(gateway.directory.sharded())
        })
        .expect("each name is registered once");
    module
        .register_method("indexer_getSelectedNodes", |params, gateway, _| {
            gateway.meters.call("indexer_getSelectedNodes");
            selected(&params, gateway)
        })
        .expect("each name is registered once");
    module
        .register_method("indexer_getNodeLocations", |_, gateway, _| {
            gateway.meters.call("indexer_getNodeLocations");
            Ok::<_, ErrorObjectOwned>(node_locations(gateway))
        })
        .expect("each name is registered once");
    module
        .register_async_method(
            "indexer_getFileLocations",
            |params, gateway, _| async move {
                gateway.meters.call("indexer_getFileLocations");
                let root: Hash32 = params.one()?;
                file_locations(&gateway, root).await
            },
        )
        .expect("each name is registered once");
    module.into()
}

/// `[expectedReplica, method, fullTrusted, dropped]`; the last may be null or missing, as Go clients
/// write an empty list.
fn selected(params: &Params<'_>, gateway: &Gateway) -> Result<ShardedNodes, ErrorObjectOwned> {
    let mut params = params.sequence();
    let replica: u64 = params.next()?;
    let method: String = params.next()?;
    let full_trusted: Option<bool> = params.optional_next()?;
    let dropped: Option<Vec<String>> = params.optional_next()?;
    let dropped: BTreeSet<String> = dropped.unwrap_or_default().into_iter().collect();
    if dropped.len() > DROPPED_MAX {
        return Err(failed(format!("more than {DROPPED_MAX} dropped nodes")));
    }
    // To 0G's indexer an unknown method is one that no node fits.
    let method: Method = method.parse().map_err(|_| failed(Unmet))?;
    let wanted = Wanted {
        replica,
        method,
        full_trusted: full_trusted.unwrap_or_default(),
        dropped,
    };
    let nodes = gateway.directory.sharded();
    choose(&nodes, &wanted, &mut gateway.machine.dice()).map_err(failed)
}

/// Of the nodes that are known, those whose place the operator told.
fn node_locations(gateway: &Gateway) -> BTreeMap<String, Location> {
    let nodes = gateway.directory.known().into_iter();
    let placed = nodes.filter_map(|(node, _, _)| {
        let host = node.host().to_owned();
        let location = gateway.config.locations.get(&host)?.clone();
        Some((host, location))
    });
    placed.collect()
}

/// All holders if they cover the flow; null if nodes know the blob, and do not.
async fn file_locations(
    gateway: &Gateway,
    root: Hash32,
) -> Result<Option<Vec<ShardedNode>>, ErrorObjectOwned> {
    match gateway.locator.survey(Cid::Root(root)).await {
        Ok(survey) if survey.is_covered() => Ok(Some(
            survey.holders.iter().map(|node| node.listed()).collect(),
        )),
        Ok(_) => Ok(None),
        Err(Failure::Unknown) => Err(failed(NOT_FOUND)),
        Err(failure) => Err(failed(failure)),
    }
}

fn failed(why: impl ToString) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(SERVER, why.to_string(), None::<()>)
}
