//! A shard's history on disk: segments of frames of records.
//!
//! The way of a record: [`lane`] copies it into the open frame, writes and syncs the frame, and
//! tells the waiters; [`supply`] gets the lane its next segment and closes the full one; [`read`]
//! finds it again; [`replay`] reads everything after a restart.

pub mod close;
pub mod lane;
pub mod read;
pub mod replay;
pub mod segment;
pub mod supply;
pub mod writer;
