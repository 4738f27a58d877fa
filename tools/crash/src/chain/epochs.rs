//! `crash chain-epochs`: under load, a validator joins by the stake registry and another leaves; the
//! committee shares its key anew from epoch to epoch, and who knew the genesis file alone still checks
//! every certificate.
//!
//! ```text
//!  members   0 1 2 3   ── 4 registers, 0 unbonds ──►   1 2 3 4
//!  proof     without 0 and 1 there are three of four left: 2, 3 and 4 go on, so 4 votes
//!            without 1 and 2 there are two: 3 and 4 halt, though 0 runs, so 0 does not
//! ```

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use lode_chain_light::{HeaderProof, Trust};
use lode_chain_link::{addresses::COMMITTEE, committee};
use lode_proofs::finality::Finality;
use serde_json::json;

use super::{
    check, load,
    network::{Made, Network, places},
    rpc::Rpc,
    watch::{self, Shared},
};
use crate::{
    client::Trouble,
    failure::{Failure, Outcome},
    kill::Report,
    noise::Noise,
    setup::Setup,
};

/// Validators of the first committee, and the one that comes later.
pub(super) const FIRST: usize = 4;
pub(super) const LATER: usize = 4;
/// Who leaves. Its owner is the development account of the same number.
const LEAVER: usize = 0;
/// The development account that the later validator's stake is of.
const OWNER: usize = 8;
/// What a validator stakes, in wei.
const STAKE: u128 = 1_000 * 1_000_000_000_000_000_000;
/// Gas of a change in the registry.
const GAS: u64 = 1_000_000;
/// Epochs until a change of stake counts, at most: it is in the state after the first block of an
/// epoch, and holds from the second one after that.
const EPOCHS_UNTIL: u64 = 3;
/// Blocks that a chain makes to show that it goes on.
const FURTHER: u64 = 5;
/// Certificates that are checked, of as many blocks at most.
const CERTIFICATES_MAX: u64 = 400;

/// Lets one join and one leave, in epochs of so many blocks.
pub fn run(setup: &Setup, blocks_per_epoch: u64) -> Outcome<Report> {
    let began = Instant::now();
    let dir = setup.dir().join("chain");
    let made = Made {
        blocks_per_epoch,
        spare: 1,
    };
    let mut network = Network::make(setup, &dir, places(FIRST + 1)?, &made)?;
    // All that is ever trusted, read before anything happens.
    let genesis = dir.join("genesis.json");
    let genesis = fs::read(&genesis).map_err(Failure::machine("the genesis file"))?;
    let trust = Trust::read(&genesis).map_err(|why| Failure::Node(why.to_string()))?;
    let everybody: Vec<usize> = (0..network.len()).collect();
    let first: Vec<usize> = (0..FIRST).collect();
    network.start(setup, &everybody)?;
    let (shared, taken) = (Shared::default(), AtomicU64::new(0));
    let addresses = network.addresses();
    let changed = thread::scope(|scope| {
        watch::start(scope, &addresses, &shared);
        load::start(scope, &addresses[..FIRST], &shared, &taken);
        let mut act = || -> Outcome<u64> {
            check::goes_on(setup, &mut network, &shared, &first, FURTHER)?;
            let changed = change(&network, blocks_per_epoch)?;
            setup.tell(&format!(
                "a validator joins and one leaves in epoch {changed}"
            ));
            let height = (changed + 1) * blocks_per_epoch;
            let members: Vec<usize> = (1..=LATER).collect();
            check::goes_on(setup, &mut network, &shared, &members, height)?;
            joined_and_left(setup, &mut network, &shared)?;
            Ok(changed)
        };
        let acted = act();
        // Also where it failed: the scope waits for every thread.
        shared.over.store(true, Relaxed);
        acted
    })?;
    let mut dice = Noise::new(setup.seed);
    let rpc = network.rpc(LATER);
    let compared = check::blocks(&rpc, LATER, &shared, &mut dice, true)?;
    let proven = check::state(&rpc, LATER, &mut dice)?;
    check::kept(&shared)?;
    let (certificates, epochs) = certificates(&rpc, &trust)?;
    if epochs <= changed {
        let what = format!("no certificate of epoch {changed} or later was seen");
        return Err(Failure::Method(what));
    }
    let (blocks, transactions) = shared.book(|book| book.count());
    let seconds = began.elapsed().as_secs();
    let json = json!({
        "blocks_per_epoch": blocks_per_epoch, "changed_in_epoch": changed, "epochs": epochs,
        "certificates_checked": certificates, "blocks": blocks, "transactions": transactions,
        "blocks_compared": compared, "accounts_proven": proven, "seed": setup.seed,
        "seconds": seconds, "conflicts": 0, "lost": 0,
    });
    let text = format!(
        "one validator joined and one left in epoch {changed} of {epochs} ({blocks_per_epoch} blocks \
         each), in {seconds} s\n\
         seen          {blocks} blocks with {transactions} transactions\n\
         checked       {compared} blocks of the newcomer against what had been shown, {proven} of its \
         accounts against its state root\n\
         certificates  {certificates} of all epochs hold by the genesis file alone\n\
         conflicts     0"
    );
    Ok(Report { json, text })
}

/// Registers the one and unbonds the other; returns the epoch from which both hold.
pub(super) fn change(network: &Network, blocks_per_epoch: u64) -> Outcome<u64> {
    let rpc = network.rpc(1);
    let silent = |trouble: Trouble| Failure::Node(format!("validator 1: {trouble}"));
    let spare = network.spare().first().copied().unwrap_or(B256::ZERO);
    let endpoint = network.listens(LATER).to_string();
    let join = committee::register_call(spare, endpoint);
    let leave = committee::unbond_call(STAKE);
    let calls = [
        (OWNER, U256::from(STAKE), join),
        (LEAVER, U256::ZERO, leave),
    ];
    let mut last = 0;
    for (account, value, call) in calls {
        let height = sent(&rpc, account, value, &call).map_err(silent)?;
        last = last.max(height);
    }
    Ok(last / blocks_per_epoch + EPOCHS_UNTIL)
}

/// Has a call of the registry in a block; the block's height. The load may send from the same account,
/// and take the call's nonce: only then is the call signed anew, for one that merely waits would be
/// carried out as well as its successor.
fn sent(rpc: &Rpc, account: usize, value: U256, call: &Bytes) -> Result<u64, Trouble> {
    let missing = || Trouble::Strange("a change of stake is in no block".to_owned());
    for _ in 0..TRIES {
        let nonce = rpc.nonce(load::account(account), "pending")?;
        let transaction = load::signed(account, nonce, COMMITTEE, value, call.clone(), GAS);
        match settled(rpc, load::account(account), nonce, &transaction)? {
            Some((height, true)) => return Ok(height),
            Some((_, false)) => {
                let what = "the registry refused a change".to_owned();
                return Err(Trouble::Strange(what));
            }
            None if rpc.nonce(load::account(account), "latest")? > nonce => {}
            None => return Err(missing()),
        }
    }
    Err(missing())
}

/// Sends a transaction until it is in a block, or another has its nonce; the block, and whether it did
/// what it was to do. `None`: it is in no block.
fn settled(
    rpc: &Rpc,
    account: Address,
    nonce: u64,
    transaction: &TxEnvelope,
) -> Result<Option<(u64, bool)>, Trouble> {
    let raw = Bytes::from(transaction.encoded_2718());
    for look in 0..LOOKS {
        if look % LOOKS_PER_SEND == 0 {
            rpc.send(std::slice::from_ref(&raw))?;
        }
        // Asked before the receipt: a nonce that is used by then is this one's, or another's.
        let used = rpc.nonce(account, "latest")? > nonce;
        let receipt = rpc.receipt(*transaction.hash())?;
        if receipt.is_some() || used {
            return Ok(receipt);
        }
        thread::sleep(LOOK_TIME);
    }
    Ok(None)
}

/// Times that a call is signed at most, looks at each, after how many of them it is sent again, and time
/// between them.
const TRIES: u32 = 20;
const LOOKS: u32 = 1200;
const LOOKS_PER_SEND: u32 = 100;
const LOOK_TIME: Duration = Duration::from_millis(50);

/// Who votes now, by who is missed.
pub(super) fn joined_and_left(
    setup: &Setup,
    network: &mut Network,
    shared: &Shared,
) -> Outcome<()> {
    let tip = shared.book(|book| book.tip());
    network.kill(&[LEAVER, 1])?;
    check::goes_on(setup, network, shared, &[2, 3, LATER], tip + FURTHER)?;
    network.start(setup, &[LEAVER, 1])?;
    let tip = shared.book(|book| book.tip());
    check::goes_on(setup, network, shared, &[1, 2, 3, LATER], tip + FURTHER)?;
    network.kill(&[1, 2])?;
    check::halts(setup, shared, "two of four members were killed")?;
    network.start(setup, &[1, 2])?;
    let tip = shared.book(|book| book.tip());
    check::goes_on(setup, network, shared, &[1, 2, 3, LATER], tip + FURTHER)
}

/// Checks certificates of blocks that are spread over the whole chain by what the genesis file says;
/// how many, and the last one's epoch.
pub(super) fn certificates(rpc: &Rpc, trust: &Trust) -> Outcome<(u64, u64)> {
    let silent = |trouble: Trouble| Failure::Node(format!("validator {LATER}: {trouble}"));
    let tip = rpc.tip().map_err(silent)?;
    let step = tip.div_ceil(CERTIFICATES_MAX).max(1);
    let (mut checked, mut epoch) = (0, 0);
    for height in (1..=tip).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let Some((header, finality)) = rpc.finality(height).map_err(silent)? else {
            continue;
        };
        let broken = |why: String| Failure::Broken(vec![format!("block {height}: {why}")]);
        let finality = <[u8; lode_proofs::finality::FINALITY_LEN]>::try_from(&finality[..])
            .ok()
            .and_then(|bytes| Finality::decode(&bytes))
            .ok_or_else(|| broken("its certificate does not decode".to_owned()))?;
        epoch = epoch.max(finality.epoch);
        let proof = HeaderProof { header, finality };
        let block = proof
            .verify(trust)
            .map_err(|refusal| broken(refusal.to_string()))?;
        if block.number() != height {
            return Err(broken(format!("its header is of block {}", block.number())));
        }
        checked += 1;
    }
    match checked {
        0 => Err(Failure::Method("no certificate was seen".to_owned())),
        _ => Ok((checked, epoch)),
    }
}
