//! Bytes become a transaction, and what can be said of it without the state is said here, before the
//! signature costs its 50 µs: size, type, chain, gas, fees and the signature's form.
//!
//! Promises: what passes fails in execution only for what its sender has or for what it runs. The
//! rules are those of Osaka.

use alloy_consensus::{
    Transaction as _, TxEnvelope,
    crypto::SECP256K1N_HALF,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error, Encodable2718};
use alloy_primitives::{Address, U256, uint};

use crate::{Error, Transaction};

/// Bytes of an encoded transaction, as geth has it.
pub const TRANSACTION_LEN_MAX: usize = 128 << 10;
/// Gas that a transaction may ask for (EIP-7825).
pub const GAS_MAX: u64 = 1 << 24;
/// Bytes of code that makes a contract (EIP-3860).
pub const INITCODE_LEN_MAX: usize = 49_152;

/// Order of the group that signatures are in (SEC 2, secp256k1).
const ORDER: U256 =
    uint!(115792089237316195423570985008687907852837564279074904382605163141518161494337_U256);

const TYPE_BLOB: u8 = 3;
/// Types that are neither blobs nor legacy: EIP-2930, EIP-1559, EIP-7702.
const TYPES: [u8; 3] = [1, 2, 4];
/// From here on a first byte begins RLP, not a type (EIP-2718).
const TYPE_END: u8 = 0x80;

/// What holds on this chain.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The chain's number (EIP-155).
    pub chain_id: u64,
    /// Gas of a block.
    pub block_gas: u64,
    /// Whether signatures for no chain in particular are taken too.
    pub unprotected: bool,
}

/// A transaction that keeps the rules, and whose sender is not known yet.
#[derive(Clone, Debug)]
pub struct Checked {
    envelope: TxEnvelope,
    encoded_len: usize,
}

/// Reads a transaction as wallets send it (EIP-2718), and nothing behind it.
///
/// # Errors
/// When it is none, is too long, or of a type that is not taken.
pub fn decode(bytes: &[u8]) -> Result<TxEnvelope, Error> {
    if bytes.len() > TRANSACTION_LEN_MAX {
        return Err(Error::Oversized {
            len: bytes.len(),
            len_max: TRANSACTION_LEN_MAX,
        });
    }
    match bytes {
        [] | [0..TYPE_END] => return Err(Error::Short),
        [TYPE_BLOB, ..] => return Err(Error::Type(TYPE_BLOB)),
        [kind @ 0..TYPE_END, ..] if !TYPES.contains(kind) => return Err(Error::UnknownType),
        _ => {}
    }
    TxEnvelope::decode_2718_exact(bytes).map_err(|error| match error {
        Eip2718Error::RlpError(error) => Error::Rlp(error),
        // The type is one of ours: it is a legacy one that ends too early.
        _ => Error::Rlp(alloy_rlp::Error::InputTooShort),
    })
}

impl Rules {
    /// Checks what can be checked without the state.
    ///
    /// # Errors
    /// The first rule that is broken, in geth's order.
    pub fn check(&self, envelope: TxEnvelope) -> Result<Checked, Error> {
        if envelope.is_eip4844() {
            return Err(Error::Type(TYPE_BLOB));
        }
        let encoded_len = envelope.encode_2718_len();
        self.check_size(&envelope, encoded_len)?;
        if envelope.max_fee_per_gas() < envelope.priority_fee_or_price() {
            return Err(Error::TipAboveFee);
        }
        self.check_signature(&envelope)?;
        if envelope.nonce() == u64::MAX {
            return Err(Error::NonceMax);
        }
        check_gas(&envelope)?;
        if envelope.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(Error::NoAuthorization);
        }
        Ok(Checked {
            envelope,
            encoded_len,
        })
    }

    fn check_size(&self, envelope: &TxEnvelope, encoded_len: usize) -> Result<(), Error> {
        if encoded_len > TRANSACTION_LEN_MAX {
            return Err(Error::Oversized {
                len: encoded_len,
                len_max: TRANSACTION_LEN_MAX,
            });
        }
        if envelope.is_create() && envelope.input().len() > INITCODE_LEN_MAX {
            return Err(Error::Initcode {
                len: envelope.input().len(),
                len_max: INITCODE_LEN_MAX,
            });
        }
        if envelope.gas_limit() > GAS_MAX {
            return Err(Error::GasTooHigh {
                gas: envelope.gas_limit(),
                gas_max: GAS_MAX,
            });
        }
        if envelope.gas_limit() > self.block_gas {
            return Err(Error::BlockGas);
        }
        Ok(())
    }

    fn check_signature(&self, envelope: &TxEnvelope) -> Result<(), Error> {
        match envelope.chain_id() {
            None if !self.unprotected => return Err(Error::Unprotected),
            Some(have) if have != self.chain_id => {
                let want = self.chain_id;
                return Err(Error::ChainId { have, want });
            }
            _ => {}
        }
        let signature = envelope.signature();
        let (r, s) = (signature.r(), signature.s());
        let held = !r.is_zero() && r < ORDER && !s.is_zero() && s <= SECP256K1N_HALF;
        if held { Ok(()) } else { Err(Error::Signature) }
    }
}

impl Checked {
    /// Itself, without its sender.
    pub fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }

    /// Finds the sender by the signature: 50 µs.
    ///
    /// # Errors
    /// When there is no key that signed it.
    pub fn recover(self) -> Result<Transaction, Error> {
        let sender = self.envelope.recover_signer();
        Ok(self.by(sender.map_err(|_| Error::Recovery)?))
    }

    /// With a sender that was found before.
    pub fn by(self, sender: Address) -> Transaction {
        let recovered = Recovered::new_unchecked(self.envelope, sender);
        Transaction::new(recovered, self.encoded_len)
    }
}

/// Gas that a transaction costs before it runs, and what it costs at least.
fn check_gas(envelope: &TxEnvelope) -> Result<(), Error> {
    let gas = envelope.gas_limit();
    let (intrinsic, floor) = gas_min(envelope);
    if gas < intrinsic {
        let gas_min = intrinsic;
        return Err(Error::IntrinsicGas { gas, gas_min });
    }
    if gas < floor {
        let gas_min = floor;
        return Err(Error::FloorGas { gas, gas_min });
    }
    Ok(())
}

const TRANSACTION: u64 = 21_000;
const CREATE: u64 = 32_000;
/// Four for a byte of data, 16 where it is not zero (EIP-2028): one and four tokens (EIP-7623).
const TOKEN: u64 = 4;
const TOKEN_FLOOR: u64 = 10;
const TOKENS_NONZERO: u64 = 4;
/// For each 32 bytes of code that makes a contract (EIP-3860).
const INITCODE_WORD: u64 = 2;
/// EIP-2930.
const ACCESSED_ADDRESS: u64 = 2_400;
const ACCESSED_SLOT: u64 = 1_900;
/// EIP-7702, as for an account that does not exist.
const AUTHORIZATION: u64 = 25_000;

/// Intrinsic gas and the floor. No sum overflows: a transaction has 128 KiB at most.
fn gas_min(envelope: &TxEnvelope) -> (u64, u64) {
    let count = |len: usize| u64::try_from(len).expect("usize has at most 64 bits");
    let data = envelope.input();
    let nonzero = count(data.iter().filter(|byte| **byte != 0).count());
    let tokens = count(data.len()) + nonzero * (TOKENS_NONZERO - 1);
    let mut gas = TRANSACTION + tokens * TOKEN;
    if envelope.is_create() {
        gas += CREATE + INITCODE_WORD * count(data.len().div_ceil(32));
    }
    for item in envelope
        .access_list()
        .into_iter()
        .flat_map(|list| list.iter())
    {
        gas += ACCESSED_ADDRESS + ACCESSED_SLOT * count(item.storage_keys.len());
    }
    gas += AUTHORIZATION * count(envelope.authorization_list().map_or(0, <[_]>::len));
    (gas, TRANSACTION + tokens * TOKEN_FLOOR)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
