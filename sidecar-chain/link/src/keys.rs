//! Keys, from encrypted files alone. A password comes from a file or a terminal, as bytes: never in
//! an argument, where every process of the machine could read it.

use std::path::Path;

use alloy_signer_local::{LocalSignerError, PrivateKeySigner};

/// Opens a key file (Web3 Secret Storage, version 3, as other wallets write it).
///
/// # Errors
/// When there is none, or the password is wrong.
pub fn open(file: impl AsRef<Path>, password: &[u8]) -> Result<PrivateKeySigner, LocalSignerError> {
    // A file that was written with an editor ends with a line break, which nobody means.
    PrivateKeySigner::decrypt_keystore(file, password.trim_ascii_end())
}
