//! The committed bytecode, put into a genesis and run, does what its bindings and the wire say.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolError};
use common::{ADMIN, PAYER, PRICE, World, settings};
use lode_chain_link::{
    abi::{Anchors, Beacon, Committee, Flow, Market, Rewards},
    addresses::{ANCHORS, BEACON, COMMITTEE, FLOW, MARKET, REWARDS},
    anchors, committee,
    flow::{self, Submitted},
    rewards::{self, RewardTree},
};
use lode_proofs::{
    BlobHasher, BlobId, BlobTree, Hash32,
    anchor::{AnchorTree, Entry, EntryProof},
    keccak::keccak256 as keccak,
};
use serde_json::Value;

/// What the genesis says is what the contracts answer, and nobody initialises them again.
#[test]
fn genesis_is_what_the_contracts_answer() {
    let mut world = World::new();
    assert_eq!(world.ask(FLOW, &Flow::marketCall {}), MARKET);
    assert_eq!(
        world.ask(FLOW, &Flow::blocksPerEpochCall {}),
        U256::from(100)
    );
    assert_eq!(world.ask(FLOW, &Flow::firstBlockCall {}), U256::ZERO);
    assert!(!world.ask(FLOW, &Flow::pausedCall {}));
    assert_eq!(world.ask(FLOW, &Flow::treeCall {}).currentLength, U256::ONE);
    assert_eq!(
        world.ask(MARKET, &Market::pricePerSectorCall {}),
        U256::from(PRICE)
    );
    assert_eq!(world.ask(MARKET, &Market::rewardsCall {}), REWARDS);
    assert_eq!(world.ask(ANCHORS, &Anchors::marketCall {}), MARKET);
    assert_eq!(world.ask(COMMITTEE, &Committee::stakeMinCall {}), 1_000);
    assert_eq!(world.ask(COMMITTEE, &Committee::unbondEpochsCall {}), 4);
    assert_eq!(world.balance(COMMITTEE), U256::from(6_000));
    assert_eq!(world.ask(BEACON, &Beacon::slotCall {}), 2);
    check_roles(&mut world);

    let again: [(Address, Bytes); 6] = [
        (
            FLOW,
            Flow::initializeCall {
                market_: ADMIN,
                blocksPerEpoch_: U256::ONE,
            }
            .abi_encode()
            .into(),
        ),
        (MARKET, initialize_market()),
        (
            ANCHORS,
            Anchors::initializeCall { market_: ADMIN }
                .abi_encode()
                .into(),
        ),
        (COMMITTEE, initialize_committee()),
        (
            BEACON,
            Beacon::initializeCall { blocksPerSlot_: 1 }
                .abi_encode()
                .into(),
        ),
        (REWARDS, Rewards::initializeCall {}.abi_encode().into()),
    ];
    for (contract, call) in again {
        let reason = world.refused(ADMIN, contract, U256::ZERO, call);
        assert_eq!(reason[..4], keccak256("InvalidInitialization()")[..4]);
    }
}

fn initialize_market() -> Bytes {
    let (price, flow_, anchors_, rewards_) = (U256::ZERO, ADMIN, ADMIN, ADMIN);
    Market::initializeCall {
        price,
        flow_,
        anchors_,
        rewards_,
    }
    .abi_encode()
    .into()
}

fn initialize_committee() -> Bytes {
    let call = Committee::initializeCall {
        blocksPerEpoch_: 1,
        unbondEpochs_: 9,
        seats_: 1,
        stakeMin_: 1,
    };
    call.abi_encode().into()
}

/// Roles that the genesis wrote can be listed, granted on, and taken away, as if they had been granted.
fn check_roles(world: &mut World) {
    let pauser = keccak256("PAUSER_ROLE");
    for role in [B256::ZERO, pauser] {
        assert_eq!(world.ask(FLOW, &Flow::getRoleMembersCall { role }), [ADMIN]);
        assert!(world.ask(
            FLOW,
            &Flow::hasRoleCall {
                role,
                account: ADMIN
            }
        ));
    }
    let (role, account) = (pauser, PAYER);
    let grant = Flow::grantRoleCall { role, account }.abi_encode();
    world.send(ADMIN, FLOW, U256::ZERO, grant.into());
    let revoke = Flow::revokeRoleCall {
        role,
        account: ADMIN,
    }
    .abi_encode();
    world.send(ADMIN, FLOW, U256::ZERO, revoke.into());
    assert_eq!(world.ask(FLOW, &Flow::getRoleMembersCall { role }), [PAYER]);
}

/// The committee of the genesis, in every epoch that can be asked for, as it was written there.
#[test]
fn the_first_committee_is_the_genesis() {
    let mut world = World::new();
    for epoch in 0..3 {
        let answer = world.ask_raw(COMMITTEE, committee::committee_call(epoch));
        let members = committee::members(&answer).unwrap();
        let mut validators = settings().validators;
        validators.reverse();
        assert_eq!(members.len(), validators.len());
        for (member, validator) in members.iter().zip(validators) {
            assert_eq!(member.owner, validator.owner);
            assert_eq!(member.key, validator.key);
            assert_eq!(member.stake, validator.stake);
            assert_eq!(member.endpoint, validator.endpoint);
        }
    }
    let owner = settings().validators[1].owner;
    world.send(owner, COMMITTEE, U256::ZERO, committee::unbond_call(5_000));
    world.roll(200, 0, B256::ZERO);
    world.send(
        owner,
        COMMITTEE,
        U256::ZERO,
        Committee::withdrawCall {}.abi_encode().into(),
    );
    assert_eq!(world.balance(owner), U256::from(5_000));
    let answer = world.ask_raw(COMMITTEE, committee::committee_call(4));
    assert_eq!(committee::members(&answer).unwrap().len(), 1);
}

/// Calls made here are the clients' own, byte for byte; results, logs, roots and the context are
/// those of 0G's contracts; and the older form appends the same.
#[test]
fn flow_gives_what_the_vectors_say() {
    let vectors = read("flow.json");
    let (mut named, mut plain) = (World::new(), World::new());
    for vector in vectors["submissions"].as_array().unwrap() {
        let tree = tree_of(number(&vector["size"]));
        let call = flow::submit_call(flow::data(&tree, Bytes::new()), PAYER);
        if let Some(calldata) = vector["calldata"].as_str() {
            assert_eq!(call.to_string(), calldata);
        }
        let fee: U256 = vector["fee"].as_str().unwrap().parse().unwrap();
        let done = named.send(PAYER, FLOW, fee, call);
        if let Some(data) = vector["submitLog"]["data"].as_str() {
            assert_eq!(done.logs[0].data.data.to_string(), data);
        }
        let submissions = flow::submissions(FLOW, &done.logs).unwrap();
        assert_eq!(submissions, [(expected(vector, &tree), PAYER)]);
        let root: B256 = vector["flowRootAfter"].as_str().unwrap().parse().unwrap();
        let tx_seq = U256::from(number(&vector["submissionIndex"]));
        assert_eq!(
            named.ask(FLOW, &Flow::getFlowRootByTxSeqCall { txSeq: tx_seq }),
            root
        );

        let call = flow::submit_plain_call(flow::data(&tree, Bytes::new()));
        let older = plain.send(PAYER, FLOW, fee, call);
        assert_eq!(flow::submissions(FLOW, &older.logs).unwrap(), submissions);
        assert_eq!(older.output, done.output);
        assert_eq!(plain.ask(FLOW, &Flow::computeFlowRootCall {}), root);
    }
}

/// What the chain must say of a vector's submission.
fn expected(vector: &Value, tree: &BlobTree) -> Submitted {
    let nodes = tree.submission_nodes();
    Submitted {
        index: number(&vector["submissionIndex"]),
        submitter: PAYER,
        identity: vector["digest"].as_str().unwrap().parse().unwrap(),
        start: number(&vector["startPos"]),
        sectors: number(&vector["length"]),
        size: number(&vector["size"]),
        tags: Bytes::new(),
        nodes: nodes
            .iter()
            .map(|node| (node.root.0.into(), node.height))
            .collect(),
    }
}

/// The payer gets back what it paid too much; one wei too little is refused with all the numbers.
#[test]
fn the_flow_refunds() {
    let mut world = World::new();
    let call = flow::submit_plain_call(flow::data(&tree_of(1025), Bytes::new()));
    let before = world.balance(PAYER);
    world.send(
        PAYER,
        FLOW,
        U256::from(PRICE) * U256::from(50),
        call.clone(),
    );
    let fee = U256::from(PRICE) * U256::from(5);
    assert_eq!(world.balance(PAYER), before - fee);
    assert_eq!(world.balance(MARKET), fee);
    let reason = world.refused(PAYER, FLOW, fee - U256::ONE, call);
    let wrong = Flow::NotEnoughFee {
        price: U256::from(PRICE),
        amount: U256::from(5),
        paid: fee - U256::ONE,
    };
    assert_eq!(reason, wrong.abi_encode());
}

/// An anchor settles; what this side proves of it the chain confirms, by a call and by its storage.
#[test]
fn anchors_settle_what_can_be_proven() {
    let mut world = World::new();
    let entries: Vec<Entry> = (0..77).map(entry).collect();
    let tree = AnchorTree::new(&entries).unwrap();
    let (head, root) = (tree.head(), B256::from(tree.head().top.hash.0));
    let fee = U256::from(PRICE) * U256::from(head.top.sectors);
    let done = world.send(PAYER, ANCHORS, fee, anchors::anchor_call(head, 0));
    let settled = anchors::settled(&done.logs[0].data).unwrap();
    assert_eq!((settled.poster, settled.head), (PAYER, head));
    assert_eq!((settled.index, settled.nonce, settled.fee), (0, 0, fee));
    assert_eq!(world.balance(MARKET), fee);

    let stored = world.stored(ANCHORS, anchors::record_slot(PAYER, root));
    let record = anchors::record(stored).unwrap();
    assert_eq!((record.index, record.count, record.block), (0, 77, 20));
    assert_eq!(record.sectors, head.top.sectors);
    for (place, &entry) in (0..).zip(&entries) {
        let siblings = tree.siblings(place).unwrap();
        let mut proof = EntryProof {
            entry,
            place,
            siblings,
        };
        proof.verify(head).unwrap();
        assert!(holds(&mut world, root, &proof));
        proof.entry.payer[0] ^= 1;
        proof.verify(head).unwrap_err();
        assert!(!holds(&mut world, root, &proof));
    }
    let again = world.refused(PAYER, ANCHORS, fee, anchors::anchor_call(head, 0));
    assert_eq!(
        again,
        Anchors::WrongNonce {
            expected: 1,
            found: 0
        }
        .abi_encode()
    );
    let again = world.refused(PAYER, ANCHORS, fee, anchors::anchor_call(head, 1));
    assert_eq!(
        again,
        Anchors::AlreadyAnchored {
            poster: PAYER,
            root
        }
        .abi_encode()
    );
}

fn holds(world: &mut World, root: B256, proof: &EntryProof) -> bool {
    let answer = world.ask_raw(ANCHORS, anchors::verify_call(PAYER, root, proof));
    Anchors::verifyEntryCall::abi_decode_returns_validate(&answer).unwrap()
}

/// Fees reach the rewards, a statement promises them, and each account gets its own once.
#[test]
fn fees_become_rewards() {
    let mut world = World::new();
    let call = flow::submit_plain_call(flow::data(&tree_of(256 * 10), Bytes::new()));
    world.send(PAYER, FLOW, U256::from(PRICE) * U256::from(10), call);
    world.send(
        PAYER,
        MARKET,
        U256::ZERO,
        Market::collectCall {}.abi_encode().into(),
    );
    assert_eq!(world.balance(REWARDS), U256::from(10 * PRICE));
    let claims: Vec<_> = (1..=4)
        .map(|i| (Address::repeat_byte(i), U256::from(u64::from(i) * PRICE)))
        .collect();
    let tree = RewardTree::new(&claims).unwrap();
    let publish = rewards::publish_call(1, tree.root(), u128::from(10 * PRICE));
    world.refused(PAYER, REWARDS, U256::ZERO, publish.clone());
    world.send(ADMIN, REWARDS, U256::ZERO, publish);
    for (at, &(account, earned)) in claims.iter().enumerate() {
        let call = rewards::claim_call(account, earned, tree.proof(at).unwrap());
        world.send(PAYER, REWARDS, U256::ZERO, call.clone());
        assert_eq!(world.balance(account), earned);
        let reason = world.refused(PAYER, REWARDS, U256::ZERO, call);
        assert_eq!(reason, Rewards::NothingToClaim {}.abi_encode());
    }
    assert_eq!(world.balance(REWARDS), U256::ZERO);
}

/// The beacon records what the block of a slot carries.
#[test]
fn the_beacon_records() {
    let mut world = World::new();
    world.send(
        PAYER,
        BEACON,
        U256::ZERO,
        Beacon::recordCall {}.abi_encode().into(),
    );
    let random = world.ask(BEACON, &Beacon::randomOfCall { asked: 2 });
    assert_eq!(random, B256::repeat_byte(0x7a));
}

fn entry(place: u32) -> Entry {
    let root = Hash32(keccak(&place.to_be_bytes()));
    Entry {
        blob: BlobId::new(root, 1 + u64::from(place) * 999).unwrap(),
        payer: [7; 20],
        expiry: 1_800_000_000,
    }
}

/// The generator of the wire's vectors.
fn tree_of(size: u64) -> BlobTree {
    let bytes = (0..size).map(|i| (i * 131 + (i >> 8) * 17 + 7).to_le_bytes()[0]);
    let mut hasher = BlobHasher::new();
    hasher.update(&bytes.collect::<Vec<u8>>());
    hasher.finish().unwrap()
}

fn read(name: &str) -> Value {
    let path = format!("{}/../contracts/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}
