//! JSON-RPC over HTTP: what 0G's clients ask a key-value node (0G wire, 3.3), and what is ours.
//!
//! | ours | result |
//! |---|---|
//! | `lode_waitForSeq[seq, timeout_ms]` | `{decided, result}` as soon as submission `seq` is decided, or the time is over (at most a minute): who waits for his own write reads it afterwards |
//! | `lode_getGivenUp[from, limit]` | `{decided, seqs}`: what followers have to know (see [`crate::replay`]) |
//!
//! `appliedSeq` of `kv_getReplayProgress` is what 0G's documentation says of it: the newest submission
//! up to which all are decided, so that `appliedSeq >= seq` means that `seq` is. It is 0 as long as none
//! is. (0G's own node says one more.)

mod arguments;
mod failure;
mod methods;
pub(crate) mod service;

use std::{io, net::SocketAddr, sync::Arc};

use jsonrpsee::server::{BatchRequestConfig, Server, ServerConfig, ServerHandle};
use tower::ServiceBuilder;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use self::service::Service;

/// Bounds of the interface, and who may ask.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Web pages that may ask, by origin; `*` stands for all. None: pages may not.
    pub origins: Vec<String>,
    /// Bytes of a value that one question may ask for.
    pub value_len_max: u64,
    /// Bytes of a request. A key takes four thirds of its bytes.
    pub request_len_max: u32,
    /// Bytes of an answer.
    pub response_len_max: u32,
    /// Requests in a batch.
    pub batch_max: u32,
    /// Connections at once.
    pub connections_max: u32,
    /// Requests that read at once.
    pub reads_max: usize,
    /// Requests that wait for a submission at once.
    pub waits_max: usize,
}

impl Default for RpcConfig {
    fn default() -> Self {
        RpcConfig {
            origins: Vec::new(),
            value_len_max: 256 << 10,
            request_len_max: 4 << 20,
            response_len_max: 30 << 20,
            batch_max: 100,
            connections_max: 512,
            reads_max: 16,
            waits_max: 1024,
        }
    }
}

/// Serves a node at an address.
pub(crate) async fn serve(
    address: SocketAddr,
    service: Service,
) -> io::Result<(SocketAddr, ServerHandle)> {
    let config = &service.config;
    let settings = ServerConfig::builder()
        .max_request_body_size(config.request_len_max)
        .max_response_body_size(config.response_len_max)
        .max_connections(config.connections_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .set_tcp_no_delay(true)
        .http_only()
        .build();
    let cors = cors(&config.origins)?;
    let server = Server::builder()
        .set_config(settings)
        .set_http_middleware(ServiceBuilder::new().layer(cors))
        .build(address)
        .await?;
    let address = server.local_addr()?;
    let module = methods::module(Arc::new(service));
    Ok((address, server.start(module)))
}

/// What browsers are told.
fn cors(origins: &[String]) -> io::Result<CorsLayer> {
    let layer = CorsLayer::new().allow_methods(Any).allow_headers(Any);
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(Any));
    }
    let parsed: Result<Vec<_>, _> = origins.iter().map(|origin| origin.parse()).collect();
    let list = parsed.map_err(|_| {
        let message = "an origin that may ask is not one, such as https://example.org";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(layer.allow_origin(AllowOrigin::list(list)))
}

#[cfg(test)]
mod tests;
