//! What wallets get to hear when a transaction breaks a rule, word for word, and that none is refused
//! that keeps them.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    crypto::secp256k1::sign_message,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{B256, Bytes, Signature, TxKind, hex};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::made::{CHAIN, RULES};

/// Address of the key of ones.
const SIGNER: Address = Address::new(hex!("1a642f0e3c3af545e7acbd38b07251b3990914f1"));
const TO: TxKind = TxKind::Call(Address::repeat_byte(7));

fn plain() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce: 3,
        gas_limit: 21_000,
        max_fee_per_gas: 10,
        max_priority_fee_per_gas: 1,
        to: TO,
        ..TxEip1559::default()
    }
}

fn signed(
    transaction: impl SignableTransaction<Signature> + Into<alloy_consensus::TypedTransaction>,
) -> TxEnvelope {
    let key = B256::repeat_byte(1);
    let signature = sign_message(key, transaction.signature_hash()).unwrap();
    let transaction: alloy_consensus::TypedTransaction = transaction.into();
    transaction.into_envelope(signature)
}

fn refusal(transaction: TxEnvelope) -> String {
    RULES.check(transaction).unwrap_err().to_string()
}

fn authorization() -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(CHAIN),
        address: Address::repeat_byte(9),
        nonce: 0,
    };
    SignedAuthorization::new_unchecked(authorization, 0, U256::ONE, U256::ONE)
}

/// Bytes that are no transaction, and what is said of them.
#[test]
fn tells_why_bytes_are_none() {
    let cases: &[(&[u8], &str)] = &[
        (&[], "typed transaction too short"),
        (&[2], "typed transaction too short"),
        (
            &[3, 0xc0],
            "transaction type not supported: tx type 3 not supported by this pool",
        ),
        (&[5, 0xc0], "transaction type not supported"),
        (&[0, 0xc0], "transaction type not supported"),
        (&[0x7f, 0xc0], "transaction type not supported"),
        (&[0xc0], "rlp: input too short"),
        (&[2, 0xc0], "rlp: input too short"),
        (&[0x80], "rlp: input too short"),
    ];
    for (bytes, text) in cases {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.to_string(), *text, "{bytes:?}");
    }
    let long = vec![0xff; TRANSACTION_LEN_MAX + 1];
    let text = "oversized data: transaction size 131073, limit 131072";
    assert_eq!(decode(&long).unwrap_err().to_string(), text);
}

/// Each type that is taken comes back as it was sent, and nothing may follow it.
#[test]
fn reads_what_wallets_send() {
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        gas_limit: 21_000,
        to: TO,
        ..TxLegacy::default()
    };
    let listed = TxEip2930 {
        chain_id: CHAIN,
        gas_limit: 21_000,
        to: TO,
        ..TxEip2930::default()
    };
    let delegating = TxEip7702 {
        chain_id: CHAIN,
        gas_limit: 46_000,
        authorization_list: vec![authorization()],
        ..TxEip7702::default()
    };
    for envelope in [
        signed(legacy),
        signed(listed),
        signed(plain()),
        signed(delegating),
    ] {
        let mut bytes = envelope.encoded_2718();
        assert_eq!(decode(&bytes).as_ref(), Ok(&envelope));
        let transaction = RULES.check(envelope.clone()).unwrap().recover().unwrap();
        assert_eq!(transaction.sender(), SIGNER);
        assert_eq!(transaction.encoded_len(), bytes.len());
        assert_eq!(transaction.hash(), *envelope.tx_hash());
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(Error::Rlp(_))));
    }
}

/// A transaction of another client: the first of EIP-155's own example.
#[test]
fn recovers_the_example_of_eip_155() {
    let bytes = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    let rules = Rules {
        chain_id: 1,
        ..RULES
    };
    let checked = rules.check(decode(&bytes).unwrap()).unwrap();
    let sender = checked.recover().unwrap().sender();
    assert_eq!(
        sender,
        Address::from(hex!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"))
    );
}

type Change = fn(&mut TxEip1559);

/// Every rule, broken alone.
#[test]
fn tells_which_rule_is_broken() {
    let with = |change: Change| {
        let mut transaction = plain();
        change(&mut transaction);
        refusal(signed(transaction))
    };
    let cases: [(Change, &str); 10] = [
        (
            |one| one.chain_id = 1,
            "invalid sender: invalid chain id for signer: have 1 want 31337",
        ),
        (
            |one| one.gas_limit = 20_999,
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            |one| {
                one.input = Bytes::from(vec![1; 10]);
                one.gas_limit = 21_399;
            },
            "insufficient gas for floor data gas cost: gas 21399, minimum needed 21400",
        ),
        (
            |one| one.gas_limit = (1 << 24) + 1,
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (
            |one| {
                one.to = TxKind::Create;
                one.input = Bytes::from(vec![0; 49_153]);
            },
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (
            |one| one.max_priority_fee_per_gas = 11,
            "max priority fee per gas higher than max fee per gas",
        ),
        (|one| one.nonce = u64::MAX, "nonce has max value"),
        (
            |one| one.input = Bytes::from(vec![0; TRANSACTION_LEN_MAX]),
            "oversized data: transaction size 131180, limit 131072",
        ),
        (
            |one| one.to = TxKind::Create,
            "intrinsic gas too low: gas 21000, minimum needed 53000",
        ),
        (
            |one| {
                let slots = vec![B256::ZERO; 2];
                let item = AccessListItem {
                    address: Address::ZERO,
                    storage_keys: slots,
                };
                one.access_list = AccessList(vec![item]);
            },
            "intrinsic gas too low: gas 21000, minimum needed 27200",
        ),
    ];
    for (change, text) in cases {
        assert_eq!(with(change), text);
    }
    assert!(RULES.check(signed(plain())).is_ok());
    let small = Rules {
        block_gas: 20_999,
        ..RULES
    };
    let error = small.check(signed(plain())).unwrap_err();
    assert_eq!(error.to_string(), "exceeds block gas limit");
}

/// Blobs, signatures for no chain, and delegations of nothing.
#[test]
fn tells_which_kind_is_not_taken() {
    let blob = TxEip4844 {
        chain_id: CHAIN,
        ..TxEip4844::default()
    };
    let text = "transaction type not supported: tx type 3 not supported by this pool";
    assert_eq!(refusal(signed(blob)), text);
    let legacy = TxLegacy {
        gas_limit: 21_000,
        to: TO,
        ..TxLegacy::default()
    };
    let text = "only replay-protected (EIP-155) transactions allowed over RPC";
    assert_eq!(refusal(signed(legacy.clone())), text);
    let open = Rules {
        unprotected: true,
        ..RULES
    };
    assert!(open.check(signed(legacy)).is_ok());
    let empty = TxEip7702 {
        chain_id: CHAIN,
        gas_limit: 21_000,
        ..TxEip7702::default()
    };
    let text = "set code tx must have at least one authorization tuple";
    assert_eq!(refusal(signed(empty)), text);
}

/// Of a signature's two forms only the lower is taken, and none out of range.
#[test]
fn takes_one_signature_only() {
    let transaction = plain();
    let good = sign_message(B256::repeat_byte(1), transaction.signature_hash()).unwrap();
    let half = SECP256K1N_HALF;
    let forms = [
        (good.r(), good.s(), true),
        (good.r(), ORDER - good.s(), false),
        (good.r(), half, true),
        (good.r(), half + U256::ONE, false),
        (U256::ZERO, good.s(), false),
        (ORDER, good.s(), false),
        (ORDER - U256::ONE, good.s(), true),
        (good.r(), U256::ZERO, false),
    ];
    for (r, s, taken) in forms {
        let envelope = transaction
            .clone()
            .into_signed(Signature::new(r, s, good.v()))
            .into();
        let text = "invalid sender: invalid transaction v, r, s values";
        let found = RULES
            .check(envelope)
            .map(|_| ())
            .map_err(|error| error.to_string());
        assert_eq!(
            found,
            if taken { Ok(()) } else { Err(text.to_owned()) },
            "{r} {s}"
        );
    }
    // Five is no abscissa of the curve: 5^3 + 7 is no square.
    let envelope = transaction
        .into_signed(Signature::new(U256::from(5), U256::ONE, false))
        .into();
    let error = RULES.check(envelope).unwrap().recover().unwrap_err();
    assert_eq!(error.to_string(), "invalid sender: recovery failed");
}

proptest! {
    /// Gas before a transaction runs is what revm takes, whatever is in it.
    #[test]
    fn asks_for_the_gas_that_execution_takes(
        data in vec(prop_oneof![Just(0_u8), any::<u8>()], 0..3_000),
        create in any::<bool>(),
        slots in vec(0_usize..5, 0..4),
        authorizations in 0_usize..4,
    ) {
        let items = slots.iter().map(|slots| AccessListItem {
            address: Address::ZERO,
            storage_keys: vec![B256::ZERO; *slots],
        });
        let access_list = AccessList(items.collect());
        let envelope = if authorizations > 0 {
            signed(TxEip7702 {
                access_list,
                input: Bytes::from(data.clone()),
                authorization_list: vec![authorization(); authorizations],
                ..TxEip7702::default()
            })
        } else {
            signed(TxEip1559 {
                access_list,
                input: Bytes::from(data.clone()),
                to: if create { TxKind::Create } else { TO },
                ..TxEip1559::default()
            })
        };
        let count = |count: usize| u64::try_from(count).unwrap();
        let expected = revm::context_interface::cfg::gas::calculate_initial_tx_gas(
            revm::primitives::hardfork::SpecId::OSAKA,
            &data,
            envelope.is_create(),
            count(slots.len()),
            count(slots.iter().sum()),
            count(authorizations),
            None,
        );
        let (gas, floor) = gas_min(&envelope);
        prop_assert_eq!(gas, expected.initial_regular_gas);
        prop_assert_eq!(floor, expected.floor_gas);
    }
}
