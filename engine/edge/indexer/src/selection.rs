//! Which nodes cover the flow as often as a client wants (0G wire, 3.4).
//!
//! Slices form a binary tree: slice `i` of `n` is cut into slices `i` and `i + n` of `2n`.
//!
//! ```text
//!            0/1                reach(region) = nodes of just this slice
//!          /     \                            + least reach of its two halves
//!       0/2       1/2           A selection that covers every chunk r times
//!      /   \     /   \          exists if, and only if, the reach of 0/1 is r or more.
//!    0/4   2/4 1/4   3/4
//! ```
//!
//! Going down from 0/1, each region takes some of its own nodes and leaves the rest of the need to both
//! halves. So every chunk is covered exactly as often as was asked, never more: 0G's indexer, which
//! takes nodes one by one in an order, may cover some chunks more often. What it calls the method is
//! here how many nodes a region takes itself: as many as it can ("min": few, large slices), as few as
//! it must ("max"), or any number between ("random").
//!
//! Cost: nodes × log2 of the largest count; no deeper than 64.

use core::str::FromStr;
use std::collections::BTreeSet;

use lode_wire::{ShardedNode, ShardedNodes, Slice};

use crate::machine::Dice;

/// Which nodes are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Those with large slices, then those that answer fast.
    Min,
    /// Those with small slices, then those that answer fast.
    Max,
    /// Any.
    Random,
    /// Those whose slice is one of this many, and no others.
    Exact(u64),
}

/// No such method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such method: min, max, random, or a number of slices")]
pub struct UnknownMethod;

/// The nodes do not cover the flow that often. The text is 0G's, to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot select a subset from the returned nodes that meets the replication requirement")]
pub struct Unmet;

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Method, UnknownMethod> {
        match text {
            "min" => Ok(Method::Min),
            "max" => Ok(Method::Max),
            "random" => Ok(Method::Random),
            number => match number.parse() {
                Ok(0) | Err(_) => Err(UnknownMethod),
                Ok(count) => Ok(Method::Exact(count)),
            },
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How often each chunk is to be covered.
    pub replica: u64,
    /// Which nodes are preferred.
    pub method: Method,
    /// Only nodes that the operator trusts.
    pub full_trusted: bool,
    /// URLs that the client had trouble with.
    pub dropped: BTreeSet<String>,
}

/// Chooses among all nodes: up to three fifths of the replicas from the discovered ones, the rest from
/// the trusted ones; all from the trusted ones if the discovered ones do not suffice.
///
/// # Errors
/// [`Unmet`].
pub fn choose(
    nodes: &ShardedNodes,
    wanted: &Wanted,
    dice: &mut Dice,
) -> Result<ShardedNodes, Unmet> {
    let kept = |nodes: &[ShardedNode]| -> Vec<ShardedNode> {
        let kept = nodes
            .iter()
            .filter(|node| !wanted.dropped.contains(&node.url));
        kept.cloned().collect()
    };
    let foreign = match wanted.full_trusted {
        true => 0,
        // Floor: a replica is whole. In two steps, since `replica` may be any number.
        false => wanted.replica / 5 * 3 + wanted.replica % 5 * 3 / 5,
    };
    let discovered = select(&kept(&nodes.discovered), foreign, wanted.method, dice);
    let (discovered, own) = match discovered {
        Some(discovered) => (discovered, wanted.replica - foreign),
        None => (Vec::new(), wanted.replica),
    };
    let trusted = select(&kept(&nodes.trusted), own, wanted.method, dice).ok_or(Unmet)?;
    Ok(ShardedNodes {
        trusted,
        discovered,
    })
}

/// How often every chunk of the flow is covered at least.
#[must_use]
pub fn reach(slices: impl IntoIterator<Item = Slice>) -> u64 {
    let mut tree = Tree::new();
    for (index, slice) in slices.into_iter().enumerate() {
        tree.insert(slice, index);
    }
    tree.measure();
    tree.regions[0].reach
}

/// Nodes that cover every chunk of the flow exactly `replica` times; none if these cannot. A URL counts
/// once.
#[must_use]
pub fn select(
    nodes: &[ShardedNode],
    replica: u64,
    method: Method,
    dice: &mut Dice,
) -> Option<Vec<ShardedNode>> {
    let mut tree = Tree::new();
    let order = candidates(nodes, method, dice);
    for index in order {
        tree.insert(nodes[index].config, index);
    }
    tree.measure();
    if tree.regions[0].reach < replica {
        return None;
    }
    let chosen = tree.take(replica, method, dice);
    let mut chosen: Vec<ShardedNode> = chosen.into_iter().map(|at| nodes[at].clone()).collect();
    match method {
        Method::Random => dice.shuffle(&mut chosen),
        Method::Min | Method::Exact(_) => chosen.sort_by_key(place),
        Method::Max => chosen.sort_by_key(|node| {
            let (count, id) = place(node);
            (core::cmp::Reverse(count), id)
        }),
    }
    Some(chosen)
}

fn place(node: &ShardedNode) -> (u64, u64) {
    (node.config.count(), node.config.id())
}

/// Numbers of the nodes that may be taken, those first that are taken first within a region.
fn candidates(nodes: &[ShardedNode], method: Method, dice: &mut Dice) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let fits = |node: &ShardedNode| match method {
        Method::Exact(count) => node.config.count() == count,
        _ => true,
    };
    let mut order: Vec<usize> = (0..nodes.len())
        .filter(|at| fits(&nodes[*at]) && seen.insert(nodes[*at].url.as_str()))
        .collect();
    match method {
        Method::Random => dice.shuffle(&mut order),
        _ => order.sort_by_key(|at| nodes[*at].latency),
    }
    order
}

/// A slice, with the nodes that keep just it.
#[derive(Default)]
struct Region {
    here: Vec<usize>,
    halves: [Option<usize>; 2],
    reach: u64,
}

/// Regions that hold nodes or lead to some; a half always stands behind what it is a half of.
struct Tree {
    regions: Vec<Region>,
}

impl Tree {
    fn new() -> Tree {
        Tree {
            regions: vec![Region::default()],
        }
    }

    fn insert(&mut self, slice: Slice, index: usize) {
        let mut at = 0;
        for bit in 0..slice.count().trailing_zeros() {
            let side = usize::from(slice.id() >> bit & 1 == 1);
            at = match self.regions[at].halves[side] {
                Some(half) => half,
                None => {
                    let half = self.regions.len();
                    self.regions[at].halves[side] = Some(half);
                    self.regions.push(Region::default());
                    half
                }
            };
        }
        self.regions[at].here.push(index);
    }

    /// Least reach of both halves.
    fn below(&self, region: &Region) -> u64 {
        let reach = |half: Option<usize>| half.map_or(0, |at| self.regions[at].reach);
        reach(region.halves[0]).min(reach(region.halves[1]))
    }

    fn measure(&mut self) {
        for at in (0..self.regions.len()).rev() {
            let region = &self.regions[at];
            self.regions[at].reach = own(region) + self.below(region);
        }
    }

    /// Needs a reach of `replica`.
    fn take(&self, replica: u64, method: Method, dice: &mut Dice) -> Vec<usize> {
        let mut taken = Vec::new();
        let mut open = vec![(0, replica)];
        while let Some((at, need)) = open.pop() {
            let region = &self.regions[at];
            let least = need - self.below(region).min(need);
            let most = own(region).min(need);
            let count = match method {
                Method::Min | Method::Exact(_) => most,
                Method::Max => least,
                Method::Random => least + dice.up_to(most - least),
            };
            let here = usize::try_from(count).expect("no more than there are in memory");
            taken.extend_from_slice(&region.here[..here]);
            if count < need {
                open.extend(
                    region
                        .halves
                        .iter()
                        .flatten()
                        .map(|half| (*half, need - count)),
                );
            }
        }
        taken
    }
}

fn own(region: &Region) -> u64 {
    u64::try_from(region.here.len()).expect("a count of what is in memory")
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
