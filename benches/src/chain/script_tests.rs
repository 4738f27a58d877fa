//! What is sent: whose, in which order, and in which requests.

use std::{collections::HashMap, num::NonZeroUsize};

use alloy_consensus::{Transaction, transaction::SignerRecoverable};

use super::{Job, Kind, Script, Signer};

fn job(kind: Kind) -> Job {
    Job {
        name: "test",
        kind,
        senders: 5,
        each: 3,
        batch: NonZeroUsize::new(4).unwrap(),
        lanes: NonZeroUsize::new(2).unwrap(),
        waiting: 100,
    }
}

/// Proves that every transaction is its sender's, that nonces rise from 0 within one lane, and that
/// requests hold all of them once.
#[test]
fn senders_are_in_order() {
    let script = Script::write(&[job(Kind::Ether), job(Kind::Tokens)]).unwrap();
    for signed in &script.jobs {
        assert_eq!(signed.count(), 15);
        let mut next: HashMap<_, u64> = HashMap::new();
        for (envelope, sender) in &signed.transactions {
            assert_eq!(envelope.recover_signer().unwrap(), *sender);
            let nonce = next.entry(*sender).or_default();
            assert_eq!(envelope.nonce(), *nonce);
            *nonce += 1;
        }
        assert_eq!(next.len(), 5);
        let sizes: Vec<Vec<usize>> = signed
            .lanes
            .iter()
            .map(|lane| lane.iter().map(|request| request.hashes.len()).collect())
            .collect();
        assert_eq!(sizes, [vec![4, 4, 1], vec![4, 2]]);
        let sent = signed.lanes.iter().flatten().flat_map(|one| &one.hashes);
        let made = signed.transactions.iter().map(|(one, _)| one.hash());
        assert!(sent.eq(made));
    }
    let nonces = script.setup.iter().map(Transaction::nonce);
    assert!(nonces.eq(0..1 + 5 + 10));
}

/// Proves that the two known keys are those of the accounts that everybody knows.
#[test]
fn known_accounts_are_known() {
    let addresses = [0, 1].map(|number| Signer::known(number).unwrap().address.to_string());
    assert_eq!(
        addresses,
        [
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        ]
    );
}
