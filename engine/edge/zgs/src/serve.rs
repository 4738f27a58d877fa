//! The servers that strangers may ask: JSON-RPC over HTTP, and its gRPC twin.

use std::{io, net::SocketAddr, sync::Arc};

use crate::{
    crowd::Crowd,
    grpc::Twin,
    meter::Face,
    methods,
    reception::{Clerk, Http, Listener, Reception, Running},
    room::Room,
    rpc::Rpc,
};

/// Connections of gRPC at once: each carries a hundred requests, and may fill its window of 6.4 MB while
/// they wait for room.
const GRPC_CONNECTIONS_MAX: usize = 64;

/// Servers that run. They end when this is dropped, or by [`Handle::stop`].
pub struct Handle {
    address: SocketAddr,
    grpc: Option<SocketAddr>,
    running: Vec<Running>,
}

impl Handle {
    /// Where JSON-RPC is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where gRPC is, if it is.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Takes no more requests, and returns when those it has are answered.
    pub async fn stop(self) {
        for running in self.running {
            running.stop().await;
        }
    }
}

/// Serves a room. Needs a tokio runtime.
///
/// # Errors
/// When an address cannot be had, or an origin is none.
pub async fn serve(room: Arc<Room>) -> io::Result<Handle> {
    let config = &room.config;
    let methods = methods::module(Arc::clone(&room));
    let shared = (&room.admission, &room.meter, Face::Json);
    let rpc = Rpc::new(methods, config, &config.origins, shared, None)?;
    let (listener, address) = Listener::tcp(config.address)?;
    let twin = match config.grpc {
        Some(address) => Some((Twin::new(&room)?, Listener::tcp(address)?)),
        None => None,
    };
    let http = Http::one(config.head_time_max);
    let json = reception(&room, rpc, http, (Face::Json, config.connections_max));
    let (mut running, mut grpc) = (vec![json.open(listener)], None);
    if let Some((twin, (listener, address))) = twin {
        grpc = Some(address);
        let most = config.connections_max.min(GRPC_CONNECTIONS_MAX);
        let front = reception(&room, twin, Http::two(), (Face::Grpc, most));
        running.push(front.open(listener));
    }
    Ok(Handle {
        address,
        grpc,
        running,
    })
}

/// A front of so many places.
pub(crate) fn reception<C: Clerk>(
    room: &Room,
    clerk: C,
    http: Http,
    (face, most): (Face, usize),
) -> Reception<C> {
    let config = &room.config;
    Reception {
        clerk,
        crowd: Crowd::new(most, config.head_time_max, config.time_max),
        http,
        meter: Arc::clone(&room.meter),
        face,
    }
}
