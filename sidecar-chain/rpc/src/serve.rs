//! The server: HTTP and WebSocket on one port, or the same without a socket.

use std::{io, net::SocketAddr, sync::Arc};

use http_body_util::BodyExt as _;
use jsonrpsee::{
    Methods, RpcModule,
    core::{BoxError, middleware::RpcServiceBuilder},
    server::{
        BatchRequestConfig, HttpBody, HttpRequest, Server, ServerBuilder, ServerConfig,
        ServerHandle, TowerService, stop_channel,
    },
};
use lode_chain_ledger::Ledger;
use tower::{
    Service as _, ServiceBuilder,
    layer::util::{Identity, Stack},
};
use tower_http::cors::CorsLayer;

use crate::{
    accounts, blocks, call, chain, config::Config, debug, dev, estimate, fees, fill, filters,
    front::Fronts, ids::Ids, logs, origins::Origins, send, service, service::Service, simulate,
    subscribe, sync, trace, waiting,
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
    let address = config.address;
    let service = Arc::new(Service::new(config, ledger));
    let module = module(Arc::clone(&service));
    let server = wire(&service, &module)?.build(address).await?;
    let address = server.local_addr()?;
    let events = tokio::spawn(async move { service.events.pass_on(&service.ledger).await });
    Ok(Handle {
        address,
        server: server.start(module),
        events,
    })
}

type OfHttp = Stack<CorsLayer, Stack<Origins, Identity>>;
type OfRequests = Stack<Fronts, Identity>;

/// All that stands between a connection and the methods.
fn wire(
    service: &Arc<Service>,
    module: &RpcModule<Service>,
) -> io::Result<ServerBuilder<OfHttp, OfRequests>> {
    let config = &service.config;
    let settings = ServerConfig::builder()
        .max_request_body_size(config.request_len_max)
        .max_response_body_size(config.response_len_max)
        .max_connections(config.connections_max)
        .max_subscriptions_per_connection(config.subscriptions_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .set_id_provider(Ids::default())
        .set_tcp_no_delay(true)
        .build();
    let origins = Origins::new(config.origins.clone());
    let cors = origins.cors()?;
    let methods: &Methods = module;
    let fronts = Fronts::new(Arc::clone(service), methods.clone());
    Ok(Server::builder()
        .set_config(settings)
        .set_http_middleware(ServiceBuilder::new().layer(origins).layer(cors))
        .set_rpc_middleware(RpcServiceBuilder::new().layer(fronts)))
}

/// The interface without a socket: bodies of HTTP requests go in, those of answers come out.
#[derive(Clone)]
pub struct Local {
    wire: TowerService<OfRequests, OfHttp>,
    /// Requests are answered for as long as this is here.
    _server: ServerHandle,
}

impl Local {
    /// Of a service. Subscriptions and filters hear nothing new unless somebody passes on its events.
    ///
    /// # Errors
    /// When an origin is none.
    pub fn new(service: Arc<Service>) -> io::Result<Local> {
        let module = module(Arc::clone(&service));
        let (stop, server) = stop_channel();
        let wire = wire(&service, &module)?.to_service_builder();
        Ok(Local {
            wire: wire.build(module, stop),
            _server: server,
        })
    }

    /// Status and body of the answer to a POST of `body`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, body: Vec<u8>) -> Result<(u16, Vec<u8>), BoxError> {
        let request = HttpRequest::post("/")
            .header("content-type", "application/json")
            .body(HttpBody::from(body))?;
        let answer = self.wire.clone().call(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?;
        Ok((status, body.to_bytes().into()))
    }
}

/// All methods, without a server: for tests and for who brings a transport of his own.
pub fn module(service: Arc<Service>) -> RpcModule<Service> {
    let traces = service.config.traces;
    let development = service.config.dev.is_some();
    let mut module = RpcModule::from_arc(service);
    let mut methods = service::Methods(&mut module);
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
    sync::register(&mut methods);
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
