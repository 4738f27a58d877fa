//! Holders of rows, and certificates that they sign.

use alloy_primitives::{Address, B256, Bytes, U256};
use lode_chain_link::{
    addresses::DA_SIGNERS,
    da::{self, Holder, QuorumSeats},
};
use lode_proofs::{
    Hash32,
    da::{
        Certificate, Head, Shape, Shown, Statement, signing::HolderSecret, weigh::signature_point,
    },
};

use super::{PAYER, World, settings};

/// Blocks of an epoch in these tests.
pub const EPOCH: u64 = 50;
pub const NOW: u64 = 1_800_000_000;
pub const EXPIRY: u64 = 1_900_000_000;
/// The chain's id in these tests, and what its blocks carry for the beacon.
pub const CHAIN_ID: u64 = 1;
pub const RANDOM: [u8; 32] = [0x7a; 32];

pub fn secret(number: u16) -> HolderSecret {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_be_bytes());
    HolderSecret::from_seed(&seed)
}

pub fn owner(number: u16) -> Address {
    let mut address = [0xaa; 20];
    address[..2].copy_from_slice(&number.to_be_bytes());
    address.into()
}

/// Different stakes, the smallest for less than a row.
pub fn stake(number: u16) -> u128 {
    match number % 7 {
        6 => 1_000,
        _ => 1_000_000 * (1 + u128::from(number) * 37 % 11),
    }
}

pub fn holder(number: u16) -> Holder {
    Holder {
        owner: owner(number),
        key: secret(number).key().to_point(),
        peer_key: B256::repeat_byte(0x10),
        stake: stake(number),
        socket: format!("holder-{number}.a-long-name-of-a-data-centre.example:34000"),
    }
}

pub fn register(world: &mut World, number: u16) -> u64 {
    let holder = holder(number);
    world.fund(holder.owner);
    let call = registration(&holder, &secret(number));
    world
        .send(holder.owner, DA_SIGNERS, U256::from(holder.stake), call)
        .gas
}

pub fn registration(holder: &Holder, by: &HolderSecret) -> Bytes {
    let possession = signature_point(&by.possession()).unwrap();
    da::register_call(
        &holder.key,
        &possession,
        holder.peer_key,
        holder.socket.clone(),
    )
}

/// A chain with so many holders in its genesis, at the first block of epoch 1, whose quorum is made.
pub fn held(holders: u16) -> (World, QuorumSeats, u64) {
    let mut da = settings().da();
    da.holders = (0..holders).map(holder).collect();
    let mut world = World::with(&da);
    world.at(EPOCH, NOW);
    let gas = world
        .send(PAYER, DA_SIGNERS, U256::ZERO, da::make_epoch_call(None))
        .gas;
    let quorum = quorum(&mut world, 1);
    (world, quorum, gas)
}

pub fn quorum(world: &mut World, epoch: u64) -> QuorumSeats {
    let answer = world.ask_raw(DA_SIGNERS, da::committee_call(epoch));
    da::committee_at(&answer).unwrap()
}

pub fn statement(quorum: &QuorumSeats, container: u8, expiry: u64) -> Statement {
    let columns = quorum.seats().unwrap().assignment().columns();
    Statement {
        quorum: *quorum.quorum(),
        head: Head {
            row_root: Hash32([container; 32]),
            check_root: Hash32([2; 32]),
            namespace_root: Hash32([3; 32]),
            shape: Shape::new(1 << 20).unwrap(),
            columns: columns.try_into().unwrap(),
        },
        expiry,
    }
}

/// A certificate by all holders but some, of holders that registered in the order of their numbers.
pub fn shown(quorum: &QuorumSeats, statement: Statement, absent: &[usize]) -> Shown {
    let seats = quorum.seats().unwrap();
    let signatures = quorum.seats.iter().enumerate().filter_map(|(place, seat)| {
        let owner: [u8; 20] = seat.holder.owner.into();
        let by = secret(u16::from_be_bytes([owner[0], owner[1]]));
        (!absent.contains(&place)).then(|| (place, by.sign(&statement)))
    });
    let signatures: Vec<_> = signatures.collect();
    let certificate = Certificate::sum(statement, &seats.assignment(), &signatures).unwrap();
    Shown::new(quorum.committee, &seats, certificate)
}
