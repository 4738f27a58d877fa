//! The commands, one file each.

pub mod epoch;
pub mod genesis;
pub mod get;
pub mod part;
pub mod prove;
pub mod put;
pub mod range;
pub mod rm;
pub mod root;
pub mod scrub;
pub mod show;
pub mod stat;
pub mod upload;
pub mod verify;
pub mod wait;
