//! Encrypting what is put, so that the same bytes and the same key always give the same stored bytes: a
//! second run finds what the first one stored, and resumes.
//!
//! ```text
//!   plain bytes ─► BLAKE3 of each chunk ─► keyed BLAKE3 over all of them and the length ─► nonce
//!                                          (version 2: with the recipient ─► ephemeral key, nonce)
//! ```
//! Nobody without the secret can compute a nonce or an ephemeral key, and other bytes have another one. It
//! follows that one keystream never covers two plain texts — as long as the file does not change between
//! being hashed and being sent. So no chunk leaves before it has been compared with its hash: see
//! [`Seal::read_checked`]. What equal files with an equal key give away is that they are equal.

use std::{fs::File, io, os::unix::fs::FileExt};

use lode_wire::cipher::{Cipher, Header, Key, Keys, PrivateKey, PublicKey};

use crate::{
    failure::{Failure, Outcome},
    random,
    roots::CHUNK,
};

/// With what it is encrypted.
pub enum Sealing {
    /// A key that reader and writer have.
    With {
        /// That key.
        key: Key,
    },
    /// A recipient's public key.
    To {
        /// That key.
        recipient: PublicKey,
        /// From what ephemeral keys are derived.
        secret: [u8; 32],
    },
}

/// Where in keyed hashes they are used: never change these, or nothing is resumed.
const NONCES: &str = "lode 2026-11 nonces of encryption with a key";
const EPHEMERALS: &str = "lode 2026-11 ephemeral keys and nonces of encryption to a public key";

/// Candidates for an ephemeral key. One of 2^127 is none.
const CANDIDATES: u64 = 4;

impl Sealing {
    /// Encrypts with a key.
    pub fn with(key: Key) -> Sealing {
        Sealing::With { key }
    }

    /// Encrypts to a public key.
    pub fn to(recipient: PublicKey, secret: [u8; 32]) -> Sealing {
        Sealing::To { recipient, secret }
    }

    /// A seal for a file of `size` bytes, which is read once. `done` hears of bytes.
    pub fn of_file(&self, file: &File, size: u64, done: &dyn Fn(u64)) -> io::Result<Seal> {
        let digests = digests(file, size, done)?;
        let mut hasher = self.hasher();
        hasher.update(&size.to_le_bytes());
        digests.iter().for_each(|digest| {
            hasher.update(digest);
        });
        let mut seal = self.seal(&hasher);
        seal.digests = Some(digests);
        seal.size = size;
        Ok(seal)
    }

    /// A seal for bytes that nobody knows yet: no second run makes the same.
    pub fn of_stream(&self) -> Outcome<Seal> {
        let mut hasher = self.hasher();
        hasher.update(&random::bytes::<32>()?);
        Ok(self.seal(&hasher))
    }

    /// Keyed, so that nothing of it can be computed without the secret.
    fn hasher(&self) -> blake3::Hasher {
        match self {
            Sealing::With { key } => {
                blake3::Hasher::new_keyed(&blake3::derive_key(NONCES, key.as_bytes()))
            }
            Sealing::To { recipient, secret } => {
                let key = blake3::derive_key(EPHEMERALS, secret);
                let mut hasher = blake3::Hasher::new_keyed(&key);
                hasher.update(&recipient.encode());
                hasher
            }
        }
    }

    fn seal(&self, hasher: &blake3::Hasher) -> Seal {
        let mut stream = hasher.finalize_xof();
        let mut nonce = [0; 16];
        stream.fill(&mut nonce);
        let (header, key) = match self {
            Sealing::With { key } => (Header::Symmetric { nonce }, key.clone()),
            Sealing::To { recipient, .. } => {
                let candidate = |at: u64| {
                    let mut bytes = [0; 32];
                    stream.set_position(64 * (1 + at));
                    stream.fill(&mut bytes);
                    PrivateKey::new(&bytes).ok()
                };
                let ephemeral = (0..CANDIDATES).find_map(candidate);
                let ephemeral = ephemeral.expect("four numbers of 256 bits are not all too high");
                Header::to(recipient, &ephemeral, nonce)
            }
        };
        Seal {
            cipher: Cipher::new(key, &header),
            header: header.encode(),
            size: 0,
            digests: None,
        }
    }
}

/// BLAKE3 of each chunk of a file: 32 bytes of memory for each 256 KiB.
fn digests(file: &File, size: u64, done: &dyn Fn(u64)) -> io::Result<Vec<[u8; 32]>> {
    let mut digests = Vec::new();
    let mut buffer = vec![0; buffer_len(size)];
    let mut at = 0;
    while at < size {
        let bytes = cut(&mut buffer, size - at);
        file.read_exact_at(bytes, at)?;
        digests.push(*blake3::hash(bytes).as_bytes());
        let read = len(bytes);
        at += read;
        done(read);
    }
    Ok(digests)
}

/// What stands before encrypted bytes, and what encrypts them.
pub struct Seal {
    header: Vec<u8>,
    cipher: Cipher,
    /// Plain bytes, of which the digests are.
    size: u64,
    digests: Option<Vec<[u8; 32]>>,
}

impl Seal {
    /// That of bytes which are stored already, from the header that they begin with.
    pub fn open(stored: &[u8], keys: &Keys) -> Outcome<Seal> {
        let refused = |error: lode_wire::cipher::CipherError| {
            let next = "check the flags: --decryption-key, --private-key, or none of them";
            Failure::other(error.to_string(), next)
        };
        let header = Header::decode(stored).map_err(refused)?;
        let key = keys.open(&header).map_err(refused)?;
        Ok(Seal {
            cipher: Cipher::new(key, &header),
            header: header.encode(),
            size: 0,
            digests: None,
        })
    }

    /// The header's bytes.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// How many these are.
    pub fn header_len(&self) -> u64 {
        len(&self.header)
    }

    /// Encrypts or decrypts bytes that begin at byte `at` of the plain ones.
    pub fn apply(&self, at: u64, bytes: &mut [u8]) {
        self.cipher.apply(at, bytes);
    }

    /// Stored bytes from `at` on, made of a file's plain ones as they are now. To be hashed, not sent.
    pub fn read_exact_at(&self, file: &File, mut bytes: &mut [u8], at: u64) -> io::Result<()> {
        let head = self.header.get(memory(at)..).unwrap_or_default();
        let head = &head[..head.len().min(bytes.len())];
        bytes[..head.len()].copy_from_slice(head);
        bytes = &mut bytes[head.len()..];
        let plain_at = (at + len(head)).saturating_sub(self.header_len());
        file.read_exact_at(bytes, plain_at)?;
        self.apply(plain_at, bytes);
        Ok(())
    }

    /// Some stored bytes from `at` on, to be sent. `window` keeps the chunk that they are from.
    ///
    /// # Errors
    /// The file is not what it was when it was hashed: encrypting it would use a keystream twice.
    pub fn read_checked(
        &self,
        file: &File,
        bytes: &mut [u8],
        at: u64,
        window: &mut Window,
    ) -> io::Result<usize> {
        let Some(plain_at) = at.checked_sub(self.header_len()) else {
            let head = &self.header[memory(at)..];
            let take = head.len().min(bytes.len());
            bytes[..take].copy_from_slice(&head[..take]);
            return Ok(take);
        };
        let chunk = plain_at / CHUNK;
        if window.chunk != Some(chunk) {
            window.chunk = None;
            self.load(file, chunk, &mut window.bytes)?;
            window.chunk = Some(chunk);
        }
        let rest = &window.bytes[memory(plain_at - chunk * CHUNK)..];
        let take = rest.len().min(bytes.len());
        bytes[..take].copy_from_slice(&rest[..take]);
        Ok(take)
    }

    fn load(&self, file: &File, chunk: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let digest = self.digests.as_ref().and_then(|all| all.get(memory(chunk)));
        let changed = || io::Error::other("it changed while it was being put");
        let digest = digest.ok_or_else(changed)?;
        bytes.resize(memory(CHUNK.min(self.size - chunk * CHUNK)), 0);
        file.read_exact_at(bytes, chunk * CHUNK)?;
        if blake3::hash(bytes).as_bytes() != digest {
            return Err(changed());
        }
        self.apply(chunk * CHUNK, bytes);
        Ok(())
    }
}

/// The chunk that a reader is in, encrypted.
#[derive(Default)]
pub struct Window {
    chunk: Option<u64>,
    bytes: Vec<u8>,
}

/// A length in memory, which is a length in a file.
fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("memory is smaller than 2^64")
}

/// A length in a file as one in memory; what does not fit is out of every range.
fn memory(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn buffer_len(size: u64) -> usize {
    memory(size.min(CHUNK))
}

fn cut(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let most = memory(left).min(buffer.len());
    &mut buffer[..most]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{noise::noise, source::Source};
    use std::io::{Read, Write};

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn all() -> [Sealing; 2] {
        let private = PrivateKey::new(&[5; 32]).unwrap();
        [
            Sealing::with(Key::new([3; 32])),
            Sealing::to(private.public(), [9; 32]),
        ]
    }

    fn keys() -> Keys {
        Keys {
            symmetric: Some(Key::new([3; 32])),
            private: PrivateKey::new(&[5; 32]).ok(),
        }
    }

    fn stored(sealing: &Sealing, plain: &[u8]) -> Vec<u8> {
        let file = file_of(plain);
        let size = len(plain);
        let seal = sealing.of_file(&file, size, &|_| ()).unwrap();
        let source = Source::sealed(&file, size, &seal);
        let mut bytes = Vec::new();
        source.reader(0).read_to_end(&mut bytes).unwrap();
        let mut hashed = vec![0; bytes.len()];
        source.read_exact_at(&mut hashed, 0).unwrap();
        assert_eq!(hashed, bytes, "what is hashed is what is sent");
        bytes
    }

    /// The same file gives the same stored bytes, every other file others, and with the key they come back.
    #[test]
    fn repeats() {
        for sealing in all() {
            let plain = noise(1, 600_000);
            let bytes = stored(&sealing, &plain);
            assert_eq!(stored(&sealing, &plain), bytes);
            let seal = Seal::open(&bytes, &keys()).unwrap();
            let mut back = bytes[memory(seal.header_len())..].to_vec();
            seal.apply(0, &mut back);
            assert_eq!(back, plain);
            let mut other = plain.clone();
            other[599_999] ^= 1;
            let other_bytes = stored(&sealing, &other);
            let shorter_bytes = stored(&sealing, &plain[..599_999]);
            let head = memory(seal.header_len());
            assert_ne!(other_bytes[..head], bytes[..head], "another nonce");
            assert_ne!(shorter_bytes[..head], bytes[..head]);
        }
    }

    /// Windows and readers anywhere give the bytes of the whole.
    #[test]
    fn anywhere() {
        for sealing in all() {
            let plain = noise(2, 2 * 262_144 + 77);
            let whole = stored(&sealing, &plain);
            let file = file_of(&plain);
            let seal = sealing.of_file(&file, len(&plain), &|_| ()).unwrap();
            let source = Source::sealed(&file, len(&plain), &seal);
            assert_eq!(source.size(), len(&whole));
            for (start, end) in [(0, 5), (3, 60), (17, 18), (50, 262_200), (262_194, 524_300)] {
                let want = &whole[start..end];
                let part = source.part(len(&whole[..start])..len(&whole[..end]));
                let mut bytes = vec![0; end - start];
                part.read_exact_at(&mut bytes, 0).unwrap();
                assert_eq!(bytes, want);
                for skip in [0, 1, (end - start) / 2] {
                    let mut read = Vec::new();
                    part.reader(len(&whole[..skip]))
                        .read_to_end(&mut read)
                        .unwrap();
                    assert_eq!(read, &want[skip..]);
                }
            }
        }
    }

    /// A file that changed after it was hashed is not sent, not even what did not change of that chunk.
    #[test]
    fn changed() {
        for sealing in all() {
            let plain = noise(3, 600_000);
            let file = file_of(&plain);
            let seal = sealing.of_file(&file, len(&plain), &|_| ()).unwrap();
            file.write_all_at(&[0; 9], 400_000).unwrap();
            let source = Source::sealed(&file, len(&plain), &seal);
            let mut sent = Vec::new();
            let error = source.reader(0).read_to_end(&mut sent).unwrap_err();
            assert!(error.to_string().contains("changed"), "{error}");
            assert_eq!(sent.len(), seal.header().len() + 262_144);
        }
    }

    /// Streams are sealed anew each time.
    #[test]
    fn streams() {
        for sealing in all() {
            let (a, b) = (sealing.of_stream().unwrap(), sealing.of_stream().unwrap());
            assert_ne!(a.header, b.header);
            Seal::open(a.header(), &keys()).unwrap();
        }
    }
}
