//! On another chain, which has Ethereum's contracts and none of ours: quorums are learned from final
//! blocks, certificates weigh what they weigh at home, and rollups dispute about them. What is wrong gets a
//! no, never a revert.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolError};
use alloy_trie::{HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer};
use blst::min_sig::SecretKey;
use common::{
    PAYER, World,
    containers::{coded, wrongs},
    holders::*,
};
use lode_chain_link::{
    abi::elsewhere::{DaProofValidator, DaVerifier},
    addresses::DA_SIGNERS,
    da::QuorumSeats,
};
use lode_proofs::{
    da::{
        BlobRange, Shown, Statement, namespace::NamespaceTree, posted, signing::HolderKey,
        weigh::signature_point,
    },
    finality::Finality,
};
use serde_json::Value;

const VERIFIER: Address = address!("0x0000000000000000000000000000000000007701");
const VALIDATOR: Address = address!("0x0000000000000000000000000000000000007703");
const NAMESPACE: &[u8] = b"lode-test-chain";
const SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

fn group_secret() -> SecretKey {
    SecretKey::key_gen(&[5; 32], &[]).unwrap()
}

/// Our chain with so many holders, and another on which its key is known.
fn worlds(holders: u16) -> (World, World, QuorumSeats) {
    let (home, made, _) = held(holders);
    let mut away = World::new();
    away.place(
        VERIFIER,
        include_str!("../../contracts/artifacts/DaVerifier.json"),
    );
    away.place(
        VALIDATOR,
        include_str!("../../contracts/artifacts/DaProofValidator.json"),
    );
    let key = group_secret().sk_to_pk().compress();
    let call = DaVerifier::initializeCall {
        groupKey_: HolderKey::known(&key).unwrap().to_point().0.into(),
        namespace_: NAMESPACE.into(),
    };
    away.send(PAYER, VERIFIER, U256::ZERO, call.abi_encode().into());
    let call = DaProofValidator::initializeCall {
        verifier_: VERIFIER,
    };
    away.send(PAYER, VALIDATOR, U256::ZERO, call.abi_encode().into());
    (home, away, made)
}

type Entries = Vec<(B256, Vec<u8>)>;

/// Root of a trie, and the nodes on the way to a key.
fn trie(mut entries: Entries, key: B256) -> (B256, Vec<Bytes>) {
    entries.sort();
    let target = Nibbles::unpack(key);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), &value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

/// A final block of our chain, whose state has what DaSigners stores.
fn evidence(home: &mut World, slot: B256) -> DaVerifier::Evidence {
    let stored = home.storage(DA_SIGNERS).into_iter();
    let stored = stored.filter(|(_, value)| !value.is_zero());
    let entry =
        |(slot, value): (U256, U256)| (keccak256(B256::from(slot)), alloy_rlp::encode(value));
    let (storage_root, slot) = trie(stored.map(entry).collect(), keccak256(slot));
    let account = |address: Address, storage_root| {
        let account = TrieAccount {
            nonce: 1,
            balance: U256::from(5),
            storage_root,
            code_hash: keccak256([1]),
        };
        (keccak256(address), alloy_rlp::encode(account))
    };
    let accounts = (0..50).map(|tag| account(Address::repeat_byte(tag), keccak256([tag])));
    let accounts = accounts
        .chain([account(DA_SIGNERS, storage_root)])
        .collect();
    let (state_root, account) = trie(accounts, keccak256(DA_SIGNERS));
    let header = Header {
        state_root,
        number: 77,
        base_fee_per_gas: Some(7),
        ..Header::default()
    };
    let header = alloy_rlp::encode(header);
    let mut finality = Finality {
        epoch: 2,
        view: 5000,
        parent_view: 4998,
        block: keccak256(&header).0,
        vote: [0; 48],
        seed: [0; 48],
    };
    let sign = |message: Vec<u8>| group_secret().sign(&message, SUITE, &[]).compress();
    finality.vote = sign(finality.vote_message(NAMESPACE));
    finality.seed = sign(finality.seed_message(NAMESPACE));
    DaVerifier::Evidence {
        finality: finality.encode().into(),
        vote: signature_point(&finality.vote).unwrap().into(),
        seed: signature_point(&finality.seed).unwrap().into(),
        header: header.into(),
        account,
        slot,
    }
}

/// The slot of the hash of an epoch's quorum.
fn made_slot(epoch: u64) -> B256 {
    let key = [B256::from(U256::from(epoch)), B256::from(U256::from(7))].concat();
    keccak256(key)
}

fn learn_call(epoch: u64, evidence: DaVerifier::Evidence) -> Bytes {
    DaVerifier::learnCall { epoch, evidence }
        .abi_encode()
        .into()
}

fn learn(home: &mut World, away: &mut World) -> u64 {
    let call = learn_call(1, evidence(home, made_slot(1)));
    away.send(PAYER, VERIFIER, U256::ZERO, call).gas
}

/// A quorum is learned from a final block, once and for ever; signatures, headers, states and slots that
/// are others teach nothing.
#[test]
fn quorums_are_learned_from_final_blocks() {
    let (mut home, mut away, made) = worlds(9);
    let right = evidence(&mut home, made_slot(1));
    let refused = |away: &mut World, epoch, broken: &dyn Fn(&mut DaVerifier::Evidence)| {
        let mut evidence = right.clone();
        broken(&mut evidence);
        away.refused(PAYER, VERIFIER, U256::ZERO, learn_call(epoch, evidence))
    };
    let flip = |bytes: &mut Bytes, at: usize| {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        *bytes = other.into();
    };
    let not_final = DaVerifier::NotFinal::SELECTOR;
    for at in [0, 8, 16, 24, 60, 110] {
        let reason = refused(&mut away, 1, &|evidence| flip(&mut evidence.finality, at));
        assert_eq!(reason[..4], not_final, "byte {at}");
    }
    let reason = refused(&mut away, 1, &|evidence| {
        evidence.vote = evidence.seed.clone()
    });
    assert_eq!(reason[..4], not_final);
    let reason = refused(&mut away, 1, &|evidence| flip(&mut evidence.vote, 127));
    assert_eq!(reason[..4], not_final);
    let reason = refused(&mut away, 1, &|evidence| flip(&mut evidence.header, 100));
    assert_eq!(reason[..4], DaVerifier::WrongHeader::SELECTOR);
    // The slot of another epoch, or another's nodes.
    assert!(!refused(&mut away, 2, &|_| ()).is_empty());
    refused(&mut away, 1, &|evidence| {
        flip(evidence.slot.last_mut().unwrap(), 40)
    });
    refused(&mut away, 1, &|evidence| {
        flip(evidence.account.last_mut().unwrap(), 40)
    });
    refused(&mut away, 1, &|evidence| {
        evidence.slot.pop();
    });
    let hash = |epoch| DaVerifier::committeeHashCall { epoch };
    assert_eq!(away.ask(VERIFIER, &hash(1)), B256::ZERO);
    learn(&mut home, &mut away);
    let known = B256::from(made.committee.hash().0);
    assert_eq!(away.ask(VERIFIER, &hash(1)), known);
    let again = away.send(PAYER, VERIFIER, U256::ZERO, learn_call(1, right));
    assert_eq!(again.logs.len(), 0);
}

fn weigh_call(shown: &Shown) -> DaVerifier::weighCall {
    DaVerifier::weighCall {
        committee: shown.committee.encode().into(),
        certificate: shown.certificate.encode().into(),
        signature: signature_point(&shown.certificate.signature)
            .unwrap()
            .into(),
        absent: shown.absent().into(),
    }
}

/// Certificates weigh what they weigh at home, whoever is absent; unless their committee was learned, and
/// with any byte changed, they weigh nothing.
#[test]
fn certificates_weigh_the_same() {
    let (mut home, mut away, made) = worlds(20);
    let of = statement(&made, 1, EXPIRY);
    let right = weigh_call(&shown(&made, of, &[2]));
    assert_eq!(away.ask(VERIFIER, &right), U256::ZERO);
    learn(&mut home, &mut away);
    for absent in [vec![], vec![0], vec![2, 3], vec![made.seats.len() - 1]] {
        let shown = shown(&made, of, &absent);
        let weight = U256::from(shown.weight());
        assert_eq!(
            away.ask(VERIFIER, &weigh_call(&shown)),
            weight,
            "{absent:?}"
        );
    }
    let parts: [fn(&mut DaVerifier::weighCall) -> &mut Bytes; 4] = [
        |call| &mut call.committee,
        |call| &mut call.certificate,
        |call| &mut call.signature,
        |call| &mut call.absent,
    ];
    for part in parts {
        let len = part(&mut right.clone()).len();
        // Each byte costs a pairing or so: some of them.
        for at in (0..len).step_by(11).chain([len - 1]) {
            let mut wrong = right.clone();
            let mut bytes = part(&mut wrong).to_vec();
            bytes[at] ^= 1;
            *part(&mut wrong) = bytes.into();
            assert_eq!(away.ask(VERIFIER, &wrong), U256::ZERO, "byte {at} of {len}");
        }
        for len in [0, len - 1, len + 1] {
            let mut wrong = right.clone();
            let mut bytes = part(&mut wrong).to_vec();
            bytes.resize(len, 0);
            *part(&mut wrong) = bytes.into();
            assert_eq!(away.ask(VERIFIER, &wrong), U256::ZERO, "{len} bytes");
        }
    }
    // Too few rows, and another's signature.
    let half: Vec<usize> = (0..made.seats.len()).filter(|seat| seat % 2 == 0).collect();
    let few = weigh_call(&shown(&made, of, &half));
    assert_eq!(away.ask(VERIFIER, &few), U256::ZERO);
    let mut other = weigh_call(&shown(&made, of, &[]));
    other.signature = vec![0; 128].into();
    assert_eq!(away.ask(VERIFIER, &other), U256::ZERO);
}

/// Whoever leaves little gas gets a revert, not a no: at no gas limit is a right certificate wrong.
#[test]
fn little_gas_is_no_answer() {
    let (mut home, mut away, made) = worlds(5);
    learn(&mut home, &mut away);
    let call = weigh_call(&shown(&made, statement(&made, 1, EXPIRY), &[1]));
    let weight = away.ask(VERIFIER, &call);
    assert!(!weight.is_zero());
    let mut answered = 0;
    for gas in (60_000..600_000).step_by(5_000) {
        if let Some(answer) = away.ask_with(VERIFIER, call.abi_encode().into(), gas) {
            assert_eq!(U256::from_be_slice(&answer), weight, "{gas} gas");
            answered += 1;
        }
    }
    assert!(answered > 0);
}

/// The vectors' quorums, whose certificates are checked by the same code, with their hash put in place.
#[test]
fn vectors_weigh_what_they_say() {
    let file = include_str!("../../../proofs/vectors/da-committee.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let (_, mut away, _) = worlds(1);
    for quorum in file["quorums"].as_array().unwrap() {
        let bytes = |name: &str| -> Bytes { quorum[name].as_str().unwrap().parse().unwrap() };
        let epoch = quorum["epoch"].as_u64().unwrap();
        let hash: U256 = quorum["committeeHash"].as_str().unwrap().parse().unwrap();
        let slot = [B256::from(U256::from(epoch)), B256::from(U256::from(2))].concat();
        away.store(VERIFIER, keccak256(slot).into(), hash);
        let call = DaVerifier::weighCall {
            committee: bytes("committee"),
            certificate: bytes("certificate"),
            signature: bytes("signature"),
            absent: bytes("absent"),
        };
        let weight = U256::from(quorum["weight"].as_u64().unwrap());
        assert_eq!(away.ask(VERIFIER, &call), weight);
    }
}

struct Dispute {
    home: World,
    away: World,
    blob: Vec<u8>,
    posted: Vec<u8>,
}

fn dispute(holders: u16, absent: &[usize]) -> Dispute {
    let (home, away, made) = worlds(holders);
    let columns = made.seats().unwrap().assignment().columns();
    let (coded, mut blobs) = coded(made.quorum(), columns, 5_000);
    let of = Statement {
        quorum: *made.quorum(),
        head: *coded.head(),
        expiry: EXPIRY,
    };
    let table = coded.container().table();
    let entry = NamespaceTree::new(table).show(table, 1..2);
    let posted = posted::encode(&shown(&made, of, absent), &entry).unwrap();
    Dispute {
        home,
        away,
        blob: blobs.swap_remove(1),
        posted,
    }
}

fn sized(posted: &[u8], rest: &[u8]) -> Bytes {
    let size = u64::try_from(posted.len()).unwrap().to_be_bytes();
    [&size[..], posted, rest].concat().into()
}

/// [D-39] A posted certificate is right once its quorum is known, and whatever stands behind it; with any
/// byte changed it is not, and nothing reverts.
#[test]
fn posted_certificates_are_right_or_not() {
    let mut dispute = dispute(9, &[1]);
    let call = |proof| DaProofValidator::validateCertificateCall { proof };
    let away = &mut dispute.away;
    assert!(!away.ask(VALIDATOR, &call(sized(&dispute.posted, &[]))));
    learn(&mut dispute.home, away);
    assert!(away.ask(VALIDATOR, &call(sized(&dispute.posted, &[]))));
    assert!(away.ask(VALIDATOR, &call(sized(&dispute.posted, &[0; 77]))));
    for wrong in wrongs(&dispute.posted) {
        assert!(!away.ask(VALIDATOR, &call(sized(&wrong, &[]))));
    }
    for len in [0, 7, 8, 100, dispute.posted.len() + 7] {
        let cut = sized(&dispute.posted, &[]).slice(..len);
        assert!(!away.ask(VALIDATOR, &call(cut)), "{len} bytes");
    }
    let huge = [&[0xff; 8], &dispute.posted[..]].concat();
    assert!(!away.ask(VALIDATOR, &call(huge.into())));
}

/// Any 32 bytes of the blob are read, fewer at its end; other bytes, proofs and certificates are refused.
#[test]
fn preimages_are_read() {
    let mut dispute = dispute(5, &[]);
    let hash = keccak256(&dispute.posted);
    let (blob, posted) = (&dispute.blob, &dispute.posted);
    let len = u64::try_from(blob.len()).unwrap();
    let call = |offset: u64, range: &[u8]| {
        let call = DaProofValidator::validateReadPreimageCall {
            certHash: hash,
            offset: U256::from(offset),
            proof: sized(posted, range),
        };
        Bytes::from(call.abi_encode())
    };
    let away = &mut dispute.away;
    for offset in [0, 32, 1000, 1008, 4992, len - 1] {
        let end = len.min(offset + 32);
        let range = BlobRange::prove(blob, offset..end).unwrap().encode();
        let answer = away.ask_raw(VALIDATOR, call(offset, &range));
        type Read = DaProofValidator::validateReadPreimageCall;
        let answer = Read::abi_decode_returns_validate(&answer).unwrap();
        let index = |at: u64| usize::try_from(at).unwrap();
        assert_eq!(answer[..], blob[index(offset)..index(end)], "{offset}");
        for wrong in wrongs(&range).into_iter().step_by(5) {
            away.refused(PAYER, VALIDATOR, U256::ZERO, call(offset, &wrong));
        }
        // Bytes from elsewhere.
        if offset > 0 {
            away.refused(PAYER, VALIDATOR, U256::ZERO, call(offset - 1, &range));
        }
    }
    let behind = away.ask_raw(VALIDATOR, call(len, &[]));
    assert_eq!(behind.len(), 64, "no bytes");
    let other = DaProofValidator::validateReadPreimageCall {
        certHash: B256::ZERO,
        offset: U256::ZERO,
        proof: sized(posted, &[]),
    };
    let reason = away.refused(PAYER, VALIDATOR, U256::ZERO, other.abi_encode().into());
    assert_eq!(reason[..4], DaProofValidator::WrongCertificate::SELECTOR);
}

/// Prints what each check costs another chain, and holds it to its bound.
#[test]
fn gas() {
    println!("| call, elsewhere | calldata | gas |");
    println!("|---|---|---|");
    let row = |name: &str, call: &Bytes, gas: u64, most: u64| {
        println!("| {name} | {} | {gas} |", call.len());
        assert!(gas <= most, "{name}: {gas} gas, {most} at most");
    };
    for (holders, absent, most) in [(20, 0, 300_000), (100, 0, 320_000), (100, 20, 600_000)] {
        let (mut home, mut away, made) = worlds(holders);
        let call = learn_call(1, evidence(&mut home, made_slot(1)));
        let gas = away.send(PAYER, VERIFIER, U256::ZERO, call.clone()).gas;
        row("DaVerifier.learn", &call, gas, 800_000);
        let absent: Vec<usize> = (0..absent).map(|seat| 2 * seat).collect();
        let shown = shown(&made, statement(&made, 1, EXPIRY), &absent);
        let call = Bytes::from(weigh_call(&shown).abi_encode());
        let (gas, _) = away.gas_of(VERIFIER, call.clone());
        let name = format!(
            "DaVerifier.weigh, {holders} holders, {} absent",
            absent.len()
        );
        row(&name, &call, gas, most);
    }
    let mut dispute = dispute(20, &[]);
    learn(&mut dispute.home, &mut dispute.away);
    let call = DaProofValidator::validateCertificateCall {
        proof: sized(&dispute.posted, &[]),
    };
    let call = Bytes::from(call.abi_encode());
    let (gas, _) = dispute.away.gas_of(VALIDATOR, call.clone());
    row("DaProofValidator.validateCertificate", &call, gas, 330_000);
    let range = BlobRange::prove(&dispute.blob, 1024..1056)
        .unwrap()
        .encode();
    let call = DaProofValidator::validateReadPreimageCall {
        certHash: keccak256(&dispute.posted),
        offset: U256::from(1024),
        proof: sized(&dispute.posted, &range),
    };
    let call = Bytes::from(call.abi_encode());
    let (gas, _) = dispute.away.gas_of(VALIDATOR, call.clone());
    row("DaProofValidator.validateReadPreimage", &call, gas, 130_000);
}
