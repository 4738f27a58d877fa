//! Keys that encrypt and decrypt. They come from files or from variables of the environment, never from
//! the command line itself, which every process of the machine can read; and they are printed nowhere,
//! not even where they are wrong.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use lode_wire::cipher::{Key, Keys, PrivateKey, PublicKey};

use crate::{
    args::{OpenArgs, SealArgs},
    failure::{Failure, Outcome},
    output::Output,
    random,
    seal::Sealing,
};

/// Bytes of a file that is to be a key: some space around 66 characters.
const FILE_LEN_LIMIT: u64 = 1024;

/// What names a variable instead of a file.
const FROM_ENV: &str = "env:";

/// How a put encrypts; none if it does not.
pub fn sealing(args: &SealArgs, output: Output) -> Outcome<Option<Sealing>> {
    if let Some(from) = &args.encryption_key {
        let key = Key::new(read("--encryption-key", from)?);
        return Ok(Some(Sealing::with(key)));
    }
    if let Some(from) = &args.encrypt {
        let bytes = read("--encrypt", from)?;
        let recipient = private("--encrypt", &bytes)?.public();
        return Ok(Some(Sealing::to(recipient, bytes)));
    }
    match &args.encrypt_to {
        Some(text) => Ok(Some(Sealing::to(public(text)?, resume_secret(output)?))),
        None => Ok(None),
    }
}

/// The bytes of a key that pays.
pub fn paying(flag: &str, from: &str) -> Outcome<[u8; 32]> {
    read(flag, from)
}

/// What a get decrypts with; none if it does not.
pub fn opening(args: &OpenArgs) -> Outcome<Option<Keys>> {
    let symmetric = args.decryption_key.as_ref();
    let symmetric = symmetric.map(|from| read("--decryption-key", from));
    let private_key = args.private_key.as_ref().map(|from| {
        let bytes = read("--private-key", from)?;
        private("--private-key", &bytes)
    });
    let keys = Keys {
        symmetric: symmetric.transpose()?.map(Key::new),
        private: private_key.transpose()?,
    };
    let given = keys.symmetric.is_some() || keys.private.is_some();
    Ok(given.then_some(keys))
}

/// 32 bytes of a file, or of a variable.
fn read(flag: &str, from: &str) -> Outcome<[u8; 32]> {
    if bytes_of(from).is_some() {
        let what = format!("{flag} takes the name of a file, and got a key");
        let next = "write the key to a file that only you can read, or use env:NAME; \
                    the key that was given may have been seen";
        return Err(Failure::usage(what, next));
    }
    let next = "a key is 64 hexadecimal digits, after an optional 0x";
    let bad = || Failure::usage(format!("{flag} {from}: no key is there"), next);
    let text = match from.strip_prefix(FROM_ENV) {
        Some(name) => std::env::var(name).map_err(|_| bad())?,
        None => read_text(Path::new(from)).map_err(|error| Failure::file(from, &error))?,
    };
    bytes_of(text.trim()).ok_or_else(bad)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_LEN_LIMIT)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn private(flag: &str, bytes: &[u8; 32]) -> Outcome<PrivateKey> {
    PrivateKey::new(bytes).map_err(|error| {
        let next = "any 32 bytes will do, but for zero and the very highest";
        Failure::usage(format!("{flag}: {error}"), next)
    })
}

fn public(text: &str) -> Outcome<PublicKey> {
    let next = "give 33, 64 or 65 bytes in hexadecimal; --encrypt takes a private key";
    let bad = |why: &str| Failure::usage(format!("--encrypt-to: {why}"), next);
    let bytes = hex_of(text).ok_or_else(|| bad("not hexadecimal"))?;
    PublicKey::decode(&bytes).map_err(|error| bad(&error.to_string()))
}

fn bytes_of(text: &str) -> Option<[u8; 32]> {
    hex_of(text)?.try_into().ok()
}

/// Bytes of hexadecimal digits, at most 65 of them.
fn hex_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() > 130 || !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(nibble(pair[0])? * 16 + nibble(pair[1])?).ok();
    digits.chunks_exact(2).map(byte).collect()
}

/// The secret from which ephemeral keys to others are derived, so that a second run makes the same ones
/// and resumes. It is this user's, made once. Who reads it learns nothing of what was encrypted unless he
/// has that already; who loses it stores again from the beginning.
fn resume_secret(output: Output) -> Outcome<[u8; 32]> {
    let Some(dir) = state_dir() else {
        output.note("note: there is no home to keep a secret in: a second run will not resume");
        return random::bytes();
    };
    let path = dir.join("resume.key");
    let failed = |error: io::Error| Failure::file(path.display(), &error);
    for _ in 0..2 {
        match read_text(&path) {
            Ok(text) => {
                let next =
                    "remove it; what was put until now will not be resumed, but stored again";
                let bad =
                    || Failure::other(format!("{}: no secret is there", path.display()), next);
                return bytes_of(text.trim()).ok_or_else(bad);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        make_secret(&dir, &path).map_err(failed)?;
    }
    Err(failed(io::ErrorKind::NotFound.into()))
}

/// Makes the secret unless another run was faster: it is there as a whole or not at all.
fn make_secret(dir: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let bytes: [u8; 32] = random::bytes().map_err(|failure| io::Error::other(failure.what))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Readable by its owner only.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(digits.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// Where a user's programs keep what they need again.
pub fn state_dir() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dir = match (var("XDG_STATE_HOME"), var("HOME")) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(home)) => Path::new(&home).join(".local/state"),
        (None, None) => return None,
    };
    Some(dir.join("lode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys are read from files with and without 0x, and what is none is refused without being shown.
    #[test]
    fn reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let name = path.to_str().unwrap();
        let digits = "ab".repeat(32);
        for text in [digits.clone(), format!("  0x{}\n", digits.to_uppercase())] {
            fs::write(&path, text).unwrap();
            assert_eq!(read("--x", name).unwrap(), [0xab; 32]);
        }
        for text in [
            "",
            "abcd",
            &"zz".repeat(32),
            &"ab".repeat(33),
            &"ab".repeat(4000),
        ] {
            fs::write(&path, text).unwrap();
            let failure = read("--x", name).unwrap_err();
            assert!(text.is_empty() || !failure.to_string().contains(text));
        }
        for key in [digits.clone(), format!("0x{digits}")] {
            let failure = read("--x", &key).unwrap_err();
            assert!(!failure.to_string().contains(&digits), "{failure}");
        }
        assert!(read("--x", "env:NO_SUCH_VARIABLE_OF_LODE").is_err());
    }

    /// A secret is made once and found again.
    #[test]
    fn secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resume.key");
        make_secret(dir.path(), &path).unwrap();
        let first = read_text(&path).unwrap();
        assert!(bytes_of(&first).is_some());
        make_secret(dir.path(), &path).unwrap();
        assert_eq!(read_text(&path).unwrap(), first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
