//! Transactions of the settlement chain, as wallets send them: what decodes is the only encoding of
//! itself, and what keeps the rules has room in an empty pool.

use alloy_consensus::{
    SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use lode_chain_pool::{Account, Limits, Pool, Rules, decode};

use super::Target;

/// Reads a transaction.
pub const TARGET: Target = Target {
    name: "transaction",
    run,
    seeds,
    repair: None,
    cost: 1,
};

const CHAIN: u64 = 31_337;
const GAS: u64 = 200_000;

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(envelope) = decode(data) else { return };
    assert_eq!(envelope.encoded_2718(), data, "one encoding each");
    let rules = Rules {
        // Mutations of the chain's number should not end here.
        chain_id: envelope.chain_id().unwrap_or(CHAIN),
        block_gas: u64::MAX,
        unprotected: true,
    };
    let Ok(checked) = rules.check(envelope) else {
        return;
    };
    let transaction = checked.by(Address::ZERO);
    assert_eq!(transaction.encoded_len(), data.len());
    let account = Account {
        nonce: transaction.nonce(),
        balance: U256::MAX,
        ..Account::default()
    };
    let mut pool = Pool::new(Limits::default());
    let added = pool.add(transaction.clone(), account, false);
    let executable = added.expect("the pool is empty").executable;
    assert_eq!(executable.len(), 1);
    assert_eq!(executable[0].hash(), transaction.hash());
}

fn seeds() -> Vec<Vec<u8>> {
    transactions()
        .iter()
        .map(Encodable2718::encoded_2718)
        .collect()
}

/// One of each type, signed by nobody.
pub(super) fn transactions() -> Vec<TxEnvelope> {
    let to = TxKind::Call(Address::repeat_byte(7));
    let item = AccessListItem {
        address: Address::repeat_byte(8),
        storage_keys: vec![B256::ZERO, B256::repeat_byte(1)],
    };
    let access_list = AccessList(vec![item]);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        nonce: 200,
        gas_price: 1_000_000_000,
        gas_limit: GAS,
        to,
        value: U256::from(1_u64 << 60),
        input: Bytes::from(vec![1, 2, 3]),
    };
    let unprotected = TxLegacy {
        chain_id: None,
        to: TxKind::Create,
        ..legacy.clone()
    };
    let listed = TxEip2930 {
        chain_id: CHAIN,
        gas_limit: GAS,
        to,
        access_list: access_list.clone(),
        ..TxEip2930::default()
    };
    let dynamic = TxEip1559 {
        chain_id: CHAIN,
        gas_limit: GAS,
        max_fee_per_gas: 1 << 40,
        max_priority_fee_per_gas: 1,
        to,
        access_list: access_list.clone(),
        input: Bytes::from(vec![0; 100]),
        ..TxEip1559::default()
    };
    let authorization = Authorization {
        chain_id: U256::from(CHAIN),
        address: Address::repeat_byte(9),
        nonce: 1,
    };
    let authorization = SignedAuthorization::new_unchecked(authorization, 1, U256::MAX, U256::ONE);
    let delegating = TxEip7702 {
        chain_id: CHAIN,
        gas_limit: GAS,
        access_list,
        authorization_list: vec![authorization; 2],
        ..TxEip7702::default()
    };
    let signature = Signature::new(U256::from(1_u64 << 50), U256::from(3), true);
    vec![
        legacy.into_signed(signature).into(),
        unprotected.into_signed(signature).into(),
        listed.into_signed(signature).into(),
        dynamic.into_signed(signature).into(),
        delegating.into_signed(signature).into(),
    ]
}
