//! The flow as the chain orders it: every submission, its place and the tree over them.
//!
//! Whoever follows a chain appends what it reads to the [`Book`], block by block, and takes it back
//! when the chain does. The book believes nothing: it computes each submission's place and root
//! itself, and says which submission a log lied about. It holds no byte of a blob.
//!
//! Nothing here knows a chain, and all that matters is on the disk when a call returns. Memory does
//! not grow with the number of submissions.
//!
//! In reading order:
//! - `submission`: what was submitted, and where the tags of strangers end
//! - `row`: how it lies on the disk
//! - `view`: everything that is read, as of one moment
//! - `book`: appending, taking back, and the questions of readers

mod submission;

mod row;
mod view;

mod book;

#[cfg(test)]
mod model;

pub use book::{AppendError, BLOB_SEQS_MAX, Book, Lie, REVERT_MAX, WALK_MAX};
pub use submission::{Block, Submission, TAGS_LEN_MAX, Tags};
pub use view::{BookError, Holder, PathError, Siblings};
