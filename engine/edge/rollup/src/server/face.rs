//! A face, and its listener: connections in, requests to its routes, and an end in peace.

use core::time::Duration;
use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, middleware, response::Response};
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;

use super::{
    bounds::Bounds,
    gate::{self, Gate, Refusal},
    meter::Meter,
    visit::Visit,
};

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time in which one who is turned away must take the answer.
const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// Those who are told so at once.
const FAREWELLS_MAX: usize = 64;
/// Bytes of a connection's buffer for heads, and for what goes out.
const BUFFER_LEN: usize = 64 << 10;
/// Requests at once on one connection of gRPC. Each may be a blob: RFC 9113, 6.5.2, advises a hundred, but
/// what they send unread is memory.
const STREAMS_MAX: u32 = 32;
/// Bytes that a gRPC client may send before they are read, of one request: over 50 ms of way there and back
/// 10 MB/s, so 3 s for the longest blob. And of all: were it less, requests that wait for room would fill it,
/// and those that have room would wait for their bytes.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = STREAMS_MAX * STREAM_WINDOW;
/// Bytes of the head of a gRPC request.
const HEAD_LEN_MAX: u32 = 16 << 10;

/// What one connection too many is told: to come again. Not 503, which sends batchers elsewhere.
const CROWDED: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 0\r\n\r\n";

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

/// Routes behind their bounds, ready to be listened for.
pub struct Face {
    name: &'static str,
    router: Router,
    unknown: fn() -> Response,
    http: Http,
    bounds: Bounds,
    meter: Meter,
}

impl Face {
    /// A face of HTTP/1.1. Routes are bounded; `unknown` answers at all other paths.
    pub(crate) fn new(gate: &Gate, routes: Router, unknown: fn() -> Response) -> Face {
        let bounded = middleware::from_fn_with_state(gate.clone(), gate::pass);
        Face {
            name: gate.face,
            router: routes.layer(bounded),
            unknown,
            http: Http::One,
            bounds: Bounds::clone(&gate.bounds),
            meter: gate.meter.clone(),
        }
    }

    /// A face of gRPC, over HTTP/2, whose routes answer at all paths.
    pub(crate) fn of_grpc(gate: &Gate, routes: Router) -> Face {
        Face {
            http: Http::Two,
            ..Face::new(gate, routes, || plain(Refusal::Broken))
        }
    }

    /// Both on one listener, which has this one's bounds of connections and its answer at paths that are
    /// no route; each keeps its bounds of requests.
    ///
    /// # Panics
    /// If both have a route in common, or one of them speaks gRPC.
    #[must_use]
    pub fn beside(self, other: Face) -> Face {
        assert_eq!(
            (self.http, other.http),
            (Http::One, Http::One),
            "gRPC has a listener of its own"
        );
        Face {
            router: self.router.merge(other.router),
            ..self
        }
    }

    /// Listens. Port 0 takes a free one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn open(mut self, address: SocketAddr) -> io::Result<Listening> {
        let unknown = self.unknown;
        if self.http == Http::One {
            self.router = self.router.fallback(move || async move { unknown() });
        }
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A server that is started again gets its address again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let serve = Serve {
            room: Arc::new(Semaphore::new(self.bounds.connections_max)),
            farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)),
            face: Arc::new(self),
            stop: stop.clone(),
            connections: JoinSet::new(),
        };
        Ok(Listening {
            address,
            stop,
            serving: Some(tokio::spawn(serve.run(listener))),
        })
    }
}

/// A face that listens. It ends when this is dropped.
pub struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Listening {
    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and returns when those it has are answered, or their time is over.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take()
            && let Err(error) = serving.await
        {
            tracing::error!(%error, "a face ended badly");
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

struct Serve {
    face: Arc<Face>,
    room: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
    stop: CancellationToken,
    /// Ends them when it is dropped.
    connections: JoinSet<()>,
}

impl Serve {
    async fn run(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = self.connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.take_in(stream),
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let all = async { while self.connections.join_next().await.is_some() {} };
        if timeout(self.face.bounds.stop_max, all).await.is_err() {
            tracing::warn!("connections are cut at the end");
        }
        self.connections.shutdown().await;
    }

    fn take_in(&mut self, mut stream: TcpStream) {
        let face = Arc::clone(&self.face);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            face.meter.refused(face.name, "connections");
            // A client of HTTP/2 understands the end alone, and so must many at once.
            let farewell = Arc::clone(&self.farewells).try_acquire_owned();
            if let (Http::One, Ok(farewell)) = (face.http, farewell) {
                self.connections.spawn(async move {
                    let _farewell = farewell;
                    let told = timeout(FAREWELL_TIME, stream.write_all(CROWDED)).await;
                    tracing::debug!(?told, "one connection too many");
                });
            }
            return;
        };
        let stop = self.stop.clone();
        self.connections
            .spawn(face.connection(stream, permit, stop));
    }
}

impl Face {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        _room: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) {
        /// Counts down even if the task is cut off.
        struct Present<'face>(&'face Face);
        impl Drop for Present<'_> {
            fn drop(&mut self) {
                self.0.meter.left(self.0.name);
            }
        }
        self.meter.came(self.name);
        let _present = Present(&self);
        // A head and a body's pieces go out as they are ready.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is slower than it could be");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.bounds.idle_max));
        let wire = TokioIo::new(Box::pin(stream));
        let visit = Visit::new(self.bounds.idle_max);
        let service = ServiceBuilder::new()
            .layer(axum::Extension(Arc::clone(&visit)))
            .service(self.router.clone());
        let service = TowerToHyperService::new(service);
        match self.http {
            Http::One => {
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(self.bounds.head_time_max)
                    .max_buf_size(BUFFER_LEN);
                self.attend(http.serve_connection(wire, service), &visit, &stop)
                    .await;
            }
            Http::Two => {
                let mut http = http2::Builder::new(TokioExecutor::new());
                http.timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .max_concurrent_streams(STREAMS_MAX)
                    .max_header_list_size(HEAD_LEN_MAX)
                    .max_send_buf_size(BUFFER_LEN);
                self.attend(http.serve_connection(wire, service), &visit, &stop)
                    .await;
            }
        }
    }

    /// Until it ends, is tired, or the face stops.
    async fn attend<G: GracefulConnection<Error = hyper::Error>>(
        &self,
        connection: G,
        visit: &Visit,
        stop: &CancellationToken,
    ) {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = visit.tired() => {
                self.meter.ended(self.name);
                connection.as_mut().graceful_shutdown();
                let last = timeout(FAREWELL_TIME, connection);
                last.await.unwrap_or(Ok(()))
            }
        };
        // A client that left, or sent what is no HTTP, has no one to tell.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

/// A refusal as a status and nothing else.
pub(crate) fn plain(refusal: Refusal) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() =
        axum::http::StatusCode::from_u16(refusal.status()).expect("all of them are statuses");
    if refusal == Refusal::Busy {
        let seconds = gate::RETRY_AFTER.as_secs().into();
        response
            .headers_mut()
            .insert(axum::http::header::RETRY_AFTER, seconds);
    }
    response
}
