//! Nodes are cut off from each other, and some from the chain too, while clients reach all of them and
//! leave chunks on both sides; together again, every replica comes to have all of them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    check::{self, PATIENCE},
    nodes::{COUNT, SLICES},
    stage::Stage,
    upload::Uploader,
    zgs::Zgs,
};
use crate::{
    failure::{Failure, Outcome},
    links::{self, AWAY, TOGETHER, plug},
};

/// Blobs that are in the flow before the split, and after it.
const BLOBS: (usize, usize) = (4, 3);
/// Time that a split lasts after the uploads, in ms, at least and at most.
const STATE_MS: (u64, u64) = (2_000, 5_000);
/// Chunks that nobody takes for this long are not sent while the network is split: who could take them
/// does not know of them.
const TAKE_TIME: Duration = Duration::from_secs(2);
/// A submission that reachable nodes do not know after this long stays unknown.
const KNOW_TIME: Duration = Duration::from_secs(60);
/// Of a hundred blobs, a client leaves so many unfinished for ever.
const ABANDONED: u64 = 50;
/// Time between two looks.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// How a split healed.
#[derive(Clone, Debug, Serialize)]
pub struct Heal {
    /// Nodes that were put apart from the others.
    pub away: Vec<usize>,
    /// Nodes that did not reach the chain either.
    pub without_chain: Vec<usize>,
    /// Chunks acknowledged meanwhile.
    pub acks: u64,
    /// Pairs of a node and a blob of which it lacked acknowledged chunks when the split ended.
    pub behind: usize,
    /// From the end of the split until nobody lacked any.
    pub whole_ms: u64,
}

/// Four splits: two and two, and one alone, each with and without the chain.
pub fn round(stage: &mut Stage<'_>) -> Outcome<Vec<Heal>> {
    let mut heals = Vec::new();
    for (halves, with_chain) in [(true, true), (false, true), (true, false), (false, false)] {
        let away = whom(stage, halves);
        let without_chain = if with_chain { Vec::new() } else { away.clone() };
        let heal = split(stage, away, without_chain)?;
        stage.setup.tell(&format!(
            "nodes {:?} were apart, {:?} without the chain: {} acknowledged, {} behind, whole after {} ms",
            heal.away, heal.without_chain, heal.acks, heal.behind, heal.whole_ms
        ));
        heals.push(heal);
    }
    if heals.iter().all(|heal| heal.behind == 0) {
        let what = "nobody lacked anything after any split".to_owned();
        return Err(Failure::Method(what));
    }
    stage.expect_whole()?;
    Ok(heals)
}

/// One node, or one replica of each slice.
fn whom(stage: &mut Stage<'_>, halves: bool) -> Vec<usize> {
    let (count, slices) = (u64::from(COUNT), u64::from(SLICES));
    if !halves {
        return stage.dice.index(usize::from(COUNT)).into_iter().collect();
    }
    let one_of = |slice: u64, dice: &mut crate::noise::Noise| {
        let node = slice + slices * dice.below(count / slices);
        usize::try_from(node).unwrap_or(0)
    };
    (0..slices)
        .map(|slice| one_of(slice, &mut stage.dice))
        .collect()
}

fn split(stage: &mut Stage<'_>, away: Vec<usize>, without_chain: Vec<usize>) -> Outcome<Heal> {
    let everybody = stage.nodes.numbers();
    let mut indices = stage.submit(BLOBS.0)?;
    known(stage, &indices, &everybody)?;
    for node in &away {
        plug(u64::try_from(*node).unwrap_or(0), AWAY)?;
    }
    for node in &without_chain {
        links::reach_chain(*node, false)?;
    }
    let later = stage.submit(BLOBS.1)?;
    let reaches = |node: &usize| !without_chain.contains(node);
    let reachable: Vec<usize> = everybody.iter().copied().filter(reaches).collect();
    known(stage, &later, &reachable)?;
    indices.extend(&later);
    let before = stage.shared.ledger(|ledger| ledger.counts().acks);
    let unfinished = upload(stage, &indices)?;
    let span = stage.dice.between(STATE_MS.0, STATE_MS.1);
    stage.setup.sleep(Duration::from_millis(span))?;
    let acks = stage.shared.ledger(|ledger| ledger.counts().acks) - before;
    let behind = behind(stage, &indices);
    unknown(stage, &later, &without_chain)?;
    for node in &away {
        plug(u64::try_from(*node).unwrap_or(0), TOGETHER)?;
    }
    for node in &without_chain {
        links::reach_chain(*node, true)?;
    }
    let times = (Instant::now(), PATIENCE);
    let (setup, nodes, shared) = (stage.setup, &mut stage.nodes, &stage.shared);
    let whole = check::counted(setup, nodes, shared, &everybody, times)?;
    finish(stage, &unfinished)?;
    Ok(Heal {
        away,
        without_chain,
        acks,
        behind,
        whole_ms: u64::try_from(whole.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Waits until these nodes know these submissions.
fn known(stage: &mut Stage<'_>, indices: &[usize], nodes: &[usize]) -> Outcome<()> {
    let (faces, end) = (stage.nodes.faces(), Instant::now() + KNOW_TIME);
    for node in nodes {
        let zgs = Zgs::new(faces[*node].zgs);
        for index in indices {
            let seq = stage.shared.blob(*index).seq;
            while !matches!(zgs.info(seq), Ok(Some(_))) {
                stage.nodes.expect_running()?;
                if Instant::now() >= end {
                    let seconds = KNOW_TIME.as_secs();
                    return Err(Failure::Node(format!(
                        "storage node {node} does not know submission {seq}, after {seconds} s"
                    )));
                }
                stage.setup.sleep(LOOK_TIME)?;
            }
        }
    }
    Ok(())
}

/// Sees that these nodes do not know these submissions: they cannot have heard of them.
fn unknown(stage: &Stage<'_>, indices: &[usize], nodes: &[usize]) -> Outcome<()> {
    let faces = stage.nodes.faces();
    for node in nodes {
        let zgs = Zgs::new(faces[*node].zgs);
        for index in indices {
            let seq = stage.shared.blob(*index).seq;
            if let Ok(Some(_)) = zgs.info(seq) {
                return Err(Failure::Method(format!(
                    "storage node {node} was cut off from its chain and knows submission {seq}"
                )));
            }
        }
    }
    Ok(())
}

/// Sends each blob once, or a part of it, its portions to one side or the other. What is to be finished
/// later.
fn upload(stage: &mut Stage<'_>, indices: &[usize]) -> Outcome<Vec<usize>> {
    let faces = stage.nodes.faces();
    let (shared, dice) = (&stage.shared, &mut stage.dice);
    let mut client = Uploader::new(&faces, shared, 0, dice.draw());
    let mut unfinished = Vec::new();
    for index in indices {
        stage.setup.go_on()?;
        let chunks = shared.blob(*index).chunks();
        let abandoned = chunks > 1 && dice.chance(ABANDONED);
        let sent = (0..chunks).filter(|_| !abandoned || dice.chance(50));
        let sent: BTreeSet<u64> = sent.collect();
        let left = client.upload(*index, &sent, TAKE_TIME)?;
        if left > 0 && !abandoned {
            unfinished.push(*index);
        }
    }
    Ok(unfinished)
}

/// Sends what nobody could take before.
fn finish(stage: &mut Stage<'_>, unfinished: &[usize]) -> Outcome<()> {
    let everybody = stage.nodes.numbers();
    known(stage, unfinished, &everybody)?;
    super::kills::quietly(stage, unfinished)
}

/// Pairs of a node and a blob of which it lacks chunks that were acknowledged.
fn behind(stage: &Stage<'_>, indices: &[usize]) -> usize {
    let faces = stage.nodes.faces();
    let mut behind = 0;
    for face in faces.iter() {
        let zgs = Zgs::new(face.zgs);
        for index in indices {
            let blob = stage.shared.blob(*index);
            let wanted: u64 = blob.acked_in(face.slice).map(|_| 1).sum();
            let has = match zgs.info(blob.seq) {
                Ok(Some(info)) => info.uploaded_seg_num,
                _ => 0,
            };
            behind += usize::from(has < wanted);
        }
    }
    behind
}
