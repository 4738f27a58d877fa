//! A node's identity: the seed of its key (ed25519), 32 bytes in one file that only its owner reads.
//! It is made once. Whoever loses it is another node, which the others have to be told of.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_cryptography::{Signer as _, ed25519::PrivateKey};

use crate::address::PeerKey;

/// Only the owner reads and writes.
const MODE: u32 = 0o600;
/// The file's name.
const NAME: &str = "peers.key";
/// Where chance comes from: from the system, like a key of anybody's.
const CHANCE: &str = "/dev/urandom";

/// Reads the identity in a folder, or makes both.
///
/// # Errors
/// They cannot be read or made, or the file is something else.
pub fn open(dir: &Path) -> io::Result<PrivateKey> {
    let path = dir.join(NAME);
    let seed = match fs::read(&path) {
        Ok(seed) => {
            let mode = fs::metadata(&path)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "others may read this node's key");
            }
            seed
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(dir)?,
        Err(error) => return Err(error),
    };
    PrivateKey::decode(Bytes::from(seed)).map_err(|_| {
        let sentence = format!("{} is not a key of 32 bytes", path.display());
        io::Error::new(io::ErrorKind::InvalidData, sentence)
    })
}

/// The name of a folder's node, which is made if there is none.
///
/// # Errors
/// As [`open`].
pub fn name(dir: &Path) -> io::Result<PeerKey> {
    Ok(PeerKey::of(&open(dir)?.public_key()))
}

/// Writes a new seed as a whole: a cut leaves none, or all of it.
fn make(dir: &Path) -> io::Result<Vec<u8>> {
    fs::create_dir_all(dir)?;
    let mut seed = vec![0; 32];
    File::open(CHANCE)?.read_exact(&mut seed)?;
    let new = dir.join(format!("{NAME}.new"));
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(MODE);
    let mut file = options.open(&new)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(NAME))?;
    File::open(dir)?.sync_all()?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One identity for ever, another in another folder, and for the owner's eyes only.
    #[test]
    fn is_made_once() {
        let home = tempfile::tempdir().unwrap();
        let (here, there) = (home.path().join("here"), home.path().join("there"));
        let key = |dir: &Path| open(dir).unwrap().public_key();
        let first = key(&here);
        assert_eq!(key(&here), first);
        assert_ne!(key(&there), first);
        let mode = fs::metadata(here.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    /// A file that is something else is an error, and is left as it is.
    #[test]
    fn refuses_another_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(NAME);
        for bytes in [&b"short"[..], &[7; 33]] {
            fs::write(&path, bytes).unwrap();
            let error = open(home.path()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
