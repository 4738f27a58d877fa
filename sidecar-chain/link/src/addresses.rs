//! Where the contracts stand on every chain whose genesis is ours. 0x4c is the letter L; a
//! deployment elsewhere has addresses of its own.

use alloy_primitives::{Address, address};

/// Blobs one by one.
pub const FLOW: Address = address!("0x0000000000000000000000000000000000004c01");
/// What storage costs.
pub const MARKET: Address = address!("0x0000000000000000000000000000000000004c02");
/// Blobs by the thousand.
pub const ANCHORS: Address = address!("0x0000000000000000000000000000000000004c03");
/// Stakes, and the committee of each epoch.
pub const COMMITTEE: Address = address!("0x0000000000000000000000000000000000004c04");
/// Randomness per slot.
pub const BEACON: Address = address!("0x0000000000000000000000000000000000004c05");
/// Statements of who earned what.
pub const REWARDS: Address = address!("0x0000000000000000000000000000000000004c06");

/// All of them with their names, in the order of their addresses.
pub const ALL: [(&str, Address); 6] = [
    ("Flow", FLOW),
    ("Market", MARKET),
    ("Anchors", ANCHORS),
    ("Committee", COMMITTEE),
    ("Beacon", BEACON),
    ("Rewards", REWARDS),
];
