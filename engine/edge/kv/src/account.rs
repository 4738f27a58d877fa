//! Accounts of the chain, as text and as bytes.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes of an account.
pub const ACCOUNT_LEN: usize = 20;

/// An account: the last 20 bytes of the hash of its key.
///
/// Text form: `0x` and 40 lower-case hex digits. On input the prefix may be missing and the digits
/// may be upper-case, whatever a checksum of capitals would say.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(pub [u8; ACCOUNT_LEN]);

/// Text that is not an [`Account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account is 40 hex digits after an optional 0x")]
pub struct AccountTextError;

impl fmt::Display for Account {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

impl FromStr for Account {
    type Err = AccountTextError;

    fn from_str(text: &str) -> Result<Self, AccountTextError> {
        let bytes = crate::hex::decode(text).ok_or(AccountTextError)?;
        let bytes = bytes.try_into().map_err(|_| AccountTextError)?;
        Ok(Account(bytes))
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text and bytes lead to each other, and what is no account is refused.
    #[test]
    fn text_and_bytes() {
        let account = Account([0xab; 20]);
        let text = account.to_string();
        assert_eq!(text, format!("0x{}", "ab".repeat(20)));
        assert_eq!(text.parse(), Ok(account));
        assert_eq!(text[2..].to_uppercase().parse(), Ok(account));
        for wrong in [
            "",
            "0x",
            "0xab",
            &format!("{text}00"),
            &text.replace('b', "g"),
        ] {
            assert_eq!(wrong.parse::<Account>(), Err(AccountTextError), "{wrong}");
        }
    }
}
