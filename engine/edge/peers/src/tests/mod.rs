//! Nodes on a network of which every delay and every loss is drawn from a seed: same seed, same run.
//! Contents are compared, not counts: a node is whole when it has each chunk of its slice, byte by byte.

mod abuse;
mod heal;
mod liar;
mod net;
mod patience;
pub(crate) mod store;
