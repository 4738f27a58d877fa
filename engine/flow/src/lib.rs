//! The flow as the chain orders it: every submission, its place and the tree over them.
//!
//! ```text
//!  logs of the chain ──► Book                                        ◄── Pieces ◄── uploads
//!                        who submitted what, where it lies,              which chunks are here,
//!                        and the hashes above the submissions            and what proves each
//! ```
//! Whoever follows a chain appends what it reads to the [`Book`], block by block, and takes it back
//! when the chain does. The book believes nothing: it computes each submission's place and root
//! itself, and says which submission a log lied about. Of a node that keeps a slice of the flow,
//! [`Pieces`] says which chunks of which blob it has. Neither holds a byte of a blob.
//!
//! Nothing here knows a chain, and all that matters is on the disk when a call returns. Memory does
//! not grow with the number of submissions.
//!
//! In reading order:
//! - `submission`: what was submitted, and where the tags of strangers end
//! - `row`: how it lies on the disk
//! - `view`: everything that is read, as of one moment
//! - `book`: appending, taking back, and the questions of readers
//! - `group`: many callers, one sync
//! - `pieces`: chunks that are here

mod submission;

mod row;
mod view;

mod book;

mod group;
mod pieces;

#[cfg(test)]
mod model;

pub use book::{AppendError, BLOB_SEQS_MAX, Book, Lie, REVERT_MAX, WALK_MAX};
pub use pieces::{INDICES_MAX, Piece, PieceError, Pieces, Put, ROOTS_MAX, SIBLINGS_MAX};
pub use submission::{Block, Submission, TAGS_LEN_MAX, Tags};
pub use view::{BookError, Holder, PathError, Siblings};
