//! HTTP in front of the engine: one port, two kinds of routes.
//!
//! Blob bytes never leave their executor: hyper runs on the world's own streams, pieces go from
//! the store's reader to the socket in vectored writes. Everything else (health, metrics, the
//! API's description, the operator's requests) is small, and crosses to an axum router on one
//! tokio thread in bounded messages.
//!
//! In the order of a request's way:
//! - [`serve`]: accept, connections, graceful stop; [`watch`](mod@watch) who takes too long;
//! - [`path`], [`query`], [`range`], [`headers`]: text in, checked values out, no IO;
//! - `handle`, `blobs`, `uploads`, `proof`: from a request to an answer;
//! - `intake`, `reply`, `credit`: bodies in and out, with bounded memory;
//! - `forward`, [`desk`], [`settlement`], `metrics`, [`openapi`]: the tokio side;
//! - [`problem`], [`schema`], [`limits`]: what clients see when things go wrong, or well.
//!
//! Promises:
//! - An answer of 200 or 201 to a put means that every byte is durable.
//! - Damaged bytes are an error, or, when the head is already out, a body that ends too early.
//! - One executor holds at most [`Limits::reply_credit`] and [`Limits::intake_credit`] of bodies
//!   and [`Limits::connections`] connections; a stalled client gives its share up when others wait.
//! - The edge keeps no state of its own: an upload continues on any connection, after any restart.

pub mod desk;
pub mod headers;
pub mod limits;
pub mod openapi;
pub mod path;
pub mod problem;
pub mod query;
pub mod range;
pub mod schema;
pub mod serve;
pub mod settlement;

mod blobs;
mod credit;
mod forward;
mod handle;
mod intake;
mod linger;
mod meter;
mod metrics;
mod proof;
mod reply;
mod uploads;
mod watch;
mod wire;

pub use desk::{DESK_ROUTES, Desk};
pub use handle::SHARD_ROUTES;
pub use limits::Limits;
pub use metrics::MoreMetrics;
pub use problem::{CODES, Problem, ProblemBody};
pub use serve::Edge;
