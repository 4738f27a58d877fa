//! What consensus asks of the chain that it orders.

use std::future::Future;

use alloy_primitives::B256;
use lode_chain_types::{Block, Finality, Height, Round};

use crate::Validator;

/// The chain that is ordered. Calls come from several tasks at once; futures may be dropped before
/// they resolve, and the same call may then come again.
pub trait Execution: Clone + Send + Sync + 'static {
    /// The first block. Its round is that of [`Committee::round`](crate::Committee::round).
    fn genesis(&self) -> Block;

    /// The highest block that is final and durable here.
    fn height(&self) -> Height;

    /// Whether the block was proposed, verified or made final here, and another can be built on it.
    /// True of the highest final block, whatever happened before.
    fn knows(&self, block: B256) -> bool;

    /// A block on `parent`, which is known, with `round` as its round. Waits until there is something
    /// to put into it, or until the chain is due a block without. None if none can be built, which
    /// costs the view.
    fn propose(&self, parent: Block, round: Round) -> impl Future<Output = Option<Block>> + Send;

    /// Whether a block, whose parent is known, keeps the rules of execution. It is known afterwards.
    /// Never false for what may pass: then it stays pending. Its round was checked before.
    fn verify(&self, block: Block) -> impl Future<Output = bool> + Send;

    /// The block is final. Resolves when it is durable here. Called in order and at least once: after
    /// a restart blocks may come that are durable already. Without a `finality` of its own a block is
    /// final because one above it is.
    fn finalize(&self, block: Block, finality: Option<Finality>)
    -> impl Future<Output = ()> + Send;

    /// Who is to have shares of the key in `epoch`, as the final block at height `decided` leaves it;
    /// waits until that block is final here. Not empty, without duplicates, and the same for all.
    fn committee(&self, epoch: u64, decided: Height)
    -> impl Future<Output = Vec<Validator>> + Send;
}
