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

/// Who holds rows of data availability: where 0G has its own.
pub const DA_SIGNERS: Address = address!("0x0000000000000000000000000000000000001000");
/// Certificates of data availability.
pub const DA_CERTIFICATES: Address = address!("0x0000000000000000000000000000000000004c07");

/// All of them with their names, in the order in which they are made.
pub const ALL: [(&str, Address); 8] = [
    ("Flow", FLOW),
    ("Market", MARKET),
    ("Anchors", ANCHORS),
    ("Committee", COMMITTEE),
    ("Beacon", BEACON),
    ("Rewards", REWARDS),
    ("DaSigners", DA_SIGNERS),
    ("DaCertificates", DA_CERTIFICATES),
];
