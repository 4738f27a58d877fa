//! The server: JSON-RPC over HTTP, one task per connection.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, Server, ServerConfig, ServerHandle,
    TowerService, stop_channel,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::{
    Service as _, ServiceBuilder,
    layer::util::{Identity, Stack},
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::{admission::Admission, config::Config, methods, room::Room};

/// How long a server that stops waits for answers that are being written.
const STOP_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

type Methods = TowerService<Identity, Stack<CorsLayer, Identity>>;

/// A server that runs. It ends when this is dropped, or by [`Handle::stop`].
pub struct Handle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and returns when those it has are answered.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A task that panicked has stopped too.
        let _panicked = self.accepting.await.is_err();
    }
}

/// Serves a room. Needs a tokio runtime.
///
/// # Errors
/// When the address cannot be had, or an origin is none.
pub async fn serve(room: Arc<Room>) -> io::Result<Handle> {
    let front = Front::new(&room)?;
    let listener = TcpListener::bind(room.config.address).await?;
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    Ok(Handle {
        address,
        stop,
        accepting: tokio::spawn(front.accept(listener, stopping)),
    })
}

/// What every connection gets a clone of.
#[derive(Clone)]
struct Front {
    methods: Methods,
    admission: Admission,
    connections: Arc<Semaphore>,
    http: http1::Builder,
    /// Requests are answered for as long as this is here.
    _server: ServerHandle,
}

impl Front {
    fn new(room: &Arc<Room>) -> io::Result<Front> {
        let config = &room.config;
        let settings = ServerConfig::builder()
            .max_request_body_size(config.request_len_max)
            // Connections are counted where they are accepted.
            .max_connections(u32::MAX)
            .max_response_body_size(config.request_len_max)
            .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
            .http_only()
            .build();
        let (stop, server) = stop_channel();
        let methods = Server::builder()
            .set_config(settings)
            .set_http_middleware(ServiceBuilder::new().layer(cors(config)?))
            .to_service_builder()
            .build(methods::module(Arc::clone(room)), stop);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.head_time_max);
        let admission = Admission::new(
            config.in_flight_max,
            config.request_len_max,
            config.time_max,
        );
        Ok(Front {
            methods,
            admission,
            connections: Arc::new(Semaphore::new(config.connections_max)),
            http,
            _server: server,
        })
    }

    async fn accept(self, listener: TcpListener, mut stopping: watch::Receiver<bool>) {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                _ = stopping.changed() => break,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (front, stopping) = (self.clone(), stopping.clone());
                    open.spawn(async move {
                        front.connection(stream, stopping).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        // What is not answered by then is cut off.
        let _late = tokio::time::timeout(STOP_TIME, all).await.is_err();
    }

    /// The next connection, when there may be one more.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, permit))
    }

    async fn connection(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        let front = self.clone();
        let service = service_fn(move |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.answer(request).await) }
        });
        let mut connection =
            std::pin::pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // A client that left, or sent what is no HTTP, has no one to tell.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }

    async fn answer(&self, request: HttpRequest<Incoming>) -> HttpResponse {
        let mut methods = self.methods.clone();
        let serve = move |request: HttpRequest<Incoming>| async move {
            match methods.call(request).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::warn!(%error, "a request has no answer");
                    let response = HttpResponse::builder().status(500);
                    response
                        .body(HttpBody::empty())
                        .expect("a status is enough")
                }
            }
        };
        self.admission.pass(request, serve).await
    }
}

/// What browsers are told.
fn cors(config: &Config) -> io::Result<CorsLayer> {
    let layer = CorsLayer::new().allow_methods(Any).allow_headers(Any);
    if config.origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(Any));
    }
    let parsed = config.origins.iter().map(|origin| origin.parse());
    let parsed: Result<Vec<_>, _> = parsed.collect();
    let list = parsed.map_err(|_| {
        let message = "an origin that may ask is not one, such as https://example.org";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(layer.allow_origin(AllowOrigin::list(list)))
}
