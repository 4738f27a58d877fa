//! Contracts of this chain that are native code, beside Ethereum's own.
//!
//! | address | name | input | output | gas |
//! |---|---|---|---|---|
//! | `0x2001` | blake3 | any bytes | digest, 32 bytes | 30, and 3 a word |
//! | `0x2002` | merkle path | root, turns, leaf, siblings from the bottom up; a word each | a word: 1 if it holds, else 0 | 60, and 42 a sibling |
//! | `0x2004` | finality | key (96), [`Finality`] (152), namespace (0 to 64) | a word: 1 if it holds, else 0 | 230,000 |
//! | `0x2005` | da certificate | committee (342), certificate, absent seats, nodes beside them ([`Shown`]) | a word: the rows that were signed for, 0 if it does not hold or they are fewer than 2049 | 115,000, and 600 for each 258 bytes behind the first 560 |
//!
//! They are pure functions of their input, and the checks are those of `lode_proofs`, so that what a
//! contract accepts is what a client accepts. Nothing of the chain goes into them: a finality proof
//! comes with key and namespace, because a contract asks about *other* chains of this kind (of its
//! own chain it knows all blocks that the EVM lets it know), and has to hold their keys anyway. A
//! certificate of data availability comes with its committee, whose hash a contract knows.
//!
//! Input of a length that cannot be is treated as Ethereum's curve contracts do (EIP-2537): the call
//! fails and its gas is gone. Everything else that does not hold, points that are none among it, is 0.
//! Gas is taken before anything is done, and what is done is bounded by it.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, address};
use lode_proofs::{
    Hash32,
    committee::{GroupKey, KEY_LEN},
    da::{
        Shown,
        certificate::{Threshold, certificate_len},
        committee::{COMMITTEE_LEN, SEAT_LEN},
        decode::DecodeError,
    },
    finality::{FINALITY_LEN, Finality},
    leads_to,
};
use revm::precompile::{
    Precompile, PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult,
};

/// BLAKE3 of its input.
pub const BLAKE3: Address = address!("0x0000000000000000000000000000000000002001");
/// Whether a path of keccak nodes leads to a root (SPEC of `lode-proofs`, Paths).
pub const MERKLE_PATH: Address = address!("0x0000000000000000000000000000000000002002");
/// Whether a committee finalised a block (SPEC of `lode-proofs`, Finality).
pub const FINALITY: Address = address!("0x0000000000000000000000000000000000002004");
/// How many rows a certificate of data availability is signed for (SPEC of `lode-proofs`, Committees).
pub const DA_CERTIFICATE: Address = address!("0x0000000000000000000000000000000000002005");

/// All of them.
pub fn all() -> [Precompile; 4] {
    let of = |name: &'static str, address, run| {
        Precompile::new(PrecompileId::Custom(name.into()), address, run)
    };
    [
        of("BLAKE3", BLAKE3, blake3),
        of("MERKLE_PATH", MERKLE_PATH, merkle_path),
        of("FINALITY", FINALITY, finality),
        of("DA_CERTIFICATE", DA_CERTIFICATE, da_certificate),
    ]
}

/// What a genesis file has to hold for each: code, one byte that no call ever runs. Solidity asks
/// whether there is some before it calls.
pub fn accounts() -> [(Address, GenesisAccount); 4] {
    [BLAKE3, MERKLE_PATH, FINALITY, DA_CERTIFICATE].map(|address| {
        let account = GenesisAccount {
            code: Some(Bytes::from_static(&[INVALID])),
            ..GenesisAccount::default()
        };
        (address, account)
    })
}

fn blake3(input: &[u8], gas: u64, reservoir: u64) -> PrecompileResult {
    let cost = BLAKE3_BASE + BLAKE3_WORD * count(input.len().div_ceil(WORD_LEN));
    run(gas, cost, reservoir, || Ok(*blake3::hash(input).as_bytes()))
}

fn merkle_path(input: &[u8], gas: u64, reservoir: u64) -> PrecompileResult {
    let (words, rest) = input.as_chunks::<WORD_LEN>();
    let cost = MERKLE_BASE + MERKLE_STEP * count(words.len().saturating_sub(MERKLE_WORDS));
    run(gas, cost, reservoir, || {
        let ([root, turns, leaf, siblings @ ..], []) = (words, rest) else {
            return Err(PrecompileHalt::other_static(
                "a path is root, turns, leaf, siblings",
            ));
        };
        let siblings = siblings.iter().copied().map(Hash32);
        let holds =
            low(turns).is_some_and(|turns| leads_to(Hash32(*root), Hash32(*leaf), turns, siblings));
        Ok(word(holds))
    })
}

fn finality(input: &[u8], gas: u64, reservoir: u64) -> PrecompileResult {
    run(gas, FINALITY_GAS, reservoir, || {
        let (key, rest) = input.split_first_chunk::<KEY_LEN>().ok_or(FINALITY_SHORT)?;
        let (proof, namespace) = rest.split_at_checked(FINALITY_LEN).ok_or(FINALITY_SHORT)?;
        let proof = Finality::decode(proof).ok_or(FINALITY_SHORT)?;
        if namespace.len() > NAMESPACE_LEN_MAX {
            return Err(PrecompileHalt::other_static(
                "a namespace has 64 bytes at most",
            ));
        }
        let holds = GroupKey::new(key).is_ok_and(|key| proof.verify(namespace, &key).is_ok());
        Ok(word(holds))
    })
}

fn da_certificate(input: &[u8], gas: u64, reservoir: u64) -> PrecompileResult {
    let seats = input.len().saturating_sub(DA_FIRST_LEN).div_ceil(SEAT_LEN);
    let cost = DA_BASE + DA_SEAT * count(seats);
    run(gas, cost, reservoir, || {
        let shown = match Shown::decode(input) {
            Ok(shown) => shown,
            Err(DecodeError::Length { .. }) => return Err(DA_SHORT),
            Err(_) => return Ok(number(0)),
        };
        Ok(number(shown.verify(Threshold::LEAST).unwrap_or(0)))
    })
}

/// Takes the gas, then does the work.
fn run(
    gas: u64,
    cost: u64,
    reservoir: u64,
    work: impl FnOnce() -> Result<[u8; WORD_LEN], PrecompileHalt>,
) -> PrecompileResult {
    if cost > gas {
        return Ok(PrecompileOutput::halt(PrecompileHalt::OutOfGas, reservoir));
    }
    Ok(match work() {
        Ok(word) => PrecompileOutput::new(cost, Bytes::copy_from_slice(&word), reservoir),
        Err(halt) => PrecompileOutput::halt(halt, reservoir),
    })
}

/// The number in a word, if it is below 2^64.
fn low(word: &[u8; WORD_LEN]) -> Option<u64> {
    let (high, low) = word.split_last_chunk()?;
    high.iter()
        .all(|byte| *byte == 0)
        .then(|| u64::from_be_bytes(*low))
}

fn word(holds: bool) -> [u8; WORD_LEN] {
    number(u16::from(holds))
}

fn number(number: u16) -> [u8; WORD_LEN] {
    let mut word = [0; WORD_LEN];
    word[WORD_LEN - 2..].copy_from_slice(&number.to_be_bytes());
    word
}

fn count(items: usize) -> u64 {
    u64::try_from(items).expect("memory has no more than 2^64 bytes")
}

const WORD_LEN: usize = 32;
/// Words before the siblings of a path.
const MERKLE_WORDS: usize = 3;
/// Bytes of a namespace: a name and a hash fit.
pub const NAMESPACE_LEN_MAX: usize = 64;
/// The opcode that stops a contract that is run by mistake (EIP-141).
const INVALID: u8 = 0xfe;
const FINALITY_SHORT: PrecompileHalt =
    PrecompileHalt::other_static("a finality proof is key, proof, namespace");
const DA_SHORT: PrecompileHalt = PrecompileHalt::other_static(
    "a shown certificate is committee, certificate, absent seats, nodes beside them",
);
/// Bytes that every shown certificate has: the committee, and a certificate by one holder or a few.
const DA_FIRST_LEN: usize = COMMITTEE_LEN + certificate_len(1);

// Gas is set so that none of these does more work for its gas than Ethereum's own do. Million gas a
// second, the least for any length of input, on one EPYC core (test `measure`, shortest of many runs):
// ecrecover 67 (44.6 µs), pairing of two 92 (1.11 ms); BLAKE3 103 (1.21 µs for 1 KiB), merkle path 144
// (2.9 µs for ten steps), finality 97 (2.36 ms). When the last one was added, with less beside it: ecrecover
// 114, pairing 150 (684 µs), finality 156; certificate of data availability 164 (701 µs), and 158 where a
// seat is absent (729 µs), with 2.4 µs for each other one.
const BLAKE3_BASE: u64 = 30;
const BLAKE3_WORD: u64 = 3;
const MERKLE_BASE: u64 = 60;
/// What the opcode KECCAK256 takes for the same 64 bytes: 30, and 6 a word.
const MERKLE_STEP: u64 = 42;
/// Two signatures: two pairings of two, two hashes to the curve, checks of three points.
const FINALITY_GAS: u64 = 230_000;
/// One signature: a pairing of two, a hash to the curve, checks of two points, one square root.
const DA_BASE: u64 = 115_000;
/// Each absent seat: a point that is read and added, two hashes or so.
const DA_SEAT: u64 = 600;

#[cfg(test)]
#[path = "precompiles_tests.rs"]
mod tests;
