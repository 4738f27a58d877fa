//! The commands, one file each, and what they share.
//!
//! `put` stores files through `store` (root, fragments, encryption) and `upload` (one blob), directories
//! through `bundle`. `get` fetches from an `origin` what `stored` finds, into a `part`; `restore` does it
//! for a folder. `submit` pays the chain for each file, then `spread`s it over the nodes of its flow.

pub mod bundle;
pub mod diff;
pub mod epoch;
pub mod folder;
pub mod genesis;
pub mod get;
pub mod origin;
pub mod part;
pub mod prove;
pub mod put;
pub mod range;
pub mod restore;
pub mod rm;
pub mod root;
pub mod scrub;
pub mod show;
pub mod spread;
pub mod stat;
pub mod store;
pub mod stored;
pub mod submit;
pub mod upload;
pub mod verify;
pub mod wait;
