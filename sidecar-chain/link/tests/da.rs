//! Data availability on the chain: the committed bytecode makes the quorums that `lode_proofs` makes, takes
//! the certificates that it takes, and answers 0G's clients.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolError};
use common::{GAS_LIMIT, PAYER, World, holders::*, settings};
use lode_chain_link::{
    abi::{Beacon, DaCertificates, DaSigners},
    addresses::{BEACON, DA_CERTIFICATES, DA_SIGNERS},
    da::{self, Holder, QuorumSeats},
};
use lode_proofs::{
    Hash32,
    da::{Draw, Quorum, Shown, weigh::signature_point},
};

fn reason<E: SolError>(bytes: &Bytes) {
    assert_eq!(bytes[..4], E::SELECTOR, "{bytes}");
}

/// Holders register with a key that is theirs; what is not is refused. The quorum of the second epoch after
/// it is the one that `lode_proofs` draws, and its hash is that of the same committee.
#[test]
fn quorums_are_those_of_the_crate() {
    let mut world = World::new();
    world.at(EPOCH + 3, NOW);
    for number in 0..9 {
        register(&mut world, number);
    }
    world.at(2 * EPOCH, NOW);
    let none = world.refused(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    assert!(!none.is_empty(), "nobody has a stake that counts yet");
    world.at(3 * EPOCH, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    let made = quorum(&mut world, 3);

    let of = Quorum {
        chain_id: CHAIN_ID,
        epoch: 3,
        quorum: 0,
    };
    let draw = Draw::new(&RANDOM, &of);
    let stakes: Vec<u128> = (0..9).map(stake).collect();
    let rows = draw.rows(&stakes).unwrap();
    let drawn: Vec<(Holder, u16)> = (0..9)
        .map(holder)
        .zip(rows)
        .filter(|(_, rows)| *rows > 0)
        .collect();
    let found: Vec<(Holder, u16)> = made
        .seats
        .iter()
        .map(|seat| (seat.holder.clone(), seat.rows))
        .collect();
    assert_eq!(found, drawn);
    assert_eq!((*made.quorum(), made.draw()), (of, draw));
    let committee = made.seats().unwrap().committee().unwrap();
    assert_eq!(committee, made.committee);
    let hash = da::committee_hash(&world.ask_raw(DA_SIGNERS, da::committee_hash_call(3))).unwrap();
    assert_eq!(hash, Some(committee.hash().0.into()));
    let other = da::committee_hash(&world.ask_raw(DA_SIGNERS, da::committee_hash_call(2))).unwrap();
    assert_eq!(other, None);
    // Made once: another beacon's value does not change it.
    world.at(3 * EPOCH + 1, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    assert_eq!(quorum(&mut world, 3), made);
}

/// Keys without possession, of others, that are no points, or twice are refused, and so are stakes and
/// sockets that cannot be.
#[test]
fn registrations_are_refused() {
    let mut world = World::new();
    register(&mut world, 1);
    let someone = owner(2);
    world.fund(someone);
    let value = U256::from(5_000);
    let mut refused = |call: Bytes| world.refused(someone, DA_SIGNERS, value, call);
    let own = holder(2);
    reason::<DaSigners::NotPossessed>(&refused(registration(&own, &secret(3))));
    let mut other = own.clone();
    other.key.0[255] ^= 1;
    reason::<DaSigners::NotPossessed>(&refused(registration(&other, &secret(2))));
    other.key.0 = [0; 256];
    reason::<DaSigners::NotPossessed>(&refused(registration(&other, &secret(2))));
    let infinity = da::register_call(&own.key, &[0; 128], own.peer_key, own.socket.clone());
    reason::<DaSigners::NotPossessed>(&refused(infinity));
    // A signature on a statement is none of possession.
    let (_, made, _) = held(1);
    let signed = secret(2).sign(&statement(&made, 1, EXPIRY));
    let signed = signature_point(&signed).unwrap();
    let signed = da::register_call(&own.key, &signed, own.peer_key, own.socket.clone());
    reason::<DaSigners::NotPossessed>(&refused(signed));
    reason::<DaSigners::KeyTaken>(&refused(registration(&holder(1), &secret(1))));
    let mut other = own.clone();
    other.socket = "x".repeat(129);
    reason::<DaSigners::WrongSocket>(&refused(registration(&other, &secret(2))));
    other.socket.clear();
    reason::<DaSigners::WrongSocket>(&refused(registration(&other, &secret(2))));
    other = own.clone();
    other.peer_key = B256::ZERO;
    reason::<DaSigners::NoPeerKey>(&refused(registration(&other, &secret(2))));
    let call = registration(&own, &secret(2));
    let few = world.refused(someone, DA_SIGNERS, U256::from(999), call.clone());
    reason::<DaSigners::StakeTooSmall>(&few);
    world.send(someone, DA_SIGNERS, value, call.clone());
    let again = world.refused(someone, DA_SIGNERS, value, call);
    reason::<DaSigners::AlreadyRegistered>(&again);
}

/// Keys of both signs of both coordinates: what the contract compresses is what was signed.
#[test]
fn any_key_registers() {
    let mut world = World::new();
    for number in 100..116 {
        register(&mut world, number);
    }
    let signs: BTreeSet<u8> = (100..116)
        .map(|number| secret(number).key().to_bytes()[0] & 0x20)
        .collect();
    assert_eq!(signs.len(), 2);
}

/// Stake leaves after its epochs, with it the holder, whose key is free again; old quorums stay readable.
#[test]
fn holders_leave() {
    let (mut world, made, _) = held(3);
    let leaving = owner(1);
    world.fund(leaving);
    let unbond = da::unbond_call(stake(1));
    world.send(leaving, DA_SIGNERS, U256::ZERO, unbond);
    world.at(3 * EPOCH, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    let owners = |quorum: &QuorumSeats| -> Vec<Address> {
        quorum.seats.iter().map(|seat| seat.holder.owner).collect()
    };
    assert_eq!(owners(&quorum(&mut world, 3)), [owner(0), owner(2)]);
    let early = world.refused(leaving, DA_SIGNERS, U256::ZERO, da::withdraw_call());
    reason::<DaSigners::StillLeaving>(&early);
    world.at(5 * EPOCH, NOW);
    let before = world.balance(leaving);
    world.send(leaving, DA_SIGNERS, U256::ZERO, da::withdraw_call());
    assert_eq!(world.balance(leaving) - before, U256::from(stake(1)));
    let kept = stake(0) + stake(2);
    assert_eq!(world.balance(DA_SIGNERS), U256::from(kept));
    assert_eq!(world.ask(DA_SIGNERS, &DaSigners::listedCall {}), [1, 3]);
    assert_eq!(quorum(&mut world, 1), made);
    register(&mut world, 1);
    assert_eq!(world.ask(DA_SIGNERS, &DaSigners::listedCall {}), [1, 3, 4]);
    // Two epochs are fixed: the stake counts in the one after.
    world.at(6 * EPOCH, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    assert_eq!(owners(&quorum(&mut world, 6)), [owner(0), owner(2)]);
    world.at(7 * EPOCH, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None));
    let all = [owner(0), owner(2), owner(1)];
    assert_eq!(owners(&quorum(&mut world, 7)), all);
}

/// A quorum is made in the beacon's block, after somebody recorded its value, and not before there is one.
#[test]
fn quorums_wait_for_the_beacon() {
    let mut da = settings().da();
    da.holders = vec![holder(0)];
    let mut world = World::with(&da);
    let call = da::make_epoch_call(None);
    world.at(EPOCH + 1, NOW);
    let slot = da::slot(&world.ask_raw(DA_SIGNERS, da::slot_call(1))).unwrap();
    assert_eq!(slot, 5);
    let missing = world.refused(PAYER, DA_SIGNERS, U256::ZERO, call.clone());
    reason::<Beacon::NotRecorded>(&missing);
    world.at(EPOCH, NOW);
    let record = Beacon::recordCall {}.abi_encode();
    world.send(PAYER, BEACON, U256::ZERO, record.into());
    world.at(2 * EPOCH - 1, NOW);
    world.send(PAYER, DA_SIGNERS, U256::ZERO, call);
    let epoch = da::epoch(&world.ask_raw(DA_SIGNERS, da::epoch_call())).unwrap();
    assert_eq!(epoch, 1);
    assert_eq!(quorum(&mut world, 1).seats.len(), 1);
}

/// What 0G's clients ask: names, shapes and selectors are those of its interface, and rows those of the
/// assignment.
#[test]
fn answers_as_0g_does() {
    let (mut world, made, _) = held(20);
    let assignment = made.seats().unwrap().assignment();
    let (epoch, quorum) = (U256::from(1), U256::ZERO);
    let owners = DaSigners::getQuorumCall {
        asked: epoch,
        quorum,
    };
    let owners = world.ask(DA_SIGNERS, &owners);
    assert_eq!(owners.len(), 3072);
    for (place, seat) in made.seats.iter().enumerate() {
        for row in assignment.rows_of(place).unwrap() {
            assert_eq!(owners[usize::from(*row)], seat.holder.owner);
        }
    }
    for row in [0, 1, 777, 3071] {
        let one = DaSigners::getQuorumRowCall {
            asked: epoch,
            quorum,
            row,
        };
        let place = usize::try_from(row).unwrap();
        assert_eq!(world.ask(DA_SIGNERS, &one), owners[place]);
    }
    assert_eq!(world.ask(DA_SIGNERS, &DaSigners::epochNumberCall {}), epoch);
    let count = |asked| DaSigners::quorumCountCall { asked };
    assert_eq!(world.ask(DA_SIGNERS, &count(epoch)), epoch);
    assert_eq!(world.ask(DA_SIGNERS, &count(U256::from(2))), U256::ZERO);
    let params = world.ask(DA_SIGNERS, &DaSigners::paramsCall {});
    let found = [params.encodedSlices, params.epochBlocks, params.maxQuorums];
    assert_eq!(found, [3072, EPOCH, 1].map(U256::from));
    let is = |account| DaSigners::isSignerCall { account };
    assert!(world.ask(DA_SIGNERS, &is(owner(6))));
    assert!(!world.ask(DA_SIGNERS, &is(PAYER)));
    let seated = made.seats.iter().any(|seat| seat.holder.owner == owner(6));
    let in_epoch = |account, asked| DaSigners::registeredEpochCall { account, asked };
    assert_eq!(world.ask(DA_SIGNERS, &in_epoch(owner(6), epoch)), seated);
    assert!(world.ask(DA_SIGNERS, &in_epoch(owner(6), U256::from(3))));
    assert!(!world.ask(DA_SIGNERS, &in_epoch(owner(6), U256::from(4))));
    let accounts = vec![owner(3), owner(4)];
    let details = world.ask(DA_SIGNERS, &DaSigners::getSignerCall { accounts });
    assert_eq!(details[1].signer, owner(4));
    assert_eq!(details[1].socket, holder(4).socket);
}

/// 0G's clients find each call by its selector.
#[test]
fn selectors_are_0gs() {
    for (signature, selector) in [
        ("params()", DaSigners::paramsCall::SELECTOR),
        ("epochNumber()", DaSigners::epochNumberCall::SELECTOR),
        ("quorumCount(uint256)", DaSigners::quorumCountCall::SELECTOR),
        ("isSigner(address)", DaSigners::isSignerCall::SELECTOR),
        ("getSigner(address[])", DaSigners::getSignerCall::SELECTOR),
        (
            "getQuorum(uint256,uint256)",
            DaSigners::getQuorumCall::SELECTOR,
        ),
        (
            "getQuorumRow(uint256,uint256,uint32)",
            DaSigners::getQuorumRowCall::SELECTOR,
        ),
        (
            "updateSocket(string)",
            DaSigners::updateSocketCall::SELECTOR,
        ),
        (
            "registeredEpoch(address,uint256)",
            DaSigners::registeredEpochCall::SELECTOR,
        ),
        (
            "registerNextEpoch((uint256,uint256))",
            DaSigners::registerNextEpochCall::SELECTOR,
        ),
        ("makeEpoch()", DaSigners::makeEpochCall::SELECTOR),
    ] {
        let hash = alloy_primitives::keccak256(signature);
        assert_eq!(hash[..4], selector, "{signature}");
    }
}

/// Certificates settle once; a later expiry, or as late with more rows, takes their place, and nothing else.
/// What is not right settles nothing, and nothing beside it.
#[test]
fn certificates_settle() {
    let (mut world, made, _) = held(20);
    let first = statement(&made, 1, EXPIRY);
    let settle = |shown: &[Shown]| da::settle_call(&made.committee, shown);
    let two = [
        shown(&made, first, &[0, 3]),
        shown(&made, statement(&made, 2, EXPIRY), &[]),
    ];
    let done = world.send(PAYER, DA_CERTIFICATES, U256::ZERO, settle(&two));
    assert_eq!(done.logs.len(), 2);
    let log = da::certificate_settled(&done.logs[0].data).unwrap();
    assert_eq!(log.container_id, B256::from(first.head.id().0));
    assert_eq!((log.epoch, log.quorum, log.expiry), (1, 0, EXPIRY));
    assert_eq!(usize::from(log.rows), two[0].weight());
    assert_eq!(log.committee_hash, B256::from(made.committee.hash().0));
    assert_eq!(log.certificate, two[0].certificate.encode());
    assert!(!log.extends);
    // Again: nothing.
    let again = world.send(PAYER, DA_CERTIFICATES, U256::ZERO, settle(&two));
    assert_eq!(again.logs.len(), 0);
    // More rows, then a later expiry with as many.
    let later = statement(&made, 1, EXPIRY + 1);
    for (better, expiry) in [(first, EXPIRY), (later, EXPIRY + 1)] {
        let better = shown(&made, better, &[]);
        let done = world.send(PAYER, DA_CERTIFICATES, U256::ZERO, settle(&[better]));
        let log = da::certificate_settled(&done.logs[0].data).unwrap();
        assert!(log.extends && log.rows == 3072 && log.expiry == expiry);
    }
    // Later, by fewer rows: those hold it to the end. Earlier by all, or as late by even fewer, change
    // nothing.
    let latest = statement(&made, 1, EXPIRY + 2);
    let fewer = shown(&made, latest, &[1]);
    let kept = fewer.weight();
    for (at, other) in [
        fewer,
        shown(&made, statement(&made, 1, EXPIRY + 1), &[]),
        shown(&made, latest, &[1, 2]),
    ]
    .into_iter()
    .enumerate()
    {
        let done = world.send(PAYER, DA_CERTIFICATES, U256::ZERO, settle(&[other]));
        assert_eq!(done.logs.len(), usize::from(at == 0));
    }
    let answer = world.ask_raw(DA_CERTIFICATES, da::record_call(first.head.id()));
    let record = da::record(&answer).unwrap().unwrap();
    assert_eq!((record.epoch, usize::from(record.rows)), (1, kept));
    assert_eq!((record.expiry, record.block), (EXPIRY + 2, EPOCH));
    let answer = world.ask_raw(DA_CERTIFICATES, da::record_call(Hash32([9; 32])));
    assert_eq!(da::record(&answer).unwrap(), None);
    refused(&mut world, &made);
}

fn refused(world: &mut World, made: &QuorumSeats) {
    let settle = |shown: &[Shown]| da::settle_call(&shown[0].committee, shown);
    let mut refused = |call: Bytes| world.refused(PAYER, DA_CERTIFICATES, U256::ZERO, call);
    let right = shown(made, statement(made, 5, EXPIRY), &[]);
    let mut wrong = right.clone();
    wrong.certificate.statement.expiry += 1;
    let call = settle(&[right.clone(), wrong]);
    reason::<DaCertificates::WrongCertificate>(&refused(call));
    let mut wrong = right.clone();
    wrong.committee.sum.0[255] ^= 1;
    reason::<DaCertificates::UnknownCommittee>(&refused(settle(&[wrong])));
    let mut wrong = right.clone();
    wrong.committee.quorum.epoch = 2;
    reason::<DaCertificates::UnknownCommittee>(&refused(settle(&[wrong])));
    let old = shown(made, statement(made, 5, NOW), &[]);
    reason::<DaCertificates::Expired>(&refused(settle(&[old])));
    // Half of the seats have not signed.
    let half: Vec<usize> = (0..made.seats.len()).filter(|seat| seat % 2 == 0).collect();
    let few = shown(made, statement(made, 5, EXPIRY), &half);
    assert!(few.weight() < 2049);
    reason::<DaCertificates::WrongCertificate>(&refused(settle(&[few])));
    let answer = world.ask_raw(
        DA_CERTIFICATES,
        da::record_call(right.certificate.statement.head.id()),
    );
    assert_eq!(da::record(&answer).unwrap(), None);
}

/// Prints what each call costs, and holds it to its bound: a quorum of as many holders as there can
/// be is made in one transaction.
#[test]
fn gas() {
    println!("| call | gas |");
    println!("|---|---|");
    let row = |name: &str, gas: u64, most: u64| {
        println!("| {name} | {gas} |");
        assert!(gas <= most, "{name}: {gas} gas, {most} at most");
    };
    let mut world = World::new();
    row("DaSigners.register", register(&mut world, 0), 800_000);
    row("the same, another", register(&mut world, 1), 800_000);
    for (holders, most) in [(4, 700_000), (100, 4_500_000), (340, GAS_LIMIT)] {
        let (mut world, made, gas) = held(holders);
        row(
            &format!("DaSigners.makeEpoch, {holders} holders"),
            gas,
            most,
        );
        let settle = |world: &mut World, containers: std::ops::Range<u8>, absent: &[usize]| {
            let shown: Vec<Shown> = containers
                .map(|container| shown(&made, statement(&made, container, EXPIRY), absent))
                .collect();
            let call = da::settle_call(&made.committee, &shown);
            world.send(PAYER, DA_CERTIFICATES, U256::ZERO, call).gas
        };
        let name = format!("DaCertificates.settle, {holders} holders, all sign");
        row(&name, settle(&mut world, 1..2, &[]), 230_000);
        if holders > 4 {
            let absent: Vec<usize> = (0..made.seats.len()).step_by(4).collect();
            let name = format!("the same, {} absent", absent.len());
            row(&name, settle(&mut world, 2..3, &absent), 1_200_000);
        }
        let name = format!("the same, 50 certificates, {holders} holders, all sign");
        row(&name, settle(&mut world, 10..60, &[]), 50 * 200_000);
    }
}
