//! What became of a transaction, in the words that clients match (0G wire, 3.3:
//! `kv_getTransactionResult`).

use core::fmt;

use bytes::Bytes;
use lode_wire::cipher::CipherError;

use crate::{
    account::Account,
    stream::{Malformed, Op, StreamId},
};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that it writes is there.
    Commit,
    /// Its bytes are no transaction.
    DataParseError(Malformed),
    /// This node's keys do not open its bytes (see [`crate::Rules::keys`]).
    Sealed(CipherError),
    /// Something that it read or writes is newer than it says.
    VersionConfliction,
    /// It touches a stream that its tags do not name, or reads one that is not held here.
    TagsMismatch,
    /// Its sender may write in none of its streams. Known without its bytes.
    SenderNoWritePermission,
    /// Its sender may not write one of its keys.
    WritePermissionDenied {
        /// The key's stream.
        stream: StreamId,
        /// The key.
        key: Bytes,
    },
    /// Its sender may not change who writes.
    AccessControlPermissionDenied {
        /// What it wanted.
        op: Op,
        /// In which stream.
        stream: StreamId,
        /// Of which key; empty where it is about the stream.
        key: Bytes,
        /// For whom; zero where it is about nobody.
        account: Account,
    },
    /// Its bytes were not to be had, and are not waited for any more.
    DataUnavailable,
}

/// Letters of a key that a text repeats.
const KEY_LETTERS: usize = 32;

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Commit => to.write_str("Commit"),
            Verdict::DataParseError(why) => write!(to, "DataParseError: {why}"),
            // 0G has no word for it: see `sealed`.
            Verdict::Sealed(why) => write!(to, "DataParseError: Cannot decrypt: {}", reason(*why)),
            Verdict::VersionConfliction => to.write_str("VersionConfliction"),
            Verdict::TagsMismatch => to.write_str("TagsMismatch"),
            Verdict::SenderNoWritePermission => to.write_str("SenderNoWritePermission"),
            Verdict::WritePermissionDenied { stream, key } => {
                let key = shortened(key);
                write!(to, "WritePermissionDenied: stream: {stream}, key: {key}")
            }
            Verdict::AccessControlPermissionDenied {
                op,
                stream,
                key,
                account,
            } => {
                let (op, key) = (op.name(), shortened(key));
                write!(
                    to,
                    "AccessControlPermissionDenied: operation: {op}, stream: {stream}, key: {key}, \
                     account: {account}"
                )
            }
            Verdict::DataUnavailable => to.write_str("DataUnavailable"),
        }
    }
}

/// Part of results, hence not the words of errors, which may change.
const fn reason(why: CipherError) -> &'static str {
    match why {
        CipherError::Short { .. } => "no encryption header",
        CipherError::Version(_) => "not encrypted, or in an unknown way",
        CipherError::NeedsKey => "no key of version 1",
        CipherError::NeedsPrivateKey => "no private key",
        CipherError::PublicKey | CipherError::PrivateKey => "no public key in the header",
    }
}

/// A key as 0G's texts have it.
fn shortened(key: &[u8]) -> &str {
    if key.is_empty() {
        return "NONE";
    }
    let Ok(text) = core::str::from_utf8(key) else {
        return "UNKNOWN";
    };
    match text.char_indices().nth(KEY_LETTERS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use lode_proofs::Hash32;

    use super::*;

    /// The texts, letter by letter, as 0G's replayer writes them.
    #[test]
    fn texts() {
        let stream = StreamId(Hash32([0xf0; 32]));
        let name = format!("0x{}", "f0".repeat(32));
        let denied = |key: &'static [u8]| Verdict::WritePermissionDenied {
            stream,
            key: Bytes::from_static(key),
        };
        let long = "ä".repeat(40);
        let cases = [
            (Verdict::Commit, "Commit".to_owned()),
            (
                Verdict::DataParseError(Malformed::Data),
                "DataParseError: Invalid stream data".to_owned(),
            ),
            (
                Verdict::DataParseError(Malformed::ListTooLong),
                "DataParseError: Stream read/write/access_control list too long".to_owned(),
            ),
            (
                Verdict::Sealed(CipherError::Version(0)),
                "DataParseError: Cannot decrypt: not encrypted, or in an unknown way".to_owned(),
            ),
            (
                denied(b"key"),
                format!("WritePermissionDenied: stream: {name}, key: key"),
            ),
            (
                denied(&[0xff]),
                format!("WritePermissionDenied: stream: {name}, key: UNKNOWN"),
            ),
            (
                Verdict::WritePermissionDenied {
                    stream,
                    key: Bytes::from(long),
                },
                format!(
                    "WritePermissionDenied: stream: {name}, key: {}",
                    "ä".repeat(32)
                ),
            ),
            (
                Verdict::AccessControlPermissionDenied {
                    op: Op::GrantAdmin,
                    stream,
                    key: Bytes::new(),
                    account: Account([0xaa; 20]),
                },
                format!(
                    "AccessControlPermissionDenied: operation: GRANT_ADMIN_ROLE, stream: {name}, \
                     key: NONE, account: 0x{}",
                    "aa".repeat(20)
                ),
            ),
        ];
        for (verdict, text) in cases {
            assert_eq!(verdict.to_string(), text);
        }
    }
}
