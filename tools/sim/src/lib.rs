//! Simulates the store from seeds: many lives of one data directory, with clients, faults and
//! crashes, against a model that knows what may and what must be there.
//!
//! | in reading order | |
//! |---|---|
//! | [`plan`] | what a seed draws: profile of faults, options, blobs, lives |
//! | [`shelf`] | the blobs that clients may store |
//! | [`model`] | what was promised, and what may be seen |
//! | [`client`], [`upload`], `scatter` | what clients do and how each answer is checked |
//! | [`life`] | one run of the store, from open to its end |
//! | [`inspect`] | everything looked at once, after a start |
//! | [`seed`] | a whole seed: lives, crashes, damage between them, the last inspection |
//! | [`fleet`] | many seeds on many threads, and the summary |
//!
//! Everything follows from the seed, so any finding is replayed by its number. A profile decides
//! how strict the checker is: as long as the disk only crashes, fails or fills up, every
//! acknowledged byte has to be there; where bytes rot, an error may stand in for them, other
//! bytes never.

pub mod client;
pub mod dice;
pub mod fleet;
pub mod inspect;
pub mod life;
pub mod model;
pub mod plan;
mod scatter;
pub mod seed;
pub mod shelf;
pub mod tally;
pub mod upload;
