//! Checkpoint sync between services of this process: the folder that it makes is that of a validator
//! that was there from the beginning, whoever lies and wherever it is cut off.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod sync {
    mod common;
    mod cuts;
    mod lies;
    mod whole;
}
