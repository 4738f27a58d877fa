//! What is in a block is proven, what is not is refused.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::{world, world::*};

/// Accounts that are there, and some that are not, are proven as they are; no other content is, nor is
/// anybody else's.
#[test]
fn accounts() {
    let block = block();
    for number in [0, 1, CONTRACT, 150, ACCOUNTS - 1, ACCOUNTS, 5000] {
        let proof = account_proof(number);
        assert_eq!(proof.verify(&block), Ok(()), "account {number}");
        let other = match &proof.account {
            None => Some(account(1)),
            Some(account) => Some(TrieAccount {
                nonce: account.nonce + 1,
                ..*account
            }),
        };
        let other = AccountProof {
            account: other,
            ..proof.clone()
        };
        assert!(other.verify(&block).is_err(), "account {number}");
        let stranger = AccountProof {
            address: address(77),
            ..proof.clone()
        };
        assert!(stranger.verify(&block).is_err(), "account {number}");
        if proof.account.is_some() {
            let none = AccountProof {
                account: None,
                ..proof
            };
            assert!(none.verify(&block).is_err(), "account {number}");
        }
    }
}

/// Slots of a mapping, and those that nothing was written to.
#[test]
fn slots() {
    let block = block();
    for number in [0, 1, ENTRIES - 1, ENTRIES, 5000] {
        let proof = slot_proof(number);
        assert_eq!(proof.verify(&block), Ok(()), "entry {number}");
        let more = SlotProof {
            value: proof.value + U256::from(1),
            ..proof.clone()
        };
        assert!(more.verify(&block).is_err(), "entry {number}");
        let other = SlotProof {
            slot: entry(50).0,
            ..proof.clone()
        };
        assert!(other.verify(&block).is_err(), "entry {number}");
        if number < ENTRIES {
            let none = SlotProof {
                value: U256::ZERO,
                ..proof
            };
            assert!(none.verify(&block).is_err(), "entry {number}");
        }
    }
    let plain = SlotProof {
        account: account(1),
        address: address(1),
        account_nodes: account_proof(1).nodes,
        value: U256::ZERO,
        slot_nodes: Vec::new(),
        ..slot_proof(0)
    };
    assert_eq!(plain.verify(&block), Ok(()), "an account without storage");
}

/// The slot of a mapping is the one that Solidity's documentation computes: keccak of key and position.
#[test]
fn slots_of_mappings() {
    let mut key_and_slot = [0; 64];
    key_and_slot[31] = 5;
    key_and_slot[63] = 9;
    let slot = mapping_slot(B256::from(U256::from(5)), 9);
    assert_eq!(slot, keccak256(key_and_slot));
}

/// Receipts of both kinds at every length of their index, and each of their logs; no log more.
#[test]
fn receipts_and_logs() {
    let block = block();
    for number in [0, 1, 2, 127, 128, 129, TRANSACTIONS - 1] {
        let proof = receipt_proof(number);
        let receipt = proof.verify(&block).unwrap();
        assert_eq!(receipt, world::receipt(number), "receipt {number}");
        let logs = receipt.logs().len();
        for log in 0..3_u32 {
            let wanted = receipt.logs().get(usize::try_from(log).unwrap()).cloned();
            let wanted = wanted.ok_or(Refusal::Log { log, logs });
            assert_eq!(
                proof.verify_log(&block, log),
                wanted,
                "log {log} of {number}"
            );
        }
        let moved = ReceiptProof {
            transaction: number + 1,
            ..proof.clone()
        };
        assert!(moved.verify(&block).is_err(), "receipt {number}");
        let other = world::receipt_proof(number ^ 1).receipt;
        let other = ReceiptProof {
            receipt: other,
            ..proof
        };
        assert!(other.verify(&block).is_err(), "receipt {number}");
    }
}

/// No byte of a node can be another, and no node can be missing or follow the last one.
#[test]
fn nodes_are_bound() {
    let block = block();
    let proof = slot_proof(42);
    assert_eq!(proof.verify(&block), Ok(()));
    let lists: [fn(&mut SlotProof) -> &mut Vec<Bytes>; 2] = [
        |proof| &mut proof.account_nodes,
        |proof| &mut proof.slot_nodes,
    ];
    for list in lists {
        let nodes = list(&mut proof.clone()).clone();
        for (at, node) in nodes.iter().enumerate() {
            for place in 0..node.len() {
                let mut bytes = node.to_vec();
                bytes[place] ^= 1;
                let mut other = proof.clone();
                list(&mut other)[at] = bytes.into();
                assert!(other.verify(&block).is_err(), "node {at}, byte {place}");
            }
            let mut fewer = proof.clone();
            list(&mut fewer).remove(at);
            assert!(fewer.verify(&block).is_err(), "without node {at}");
        }
        let mut more = proof.clone();
        list(&mut more).push(nodes[0].clone());
        assert!(more.verify(&block).is_err());
        let mut many = proof.clone();
        list(&mut many).resize(NODES_MAX + 1, nodes[0].clone());
        assert_eq!(
            many.verify(&block),
            Err(Refusal::Nodes {
                nodes: NODES_MAX + 1
            })
        );
    }
}
