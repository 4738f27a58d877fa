//! What a holder keeps of containers: its rows and what proves them, durable until they expire.
//!
//! ```text
//!  begin, push, push, …, finish ─► open segment of the bucket ─► closed ─► removed at its end
//!   64 B to 128 KiB a row           sync, feet, sync: held         list       no compaction, ever
//! ```
//! One record is one container: the statement that the holder signs (169 bytes), T and the checksums of
//! the original rows (2048 · T bytes), the container's table (up to 308 KiB), the numbers of the
//! holder's rows (1 to 3072), the hashes beside them, and the rows (64 B to 128 KiB each, so up to
//! 400 MB). What comes is believed: whoever appends has verified it (`lode_proofs::da`, SPEC D-23).
//!
//! | step | module |
//! |---|---|
//! | the bytes on disk, drawn in `FORMAT.md` | [`format`] |
//! | a place for a record | `supply`, `segment`, `extents` |
//! | rows as they come | `append`, `writer` |
//! | durable, many by one sync | `commit` |
//! | which containers are held | `index` |
//! | rows again, checked | `read` |
//! | after a crash | `recover`, `walk` |
//! | terms | `expire` |
//! | rot, and what it took | `scrub`, `damage` |
//! | all of it on one executor | [`store`] |
//! | all of it from any thread | [`face`] |
//!
//! Promises, each with a test in the simulator and on real files:
//! - When `finish` returns, the record survives SIGKILL and power loss, byte for byte. One whose
//!   `finish` did not return is there whole or not at all.
//! - Bytes that are not those that came are never given out. Damage is an error that names the rows.
//! - A failed write or sync ends its segment; nothing on it is tried again, and what was held stays.
//! - A full disk refuses records that begin, and loses nothing.
//! - Memory and queues are bounded: by [`store::Options`], and constants that say why.
//!
//! Cost: 64 bytes in memory a container (about 90 with slack), 16 bytes in 4096 on disk and about two
//! pages and a half for each record, two syncs for a record that comes alone, one for each group under
//! load. A row is read by two reads of the disk.

// In reading order: the bytes, a record's way onto the disk and back, and who asks for it.
pub mod format;

mod append;
mod commit;
mod extents;
mod segment;
mod supply;
mod writer;

mod index;
mod read;
mod recover;
mod walk;

mod damage;
mod expire;
mod scrub;

pub mod error;
pub mod face;
pub mod store;

pub mod fuzz;
pub mod planted;
mod wait;

pub use append::{Appending, Holding, WRITES_MAX};
pub use damage::{DAMAGED_MAX, Damage};
pub use error::{Class, Error, Result};
pub use expire::Freed;
pub use face::{Handle, launch};
pub use format::outline::Part;
pub use index::Listed;
pub use read::READ_MAX;
pub use recover::{FAULTS_MAX, Found};
pub use scrub::Scrubbed;
pub use store::{LIST_MAX, Opened, Options, RowStore};
pub use supply::OPEN_MAX;
