//! What all faces stand behind: connections, bounds, and what is counted.
//!
//! ```text
//!  connection ─ visit ─► gate ─ room, time, length ─► a face's routes ─► answer
//!     │ idle, or an answer                                │ holds its room until its last
//!     ▼ not fetched in time                               ▼ byte is fetched
//!   ended                                              counted
//! ```
//! In reading order:
//! - [`bounds`]: how much, how many, how long
//! - [`meter`]: what is counted
//! - `visit`: what a connection is doing
//! - `turn`: the memory that a request and its answer may take
//! - `body`: a request while it comes
//! - `gate`: all of that, around a face's routes
//! - [`face`]: a face, and its listener

pub mod bounds;
pub mod meter;

mod visit;

pub(crate) mod turn;

mod body;

pub(crate) mod gate;

pub mod face;
