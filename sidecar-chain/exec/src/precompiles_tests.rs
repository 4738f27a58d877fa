//! The native contracts say what `lode_proofs` says, for gas that is taken first; and an EVM of a chain
//! of ours has them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{B256, TxKind, U256, b256, bytes, hex, keccak256};
use revm::{
    Inspector,
    context::{CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    interpreter::{CallInputs, CallOutcome},
    precompile::{PrecompileStatus, Precompiles},
    primitives::hardfork::SpecId,
};
use serde_json::Value;

use super::*;
use crate::factory::Factory;

const GAS: u64 = 1_000_000;
const YES: [u8; 32] = {
    let mut word = [0; 32];
    word[31] = 1;
    word
};
const NO: [u8; 32] = [0; 32];

type Run = fn(&[u8], u64, u64) -> PrecompileResult;

fn call(run: Run, input: &[u8]) -> PrecompileOutput {
    run(input, GAS, 0).unwrap()
}

/// The call failed, and not for want of gas.
fn is_malformed(output: &PrecompileOutput) -> bool {
    matches!(
        &output.status,
        PrecompileStatus::Halt(PrecompileHalt::Other(_))
    )
}

/// Digests are those of the BLAKE3 paper's reference, and gas grows by the word.
#[test]
fn blake3_is_blake3() {
    let empty = b256!("0xaf1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    let output = call(blake3, b"");
    assert_eq!((&output.bytes[..], output.gas_used), (&empty[..], 30));
    let abc = b256!("0x6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    let output = call(blake3, b"abc");
    assert_eq!((&output.bytes[..], output.gas_used), (&abc[..], 33));
    assert_eq!(call(blake3, &[7; 33]).gas_used, 36);
}

/// Leaf 2 of four: it holds with its own index and path, and with nothing else; lengths that are no
/// path fail.
#[test]
fn paths_hold_or_not() {
    let leaves = [0_u8, 1, 2, 3].map(|number| keccak256([number]));
    let above = |left: B256, right: B256| keccak256([left, right].concat());
    let (left, right) = (above(leaves[0], leaves[1]), above(leaves[2], leaves[3]));
    let root = above(left, right);
    let turns = |turns: u64| B256::from(U256::from(turns));
    let of = |words: &[B256]| call(merkle_path, &words.concat());
    let output = of(&[root, turns(2), leaves[2], leaves[3], left]);
    assert_eq!(
        (&output.bytes[..], output.gas_used),
        (&YES[..], 60 + 2 * 42)
    );
    for other in [0, 1, 3, 4, 6, u64::MAX] {
        let output = of(&[root, turns(other), leaves[2], leaves[3], left]);
        assert_eq!(output.bytes[..], NO, "turns {other}");
    }
    let high = B256::from(U256::from(2) | (U256::from(1) << 64));
    assert_eq!(of(&[root, high, leaves[2], leaves[3], left]).bytes[..], NO);
    assert_eq!(
        of(&[root, turns(2), leaves[3], leaves[3], left]).bytes[..],
        NO
    );
    assert_eq!(of(&[root, turns(2), leaves[2], leaves[3]]).bytes[..], NO);
    assert_eq!(of(&[root, turns(0), root]).bytes[..], YES);
    assert!(is_malformed(&of(&[root, turns(0)])));
    assert!(is_malformed(&call(merkle_path, b"")));
    assert!(is_malformed(&call(merkle_path, &[0; 32 * 4 + 1])));
}

/// Certificates of the consensus library hold; with any byte of key, proof or namespace flipped they
/// do not, and the call still succeeds: whatever the points, the answer is 0.
#[test]
fn finality_holds_or_not() {
    for input in certificates() {
        let output = call(finality, &input);
        assert_eq!(
            (&output.bytes[..], output.gas_used),
            (&YES[..], FINALITY_GAS)
        );
        for at in 0..input.len() {
            let mut flipped = input.clone();
            flipped[at] ^= 1;
            let output = call(finality, &flipped);
            assert_eq!(output.status, PrecompileStatus::Success, "byte {at}");
            assert_eq!(output.bytes[..], NO, "byte {at}");
        }
        assert_eq!(
            call(finality, &input[..KEY_LEN + FINALITY_LEN]).bytes[..],
            NO
        );
        for len in [0, KEY_LEN, KEY_LEN + FINALITY_LEN - 1] {
            assert!(is_malformed(&call(finality, &input[..len])), "{len} bytes");
        }
    }
    let longest = vec![0; KEY_LEN + FINALITY_LEN + NAMESPACE_LEN_MAX];
    assert_eq!(call(finality, &longest).bytes[..], NO);
    assert!(is_malformed(&call(
        finality,
        &[&longest[..], &[0]].concat()
    )));
}

/// Certificates of the vectors weigh what they say; with any byte flipped behind the committee they weigh
/// nothing, and lengths that are none fail.
#[test]
fn certificates_weigh_or_not() {
    for (input, weight) in shown() {
        let output = call(da_certificate, &input);
        assert_eq!(output.bytes[..], number(weight));
        let seats = (input.len() - DA_FIRST_LEN).div_ceil(SEAT_LEN);
        assert_eq!(output.gas_used, DA_BASE + DA_SEAT * count(seats));
        for at in (COMMITTEE_LEN..input.len()).step_by(7) {
            let mut flipped = input.clone();
            flipped[at] ^= 1;
            assert_ne!(
                call(da_certificate, &flipped).bytes[..],
                number(weight),
                "byte {at}"
            );
        }
        for len in [0, COMMITTEE_LEN, input.len() - 1] {
            assert!(
                is_malformed(&call(da_certificate, &input[..len])),
                "{len} bytes"
            );
        }
        assert!(is_malformed(&call(
            da_certificate,
            &[&input[..], &[0]].concat()
        )));
        let mut none = input;
        none[52..54].fill(0);
        assert_eq!(call(da_certificate, &none).bytes[..], NO);
    }
}

/// One gas too little stops each before it has looked at its input, which may be malformed too.
#[test]
fn gas_comes_first() {
    let (shown, _) = shown().remove(0);
    let cases: [(Run, Vec<u8>, u64); 4] = [
        (blake3, vec![0; 32], 33),
        (merkle_path, vec![0; 128], 102),
        (finality, certificates().remove(0), FINALITY_GAS),
        (da_certificate, shown, DA_BASE),
    ];
    for (run, input, cost) in cases {
        let enough = run(&input, cost, 7).unwrap();
        assert_eq!(
            (enough.status, enough.gas_used, enough.reservoir),
            (PrecompileStatus::Success, cost, 7)
        );
        let short = run(&input, cost - 1, 7).unwrap();
        assert_eq!(
            short.status,
            PrecompileStatus::Halt(PrecompileHalt::OutOfGas)
        );
        assert_eq!(short.reservoir, 7);
    }
    let short = finality(b"", FINALITY_GAS - 1, 0).unwrap();
    assert_eq!(
        short.status,
        PrecompileStatus::Halt(PrecompileHalt::OutOfGas)
    );
}

/// Under every set of rules, EVMs of our chains have all of them beside Ethereum's, others have none;
/// with an inspector and without.
#[test]
fn evms_have_them() {
    let digest = ::blake3::hash(b"hello");
    let specs = (0..=u8::MAX).map_while(SpecId::try_from_u8);
    let specs: Vec<SpecId> = specs.collect();
    assert!(specs.contains(&SpecId::OSAKA));
    for spec in specs {
        for ours in [false, true] {
            let env = || EvmEnv::new(CfgEnv::new_with_spec(spec), Default::default());
            let transaction = || TxEnv {
                kind: TxKind::Call(BLAKE3),
                data: bytes!("68656c6c6f"),
                gas_limit: 100_000,
                ..TxEnv::default()
            };
            let database = CacheDB::<EmptyDB>::default;
            let factory = Factory::new(ours);
            let mut evm = factory.create_evm(database(), env());
            let output = evm.transact(transaction()).unwrap().result.into_output();
            let wanted = if ours { &digest.as_bytes()[..] } else { b"" };
            assert_eq!(output.unwrap()[..], *wanted, "{spec:?}");
            let mut seen = Seen::default();
            let mut evm = factory.create_evm_with_inspector(database(), env(), &mut seen);
            let output = evm.transact(transaction()).unwrap().result.into_output();
            assert_eq!(output.unwrap()[..], *wanted, "{spec:?}");
            let (_, _, known) = evm.components();
            for precompile in all() {
                assert_eq!(known.get(precompile.address()).is_some(), ours);
            }
            let ethereums =
                Precompiles::new(revm::precompile::PrecompileSpecId::from_spec_id(spec));
            for address in ethereums.addresses() {
                assert!(known.get(address).is_some(), "{spec:?}: {address}");
            }
            assert_eq!(seen.calls, [BLAKE3]);
        }
    }
}

/// Remembers what was called.
#[derive(Default)]
struct Seen {
    calls: Vec<Address>,
}

impl<C, I: revm::interpreter::InterpreterTypes> Inspector<C, I> for Seen {
    fn call(&mut self, _: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.calls.push(inputs.target_address);
        None
    }
}

/// Each has code, which a genesis file can hold.
#[test]
fn accounts_have_code() {
    let accounts = accounts();
    assert_eq!(
        accounts.clone().map(|(address, _)| address),
        all().map(|one| *one.address())
    );
    for (_, account) in accounts {
        assert_eq!(account.code, Some(bytes!("fe")));
    }
}

/// Not a test: what each takes, beside two of Ethereum's on the same machine. The gas constants are
/// from here. Give it a processor for itself (`chrt -f 50`), or it measures the others.
#[test]
#[ignore = "measures"]
fn measure() {
    let ethereums = Precompiles::osaka();
    let number = |number: u64| alloy_primitives::Address::from_word(U256::from(number).into());
    let recover = ethereums.get(&number(1)).unwrap();
    let pairing = ethereums.get(&number(15)).unwrap();
    let generators =
        hex::decode([G1.map(padded).concat(), G2.map(padded).concat()].concat()).unwrap();
    let ethereum = |name: &str, one: &Precompile, input: &[u8]| {
        time(name, || one.execute(input, GAS, 0).unwrap());
    };
    ethereum("ecrecover", recover, &hex::decode(RECOVER).unwrap());
    ethereum("pairing of 2", pairing, &generators.repeat(2));
    for len in [32, 256, 1024, 16 << 10, 256 << 10] {
        time(&format!("blake3, {len} bytes"), || {
            call(blake3, &vec![7; len])
        });
    }
    for steps in [0, 1, 10, 30, 64] {
        let mut input = vec![7; 32 * (3 + steps)];
        input[32..64].fill(0);
        time(&format!("merkle path, {steps} steps"), || {
            call(merkle_path, &input)
        });
    }
    let input = certificates().remove(1);
    time("finality", || call(finality, &input));
    for (input, weight) in shown() {
        let name = format!("da certificate, {} bytes, weight {weight}", input.len());
        time(&name, || call(da_certificate, &input));
    }
    let mut stale = input;
    stale[KEY_LEN + FINALITY_LEN - 1] ^= 1;
    time("finality, seed is no point or wrong", || {
        call(finality, &stale)
    });
}

fn padded(coordinate: &str) -> String {
    format!("{coordinate:0>128}")
}

/// Prints the shortest time of many: other work on the machine only ever adds.
fn time(name: &str, run: impl Fn() -> PrecompileOutput) {
    let gas = run().gas_used;
    let (begin, mut each) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < Duration::from_secs(1) {
        let batch = Instant::now();
        for _ in 0..BATCH {
            black_box(run());
        }
        each = each.min(batch.elapsed() / BATCH);
    }
    let rate = u128::from(gas) * 1_000 / each.as_nanos().max(1);
    println!("{name}: {each:?} each, {gas} gas, {rate} million gas/s");
}

/// Runs between two looks at the clock.
const BATCH: u32 = 2;

/// Key, proof and namespace of each certificate that the consensus library made.
fn certificates() -> Vec<Vec<u8>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../proofs/vectors/finality.json"
    );
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let certificates = file["certificates"].as_array().unwrap().iter();
    certificates
        .map(|one| {
            [
                bytes(&file["key"]),
                bytes(&one["finality"]),
                bytes(&file["namespace"]),
            ]
            .concat()
        })
        .collect()
}

/// Certificates of data availability with their committees, and what they weigh.
fn shown() -> Vec<(Vec<u8>, u16)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../proofs/vectors/da-committee.json"
    );
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let quorums = file["quorums"].as_array().unwrap().iter();
    quorums
        .map(|one| {
            let parts = ["committee", "certificate", "absent"].map(|part| bytes(&one[part]));
            let weight = one["weight"].as_u64().unwrap().try_into().unwrap();
            (parts.concat(), weight)
        })
        .collect()
}

/// Hash, parity, r and s of a signature that is right.
const RECOVER: &str = "18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c000000000000000000000000000000000000000000000000000000000000001c73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75feeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549";
/// Coordinates of the generators (EIP-2537).
const G1: [&str; 2] = [
    "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
    "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1",
];
const G2: [&str; 4] = [
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
    "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e",
    "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801",
    "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be",
];
