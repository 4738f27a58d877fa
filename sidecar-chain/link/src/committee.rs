//! Who validates in which epoch, as the stake registry has it.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;

use crate::abi::Committee;

/// A member of a committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whose stake it is.
    pub owner: Address,
    /// Ed25519 public key.
    pub key: B256,
    /// Wei.
    pub stake: u128,
    /// Host and port, as the owner wrote it: nobody has checked it.
    pub endpoint: String,
}

/// The call that asks for the committee of an epoch: this one or one of the next two.
pub fn committee_call(epoch: u64) -> Bytes {
    Committee::committeeCall { asked: epoch }
        .abi_encode()
        .into()
}

/// The answer: the largest stakes, the larger first, of equal ones the smaller key. Empty if nobody
/// has a stake.
///
/// # Errors
/// When it does not decode.
pub fn members(answer: &[u8]) -> Result<Vec<Member>, alloy_sol_types::Error> {
    let members = Committee::committeeCall::abi_decode_returns_validate(answer)?;
    let members = members.into_iter().map(|member| Member {
        owner: member.owner,
        key: member.key,
        stake: member.stake,
        endpoint: member.endpoint,
    });
    Ok(members.collect())
}

/// The call that registers the sender with the value as its stake.
pub fn register_call(key: B256, endpoint: String) -> Bytes {
    Committee::registerCall { key, endpoint }
        .abi_encode()
        .into()
}

/// The call that takes from the sender's stake.
pub fn unbond_call(amount: u128) -> Bytes {
    Committee::unbondCall { amount }.abi_encode().into()
}
