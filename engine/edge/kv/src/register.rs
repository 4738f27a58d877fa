//! Whether somebody signed that a stream be held (0G wire, 3.3: `admin_addStream`; EIP-712).
//!
//! ```text
//!  domain   name "0G Storage Scan", version "1", chainId; no contract
//!  message  RegisterStream(string purpose,address wallet,bytes32 streamId), purpose "register-stream"
//! ```

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use lode_proofs::keccak::keccak256;

use crate::{account::Account, hex, stream::StreamId};

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId)";
const NAME: &[u8] = b"0G Storage Scan";
const VERSION: &[u8] = b"1";
const MESSAGE_TYPE: &[u8] = b"RegisterStream(string purpose,address wallet,bytes32 streamId)";
const PURPOSE: &[u8] = b"register-stream";

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// Not 65 bytes in hex, or numbers that no signature has.
    #[error("not a signature of 65 bytes in hex")]
    Form,
    /// Of somebody else, or of something else.
    #[error("recovered signer does not match claimed wallet")]
    Another,
}

/// What is signed.
pub fn digest(wallet: Account, stream: StreamId, chain_id: u64) -> [u8; 32] {
    let domain = words(&[
        keccak256(DOMAIN_TYPE),
        keccak256(NAME),
        keccak256(VERSION),
        word(&chain_id.to_be_bytes()),
    ]);
    let message = words(&[
        keccak256(MESSAGE_TYPE),
        keccak256(PURPOSE),
        word(&wallet.0),
        stream.0.0,
    ]);
    keccak256(&[&b"\x19\x01"[..], &domain, &message].concat())
}

/// Checks that `wallet` signed. `signature` is r, s and v in hex; v is 0, 1, 27 or 28.
///
/// # Errors
/// [`Unsigned`].
pub fn verify(
    wallet: Account,
    stream: StreamId,
    chain_id: u64,
    signature: &str,
) -> Result<(), Unsigned> {
    let bytes = hex::decode(signature).ok_or(Unsigned::Form)?;
    let bytes: [u8; 65] = bytes.try_into().map_err(|_| Unsigned::Form)?;
    let [pair @ .., v] = &bytes;
    let signature = Signature::from_slice(pair).map_err(|_| Unsigned::Form)?;
    let odd = match v {
        0 | 27 => false,
        1 | 28 => true,
        _ => return Err(Unsigned::Form),
    };
    let id = RecoveryId::new(odd, false);
    let digest = digest(wallet, stream, chain_id);
    let key = VerifyingKey::recover_from_prehash(&digest, &signature, id);
    let signer = key.map_err(|_| Unsigned::Another)?;
    if account_of(&signer) == wallet {
        Ok(())
    } else {
        Err(Unsigned::Another)
    }
}

/// The account of a key.
fn account_of(key: &VerifyingKey) -> Account {
    let point = key.to_sec1_point(false);
    // The first byte says that both coordinates follow.
    let hash = keccak256(&point.as_bytes()[1..]);
    let [_, _, _, _, _, _, _, _, _, _, _, _, account @ ..] = hash;
    Account(account)
}

fn words(words: &[[u8; 32]]) -> [u8; 32] {
    keccak256(&words.concat())
}

/// A number or an account, filled with zeros on the left.
fn word(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word
}

#[cfg(test)]
pub(crate) mod tests {
    use k256::ecdsa::SigningKey;
    use lode_proofs::Hash32;

    use super::*;

    /// Somebody with a key that everybody knows.
    pub(crate) fn wallet() -> (SigningKey, Account) {
        let key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let key = SigningKey::from_slice(&hex::decode(key).unwrap()).unwrap();
        let account = account_of(key.verifying_key());
        (key, account)
    }

    pub(crate) fn sign(key: &SigningKey, wallet: Account, stream: StreamId, chain: u64) -> String {
        let (signature, id) = key.sign_prehash_recoverable(&digest(wallet, stream, chain));
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + id.to_byte());
        hex::encode(&bytes)
    }

    const STREAM: StreamId = StreamId(Hash32([0xab; 32]));

    /// The account of the known key is the known one, and its signature counts, for what it signed.
    #[test]
    fn signed_by_who_says_so() {
        let (key, account) = wallet();
        let known = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        assert_eq!(account.to_string(), known);
        let signature = sign(&key, account, STREAM, 16_601);
        assert_eq!(verify(account, STREAM, 16_601, &signature), Ok(()));
        let another = StreamId(Hash32([0xac; 32]));
        let wrong = Err(Unsigned::Another);
        assert_eq!(verify(account, another, 16_601, &signature), wrong);
        assert_eq!(verify(account, STREAM, 1, &signature), wrong);
        assert_eq!(verify(Account([1; 20]), STREAM, 16_601, &signature), wrong);
    }

    /// Digest and signature are those that eth-account 0.13 makes of the same typed data.
    #[test]
    fn vector() {
        let (key, account) = wallet();
        let want = "0xf000fbdd5031586774d7a9460eb0e7722d0caf5285f4f9011c9b9932590915af";
        assert_eq!(hex::encode(&digest(account, STREAM, 16_601)), want);
        let signature = "0x0ad0e5a517e26f95c5348150aa45b95070ed8c088dab05ced858949daf00d02662c2b858\
                         f720fb278a4ef822172dc955c16d10bd8771da02dcfaa93f6bc20a2a1b";
        assert_eq!(sign(&key, account, STREAM, 16_601), signature);
        assert_eq!(verify(account, STREAM, 16_601, signature), Ok(()));
    }

    /// What is no signature is refused for its form.
    #[test]
    fn form() {
        let (key, account) = wallet();
        let right = sign(&key, account, STREAM, 1);
        let cases = [
            String::new(),
            right[..130].to_owned(),
            format!("{right}00"),
            format!("{}07", &right[..130]),
            format!("0x{}", "00".repeat(65)),
            right.replace("0x", "0y"),
        ];
        for wrong in cases {
            assert_eq!(
                verify(account, STREAM, 1, &wrong),
                Err(Unsigned::Form),
                "{wrong}"
            );
        }
    }
}
