//! Keys, in encrypted files alone. A password comes from a file or a terminal, as bytes: never in
//! an argument, where every process of the machine could read it.

use std::path::Path;

use alloy_signer::k256::elliptic_curve::rand_core::OsRng;
use alloy_signer_local::{LocalSignerError, PrivateKeySigner};

/// Opens a key file (Web3 Secret Storage, version 3, as other wallets write it).
///
/// # Errors
/// When there is none, or the password is wrong.
pub fn open(file: impl AsRef<Path>, password: &[u8]) -> Result<PrivateKeySigner, LocalSignerError> {
    // A file that was written with an editor ends with a line break, which nobody means.
    PrivateKeySigner::decrypt_keystore(file, password.trim_ascii_end())
}

/// Writes a key file of that name into a folder. Cost: the password is stretched, some 50 ms.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    folder: impl AsRef<Path>,
    name: &str,
    signer: &PrivateKeySigner,
    password: &[u8],
) -> Result<(), LocalSignerError> {
    let (key, password) = (signer.to_bytes(), password.trim_ascii_end());
    PrivateKeySigner::encrypt_keystore(folder, &mut OsRng, key, password, Some(name)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written is opened with its password, whatever break the password's file ends with,
    /// and with no other.
    #[test]
    fn there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let signer = PrivateKeySigner::from_bytes(&[7; 32].into()).unwrap();
        write(folder.path(), "key.json", &signer, b"pass word").unwrap();
        let file = folder.path().join("key.json");
        assert_eq!(open(&file, b"pass word\r\n").unwrap(), signer);
        assert!(open(&file, b"password").is_err());
        let text = std::fs::read_to_string(&file).unwrap();
        let key = alloy_primitives::hex::encode(signer.to_bytes());
        assert!(!text.contains(&key));
    }
}
