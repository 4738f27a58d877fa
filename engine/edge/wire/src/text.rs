//! Refusals that clients match word for word (0G wire, 3.1). Changing a letter breaks a client.

/// `data` of -32602 with field `root`: nothing is left to send. Clients take it for success.
pub const FINALIZED: &str = "already uploaded and finalized";
/// Of a chunk that is here. Clients take it for success.
pub const DUPLICATE: &str = "segment has already been uploaded or is being uploaded";
/// Before the number of writes that are under way: clients wait and come again.
pub const TOO_MANY: &str = "too many data writing: ";
/// The blob was here and is gone.
pub const PRUNED: &str = "already pruned";
/// The size beside a chunk is not that of its submission.
pub const FILE_SIZE: &str = "segment file size not matched with tx file size";
/// A blob that the chain does not know yet is kept in memory only while it is small.
pub const LARGE_CACHE: &str = "caching of large file when tx is unavailable is not supported";
/// The chunk is of another blob than the submission.
pub const ANOTHER_ROOT: &str = "data root and tx seq not match";
/// The blob has no such chunk.
pub const INDEX: &str = "index out of bound";
/// The chunk does not have the bytes that it must have.
pub const DATA_LENGTH: &str = "invalid data length";
/// The range is none.
pub const CHUNK_INDEX: &str = "invalid chunk index";
/// The range is longer than a chunk.
pub const TOO_LONG: &str = "exceeds maximum chunks 1024";
/// The submission is not there any more.
pub const REVERTED: &str = "Transaction reverted, please upload again";
/// The proof does not lead to the root.
pub const PROOF: &str = "validation failed";
