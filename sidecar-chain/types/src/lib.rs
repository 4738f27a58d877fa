//! Blocks of the settlement chain, as validators send and store them.
//!
//! | what | module |
//! |---|---|
//! | header, transactions, and where in consensus they were proposed | [`block`] |
//! | that last part by itself, to which the header commits | [`round`] |
//! | what proves a block final | [`Finality`] |
//!
//! Promises: a block that decodes is what its hash says, whole: nothing in it can be exchanged
//! without another hash. Whether its rules hold is for execution to say.

pub mod block;
pub mod round;

pub use block::Block;
pub use lode_proofs::finality::{FINALITY_LEN, Finality, SIGNATURE_LEN};
pub use round::Round;

/// Number of a block.
pub type Height = u64;
