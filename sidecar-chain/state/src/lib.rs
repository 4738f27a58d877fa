//! The state of the settlement chain: accounts, storage and code, authenticated by Ethereum's
//! Merkle Patricia tries (Yellow Paper, appendix D), so that `eth_getProof` works with every
//! verifier that exists.
//!
//! | step | module |
//! |---|---|
//! | what a block did to accounts becomes changes and a root | [`apply`] |
//! | along the keys that changed, and nowhere else | [`trie`] |
//! | on top of blocks that are not final yet | [`layers`] |
//! | sent to another node, each piece checked on its way | [`walk`] |
//! | kept, as it is and as it was | [`versions`], under the keys of [`key`]; lately in [`cache`] |

pub mod apply;
pub mod cache;
pub mod key;
pub mod layers;
pub mod trie;
pub mod versions;
pub mod walk;
