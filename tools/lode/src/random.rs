//! Randomness of the system.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::failure::{Failure, Outcome};

/// So many random bytes, 256 at most.
pub fn bytes<const N: usize>() -> Outcome<[u8; N]> {
    const {
        assert!(
            N <= 256,
            "up to here the system gives all that was asked for"
        )
    };
    let mut chance = [0; N];
    getrandom(&mut chance, GetRandomFlags::empty())
        .map_err(|error| Failure::file("randomness", &error.into()))?;
    Ok(chance)
}
