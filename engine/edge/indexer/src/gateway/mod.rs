//! The doors: JSON-RPC at `POST /`, 0G's REST, and our own beside it, all on one port.
//!
//! | path | what | module |
//! |---|---|---|
//! | `POST /` | `indexer_*`, batches too (0G wire, 3.4) | `rpc` |
//! | `GET /file?root=\|txSeq=[&name=]` | a blob (0G wire, 3.5, as all down to the line) | `files` |
//! | `GET /file/{cid}/{path…}` | a file in a folder, or the list of a directory | `files` |
//! | `GET /file/info/{cid}`, `GET /files/info?cid=…&cid=…` | what nodes say of blobs | `files` |
//! | `GET /node/status` | the trusted nodes as if they were one | `files` |
//! | `POST /file/segment` | passes a chunk on to nodes | `relay` |
//! | `GET /v1/files/{cid}`, `…/info` | a blob; who holds it | `native` |
//! | `GET /v1/folders/{cid}/{path…}` | a place in a folder | `native` |
//! | `GET /v1/nodes` | all nodes that are known | `native` |
//! | `GET /healthz`, `GET /metrics` | for who runs it | `native` |
//!
//! Every `GET` answers `HEAD` too. Blobs come with a strong entity tag (the root), in ranges if asked, and
//! without a bound of size. 0G's paths speak in [`envelope`], ours in [`problem`].

mod content;
pub mod envelope;
mod files;
mod front;
pub mod meters;
mod native;
pub mod problem;
mod relay;
mod rpc;

use std::{io, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::{
    config::Config, directory::Directory, download::Pace, locate::Locator, machine::Machine,
};
use meters::Meters;

/// What all answers are made of.
#[derive(Debug)]
pub struct Gateway {
    /// Choices and bounds.
    pub config: Config,
    /// Which nodes there are.
    pub directory: Directory,
    /// Who holds what.
    pub locator: Locator,
    /// What is counted.
    pub meters: Arc<Meters>,
    machine: Machine,
    downloads: Arc<Semaphore>,
    folders: Semaphore,
    turns: Semaphore,
}

impl Gateway {
    /// Over the nodes of a directory.
    #[must_use]
    pub fn new(config: Config, directory: Directory, machine: Machine) -> Gateway {
        Gateway {
            locator: Locator::new(directory.clone()),
            meters: Arc::default(),
            machine,
            downloads: Arc::new(Semaphore::new(config.downloads_max)),
            folders: Semaphore::new(config.folders_max),
            turns: Semaphore::new(config.requests_max),
            directory,
            config,
        }
    }

    fn pace(&self) -> Pace {
        Pace {
            read_ahead: self.config.read_ahead,
            client_chunk_max: self.config.client_chunk_max,
            meters: Arc::clone(&self.meters),
        }
    }
}

/// All paths.
///
/// # Errors
/// When an origin is none.
pub fn router(gateway: &Arc<Gateway>) -> io::Result<Router> {
    let cors = cors(&gateway.config.origins)?;
    let turns = middleware::from_fn_with_state(Arc::clone(gateway), front::front);
    let router = Router::new()
        .route("/", post(rpc::answer))
        .route("/file", get(files::file))
        .route("/file/info/{cid}", get(files::info))
        .route("/file/segment", post(relay::chunk))
        .route("/file/{cid}", get(files::folder))
        .route("/file/{cid}/", get(files::folder))
        .route("/file/{cid}/{*path}", get(files::in_folder))
        .route("/files/info", get(files::infos))
        .route("/node/status", get(files::status))
        .route("/v1/files/{cid}", get(native::file))
        .route("/v1/files/{cid}/info", get(native::info))
        .route("/v1/folders/{cid}", get(native::folder))
        .route("/v1/folders/{cid}/", get(native::folder))
        .route("/v1/folders/{cid}/{*path}", get(native::in_folder))
        .route("/v1/nodes", get(native::nodes))
        .route("/healthz", get(native::health))
        .route("/metrics", get(native::metrics))
        .method_not_allowed_fallback(native::bad_method)
        .fallback(native::unknown)
        .layer(DefaultBodyLimit::max(relay::BODY_LEN_MAX))
        .layer(turns)
        .layer(cors);
    let rpc = rpc::Rpc::new(gateway);
    Ok(router.with_state(front::Doors {
        gateway: Arc::clone(gateway),
        rpc,
    }))
}

/// What browsers are told.
fn cors(origins: &[String]) -> io::Result<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods(Any)
        .allow_headers(Any)
        .expose_headers(Any);
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
