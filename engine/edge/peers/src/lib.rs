//! Storage nodes among each other: every node fetches from the others what it should have and has not,
//! and serves them what they lack. So a blob that a client left with one replica comes to all of them,
//! and a node that was down, or lost its disk, becomes whole again by itself.
//!
//! ```text
//!   Holder ◄── missing? ── scout ──gaps──► desk ──Want──►  others
//!     ▲  ▲                                 │  ▲
//!     │  └──── put, checked ── landing ◄───┘  └──Have, Lack, Hello──
//!     └─────── read ── server ◄──Want── desk
//! ```
//! [`Peers::start`] takes a [`Config`] and a [`Holder`], the node's own chunks, and runs in a thread of
//! its own until [`Handle::stop`].
//!
//! Promises:
//! - No byte reaches the holder that is not a chunk of a blob that the holder itself named, proven under
//!   the root that the chain has. Who sends another is blocked, and the log says who and why.
//! - No byte leaves that was not checked against its proof on the way out.
//! - Everything is bounded: [`bounds`] has each bound and its reason. What has no room is dropped, and
//!   comes again with the next sweep.
//! - Nobody who lies, is silent, drips or asks without end keeps others from being fetched from or
//!   served; who cannot help is asked again later, and less often each time.
//!
//! It does not find nodes: who they are is configuration, the same on both sides. It does not trust what
//! they say of themselves further than for whom to ask first.
//!
//! In reading order:
//! - `holder`: what a node has to say of itself
//! - `config`: who the others are; names and keys are `lode_net`'s
//! - [`message`]: what they say to each other, byte by byte
//! - [`bounds`], `status`, [`meter`]: how much of everything, and how much there was
//! - `board`: what an operator is told
//! - `scout`: what is missing
//! - `roster`, `fetch`: whom to ask for what
//! - `bucket`, `serve`: chunks for others
//! - `desk`: where messages arrive
//! - `node`, `peers`: all of it in one runtime; its thread and its sockets
//!
//! Sources: 0G wire, 6 (file sync, slices of the flow), 7.2 (9: what one node alone has, nobody finds).

mod holder;

mod config;

pub mod message;

pub mod bounds;
mod status;

pub mod meter;

mod board;

mod scout;

mod fetch;
mod roster;

mod bucket;
mod serve;

mod desk;
mod node;

mod peers;

#[cfg(test)]
mod tests;

pub use board::{Asked, Busy, FetchState, Fetching, Other, Standing};
pub use config::{AddressError, Config, PeerAddress, PeerKey, SERVE_RATE};
pub use holder::{Blob, Holder, HolderError};
pub use meter::Metrics;
pub use peers::{Error, Handle, Peers, View};
pub use status::Status;
