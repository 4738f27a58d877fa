//! The running service: a port, connections, and an orderly end.
//!
//! A connection ends when it sends no head of a request in time, takes nothing of an answer for a time, or
//! the service stops and its last answer is out. More connections than there may be are told so in one
//! write, and closed.

use core::{net::SocketAddr, time::Duration};
use std::{io, sync::Arc};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Dialer, Settings},
    config::{Config, READ_AHEAD_MAX},
    directory::Directory,
    gateway::{self, Gateway},
    machine::Machine,
};

/// Begins to serve.
#[derive(Debug)]
pub struct Indexer;

/// A service that runs. It ends when this is dropped, or in order by [`Handle::stop`].
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

/// Bytes of a request's head.
const HEAD_LEN_MAX: usize = 64 << 10;
/// Pause after the system refused a connection, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time to tell one too many that there is no room: it fits into an empty socket's buffer.
const REFUSAL_MAX: Duration = Duration::from_millis(10);
/// What it is told.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

impl Indexer {
    /// Begins to serve, and to ask the nodes; waits for none of them. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be had, or a URL or an origin is none.
    pub async fn start(config: Config, machine: Machine) -> io::Result<Handle> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        if config.read_ahead > READ_AHEAD_MAX {
            return Err(invalid(format!(
                "read-ahead of more than {READ_AHEAD_MAX} chunks"
            )));
        }
        let settings = Settings {
            connect_max: config.ask_max,
            call_max: config.ask_max,
            ..Settings::default()
        };
        let dialer = Dialer::new(settings);
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let directory = Directory::start(&config, dialer, machine.clone());
        let directory = directory.map_err(|error| invalid(error.to_string()))?;
        let gateway = Arc::new(Gateway::new(config, directory, machine));
        let router = gateway::router(&gateway)?;
        let stop = CancellationToken::new();
        let serve = Serve {
            gateway: Arc::clone(&gateway),
            router,
            graceful: GracefulShutdown::new(),
            connections: JoinSet::new(),
        };
        let serving = tokio::spawn(serve.run(listener, stop.clone()));
        Ok(Handle {
            address,
            gateway,
            stop,
            serving: Some(serving),
        })
    }
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Which nodes there are; more of them may be added.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.gateway.directory
    }

    /// What is counted.
    #[must_use]
    pub fn meters(&self) -> &gateway::meters::Meters {
        &self.gateway.meters
    }

    /// Takes no more requests, and returns when those it has are answered, or their time is over.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take()
            && let Err(error) = serving.await
        {
            tracing::error!(%error, "the service ended badly");
        }
        self.gateway.directory.stop().await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
        self.gateway.directory.abandon();
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

struct Serve {
    gateway: Arc<Gateway>,
    router: Router,
    graceful: GracefulShutdown,
    /// Ends them when it is dropped.
    connections: JoinSet<()>,
}

impl Serve {
    async fn run(mut self, listener: TcpListener, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.gateway.config.connections_max));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = self.connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.take_in(stream, &room).await,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let end = self.gateway.config.stop_max;
        if timeout(end, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("connections are cut at the end");
        }
        self.connections.shutdown().await;
    }

    async fn take_in(&mut self, mut stream: TcpStream, room: &Arc<Semaphore>) {
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            self.gateway.meters.refused("connections");
            let told = timeout(REFUSAL_MAX, stream.write_all(REFUSAL)).await;
            tracing::debug!(?told, "one connection too many");
            return;
        };
        let connection = connection(
            stream,
            permit,
            Arc::clone(&self.gateway),
            self.router.clone(),
            self.graceful.watcher(),
        );
        self.connections.spawn(connection);
    }
}

async fn connection(
    stream: TcpStream,
    _room: OwnedSemaphorePermit,
    gateway: Arc<Gateway>,
    router: Router,
    watcher: Watcher,
) {
    // A head and a body's pieces go out as they are ready.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is slower than it could be");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(gateway.config.write_max));
    let wire = TokioIo::new(Box::pin(stream));
    let serve = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(gateway.config.head_max)
        .max_buf_size(HEAD_LEN_MAX)
        .serve_connection(wire, TowerToHyperService::new(router));
    gateway.meters.connections.inc();
    if let Err(error) = watcher.watch(serve).await {
        tracing::debug!(%error, "a connection ends");
    }
    gateway.meters.connections.dec();
}
