//! The server: HTTP and WebSocket on one port.

use std::{io, net::SocketAddr, sync::Arc};

use jsonrpsee::{
    RpcModule,
    core::middleware::RpcServiceBuilder,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle},
};
use lode_chain_ledger::Ledger;

use crate::{
    accounts, blocks, call, chain,
    config::Config,
    debug, dev, estimate, fees, fill, filters, logs,
    origins::Origins,
    send,
    send::Ahead,
    service::{Methods, Service},
    simulate, subscribe, trace, waiting,
};

/// A server that runs. It ends when this is dropped, or by [`Handle::stop`].
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    server: ServerHandle,
    events: tokio::task::JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and returns when those it has are answered.
    pub async fn stop(self) {
        // It may have stopped by itself.
        let _ = self.server.stop();
        self.server.clone().stopped().await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.server.stop();
        self.events.abort();
    }
}

/// Serves a ledger. Needs a tokio runtime with several threads.
///
/// # Errors
/// When the address cannot be had, or an origin is none.
pub async fn serve(config: Config, ledger: Ledger) -> io::Result<Handle> {
    let origins = Origins::new(config.origins.clone());
    let cors = origins.cors()?;
    let settings = ServerConfig::builder()
        .max_request_body_size(config.request_len_max)
        .max_response_body_size(config.response_len_max)
        .max_connections(config.connections_max)
        .max_subscriptions_per_connection(config.subscriptions_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .set_tcp_no_delay(true)
        .build();
    let address = config.address;
    let service = Arc::new(Service::new(config, ledger));
    let module = module(Arc::clone(&service));
    let ahead = Arc::clone(&service);
    let rpc = RpcServiceBuilder::new().layer_fn(move |inner| Ahead::new(inner, Arc::clone(&ahead)));
    let server = Server::builder()
        .set_config(settings)
        .set_http_middleware(tower::ServiceBuilder::new().layer(origins).layer(cors))
        .set_rpc_middleware(rpc)
        .build(address)
        .await?;
    let address = server.local_addr()?;
    let events = tokio::spawn(async move { service.events.pass_on(&service.ledger).await });
    Ok(Handle {
        address,
        server: server.start(module),
        events,
    })
}

/// All methods, without a server: for tests and for who brings a transport of his own.
pub fn module(service: Arc<Service>) -> RpcModule<Service> {
    let traces = service.config.traces;
    let development = service.config.dev.is_some();
    let mut module = RpcModule::from_arc(service);
    let mut methods = Methods(&mut module);
    chain::register(&mut methods);
    accounts::register(&mut methods);
    blocks::register(&mut methods);
    logs::register(&mut methods);
    filters::register(&mut methods);
    fees::register(&mut methods);
    call::register(&mut methods);
    estimate::register(&mut methods);
    fill::register(&mut methods);
    simulate::register(&mut methods);
    waiting::register(&mut methods);
    debug::register_raw(&mut methods);
    if traces {
        debug::register(&mut methods);
        trace::register(&mut methods);
    }
    send::register(&mut module);
    subscribe::register(&mut module);
    if development {
        dev::register(&mut module);
    } else {
        dev::register_none(&mut module);
    }
    module
}
