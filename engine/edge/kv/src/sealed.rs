//! Transactions that were encrypted before they were stored (0G wire, 4.7), as a node with keys reads
//! them.
//!
//! ```text
//!  stored   header 17 or 50 │ AES-256-CTR(transaction) │ zeros up to a sector
//!  read                     │ transaction              │ noise up to a sector
//! ```
//! As with 0G's node, keys belong to a node: with one, all its streams are encrypted, and what is not
//! cannot be opened. The last sector is decrypted whole, as 0G's node does, so that the zeros behind a
//! transaction are noise here: a list that is missing at the end does not count as empty.
//!
//! What cannot be opened is refused, and says why in its result: a function of the stored bytes and the
//! keys alone. (0G's node has no word for it: it fetches the bytes again and again, for ever unless it
//! is told otherwise, and everything behind it waits.) Nobody can tell a wrong key: it gives noise, which
//! is refused as noise is.

use bytes::{Bytes, BytesMut};
use lode_proofs::{Hash32, keccak::keccak256};
use lode_wire::cipher::{Cipher, CipherError, HEADER_V2_LEN, Header, Keys};

const CHUNK: u64 = 262_144;
const _: () = assert!(HEADER_V2_LEN < 262_144, "a header is in the first chunk");

/// Whether there is a key at all.
pub(crate) fn are_given(keys: &Keys) -> bool {
    keys.symmetric.is_some() || keys.private.is_some()
}

/// What tells keys from others, without telling them. None where there are none.
pub(crate) fn print_of(keys: &Keys) -> Option<Hash32> {
    if !are_given(keys) {
        return None;
    }
    let mut text = b"lode kv, keys of a folder".to_vec();
    if let Some(key) = &keys.symmetric {
        text.push(1);
        text.extend_from_slice(key.as_bytes());
    }
    if let Some(key) = &keys.private {
        text.push(2);
        text.extend_from_slice(&key.public().encode());
    }
    Some(Hash32(keccak256(&text)))
}

/// How stored bytes become those of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// None: they are.
    cipher: Option<Cipher>,
    header_len: u64,
}

impl Opening {
    /// As the header says that the first stored chunk begins with.
    ///
    /// # Errors
    /// No header is there, or no key for it.
    pub fn by(keys: &Keys, stored: &[u8]) -> Result<Opening, CipherError> {
        let header = Header::decode(stored)?;
        let key = keys.open(&header)?;
        Ok(Opening {
            cipher: Some(Cipher::new(key, &header)),
            header_len: u64::try_from(header.size()).expect("at most 50"),
        })
    }

    /// Stored bytes before the transaction: 17 or 50, or none where nothing is encrypted.
    pub fn header_len(&self) -> u64 {
        self.header_len
    }

    /// Stored chunk `index`, or its beginning, decrypted behind the header, which stays.
    pub fn chunk(&self, index: u64, stored: Bytes) -> Bytes {
        let Some(cipher) = &self.cipher else {
            return stored;
        };
        let mut bytes = BytesMut::from(stored);
        let at = index.saturating_mul(CHUNK);
        let skip = self.header_len.saturating_sub(at);
        let skip = usize::try_from(skip).expect("a header is short");
        let from = skip.min(bytes.len());
        cipher.apply(at.saturating_sub(self.header_len), &mut bytes[from..]);
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use lode_wire::cipher::{Key, PrivateKey};

    use super::*;

    fn keys() -> Keys {
        Keys {
            symmetric: Some(Key::new([3; 32])),
            private: Some(PrivateKey::new(&[5; 32]).unwrap()),
        }
    }

    /// Chunks of both versions are those of the whole, whatever is cut off at their end.
    #[test]
    fn by_chunks() {
        let private = PrivateKey::new(&[5; 32]).unwrap();
        let ephemeral = PrivateKey::new(&[9; 32]).unwrap();
        let plain: Vec<u8> = (0..=250).cycle().take(600_000).collect();
        let v1 = (Header::Symmetric { nonce: [7; 16] }, Key::new([3; 32]));
        for (header, key) in [v1, Header::to(&private.public(), &ephemeral, [8; 16])] {
            let mut stored = plain.clone();
            Cipher::new(key, &header).apply(0, &mut stored);
            stored.splice(0..0, header.encode());
            let opening = Opening::by(&keys(), &stored).unwrap();
            let mut read = Vec::new();
            for (index, chunk) in (0..).zip(stored.chunks(262_144)) {
                let chunk = Bytes::copy_from_slice(chunk);
                let whole = opening.chunk(index, chunk.clone());
                for len in [0, 1, 16, 17, 51, 200] {
                    assert_eq!(opening.chunk(index, chunk.slice(..len)), whole[..len]);
                }
                read.extend_from_slice(&whole);
            }
            let skip = usize::try_from(opening.header_len()).unwrap();
            assert_eq!(read[..skip], header.encode());
            assert_eq!(read[skip..], plain);
        }
    }

    /// Fingerprints differ for keys that differ, in kind and in bytes.
    #[test]
    fn prints() {
        let (both, other) = (keys(), PrivateKey::new(&[3; 32]).unwrap());
        let symmetric = Keys {
            private: None,
            ..both.clone()
        };
        let private = Keys {
            symmetric: None,
            ..both.clone()
        };
        let others = Keys {
            symmetric: None,
            private: Some(other),
        };
        let all = [Keys::default(), both, symmetric, private, others];
        let prints: std::collections::BTreeSet<_> = all.iter().map(print_of).collect();
        assert_eq!(prints.len(), all.len());
        assert_eq!(print_of(&Keys::default()), None);
    }
}
