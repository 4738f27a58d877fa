//! 0G's storage RPC in front of the engine: what 0G's clients call, answered from the store and the
//! flow. Foreign words stay at this edge.
//!
//! ```text
//!  client ─ JSON-RPC ─► rpc ──► methods ──┬─► Room ─► Book   what the chain has ordered
//!  client ─ gRPC ─────► grpc ─► intake ───┤     ├───► Shelf ─ door ─► store   chunks, on the shards
//!  owner ── JSON-RPC ─► rpc ──► operator ─┘     └───► Cache   chunks that came before their submission
//!                                 └─► Network   other nodes
//!  chain ─ submissions ─► Room
//! ```
//! No answer waits for the chain: it is followed elsewhere, and what it has ordered is handed in. A
//! chunk is checked against the root of its submission before anything of it is kept, and what is
//! acknowledged is durable, but for chunks whose submission the chain does not know yet: those wait
//! in memory, bounded in bytes and time, as 0G's clients expect (0G wire, 4.4).
//!
//! In reading order:
//! - [`config`]: choices and bounds
//! - [`door`]: the way to the shards and back
//! - [`shelf`]: chunks of the node's slice
//! - `cache`: chunks that came too early
//! - [`room`]: what all methods share
//! - `intake`: a chunk in
//! - `refusal`: errors in the words that clients match
//! - `methods`: one function for each row of 0G wire, 3.1
//! - [`meter`]: what is counted
//! - `admission`: memory for requests and answers
//! - `body`: a request while it comes
//! - `crowd`: who is connected
//! - `reception`: connections
//! - `rpc`: JSON-RPC over HTTP
//! - [`grpc`]: the gRPC twin
//! - [`serve`]: the servers that strangers may ask
//! - `token`: the word that the operator knows
//! - [`operator`]: the operator's server

pub mod config;

pub mod door;
pub mod shelf;

mod cache;
pub mod room;

mod intake;
mod refusal;

mod methods;

pub mod meter;

mod admission;
mod body;
mod crowd;
mod reception;

mod rpc;

pub mod grpc;
pub mod serve;

mod token;

pub mod operator;

pub use config::{Config, Loopback, OperatorDoors};
pub use door::{Asks, Door, door};
pub use meter::Metrics;
pub use methods::module;
pub use operator::{
    Opened, Operator,
    network::{Alone, Network},
    open as open_operator, serve_operator,
};
pub use room::Room;
pub use serve::{Handle, serve};
