//! A small chain for tests: accounts, a contract's slots, receipts, a committee of one.

use alloy_consensus::{Header, Receipt, ReceiptEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_trie::{HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer};
use blst::min_sig::SecretKey;
use lode_proofs::{committee::GroupKey, finality::Finality};

use crate::{
    FinalBlock, HeaderProof, Trust,
    facts::{AccountProof, ReceiptProof, SlotProof, mapping_slot},
};

/// Accounts of the world; the one with number 7 is a contract.
pub const ACCOUNTS: u64 = 300;
pub const CONTRACT: u64 = 7;
/// Entries in the contract's mapping, which stands at its slot 3.
pub const ENTRIES: u64 = 100;
/// Transactions of the block: more than one byte of RLP holds as itself.
pub const TRANSACTIONS: u64 = 200;

pub fn address(number: u64) -> Address {
    Address::from_word(B256::from(U256::from(number + 1)))
}

/// The slot of an entry, and what it holds.
pub fn entry(number: u64) -> (B256, U256) {
    let key = keccak256(number.to_le_bytes());
    (mapping_slot(key, 3), U256::from_be_bytes(keccak256(key).0))
}

pub fn account(number: u64) -> TrieAccount {
    let storage_root = if number == CONTRACT {
        trie(entries(), &[]).0
    } else {
        alloy_trie::EMPTY_ROOT_HASH
    };
    TrieAccount {
        nonce: number,
        balance: U256::from(number) << 100,
        storage_root,
        code_hash: keccak256([7]),
    }
}

pub fn receipt(number: u64) -> ReceiptEnvelope {
    let log = |at: u64| {
        let topics = vec![B256::from(U256::from(number)), B256::from(U256::from(at))];
        Log::new_unchecked(address(CONTRACT), topics, Bytes::from(vec![9; 40]))
    };
    let receipt = Receipt {
        status: true.into(),
        cumulative_gas_used: (number + 1) * 50_000,
        logs: (0..number % 3).map(log).collect(),
    };
    let receipt = receipt.with_bloom();
    match number % 2 {
        0 => ReceiptEnvelope::Legacy(receipt),
        _ => ReceiptEnvelope::Eip1559(receipt),
    }
}

pub fn account_proof(number: u64) -> AccountProof {
    AccountProof {
        address: address(number),
        account: (number < ACCOUNTS).then(|| account(number)),
        nodes: trie(accounts(), keccak256(address(number)).as_slice()).1,
    }
}

pub fn slot_proof(number: u64) -> SlotProof {
    let (slot, value) = entry(number);
    let contract = account_proof(CONTRACT);
    SlotProof {
        address: contract.address,
        account: account(CONTRACT),
        account_nodes: contract.nodes,
        slot,
        value: if number < ENTRIES { value } else { U256::ZERO },
        slot_nodes: trie(entries(), keccak256(slot).as_slice()).1,
    }
}

pub fn receipt_proof(number: u64) -> ReceiptProof {
    ReceiptProof {
        transaction: number,
        receipt: receipt(number).encoded_2718().into(),
        nodes: trie(receipts(), &alloy_rlp::encode(number)).1,
    }
}

pub fn header() -> Header {
    Header {
        number: 1234,
        timestamp: 1_800_000_000,
        state_root: trie(accounts(), &[]).0,
        receipts_root: trie(receipts(), &[]).0,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(alloy_trie::EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(keccak256([1])),
        ..Header::default()
    }
}

pub fn header_proof() -> HeaderProof {
    sign(alloy_rlp::encode(header()).into())
}

/// These bytes as the committee would sign them.
pub fn sign(header: Bytes) -> HeaderProof {
    let mut finality = Finality {
        epoch: 2,
        view: 5000,
        parent_view: 4998,
        block: keccak256(&header).0,
        vote: [0; 48],
        seed: [0; 48],
    };
    let sign = |message: Vec<u8>| secret().sign(&message, SUITE, &[]).compress();
    finality.vote = sign(finality.vote_message(NAMESPACE));
    finality.seed = sign(finality.seed_message(NAMESPACE));
    HeaderProof { header, finality }
}

pub fn trust() -> Trust {
    Trust {
        chain_id: 31_337,
        genesis: keccak256([0]),
        namespace: NAMESPACE.to_vec(),
        key: GroupKey::new(&secret().sk_to_pk().compress()).expect("it is a key"),
    }
}

pub fn block() -> FinalBlock {
    header_proof()
        .verify(&trust())
        .expect("the committee signed it")
}

fn secret() -> SecretKey {
    SecretKey::key_gen(&[5; 32], &[]).expect("32 bytes are enough")
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn accounts() -> Entries {
    let of = |number| {
        let key = keccak256(address(number)).to_vec();
        (key, alloy_rlp::encode(account(number)))
    };
    (0..ACCOUNTS).map(of).collect()
}

fn entries() -> Entries {
    let of = |number| {
        let (slot, value) = entry(number);
        (keccak256(slot).to_vec(), alloy_rlp::encode(value))
    };
    (0..ENTRIES).map(of).collect()
}

fn receipts() -> Entries {
    let of = |number| (alloy_rlp::encode(number), receipt(number).encoded_2718());
    (0..TRANSACTIONS).map(of).collect()
}

/// Root of a trie, and the nodes on the way to a key.
fn trie(mut entries: Entries, key: &[u8]) -> (B256, Vec<Bytes>) {
    entries.sort();
    let retainer = ProofRetainer::new(vec![Nibbles::unpack(key)]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), &value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

const NAMESPACE: &[u8] = b"lode-test";
const SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
