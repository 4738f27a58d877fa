//! SIGKILL of each node in turn, and of all at once, in the middle of uploads and in the middle of
//! downloads, and restart on the same folders.
//!
//! One cycle: blobs go into the flow → clients send or read them → when a diced part of that is done,
//! nodes are killed → clients go on with the other replica → restart, sometimes killed before it serves
//! → clients finish.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use super::{
    ledger::{Blob, Shared},
    nodes::{Face, Nodes},
    read::Reader,
    stage::{Stage, Tally, beside},
    upload::{Uploader, shuffle},
};
use crate::{
    failure::{Failure, Outcome},
    noise::Noise,
    setup::Setup,
};

/// Clients at a time.
const CLIENTS: usize = 3;
/// Of a hundred blobs, so many are sent to every replica.
const TO_ALL: u64 = 40;
/// Clients that have not come to the moment of the kill after this long never do.
const LOAD_TIME: Duration = Duration::from_secs(120);
/// A chunk that no replica takes for this long is a failure.
const TAKE_TIME: Duration = Duration::from_secs(120);
/// Time between two looks at how far clients are.
const LOOK_TIME: Duration = Duration::from_millis(2);
/// The part of a load after which the kill comes, in percent: at least, and at most.
const PART: (u64, u64) = (5, 75);
/// A node stays away at most this long, in ms.
const AWAY_MS: u64 = 1500;
/// Of a hundred restarts, so many are killed before they are done, after at most so many ms.
const KILLED_RESTARTS: u64 = 25;
/// See [`KILLED_RESTARTS`].
const RESTART_MS: u64 = 400;

/// Uploads so many blobs, while each node is killed once, and all of them once.
pub fn uploads(stage: &mut Stage<'_>, blobs: usize) -> Outcome<()> {
    let cycles = victims(stage);
    let mut left = blobs;
    for (done, victims) in cycles.iter().enumerate() {
        // The last one gets what is left over too.
        let count = left / (cycles.len() - done);
        left -= count;
        let indices = stage.submit(count)?;
        let Stage {
            setup,
            nodes,
            shared,
            dice,
            tally,
            ..
        } = stage;
        let (setup, shared): (&Setup, &Shared) = (setup, shared);
        let wanted = indices.iter().map(|index| shared.blob(*index).chunks());
        let goal = shared.acks.load(SeqCst) + part(wanted.sum(), dice);
        let (faces, queue) = (nodes.faces(), AtomicUsize::new(0));
        let clients = (0..CLIENTS)
            .map(|_| {
                let client = Uploader::new(&faces, shared, TO_ALL, dice.draw());
                let (queue, indices) = (&queue, &indices);
                move || send_all(client, queue, indices, shared)
            })
            .collect();
        beside(shared, clients, |at_work| {
            let reached = || shared.acks.load(SeqCst) >= goal || at_work.load(SeqCst) == 0;
            kill((setup, nodes, dice, tally), victims, reached)
        })?;
        stage.setup.tell(&format!(
            "nodes {victims:?} were killed during uploads; {} chunks acknowledged so far",
            stage.shared.acks.load(SeqCst)
        ));
    }
    Ok(())
}

/// Reads so many blobs, again for each of the kills.
pub fn reads(stage: &mut Stage<'_>, blobs: usize) -> Outcome<()> {
    for victims in victims(stage) {
        let Stage {
            setup,
            nodes,
            shared,
            dice,
            tally,
            ..
        } = stage;
        let (setup, shared): (&Setup, &Shared) = (setup, shared);
        let chosen = whole_blobs(shared, dice, blobs);
        let goal = part(chosen.iter().map(Blob::chunks).sum(), dice);
        let goal = shared.reads.load(SeqCst) + goal;
        let (faces, queue) = (nodes.faces(), AtomicUsize::new(0));
        let clients = (0..CLIENTS)
            .map(|_| {
                let mut client = Reader::new(&faces, shared, dice.draw());
                let (queue, chosen) = (&queue, &chosen);
                move || {
                    while let Some(blob) = chosen.get(queue.fetch_add(1, SeqCst)) {
                        client.read(blob)?;
                    }
                    Ok(())
                }
            })
            .collect();
        beside(shared, clients, |at_work| {
            let reached = || shared.reads.load(SeqCst) >= goal || at_work.load(SeqCst) == 0;
            kill((setup, nodes, dice, tally), &victims, reached)
        })?;
        stage.setup.tell(&format!(
            "nodes {victims:?} were killed during downloads; {} chunks compared so far",
            stage.shared.reads.load(SeqCst)
        ));
    }
    Ok(())
}

/// At most so many blobs of which all was acknowledged, in diced order.
pub fn whole_blobs(shared: &Shared, dice: &mut Noise, most: usize) -> Vec<Blob> {
    let mut blobs = shared.blobs();
    blobs.retain(Blob::is_whole);
    shuffle(&mut blobs, dice);
    blobs.truncate(most);
    blobs
}

fn send_all(
    mut client: Uploader<'_>,
    queue: &AtomicUsize,
    indices: &[usize],
    shared: &Shared,
) -> Outcome<()> {
    while let Some(index) = indices.get(queue.fetch_add(1, SeqCst)) {
        let blob = shared.blob(*index);
        let all: BTreeSet<u64> = (0..blob.chunks()).collect();
        let left = client.upload(*index, &all, TAKE_TIME)?;
        if left > 0 && !shared.over.load(SeqCst) {
            let seconds = TAKE_TIME.as_secs();
            return Err(Failure::Node(format!(
                "no replica takes {left} chunks of {} (seq {}), for {seconds} s",
                blob.root, blob.seq
            )));
        }
    }
    Ok(())
}

/// A diced part of a load.
fn part(chunks: u64, dice: &mut Noise) -> u64 {
    chunks * dice.between(PART.0, PART.1) / 100
}

/// Whom it hits, cycle by cycle: each alone, in diced order, and then all.
fn victims(stage: &mut Stage<'_>) -> Vec<Vec<usize>> {
    let everybody = stage.nodes.numbers();
    let mut order = everybody.clone();
    shuffle(&mut order, &mut stage.dice);
    let each = order.into_iter().map(|node| vec![node]);
    each.chain([everybody]).collect()
}

/// Kills nodes at their moment, and starts them again.
fn kill(
    (setup, nodes, dice, tally): (&Setup, &mut Nodes, &mut Noise, &mut Tally),
    victims: &[usize],
    reached: impl Fn() -> bool,
) -> Outcome<()> {
    let end = Instant::now() + LOAD_TIME;
    while !reached() && Instant::now() < end {
        setup.sleep(LOOK_TIME)?;
    }
    nodes.kill(victims)?;
    tally.kills += victims.iter().map(|_| 1).sum::<u64>();
    setup.sleep(Duration::from_millis(dice.below(AWAY_MS)))?;
    for victim in victims {
        if dice.chance(KILLED_RESTARTS) {
            let span = Duration::from_millis(dice.below(RESTART_MS));
            nodes.start_and_kill(setup, *victim, span)?;
            tally.killed_restarts += 1;
        }
    }
    tally.ready_ms.extend(nodes.start(setup, victims)?);
    Ok(())
}

/// Sends all of these blobs, with nobody killed.
pub fn quietly(stage: &mut Stage<'_>, indices: &[usize]) -> Outcome<()> {
    let faces: &[Face] = &stage.nodes.faces();
    let client = Uploader::new(faces, &stage.shared, TO_ALL, stage.dice.draw());
    send_all(client, &AtomicUsize::new(0), indices, &stage.shared)
}
