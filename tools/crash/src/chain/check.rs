//! A validator against the book, its state against its own headers, and waiting for a chain to go
//! on.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};

use super::{book::Seen, load, network::Network, rpc::Rpc, watch::Shared};
use crate::{
    client::Trouble,
    failure::{Failure, Outcome},
    noise::Noise,
    setup::Setup,
};

/// A chain that should go on and has not after this long does not. A leader that is gone costs a view,
/// and on a busy machine views are long.
const GO_ON_TIME: Duration = Duration::from_secs(120);
/// What is on its way when a chain halts has arrived by then.
const GRACE_TIME: Duration = Duration::from_secs(4);
/// A chain that has not gone on for as long has halted: twice the longest view.
const HALT_TIME: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK_TIME: Duration = Duration::from_millis(20);
/// The last blocks that are compared one by one after a restart.
const LAST_BLOCKS: u64 = 40;
/// Blocks before, by dice.
const DICED_BLOCKS: u64 = 10;
/// Receivers whose accounts are proven, by dice.
const DICED_ACCOUNTS: u64 = 6;

/// Promises that were broken so far end the run.
pub fn kept(shared: &Shared) -> Outcome<()> {
    let broken = shared.book(|book| book.broken().to_vec());
    match broken.is_empty() {
        true => Ok(()),
        false => Err(Failure::Broken(broken)),
    }
}

/// Waits until the chain is `blocks` further than `from`, for whoever of these is slowest.
pub fn goes_on(
    setup: &Setup,
    network: &mut Network,
    shared: &Shared,
    validators: &[usize],
    height: u64,
) -> Outcome<()> {
    let end = Instant::now() + GO_ON_TIME;
    loop {
        kept(shared)?;
        let lowest = shared.book(|book| {
            let shown = validators.iter().map(|number| book.shown(*number));
            shown.min().unwrap_or(0)
        });
        if lowest >= height {
            return Ok(());
        }
        network.expect_running()?;
        if Instant::now() >= end {
            let shown: Vec<u64> = shared.book(|book| {
                validators
                    .iter()
                    .map(|number| book.shown(*number))
                    .collect()
            });
            return Err(Failure::Broken(vec![format!(
                "validators {validators:?} are at {shown:?} after {} s, not at {height}",
                GO_ON_TIME.as_secs()
            )]));
        }
        setup.sleep(LOOK_TIME)?;
    }
}

/// Sees that nobody's chain goes on.
pub fn halts(setup: &Setup, shared: &Shared, why: &str) -> Outcome<()> {
    setup.sleep(GRACE_TIME)?;
    let before = shared.book(|book| book.tip());
    setup.sleep(HALT_TIME)?;
    kept(shared)?;
    let after = shared.book(|book| book.tip());
    match before == after {
        true => Ok(()),
        false => Err(Failure::Broken(vec![format!(
            "{why}, and the chain went on from block {before} to {after}"
        )])),
    }
}

/// Compares a validator's blocks with the book: the last ones that it had shown, and others by dice;
/// all of them if `whole`. Returns how many.
pub fn blocks(
    rpc: &Rpc,
    number: usize,
    shared: &Shared,
    dice: &mut Noise,
    whole: bool,
) -> Outcome<u64> {
    let top = match whole {
        true => shared.book(|book| book.tip()),
        false => shared.book(|book| book.shown(number)),
    };
    if whole {
        // What another was first to show comes to this one a moment later.
        arrives(rpc, number, top)?;
    }
    let oldest = rpc
        .oldest()
        .map_err(|trouble| silent(number, &trouble))?
        .max(1);
    let last = top.saturating_sub(LAST_BLOCKS);
    let diced = (0..DICED_BLOCKS.min(last)).map(|_| 1 + dice.below(last));
    let heights: Vec<u64> = match whole {
        true => (1..=top).collect(),
        false => diced.chain(last + 1..=top).collect(),
    };
    let mut compared = 0;
    for height in heights.into_iter().filter(|height| *height >= oldest) {
        let known = shared.book(|book| book.at(height));
        let found = rpc
            .block(height)
            .map_err(|trouble| silent(number, &trouble))?;
        let found = found.map(|block| Seen::of(&block));
        if let Some(known) = known {
            compared += 1;
            if found != Some(known) {
                return Err(Failure::Broken(vec![format!(
                    "validator {number} has {found:?} as block {height}, where {known:?} was final"
                )]));
            }
        }
    }
    Ok(compared)
}

/// Waits until a validator has a block of that height.
fn arrives(rpc: &Rpc, number: usize, height: u64) -> Outcome<()> {
    let end = Instant::now() + GO_ON_TIME;
    loop {
        let tip = rpc.tip().map_err(|trouble| silent(number, &trouble))?;
        if tip >= height {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(Failure::Broken(vec![format!(
                "validator {number} is at {tip} after {} s, where {height} is final",
                GO_ON_TIME.as_secs()
            )]));
        }
        std::thread::sleep(LOOK_TIME);
    }
}

/// Verifies accounts against the state root of a validator's own last header: what it holds hashes to
/// what it says. Returns how many.
pub fn state(rpc: &Rpc, number: usize, dice: &mut Noise) -> Outcome<u64> {
    let mut accounts = load::accounts();
    accounts.extend((0..DICED_ACCOUNTS).map(|_| load::receiver(dice.draw())));
    let silent = |trouble: Trouble| silent(number, &trouble);
    let tip = rpc.tip().map_err(silent)?;
    let block = rpc.block(tip).map_err(silent)?;
    let block =
        block.ok_or_else(|| Failure::Node(format!("validator {number}: no block {tip}")))?;
    let mut proven = 0;
    for account in accounts {
        prove(rpc, account, tip, &block.header.inner.state_root).map_err(|why| {
            Failure::Broken(vec![format!(
                "validator {number}, account {account} at block {tip}: {why}"
            )])
        })?;
        proven += 1;
    }
    Ok(proven)
}

/// Two validators have the same state: the same root after a block, and the same proofs under it, node
/// by node. Returns how many accounts were compared.
pub fn same_state(network: &Network, one: usize, two: usize, dice: &mut Noise) -> Outcome<u64> {
    let mut accounts = load::accounts();
    accounts.extend((0..DICED_ACCOUNTS).map(|_| load::receiver(dice.draw())));
    let (rpc_one, rpc_two) = (network.rpc(one), network.rpc(two));
    let height = rpc_two.tip().map_err(|trouble| silent(two, &trouble))?;
    arrives(&rpc_one, one, height)?;
    let root = |rpc: &Rpc, number| -> Outcome<_> {
        let block = rpc
            .block(height)
            .map_err(|trouble| silent(number, &trouble))?;
        Ok(block.map(|block| block.header.inner.state_root))
    };
    let mut differ = Vec::new();
    if root(&rpc_one, one)? != root(&rpc_two, two)? {
        differ.push(format!(
            "validators {one} and {two} differ in the state of block {height}"
        ));
    }
    let mut compared = 0;
    for account in accounts {
        let of = |rpc: &Rpc, number| {
            rpc.proof(account, height)
                .map_err(|trouble| silent(number, &trouble))
        };
        if of(&rpc_one, one)? != of(&rpc_two, two)? {
            differ.push(format!(
                "validators {one} and {two} prove account {account} at block {height} differently"
            ));
        }
        compared += 1;
    }
    match differ.is_empty() {
        true => Ok(compared),
        false => Err(Failure::Broken(differ)),
    }
}

fn prove(
    rpc: &Rpc,
    account: Address,
    height: u64,
    root: &alloy_primitives::B256,
) -> Result<(), String> {
    let proof = rpc
        .proof(account, height)
        .map_err(|trouble| trouble.to_string())?;
    let held = TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    // An account that does not exist is proven to be absent.
    let value = (!proof.is_empty()).then(|| alloy_rlp::encode(held));
    let path = Nibbles::unpack(keccak256(account));
    verify_proof(*root, path, value, &proof.account_proof).map_err(|why| why.to_string())
}

fn silent(number: usize, trouble: &Trouble) -> Failure {
    Failure::Node(format!("validator {number}: {trouble}"))
}
