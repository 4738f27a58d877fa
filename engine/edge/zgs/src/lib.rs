//! 0G's storage RPC in front of the engine: what 0G's clients call, answered from the store and the
//! flow. Foreign words stay at this edge.
//!
//! ```text
//!  client ─ JSON-RPC ─► serve ─► methods ─► Room ─► Book   what the chain has ordered
//!                                             ├───► Shelf ─ door ─► store   chunks, on the shards
//!                                             └───► Cache   chunks that came before their submission
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
//! - `admission`: bytes and time of requests
//! - [`serve`]: the server

pub mod config;

pub mod door;
pub mod shelf;

mod cache;
pub mod room;

mod intake;
mod refusal;

mod methods;

mod admission;
pub mod serve;

pub use config::Config;
pub use door::{Asks, Door, door};
pub use methods::module;
pub use room::Room;
pub use serve::{Handle, serve};
