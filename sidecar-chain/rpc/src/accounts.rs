//! What accounts hold: balances, nonces, code, storage, and proofs of it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::{
    Account as WholeAccount, AccountInfo, EIP1186AccountProofResponse, EIP1186StorageProof,
};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use lode_chain_state::apply;
use serde_json::value::RawValue;

use crate::{
    arguments::{Account, Arguments, SlotText},
    failure::Failure,
    ground::Ground,
    selector::Selector,
    service::{Answer, Methods, Service},
};

/// Slots that one request may ask for.
const SLOTS_MAX: usize = 1024;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("eth_getBalance", balance);
    methods.quick("eth_getTransactionCount", nonce);
    methods.quick("eth_getCode", code);
    methods.quick("eth_getStorageAt", storage);
    methods.heavy("eth_getStorageValues", storages);
    methods.heavy("eth_getProof", proof);
    methods.quick("eth_getAccount", account);
    methods.quick("eth_getAccountInfo", info);
}

/// The end of most reads: a block, or the last one.
fn ground(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Ground> {
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    arguments.end()?;
    service.ground(at)
}

fn balance(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U256> {
    let Account(address) = arguments.required()?;
    let held = ground(service, arguments)?.account(address)?;
    Ok(held.map_or(U256::ZERO, |held| held.balance))
}

fn nonce(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U64> {
    let Account(address) = arguments.required()?;
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    arguments.end()?;
    Ok(U64::from(next_nonce(service, address, at)?))
}

/// An account's nonce; behind what waits in the pool if the block is the pending one.
pub(crate) fn next_nonce(service: &Service, address: Address, at: Selector) -> Answer<u64> {
    let waiting = match at {
        Selector::Pending => service.ledger.pool(|pool| pool.pending_nonce(&address)),
        _ => None,
    };
    let held = service.ground(at)?.account(address)?;
    let kept = held.map_or(0, |held| held.nonce);
    // The pool hears of a block after readers do.
    Ok(waiting.unwrap_or(0).max(kept))
}

fn code(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Bytes> {
    let Account(address) = arguments.required()?;
    code_at(&ground(service, arguments)?, address)
}

fn code_at(ground: &Ground, address: Address) -> Answer<Bytes> {
    let held = ground.account(address)?;
    let hash = held.map_or(KECCAK_EMPTY, |held| held.code_hash);
    Ok(apply::code(&ground.state, &hash)?)
}

fn storage(service: &Service, arguments: &mut Arguments<'_>) -> Answer<B256> {
    let Account(address) = arguments.required()?;
    let slot = arguments.required::<SlotText>()?.slot()?;
    let ground = ground(service, arguments)?;
    slot_at(&ground, address, slot)
}

fn slot_at(ground: &Ground, address: Address, slot: B256) -> Answer<B256> {
    let value = apply::slot(&ground.state, &keccak256(address), &keccak256(slot))?;
    Ok(value.into())
}

fn storages(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<BTreeMap<Address, Vec<B256>>> {
    let wanted: BTreeMap<Address, Vec<SlotText>> = arguments.required()?;
    let count: usize = wanted.values().map(Vec::len).sum();
    if count == 0 {
        return Err(Failure::argument("empty request"));
    }
    if count > SLOTS_MAX {
        return Err(Failure::argument(format!(
            "too many slots (max {SLOTS_MAX})"
        )));
    }
    let ground = ground(service, arguments)?;
    let all = wanted.into_iter().map(|(address, slots)| {
        let values = slots
            .iter()
            .map(|slot| slot_at(&ground, address, slot.slot()?));
        Ok((address, values.collect::<Answer<_>>()?))
    });
    all.collect()
}

fn account(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<WholeAccount>> {
    let Account(address) = arguments.required()?;
    ground(service, arguments)?.account(address)
}

fn info(service: &Service, arguments: &mut Arguments<'_>) -> Answer<AccountInfo> {
    let Account(address) = arguments.required()?;
    let ground = ground(service, arguments)?;
    let held = ground.account(address)?.unwrap_or_default();
    Ok(AccountInfo {
        balance: held.balance,
        nonce: held.nonce,
        code: code_at(&ground, address)?,
    })
}

fn proof(service: &Service, arguments: &mut Arguments<'_>) -> Answer<EIP1186AccountProofResponse> {
    let Account(address) = arguments.required()?;
    let keys: Vec<&RawValue> = arguments.required()?;
    if keys.len() > SLOTS_MAX {
        return Err(Failure::argument(format!(
            "too many keys (max {SLOTS_MAX})"
        )));
    }
    let ground = ground(service, arguments)?;
    let hashed = keccak256(address);
    let held = ground.account(address)?;
    let storage_hash = held.map_or(EMPTY_ROOT_HASH, |held| held.storage_root);
    let slots = keys
        .into_iter()
        .map(|key| prove_slot(&ground, &hashed, storage_hash, key));
    Ok(EIP1186AccountProofResponse {
        address,
        balance: held.map_or(U256::ZERO, |held| held.balance),
        code_hash: held.map_or(KECCAK_EMPTY, |held| held.code_hash),
        nonce: held.map_or(0, |held| held.nonce),
        storage_hash,
        account_proof: apply::prove_account(&ground.state, &hashed)?,
        storage_proof: slots.collect::<Answer<_>>()?,
    })
}

fn prove_slot(
    ground: &Ground,
    account: &B256,
    root: B256,
    key: &RawValue,
) -> Answer<EIP1186StorageProof> {
    let text: SlotText = serde_json::from_str(key.get())
        .map_err(|_| Failure::argument("invalid argument 1: a key is not a string"))?;
    let slot = text.slot()?;
    // Geth answers a short key as a number, and a whole one as it is.
    let key = if text.is_whole() {
        slot.into()
    } else {
        U256::from_be_bytes(slot.0).into()
    };
    let hashed = keccak256(slot);
    let proof = if root == EMPTY_ROOT_HASH {
        Vec::new()
    } else {
        apply::prove_slot(&ground.state, account, &hashed)?
    };
    let value = apply::slot(&ground.state, account, &hashed)?;
    Ok(EIP1186StorageProof { key, value, proof })
}
