//! Blobs into the flow, as its clients do it: the market's price of all sectors, one transaction each.

use std::{collections::BTreeMap, thread, time::Duration};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use lode_chain_link::{
    abi::Market::pricePerSectorCall,
    addresses::{FLOW, MARKET},
    flow,
};
use lode_proofs::{BlobTree, blob_tree};

use super::ledger::Blob;
use crate::{
    chain::{load, rpc::Rpc},
    client::Trouble,
    failure::{Failure, Outcome},
    noise::contents,
};

/// The development account that pays for everything.
const PAYER: usize = 0;
/// Gas of a submission, of which most is left over.
const GAS: u64 = 600_000;
/// Transactions that are sent at once.
const BATCH: usize = 25;
/// Looks at each transaction, and time between them: two minutes.
const LOOKS: u32 = 2400;
const LOOK_TIME: Duration = Duration::from_millis(50);

/// Contents that shall be in the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Seed of the contents.
    pub seed: u64,
    /// Bytes.
    pub size: u64,
}

/// Pays for blobs and waits until they are in the flow, one submission after the other.
pub fn pay(rpc: &Rpc, wishes: &[Wish]) -> Outcome<Vec<Blob>> {
    let silent = |trouble: Trouble| Failure::Node(format!("the chain: {trouble}"));
    let price = rpc
        .ask(MARKET, pricePerSectorCall {}.abi_encode().into())
        .map_err(silent)?;
    let price = pricePerSectorCall::abi_decode_returns_validate(&price)
        .map_err(|why| Failure::Node(format!("the market: {why}")))?;
    let mut blobs = Vec::new();
    for batch in wishes.chunks(BATCH) {
        let trees: Vec<BlobTree> = batch
            .iter()
            .map(|wish| blob_tree(&contents(wish.seed, wish.size)))
            .collect::<Result<_, _>>()
            .map_err(Failure::machine("a root"))?;
        let hashes = send(rpc, &trees, price).map_err(silent)?;
        for ((wish, tree), hash) in batch.iter().zip(&trees).zip(hashes) {
            blobs.push(submitted(rpc, *wish, tree, hash)?);
        }
    }
    Ok(blobs)
}

fn send(rpc: &Rpc, trees: &[BlobTree], price: U256) -> Result<Vec<B256>, Trouble> {
    let account = load::account(PAYER);
    let nonce = rpc.nonce(account, "pending")?;
    let mut hashes = Vec::new();
    let mut raw: Vec<Bytes> = Vec::new();
    for (nonce, tree) in (nonce..).zip(trees) {
        let call = flow::submit_call(flow::data(tree, Bytes::new()), account);
        let fee = price.saturating_mul(U256::from(tree.shape().padded_sectors()));
        let transaction = load::signed(PAYER, nonce, FLOW, fee, call, GAS);
        hashes.push(*transaction.hash());
        raw.push(transaction.encoded_2718().into());
    }
    match rpc.send(&raw)? == u64::try_from(raw.len()).unwrap_or(u64::MAX) {
        true => Ok(hashes),
        false => Err(Trouble::Strange("it does not take submissions".to_owned())),
    }
}

/// Waits for a submission; what the flow made of it.
fn submitted(rpc: &Rpc, wish: Wish, tree: &BlobTree, hash: B256) -> Outcome<Blob> {
    let failed = |why: String| Failure::Node(format!("submission of {}: {why}", tree.root()));
    for _ in 0..LOOKS {
        let logs = rpc
            .logs(hash)
            .map_err(|trouble| failed(trouble.to_string()))?;
        let Some(logs) = logs else {
            thread::sleep(LOOK_TIME);
            continue;
        };
        let found = flow::submissions(FLOW, &logs).map_err(|why| failed(why.to_string()))?;
        let ours = |identity: B256| identity.0 == tree.identity().0;
        let found = found.into_iter().find(|(found, _)| ours(found.identity));
        let (found, _) = found.ok_or_else(|| failed("the flow refuses it".to_owned()))?;
        return Ok(Blob {
            seed: wish.seed,
            size: wish.size,
            root: tree.root(),
            seq: found.index,
            start: found.start,
            acked: BTreeMap::new(),
        });
    }
    Err(failed("it is in no block".to_owned()))
}
