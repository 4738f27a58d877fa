//! Committees on a network of which every delay and every loss is drawn from a seed: same seed, same run.
//! Contents are compared, not counts: what a certificate is of is restored from its signers' rows, byte for
//! byte.

mod attacks;
mod net;
mod runs;

pub(crate) use net::noise;
