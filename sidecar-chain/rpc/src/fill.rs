//! What a wallet leaves open in a transaction: its nonce, its gas, its fees, its chain.

use alloy_consensus::{TxEnvelope, TypedTransaction};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Bytes, Signature, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde::Serialize;

use crate::{
    accounts::next_nonce,
    arguments::Arguments,
    call::{Fees, Stage},
    estimate,
    failure::Failure,
    fees,
    selector::Selector,
    service::{Answer, Methods, Service},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("eth_fillTransaction", fill);
}

/// A transaction that lacks nothing but a signature.
#[derive(Clone, Debug, Serialize)]
struct Filled {
    raw: Bytes,
    tx: TxEnvelope,
}

fn fill(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Filled> {
    let request: TransactionRequest = arguments.required()?;
    arguments.end()?;
    let tx: TxEnvelope =
        unsigned(service, request)?.into_envelope(Signature::new(U256::ZERO, U256::ZERO, false));
    Ok(Filled {
        raw: tx.encoded_2718().into(),
        tx,
    })
}

/// A transaction with all that a request leaves open.
///
/// # Errors
/// When the request contradicts itself, or what it asks for fails.
pub(crate) fn unsigned(
    service: &Service,
    mut request: TransactionRequest,
) -> Answer<TypedTransaction> {
    let chain_id = service.rules.chain_id;
    if let Some(have) = request.chain_id
        && have != chain_id
    {
        return Err(Failure::server(format!(
            "chainId does not match node's (have={have}, want={chain_id})"
        )));
    }
    request.chain_id = Some(chain_id);
    // Geth makes a contract of a request without a receiver only if there is code for it.
    if request.to.is_none() {
        if request.input.input().is_none_or(|input| input.is_empty()) {
            return Err(Failure::server(
                "contract creation without any data provided",
            ));
        }
        request.to = Some(TxKind::Create);
    }
    Fees::of(&request)?;
    let ground = service.ground(Selector::Latest)?;
    if request.gas_price.is_none() {
        let tip = match request.max_priority_fee_per_gas {
            Some(tip) => tip,
            None => fees::suggested(service)?,
        };
        let base = fees::next_base_fee(service, &ground.header).unwrap_or(0);
        // Room for a base fee that doubles until a block takes it (as in geth).
        let most = tip.saturating_add(2 * u128::from(base));
        let max = *request.max_fee_per_gas.get_or_insert(most);
        request.max_priority_fee_per_gas = Some(tip.min(max));
    }
    if request.nonce.is_none() {
        let sender = request.from.unwrap_or_default();
        request.nonce = Some(next_nonce(service, sender, Selector::Pending)?);
    }
    if request.gas.is_none() {
        let mut stage = Stage::new(service, &ground, None, None)?;
        let mut asked = request.clone();
        // What it costs is not the question, so its price is not paid.
        (asked.gas_price, asked.max_fee_per_gas) = (None, None);
        asked.max_priority_fee_per_gas = None;
        request.gas = Some(estimate::gas(service, &mut stage, asked)?);
    }
    request.value.get_or_insert(U256::ZERO);
    request.normalize_input();
    request
        .build_consensus_tx()
        .map_err(|error| Failure::server(error.error))
}
