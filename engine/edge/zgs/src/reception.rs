//! Connections of a server: accepted while there are places, served by one task each, ended when they
//! are silent or slow, or when the server stops.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::either::Either;

use crate::{
    crowd::{Crowd, Guest, Visit},
    meter::{Face, Meter},
};

/// Connections that the system keeps until they are accepted: clients open one for each chunk, all at
/// once, and the usual 128 overflow then.
const BACKLOG: u32 = 1_024;

/// How long a server that stops waits for answers that are being written.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How long a connection that is ended may take to say so.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a connection's buffer for what comes and goes.
const BUFFER_LEN: usize = 64 << 10;

/// Requests at once on one connection of gRPC: as many as clients begin before they are told (RFC 9113,
/// 6.5.2, advises no fewer).
const STREAMS_MAX: u32 = 100;

/// Bytes that a gRPC client may send before they are read, of one request and of all.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = STREAMS_MAX * STREAM_WINDOW;

// Were it less, requests that wait for room would fill the connection's window, and those that have
// room would wait for their bytes: for ever.
const _: () = assert!(CONNECTION_WINDOW >= STREAMS_MAX * STREAM_WINDOW);

/// Bytes of the head of a gRPC request.
const HEAD_LEN_MAX: u32 = 16 << 10;

/// Who answers the requests of a server.
pub trait Clerk: Clone + Send + Sync + 'static {
    /// Answers one.
    fn answer(
        &self,
        request: HttpRequest<Incoming>,
        visit: Arc<Visit>,
    ) -> impl Future<Output = HttpResponse> + Send;
}

/// Where connections come from.
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A file.
    Unix(UnixListener),
}

type Stream = Either<TcpStream, UnixStream>;

impl Listener {
    /// Listens at an address.
    ///
    /// # Errors
    /// The system's.
    pub fn tcp(address: SocketAddr) -> io::Result<(Listener, SocketAddr)> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A node that is started again gets its address again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((Listener::Tcp(listener), address))
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Listener::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// Which HTTP is spoken.
#[derive(Clone)]
pub enum Http {
    /// HTTP/1.1.
    One(http1::Builder),
    /// HTTP/2, as gRPC wants it.
    Two(http2::Builder<TokioExecutor>),
}

impl Http {
    /// HTTP/1.1 whose heads take at most so long.
    pub fn one(head_time_max: Duration) -> Http {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(head_time_max)
            .max_buf_size(BUFFER_LEN);
        Http::One(http)
    }

    /// HTTP/2. What a client sends unasked is bounded by the windows.
    pub fn two() -> Http {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_LEN_MAX)
            .max_send_buf_size(BUFFER_LEN);
        Http::Two(http)
    }
}

/// A server's front.
#[derive(Clone)]
pub struct Reception<C> {
    /// Who answers.
    pub clerk: C,
    /// Who is there.
    pub crowd: Crowd,
    /// How they speak.
    pub http: Http,
    /// Where they are counted, and as whose.
    pub meter: Arc<Meter>,
    /// Which server this is.
    pub face: Face,
}

/// A server that runs. It ends when this is dropped.
pub struct Running {
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Takes no more requests, and returns when those it has are answered.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A task that panicked has stopped too.
        let _panicked = self.accepting.await.is_err();
    }
}

impl<C: Clerk> Reception<C> {
    /// Starts.
    pub fn open(self, listener: Listener) -> Running {
        let (stop, stopping) = watch::channel(false);
        Running {
            stop,
            accepting: tokio::spawn(self.accept(listener, stopping)),
        }
    }

    async fn accept(self, listener: Listener, mut stopping: watch::Receiver<bool>) {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                _ = stopping.changed() => break,
            };
            match accepted {
                Ok((stream, guest)) => {
                    open.spawn(self.clone().welcome(stream, guest, stopping.clone()));
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

    /// The next connection, with a place.
    async fn next(&self, listener: &Listener) -> io::Result<(Stream, Guest)> {
        let stream = listener.accept().await?;
        Ok((stream, self.crowd.enter().await))
    }

    async fn welcome(self, stream: Stream, guest: Guest, stopping: watch::Receiver<bool>) {
        /// Counts down even if the task panics or is cut off.
        struct Present<'meter>(&'meter Meter, Face);
        impl Drop for Present<'_> {
            fn drop(&mut self) {
                self.0.left(self.1);
            }
        }
        self.meter.accepted(self.face);
        let _present = Present(&self.meter, self.face);
        self.connection(stream, &guest.visit, stopping).await;
    }

    async fn connection(
        &self,
        stream: Stream,
        visit: &Arc<Visit>,
        stopping: watch::Receiver<bool>,
    ) {
        let service = service_fn(|request| {
            let (clerk, visit) = (self.clerk.clone(), Arc::clone(visit));
            async move {
                let serving = visit.serve();
                let response = clerk.answer(request, visit).await;
                drop(serving);
                Ok::<HttpResponse<HttpBody>, Infallible>(response)
            }
        });
        let io = TokioIo::new(stream);
        match &self.http {
            Http::One(http) => {
                self.attend(http.serve_connection(io, service), visit, stopping)
                    .await;
            }
            Http::Two(http) => {
                self.attend(http.serve_connection(io, service), visit, stopping)
                    .await;
            }
        }
    }

    /// Until it ends, is unwanted, or the server stops.
    async fn attend<G: GracefulConnection<Error = hyper::Error>>(
        &self,
        connection: G,
        visit: &Visit,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = visit.tired() => {
                self.meter.ended(self.face);
                connection.as_mut().graceful_shutdown();
                let last = tokio::time::timeout(FAREWELL_TIME, connection);
                last.await.unwrap_or(Ok(()))
            }
        };
        // A client that left, or sent what is no HTTP, has no one to tell.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
