//! Ciphers that clients put before their bytes (0G wire, 4.7). Nodes store what comes out and know
//! nothing of it: root and size are of the stored bytes.
//!
//! ```text
//!   v1  01 │ nonce 16 │ AES-256-CTR(plain)                  the key is agreed on elsewhere
//!   v2  02 │ ephemeral public key 33 │ nonce 16 │ AES-256-CTR(plain)
//!           key = HKDF-SHA256(x of ECDH(ephemeral, recipient), no salt, info, 32 bytes)
//! ```
//! The counter of the first block is the nonce, a big-endian number of 128 bits that wraps; byte `at` of
//! the plain bytes is under byte `at` of the keystream, in whichever fragment it is stored.
//!
//! **Neither version has a tag.** A wrong key gives noise and no error, and who changes stored bits
//! changes plain bits: only the root, which must come from somebody trusted, tells. What can be refused
//! is: an unknown version, a header that is cut off, a key of the wrong kind, and a point that is not on
//! the curve. And one key and nonce must never meet two plain texts: who has both stored texts has the
//! difference of the plain ones. Nonces and ephemeral keys come in as bytes; choosing them is the caller's.

use aes::Aes256;
use core::fmt;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use hkdf::Hkdf;
use k256::elliptic_curve::sec1::ToSec1Point;
use sha2::Sha256;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 16;
/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a compressed public key.
pub const PUBLIC_LEN: usize = 33;
/// Bytes of a header of version 1.
pub const HEADER_V1_LEN: usize = 1 + NONCE_LEN;
/// Bytes of a header of version 2, the longest.
pub const HEADER_V2_LEN: usize = 1 + PUBLIC_LEN + NONCE_LEN;

/// What keys of version 2 are derived for; every client has the same.
const INFO: &[u8] = b"0g-storage-client/ecies/v1/aes-256";

/// Why stored bytes cannot be read, or a key not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// Fewer bytes than the header.
    #[error("{got} bytes are no encryption header of {want}")]
    Short {
        /// Bytes that are there.
        got: usize,
        /// Bytes that a header of this version has.
        want: usize,
    },
    /// No version that we know: most likely the bytes are not encrypted.
    #[error("version {0} of encryption is unknown, or the bytes are not encrypted")]
    Version(u8),
    /// A key that both sides know is needed, and was not given.
    #[error("encrypted with a key that both sides know (version 1), and none is given")]
    NeedsKey,
    /// A private key is needed, and was not given.
    #[error("encrypted to a public key (version 2), and no private key is given")]
    NeedsPrivateKey,
    /// Zero, or not below the order of the curve.
    #[error("no private key of secp256k1")]
    PrivateKey,
    /// Not the encoding of a point of the curve.
    #[error("no public key of secp256k1")]
    PublicKey,
}

/// A key of AES-256. Printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// Any 32 bytes are a key.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_LEN]) -> Key {
        Key(bytes)
    }

    /// The bytes, to derive others from.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A private key of secp256k1. Printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(k256::SecretKey);

impl PrivateKey {
    /// # Errors
    /// [`CipherError::PrivateKey`] for zero and what is not below the order.
    pub fn new(bytes: &[u8; KEY_LEN]) -> Result<PrivateKey, CipherError> {
        let key = k256::SecretKey::from_slice(bytes).map_err(|_| CipherError::PrivateKey)?;
        Ok(PrivateKey(key))
    }

    /// What others encrypt to.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// What both ends of an exchange derive.
    fn shared(&self, other: &PublicKey) -> Key {
        let shared = self.0.diffie_hellman(&other.0);
        let mut key = [0; KEY_LEN];
        Hkdf::<Sha256>::new(None, shared.raw_secret_bytes())
            .expand(INFO, &mut key)
            .expect("32 bytes are fewer than 255 hashes");
        Key(key)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A public key of secp256k1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(k256::PublicKey);

impl PublicKey {
    /// Reads 33 bytes (compressed), 65 (with 04 before them) or 64 (the two coordinates).
    ///
    /// # Errors
    /// [`CipherError::PublicKey`] for anything that is not a point of the curve.
    pub fn decode(bytes: &[u8]) -> Result<PublicKey, CipherError> {
        let mut long = [4; 1 + 64];
        let bytes = match bytes.len() {
            64 => {
                long[1..].copy_from_slice(bytes);
                &long[..]
            }
            _ => bytes,
        };
        let key = k256::PublicKey::from_sec1_bytes(bytes).map_err(|_| CipherError::PublicKey)?;
        Ok(PublicKey(key))
    }

    /// The compressed form.
    #[must_use]
    pub fn encode(&self) -> [u8; PUBLIC_LEN] {
        let point = self.0.to_sec1_point(true);
        let bytes = point.as_bytes().try_into();
        bytes.expect("a compressed point of this curve has 33 bytes")
    }
}

/// What stands before encrypted bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Version 1: the reader has the key.
    Symmetric {
        /// Counter of the first block.
        nonce: [u8; NONCE_LEN],
    },
    /// Version 2: the reader derives the key.
    Ecies {
        /// The sender's public key, made for these bytes alone. Not checked to be a point.
        ephemeral: [u8; PUBLIC_LEN],
        /// Counter of the first block.
        nonce: [u8; NONCE_LEN],
    },
}

impl Header {
    /// A header to `recipient`, and the key that it leads to.
    #[must_use]
    pub fn to(
        recipient: &PublicKey,
        ephemeral: &PrivateKey,
        nonce: [u8; NONCE_LEN],
    ) -> (Header, Key) {
        let header = Header::Ecies {
            ephemeral: ephemeral.public().encode(),
            nonce,
        };
        (header, ephemeral.shared(recipient))
    }

    /// Reads the header that stored bytes begin with; what follows is not looked at.
    ///
    /// # Errors
    /// [`CipherError::Short`], [`CipherError::Version`].
    pub fn decode(stored: &[u8]) -> Result<Header, CipherError> {
        let Some(version) = stored.first() else {
            return Err(CipherError::Short { got: 0, want: 1 });
        };
        match version {
            1 => {
                let [_, nonce @ ..] = head::<HEADER_V1_LEN>(stored)?;
                Ok(Header::Symmetric { nonce })
            }
            2 => {
                let [_, rest @ ..] = head::<HEADER_V2_LEN>(stored)?;
                let (mut ephemeral, mut nonce) = ([0; PUBLIC_LEN], [0; NONCE_LEN]);
                ephemeral.copy_from_slice(&rest[..PUBLIC_LEN]);
                nonce.copy_from_slice(&rest[PUBLIC_LEN..]);
                Ok(Header::Ecies { ephemeral, nonce })
            }
            other => Err(CipherError::Version(*other)),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Header::Symmetric { nonce } => [&[1][..], nonce].concat(),
            Header::Ecies { ephemeral, nonce } => [&[2][..], ephemeral, nonce].concat(),
        }
    }

    /// How many these are: 17 or 50.
    #[must_use]
    pub const fn size(&self) -> usize {
        match self {
            Header::Symmetric { .. } => HEADER_V1_LEN,
            Header::Ecies { .. } => HEADER_V2_LEN,
        }
    }

    const fn nonce(&self) -> &[u8; NONCE_LEN] {
        match self {
            Header::Symmetric { nonce } | Header::Ecies { nonce, .. } => nonce,
        }
    }
}

fn head<const LEN: usize>(stored: &[u8]) -> Result<[u8; LEN], CipherError> {
    let short = CipherError::Short {
        got: stored.len(),
        want: LEN,
    };
    stored.first_chunk().copied().ok_or(short)
}

/// What a reader has to read with.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// For version 1.
    pub symmetric: Option<Key>,
    /// For version 2.
    pub private: Option<PrivateKey>,
}

impl Keys {
    /// The key that a header asks for. That it is the right one nobody can tell (see the file's head).
    ///
    /// # Errors
    /// [`CipherError::NeedsKey`], [`CipherError::NeedsPrivateKey`], [`CipherError::PublicKey`].
    pub fn open(&self, header: &Header) -> Result<Key, CipherError> {
        match (header, &self.symmetric, &self.private) {
            (Header::Symmetric { .. }, Some(key), _) => Ok(key.clone()),
            (Header::Symmetric { .. }, None, _) => Err(CipherError::NeedsKey),
            (Header::Ecies { ephemeral, .. }, _, Some(private)) => {
                Ok(private.shared(&PublicKey::decode(ephemeral)?))
            }
            (Header::Ecies { .. }, _, None) => Err(CipherError::NeedsPrivateKey),
        }
    }
}

/// A keystream, from any byte on.
#[derive(Clone, Debug)]
pub struct Cipher {
    key: Key,
    nonce: [u8; NONCE_LEN],
}

impl Cipher {
    /// That of a key and a header's nonce.
    #[must_use]
    pub fn new(key: Key, header: &Header) -> Cipher {
        Cipher {
            key,
            nonce: *header.nonce(),
        }
    }

    /// Encrypts or decrypts, which is the same, bytes that begin at byte `at` of the plain ones. `at` does
    /// not count the header. One key schedule per call: give it kilobytes at a time.
    pub fn apply(&self, at: u64, bytes: &mut [u8]) {
        let mut stream = Ctr128BE::<Aes256>::new((&self.key.0).into(), (&self.nonce).into());
        stream.seek(at);
        stream.apply_keystream(bytes);
    }
}

#[cfg(test)]
mod tests;
