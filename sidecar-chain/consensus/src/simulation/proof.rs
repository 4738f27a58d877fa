//! Checks a proof of finality as a stranger does: two messages, put together by hand, and a signature
//! on each.

use commonware_codec::DecodeExt as _;
use commonware_cryptography::bls12381::primitives::{
    ops,
    variant::{MinSig, Variant},
};
use lode_chain_types::{Finality, SIGNATURE_LEN};

use crate::committee::GROUP_KEY_LEN;

/// How messages are hashed to the curve.
pub(crate) const TAG: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// Whether both signatures are by the committee with this key.
pub(crate) fn holds(group: &[u8; GROUP_KEY_LEN], finality: &Finality) -> bool {
    is_signed(group, &vote_message(finality), &finality.vote)
        && is_signed(group, &seed_message(finality), &finality.seed)
}

/// What is signed by `vote`.
pub(crate) fn vote_message(finality: &Finality) -> Vec<u8> {
    let mut message = named(b"_LODE_CHAIN_FINALIZE");
    for number in [finality.epoch, finality.view, finality.parent_view] {
        varint(number, &mut message);
    }
    message.extend_from_slice(&finality.block);
    message
}

/// What is signed by `seed`.
pub(crate) fn seed_message(finality: &Finality) -> Vec<u8> {
    let mut message = named(b"_LODE_CHAIN_SEED");
    varint(finality.epoch, &mut message);
    varint(finality.view, &mut message);
    message
}

fn named(name: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    varint(u64::try_from(name.len()).expect("short"), &mut message);
    message.extend_from_slice(name);
    message
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn is_signed(group: &[u8; GROUP_KEY_LEN], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    let (Ok(key), Ok(signature)) = (
        <MinSig as Variant>::Public::decode(group.to_vec()),
        <MinSig as Variant>::Signature::decode(signature.to_vec()),
    ) else {
        return false;
    };
    ops::verify::<MinSig>(&key, TAG, message, &signature).is_ok()
}
