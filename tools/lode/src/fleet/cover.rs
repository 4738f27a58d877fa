//! Which nodes hold every chunk of the flow as often as asked, and which slice is the one that too few
//! hold. No IO.
//!
//! Nodes with large slices are preferred, and among those of one slice the ones that come first. When a
//! node is gone the others that were chosen stay chosen: only what it held goes to somebody else. So a
//! choice is made anew after each loss, and whatever was sent already counts.

use std::collections::BTreeSet;

use lode_indexer::{
    machine::Dice,
    selection::{Method, select},
};
use lode_wire::{ShardedNode, Slice};

/// A slice that too few nodes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slice {} of {} of the flow is kept by {held} of the nodes that answer", slice.id(), slice.count())]
pub struct Gap {
    /// Which slice: no node keeps a part of it only.
    pub slice: Slice,
    /// Nodes that keep all of it.
    pub held: u64,
}

/// Numbers of the nodes, out of those with these slices and not `gone`, that hold every chunk exactly
/// `replicas` times. Cost: nodes × log2 of the largest count of slices.
///
/// # Errors
/// The first [`Gap`], from slice 0 on.
pub fn choose(
    slices: &[Slice],
    gone: &BTreeSet<usize>,
    replicas: u64,
) -> Result<BTreeSet<usize>, Gap> {
    let left: Vec<(usize, Slice)> = slices
        .iter()
        .copied()
        .enumerate()
        .filter(|(at, _)| !gone.contains(at))
        .collect();
    let names: Vec<ShardedNode> = left
        .iter()
        .map(|(at, slice)| ShardedNode {
            url: at.to_string(),
            config: *slice,
            // All the same: the order stays.
            latency: 0,
            since: 0,
        })
        .collect();
    // Chance has no part in this method.
    match select(&names, replicas, Method::Min, &mut Dice::new(0)) {
        Some(chosen) => {
            let chosen: BTreeSet<String> = chosen.into_iter().map(|node| node.url).collect();
            let is_chosen = |(at, _): &(usize, Slice)| chosen.contains(&at.to_string());
            let numbers = left.into_iter().filter(is_chosen);
            Ok(numbers.map(|(at, _)| at).collect())
        }
        None => {
            let left: Vec<Slice> = left.into_iter().map(|(_, slice)| slice).collect();
            Err(gap(&left, replicas).expect("what cannot be covered has a gap"))
        }
    }
}

/// The first slice that is held fewer than `replicas` times. Looks only where somebody keeps a part.
pub fn gap(slices: &[Slice], replicas: u64) -> Option<Gap> {
    let mut open = vec![Slice::WHOLE];
    while let Some(slice) = open.pop() {
        let halves = halves(slice).filter(|_| {
            let is_within = |other: &&Slice| slice.covers(**other) && **other != slice;
            slices.iter().any(|other| is_within(&other))
        });
        match halves {
            Some([left, right]) => open.extend([right, left]),
            None => {
                let held = slices.iter().filter(|other| other.covers(slice)).count();
                let held = u64::try_from(held).unwrap_or(u64::MAX);
                if held < replicas {
                    return Some(Gap { slice, held });
                }
            }
        }
    }
    None
}

/// The two slices that make up one; none of the smallest there are.
fn halves(slice: Slice) -> Option<[Slice; 2]> {
    let count = slice.count().checked_mul(2)?;
    let left = Slice::new(slice.id(), count).ok()?;
    let right = Slice::new(slice.id() + slice.count(), count).ok()?;
    Some([left, right])
}

#[cfg(test)]
#[path = "cover_tests.rs"]
mod tests;
