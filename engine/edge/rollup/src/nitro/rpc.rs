//! JSON-RPC at `POST /`, and who may ask.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jsonrpsee::server::{
    BatchRequestConfig, Server, ServerConfig, ServerHandle, TowerService, stop_channel,
};
use tower::{Service as _, layer::util::Identity};

use super::{Nitro, jwt::Secret, methods};
use crate::{availability::Availability, machine::Machine};

/// Calls in a batch: Nitro sends none; each may ask for a blob.
const BATCH_MAX: u32 = 8;

/// Answers JSON-RPC requests.
#[derive(Clone)]
pub struct Rpc {
    wire: TowerService<Identity, Identity>,
    secret: Option<Secret>,
    machine: Machine,
    /// Requests are answered for as long as this is here.
    _server: Arc<ServerHandle>,
}

impl Rpc {
    /// With the methods of a provider.
    pub fn new<A: Availability>(
        nitro: &Arc<Nitro<A>>,
        body_len_max: u64,
        secret: Option<Secret>,
        machine: Machine,
    ) -> Rpc {
        // A payload and its preimage are the blob twice, in base64.
        let answer_len_max = 3 * nitro.config.message_len_max + (1 << 20);
        let short = |len: u64| u32::try_from(len).unwrap_or(u32::MAX);
        let settings = ServerConfig::builder()
            .http_only()
            .max_request_body_size(short(body_len_max))
            .max_response_body_size(short(answer_len_max))
            // The gate counts.
            .max_connections(u32::MAX)
            .set_batch_request_config(BatchRequestConfig::Limit(BATCH_MAX))
            .build();
        let (stop, server) = stop_channel();
        let builder = Server::builder().set_config(settings).to_service_builder();
        Rpc {
            wire: builder.build(methods::module(nitro), stop),
            secret,
            machine,
            _server: Arc::new(server),
        }
    }
}

/// The one route.
pub fn router(rpc: Rpc) -> Router {
    Router::new().route("/", post(answer)).with_state(rpc)
}

async fn answer(State(rpc): State<Rpc>, request: Request) -> Response {
    if let Some(secret) = &rpc.secret
        && let Err(stranger) = secret.check(request.headers(), rpc.machine.unix_secs())
    {
        // As go-ethereum says it; the body is not read.
        let closing = [(header::CONNECTION, "close")];
        return (StatusCode::UNAUTHORIZED, closing, stranger.to_string()).into_response();
    }
    match rpc.wire.clone().call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::debug!(%error, "a JSON-RPC request has no answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
