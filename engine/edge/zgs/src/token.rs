//! The word by which a client on this machine shows that it is the operator's: who can read the file
//! that it is in may ask.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use hyper::{HeaderMap, header};
use subtle::ConstantTimeEq as _;

/// Bytes of the file, at most.
const FILE_LEN_MAX: u64 = 4_096;

/// Characters of a word, at least: 128 bits as hex.
const WORD_LEN_MIN: usize = 32;

/// Bits of a mode by which others than the owner may read or write.
const OTHERS: u32 = 0o077;

/// A word.
pub struct Token(String);

impl Token {
    /// The one in the file. If there is no file, `fresh` becomes it, 64 hex digits: bytes that nobody
    /// can guess.
    ///
    /// # Errors
    /// When others may read the file, or there is no word of [`WORD_LEN_MIN`] characters in it.
    pub fn at(path: &Path, fresh: [u8; 32]) -> io::Result<Token> {
        match File::open(path) {
            Ok(file) => Token::read(&file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Token::write(path, fresh),
            Err(error) => Err(error),
        }
    }

    fn read(file: &File, path: &Path) -> io::Result<Token> {
        if file.metadata()?.mode() & OTHERS != 0 {
            let message = format!("others may read {}: its mode must be 0600", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let mut text = String::new();
        file.take(FILE_LEN_MAX).read_to_string(&mut text)?;
        let word = text.trim();
        let graphic = word.bytes().all(|byte| byte.is_ascii_graphic());
        if word.len() < WORD_LEN_MIN || !graphic {
            let message = format!(
                "{} has no word of {WORD_LEN_MIN} characters or more in it",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Token(word.to_owned()))
    }

    fn write(path: &Path, fresh: [u8; 32]) -> io::Result<Token> {
        let digits = fresh.iter().map(|byte| format!("{byte:02x}"));
        let word: String = digits.collect();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(word.as_bytes())?;
        file.sync_all()?;
        Ok(Token(word))
    }

    /// Whether a request has it: `Authorization: Bearer WORD`. How long that takes says nothing of how
    /// much of the word was right.
    pub fn opens(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return false;
        };
        let Some((scheme, word)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(word.trim().as_bytes().ct_eq(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    /// The file is made once, for its owner alone; the word in it opens, and nothing else does.
    #[test]
    fn made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let word = "07".repeat(32);
        let made = Token::at(&path, [7; 32]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), word);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = Token::at(&path, [8; 32]).unwrap();
        for token in [made, read] {
            assert!(token.opens(&headers(&format!("Bearer {word}"))));
            for wrong in [
                format!("Bearer {}", "07".repeat(31)),
                format!("Bearer {}", "08".repeat(32)),
                format!("Bearer {word}0"),
                format!("Basic {word}"),
                word.clone(),
                "Bearer ".to_owned(),
            ] {
                assert!(!token.opens(&headers(&wrong)), "{wrong}");
            }
            assert!(!token.opens(&HeaderMap::new()));
        }
    }

    /// A file that others can read is no secret, and a short word is none either.
    #[test]
    fn refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "ab".repeat(16)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Token::at(&path, [7; 32]).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::at(&path, [7; 32]).is_ok());
        for bad in ["", "short", &"é".repeat(32)] {
            fs::write(&path, bad).unwrap();
            let refused = Token::at(&path, [7; 32]).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        }
    }
}
