//! What 0G's clients, storage nodes and indexers say to each other, as values: JSON words, the
//! format of folders, and the ciphers that clients put before their bytes. No IO, no clock.
//!
//! Foreign words are kept to the letter in JSON (`segment`, `shardConfig`, `fileSize`) and stop here:
//! in code a segment is a chunk, a file is a blob, a shard of the flow is a slice (glossary).
//!
//! In reading order:
//! - [`segment`]: one chunk with its proof
//! - [`file`]: what a node says of a blob
//! - [`node`]: what it says of itself
//! - [`slice`]: which part of the flow it keeps
//! - [`directory`]: what an indexer says of nodes
//! - [`text`]: refusals that clients match word for word
//! - [`folder`]: trees of files, as a blob
//! - [`fragments`]: how long files become several blobs
//! - [`cipher`]: what stands before encrypted bytes, and the keystream over them
//!
//! "0G wire" is the protocol as its public clients and nodes speak it.

mod base64;

pub mod cipher;
pub mod directory;
pub mod file;
pub mod folder;
pub mod fragments;
pub mod node;
pub mod segment;
pub mod slice;
pub mod text;

pub use directory::{ShardedNode, ShardedNodes};
pub use file::{FileInfo, Transaction};
pub use folder::{Folder, FolderError};
pub use fragments::FragmentLen;
pub use node::{NetworkIdentity, ProtocolVersion, Status};
pub use segment::{FlowProof, Segment};
pub use slice::{Slice, SliceError};
