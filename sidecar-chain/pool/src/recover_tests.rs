//! Senders are found as one thread alone would find them, within bounds, and until the end.

use std::{
    sync::mpsc::{Receiver, channel},
    thread,
};

use alloy_consensus::{
    SignableTransaction, TxEip1559, crypto::secp256k1::sign_message, transaction::SignerRecoverable,
};
use alloy_primitives::{TxKind, U256};

use super::*;
use crate::made::{CHAIN, RULES};

/// Signed by a key of its own, each.
fn signed(count: u16) -> Vec<TxEnvelope> {
    let sign = |index: u16| {
        let transaction = TxEip1559 {
            chain_id: CHAIN,
            gas_limit: 21_000,
            max_fee_per_gas: 1,
            value: U256::from(index),
            to: TxKind::Call(Address::ZERO),
            ..TxEip1559::default()
        };
        let key = B256::from(U256::from(index) + U256::ONE);
        let signature = sign_message(key, transaction.signature_hash()).unwrap();
        transaction.into_signed(signature).into()
    };
    (0..count).map(sign).collect()
}

fn checked(envelopes: &[TxEnvelope]) -> Vec<Checked> {
    envelopes
        .iter()
        .map(|envelope| RULES.check(envelope.clone()).unwrap())
        .collect()
}

fn alone(envelopes: &[TxEnvelope]) -> Vec<Address> {
    envelopes
        .iter()
        .map(|envelope| envelope.recover_signer().unwrap())
        .collect()
}

fn submit(
    recovery: &Recovery,
    envelopes: &[TxEnvelope],
) -> Result<Receiver<Vec<Result<Transaction, Error>>>, Refused> {
    let (sender, receiver) = channel();
    recovery.submit(checked(envelopes), move |found| sender.send(found).unwrap())?;
    Ok(receiver)
}

fn start(workers: Vec<Worker>) -> Vec<thread::JoinHandle<()>> {
    workers
        .into_iter()
        .map(|worker| thread::spawn(move || worker.run()))
        .collect()
}

/// No signature: 5 is no abscissa of the curve.
fn forged(envelope: &TxEnvelope) -> TxEnvelope {
    let TxEnvelope::Eip1559(signed) = envelope else {
        panic!("all are of one type")
    };
    let signature = Signature::new(U256::from(5), U256::ONE, false);
    signed.tx().clone().into_signed(signature).into()
}

/// Batches and blocks, from several threads at once, with any number of workers.
#[test]
fn finds_all_senders() {
    let envelopes = signed(300);
    let expected = alone(&envelopes);
    for count in [0, 1, 3] {
        let (recovery, workers) = recovery(Bounds::default(), count);
        let threads = start(workers);
        thread::scope(|scope| {
            for part in 0..4 {
                let (recovery, envelopes, expected) = (&recovery, &envelopes, &expected);
                scope.spawn(move || {
                    let range = part * 50..part * 50 + 150;
                    let found = recovery.senders(&envelopes[range.clone()]);
                    assert_eq!(found.as_ref(), Ok(&expected[range.clone()].to_vec()));
                    if count > 0 {
                        let found = submit(recovery, &envelopes[range.clone()])
                            .unwrap()
                            .recv()
                            .unwrap();
                        let senders: Vec<Address> = found
                            .iter()
                            .map(|one| one.as_ref().unwrap().sender())
                            .collect();
                        assert_eq!(senders, expected[range]);
                    }
                });
            }
        });
        drop(recovery);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// What nobody signed is named, in batches and blocks, long and short.
#[test]
fn names_what_nobody_signed() {
    let (recovery, workers) = recovery(Bounds::default(), 1);
    let threads = start(workers);
    for (count, index) in [(3, 2), (100, 57)] {
        let mut envelopes = signed(count);
        envelopes[index] = forged(&envelopes[index]);
        assert_eq!(recovery.senders(&envelopes), Err(Unsigned { index }));
        let found = submit(&recovery, &envelopes).unwrap().recv().unwrap();
        for (place, one) in found.into_iter().enumerate() {
            assert_eq!(one.err(), (place == index).then_some(Error::Recovery));
        }
    }
    drop(recovery);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// What was found for the pool is not looked for again for a block: a false memory is believed.
#[test]
fn remembers() {
    let (recovery, workers) = recovery(Bounds::default(), 1);
    let envelopes = signed(3);
    let threads = start(workers);
    submit(&recovery, &envelopes[..2]).unwrap().recv().unwrap();
    assert_eq!(recovery.remembered(&envelopes), {
        let mut expected: Vec<Option<Address>> = alone(&envelopes).into_iter().map(Some).collect();
        expected[2] = None;
        expected
    });
    let other = Address::repeat_byte(9);
    lock(&recovery.shared().remembered).put(*envelopes[0].tx_hash(), other);
    let mut expected = alone(&envelopes);
    expected[0] = other;
    assert_eq!(recovery.senders(&envelopes), Ok(expected));
    drop(recovery);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// As many are remembered as may be, and always the youngest half of them.
#[test]
fn remembers_within_bounds() {
    let mut remembered = Remembered::new(10);
    for index in 0..1_000_u64 {
        let hash = B256::from(U256::from(index));
        remembered.put(hash, Address::repeat_byte(1));
        assert!(remembered.len() <= 10);
        for back in 0..5.min(index + 1) {
            let hash = B256::from(U256::from(index - back));
            assert_eq!(remembered.get(&hash), Some(Address::repeat_byte(1)));
        }
    }
    let mut nothing = Remembered::new(1);
    nothing.put(B256::ZERO, Address::ZERO);
    assert_eq!(nothing.len(), 0);
}

/// More than may wait is refused, and taken once there is room.
#[test]
fn says_when_it_is_busy() {
    let bounds = Bounds {
        waiting: 4,
        ..Bounds::default()
    };
    let (recovery, workers) = recovery(bounds, 1);
    let envelopes = signed(3);
    let first = submit(&recovery, &envelopes).unwrap();
    let second = submit(&recovery, &[]).unwrap();
    assert_eq!(
        submit(&recovery, &[]).unwrap_err(),
        Refused::Busy { waiting: 4 }
    );
    assert_eq!(
        submit(&recovery, &signed(9)).unwrap_err(),
        Refused::Busy { waiting: 4 }
    );
    // A block does not wait for them.
    assert_eq!(recovery.senders(&signed(40)), Ok(alone(&signed(40))));
    let threads = start(workers);
    assert_eq!(first.recv().unwrap().len(), 3);
    assert_eq!(second.recv().unwrap().len(), 0);
    assert_eq!(
        submit(&recovery, &envelopes).unwrap().recv().unwrap().len(),
        3
    );
    drop(recovery);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Workers end with the last place to ask, and who waits for an answer hears that none will come.
#[test]
fn ends() {
    let (recovery, workers) = recovery(Bounds::default(), 2);
    let again = recovery.clone();
    let owed = submit(&recovery, &signed(2)).unwrap();
    drop((recovery, again));
    start(workers)
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(owed.recv().is_err());
}

/// Workers that never ran or ran into a panic are no workers.
#[test]
fn says_when_nobody_works() {
    let (recovery, workers) = recovery(Bounds::default(), 2);
    let owed = submit(&recovery, &signed(1)).unwrap();
    recovery
        .submit(Vec::new(), |_| panic!("an answer that fails"))
        .unwrap();
    let mut workers = workers.into_iter();
    let (first, second) = (workers.next().unwrap(), workers.next().unwrap());
    assert!(thread::spawn(move || first.run()).join().is_err());
    assert_eq!(owed.recv().unwrap().len(), 1);
    let owed = submit(&recovery, &signed(1)).unwrap();
    drop(second);
    assert!(owed.recv().is_err());
    assert_eq!(submit(&recovery, &[]).unwrap_err(), Refused::NoWorker);
    assert_eq!(recovery.senders(&signed(20)), Ok(alone(&signed(20))));
}

/// Not a test: prints what the senders of a block cost, found and remembered.
#[test]
#[ignore = "prints times"]
fn measures() {
    let envelopes = signed(4_000);
    for count in [0, 1, 2] {
        let (recovery, workers) = recovery(Bounds::default(), count);
        let threads = start(workers);
        for what in ["found", "remembered"] {
            let start = std::time::Instant::now();
            recovery.senders(&envelopes).unwrap();
            println!(
                "{count} workers: {what} at {:?} each",
                start.elapsed() / 4_000
            );
        }
        drop(recovery);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
}
