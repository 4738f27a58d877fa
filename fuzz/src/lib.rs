//! Fuzzing of every decoder that reads foreign bytes, on stable Rust and without tools.
//!
//! In reading order:
//! - [`targets`]: what is fuzzed; one small file each
//! - [`mutate`]: how an input is made from the targets' own seeds
//! - [`run`]: the loop, and what counts as a finding
//! - [`memory`]: the allocator that counts what an execution takes
//! - [`random`]: the seeded generator behind it all
//!
//! A finding is a panic, more than [`run::MEMORY_LIMIT`] bytes alive at once, or an execution longer
//! than [`run::TIME_LIMIT`]. The same seed, target and number of jobs give the same inputs.
//! Coverage does not guide the search here; `README.md` tells how the same targets run under
//! libFuzzer, which does.

pub mod memory;
pub mod mutate;
pub mod random;
pub mod run;
pub mod targets;
