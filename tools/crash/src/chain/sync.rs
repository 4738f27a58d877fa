//! `crash chain-sync`: on a chain whose first blocks no validator sends any more, under load, a newcomer
//! begins with the newest block of the others, is killed in the middle of it, and becomes a member that
//! the chain cannot do without. (Of fewer than 1024 blocks validators keep all.)
//!
//! ```text
//!  0 1 2 3   ── 1600 blocks, of which consensus keeps the last ones ──►
//!  4                     killed, killed, … ── block H and its state ── follows ── member
//!  proof     its state and proofs are those of the others, byte for byte; without 0 and 1 it votes,
//!            and without 1 and 2 the chain halts
//! ```

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use lode_chain_light::Trust;
use serde_json::json;

use super::{
    check,
    epochs::{FIRST, LATER, certificates, change, joined_and_left},
    load,
    network::{Made, Network, places},
    watch::{self, Shared},
};
use crate::{
    failure::{Failure, Outcome},
    kill::Report,
    noise::Noise,
    setup::Setup,
};

/// Blocks that consensus keeps for validators that were away.
const KEPT: &str = "64";
/// Blocks in one file of an archive of consensus.
const SECTION: u64 = 1024;
/// Times that the newcomer is killed before it may begin, and the longest time that it gets.
const KILLS: u32 = 6;
const KILL_TIME_MAX_MS: u64 = 600;

/// What the run has found.
struct Found {
    /// The block that the newcomer began with, and how long that took.
    began_with: u64,
    began_ms: u64,
    changed: u64,
}

/// Lets one join from a checkpoint, on a chain of so many blocks, in epochs of so many.
pub fn run(setup: &Setup, blocks_per_epoch: u64, before: u64) -> Outcome<Report> {
    let began = Instant::now();
    let dir = setup.dir().join("chain");
    let made = Made {
        blocks_per_epoch,
        spare: 1,
    };
    let mut network = Network::make(setup, &dir, places(FIRST + 1)?, &made)?;
    let trust = trust(&dir)?;
    let first: Vec<usize> = (0..FIRST).collect();
    for number in &first {
        network.set_args(*number, &["--keep-blocks", KEPT]);
    }
    network.start(setup, &first)?;
    let (shared, taken) = (Shared::default(), AtomicU64::new(0));
    let addresses = network.addresses();
    let mut dice = Noise::new(setup.seed);
    let found = thread::scope(|scope| {
        watch::start(scope, &addresses, &shared);
        load::start(scope, &addresses[..FIRST], &shared, &taken);
        let acted = act(
            setup,
            &mut network,
            &shared,
            &mut dice,
            (blocks_per_epoch, before),
        );
        // Also where it failed: the scope waits for every thread.
        shared.over.store(true, Relaxed);
        acted
    })?;
    let rpc = network.rpc(LATER);
    let compared = check::blocks(&rpc, LATER, &shared, &mut dice, true)?;
    let proven = check::state(&rpc, LATER, &mut dice)?;
    let same = check::same_state(&network, 1, LATER, &mut dice)?;
    check::kept(&shared)?;
    // Consensus has forgotten most of them: they come from the ledger.
    let (old_certificates, epochs) = certificates(&network.rpc(1), &trust)?;
    let (certificates, _) = certificates(&rpc, &trust)?;
    let (files, bytes) = archive(&network.folder(1), before)?;
    let (blocks, transactions) = shared.book(|book| book.count());
    let seconds = began.elapsed().as_secs();
    let Found {
        began_with,
        began_ms,
        changed,
    } = found;
    let json = json!({
        "blocks_per_epoch": blocks_per_epoch, "began_with": began_with, "began_ms": began_ms,
        "kills": KILLS, "changed_in_epoch": changed, "epochs": epochs, "blocks": blocks,
        "transactions": transactions, "blocks_compared": compared, "accounts_proven": proven,
        "accounts_same": same, "certificates_checked": certificates,
        "old_certificates_checked": old_certificates, "archive_files": files,
        "consensus_bytes": bytes, "seed": setup.seed, "seconds": seconds, "conflicts": 0, "lost": 0,
    });
    let text = format!(
        "one validator began with block {began_with} in {began_ms} ms, after {KILLS} kills, and is a \
         member since epoch {changed} of {epochs} ({blocks_per_epoch} blocks each), in {seconds} s\n\
         seen          {blocks} blocks with {transactions} transactions\n\
         checked       {compared} blocks of the newcomer against what had been shown, {proven} of its \
         accounts against its state root, {same} against the proofs of another validator\n\
         certificates  {certificates} of the newcomer and {old_certificates} of an old validator hold \
         by the genesis file alone\n\
         consensus     {files} files of final blocks, {bytes} bytes in all, on a validator that was \
         there from the beginning\n\
         conflicts     0"
    );
    Ok(Report { json, text })
}

fn act(
    setup: &Setup,
    network: &mut Network,
    shared: &Shared,
    dice: &mut Noise,
    (blocks_per_epoch, before): (u64, u64),
) -> Outcome<Found> {
    let first: Vec<usize> = (0..FIRST).collect();
    for height in (0..before).step_by(200).chain([before]) {
        check::goes_on(setup, network, shared, &first, height)?;
    }
    // The first of these is nobody: others are asked.
    let urls: Vec<String> = ["127.0.0.1:1".to_owned()]
        .into_iter()
        .chain(network.addresses()[1..3].iter().map(ToString::to_string))
        .map(|address| format!("http://{address}"))
        .collect();
    network.set_args(LATER, &["--checkpoint-sync", &urls.join(",")]);
    for _ in 0..KILLS {
        let span = Duration::from_millis(dice.below(KILL_TIME_MAX_MS));
        network.start_and_kill(setup, LATER, span)?;
    }
    let began_ms = network.start(setup, &[LATER])?;
    let silent =
        |trouble: crate::client::Trouble| Failure::Node(format!("the newcomer: {trouble}"));
    let rpc = network.rpc(LATER);
    let began_with = rpc.oldest().map_err(silent)?;
    if began_with + 200 < before {
        let what = format!("the newcomer began with block {began_with} of {before}");
        return Err(Failure::Broken(vec![what]));
    }
    check::state(&rpc, LATER, dice)?;
    setup.tell(&format!(
        "a newcomer began with block {began_with} in {began_ms} ms"
    ));
    let changed = change(network, blocks_per_epoch)?;
    setup.tell(&format!(
        "it is a member in epoch {changed}, and one leaves"
    ));
    let members: Vec<usize> = (1..=LATER).collect();
    let tip = shared.book(|book| book.tip());
    for height in (tip..(changed + 1) * blocks_per_epoch)
        .step_by(200)
        .chain([(changed + 1) * blocks_per_epoch])
    {
        // The newcomer is connected from the epoch before its first on: it catches up then.
        let slowest: &[usize] = match height / blocks_per_epoch >= changed {
            true => &members,
            false => &members[..FIRST - 1],
        };
        check::goes_on(setup, network, shared, slowest, height)?;
    }
    joined_and_left(setup, network, shared)?;
    Ok(Found {
        began_with,
        began_ms,
        changed,
    })
}

/// All that is ever trusted.
fn trust(dir: &Path) -> Outcome<Trust> {
    let genesis = fs::read(dir.join("genesis.json"));
    let genesis = genesis.map_err(Failure::machine("the genesis file"))?;
    Trust::read(&genesis).map_err(|why| Failure::Node(why.to_string()))
}

/// Files of final blocks of a validator's consensus, and bytes of all that it keeps. Where there were
/// blocks enough `before`, its first file is gone.
fn archive(folder: &Path, before: u64) -> Outcome<(usize, u64)> {
    let consensus = folder.join("consensus");
    let failed = || Failure::machine("the files of consensus");
    let blocks = consensus.join("files").join("archive-blocks-values");
    let names: Vec<String> = fs::read_dir(&blocks)
        .map_err(failed())?
        .map(|entry| {
            Ok(entry
                .map_err(failed())?
                .file_name()
                .to_string_lossy()
                .into_owned())
        })
        .collect::<Outcome<_>>()?;
    let first = |name: &String| u64::from_str_radix(name, 16) == Ok(0);
    if before > SECTION && names.iter().any(first) {
        let what = format!("consensus has its first {SECTION} blocks still: {names:?}");
        return Err(Failure::Broken(vec![what]));
    }
    let (mut bytes, mut folders) = (0, vec![consensus]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            // One that was removed meanwhile takes no room.
            let Ok(about) = entry.metadata() else {
                continue;
            };
            match about.is_dir() {
                true => folders.push(entry.path()),
                false => bytes += about.len(),
            }
        }
    }
    Ok((names.len(), bytes))
}
