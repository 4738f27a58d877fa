//! What a transaction may change about who writes.

use bytes::Bytes;

use super::StreamId;
use crate::account::Account;

/// An access control, as it stands in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// What it does.
    pub op: Op,
    /// To which stream.
    pub stream: StreamId,
    /// The key it is about; empty where it is about the stream.
    pub key: Bytes,
    /// Whom it is about. None where it is about nobody, or about the sender, who renounces.
    pub account: Option<Account>,
}

/// What an access control does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Makes an account an admin of the stream.
    GrantAdmin,
    /// The sender is no admin any more.
    RenounceAdmin,
    /// The key is written by those who have it, not by all writers of the stream.
    SetKeyToSpecial,
    /// The key is as all others.
    SetKeyToNormal,
    /// Makes an account a writer of the stream.
    GrantWrite,
    /// It is none any more.
    RevokeWrite,
    /// The sender is none any more.
    RenounceWrite,
    /// Makes an account a writer of a special key.
    GrantSpecialWrite,
    /// It is none any more.
    RevokeSpecialWrite,
    /// The sender is none any more.
    RenounceSpecialWrite,
}

/// What a control decides about. Of two in a transaction that are of one role, stream, key and account
/// the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Who is admin.
    Admin,
    /// Whether a key is special.
    Special,
    /// Who writes the stream.
    Writer,
    /// Who writes a special key.
    KeyWriter,
}

impl Op {
    /// All.
    pub const ALL: [Op; 10] = [
        Op::GrantAdmin,
        Op::RenounceAdmin,
        Op::SetKeyToSpecial,
        Op::SetKeyToNormal,
        Op::GrantWrite,
        Op::RevokeWrite,
        Op::RenounceWrite,
        Op::GrantSpecialWrite,
        Op::RevokeSpecialWrite,
        Op::RenounceSpecialWrite,
    ];

    /// Its byte.
    pub const fn code(self) -> u8 {
        match self {
            Op::GrantAdmin => 0x00,
            Op::RenounceAdmin => 0x01,
            Op::SetKeyToSpecial => 0x10,
            Op::SetKeyToNormal => 0x11,
            Op::GrantWrite => 0x20,
            Op::RevokeWrite => 0x21,
            Op::RenounceWrite => 0x22,
            Op::GrantSpecialWrite => 0x30,
            Op::RevokeSpecialWrite => 0x31,
            Op::RenounceSpecialWrite => 0x32,
        }
    }

    /// The one of a byte.
    pub fn from_code(code: u8) -> Option<Op> {
        Op::ALL.into_iter().find(|op| op.code() == code)
    }

    /// Its name in results, which clients match.
    pub const fn name(self) -> &'static str {
        match self {
            Op::GrantAdmin => "GRANT_ADMIN_ROLE",
            Op::RenounceAdmin => "RENOUNCE_ADMIN_ROLE",
            Op::SetKeyToSpecial => "SET_KEY_TO_SPECIAL",
            Op::SetKeyToNormal => "SET_KEY_TO_NORMAL",
            Op::GrantWrite => "GRANT_WRITER_ROLE",
            Op::RevokeWrite => "REVOKE_WRITER_ROLE",
            Op::RenounceWrite => "RENOUNCE_WRITER_ROLE",
            Op::GrantSpecialWrite => "GRANT_SPECIAL_WRITER_ROLE",
            Op::RevokeSpecialWrite => "REVOKE_SPECIAL_WRITER_ROLE",
            Op::RenounceSpecialWrite => "RENOUNCE_SPECIAL_WRITER_ROLE",
        }
    }

    /// What it decides about.
    pub const fn role(self) -> Role {
        match self {
            Op::GrantAdmin | Op::RenounceAdmin => Role::Admin,
            Op::SetKeyToSpecial | Op::SetKeyToNormal => Role::Special,
            Op::GrantWrite | Op::RevokeWrite | Op::RenounceWrite => Role::Writer,
            Op::GrantSpecialWrite | Op::RevokeSpecialWrite | Op::RenounceSpecialWrite => {
                Role::KeyWriter
            }
        }
    }

    /// Whether after it there is what its role is about: an admin, a special key, a writer.
    pub const fn grants(self) -> bool {
        matches!(
            self,
            Op::GrantAdmin | Op::SetKeyToSpecial | Op::GrantWrite | Op::GrantSpecialWrite
        )
    }

    /// Whether a key follows.
    pub const fn has_key(self) -> bool {
        matches!(self.role(), Role::Special | Role::KeyWriter)
    }

    /// Whether an account follows.
    pub const fn has_account(self) -> bool {
        matches!(
            self,
            Op::GrantAdmin
                | Op::GrantWrite
                | Op::RevokeWrite
                | Op::GrantSpecialWrite
                | Op::RevokeSpecialWrite
        )
    }

    /// Whether it is the sender whom it is about.
    pub const fn renounces(self) -> bool {
        matches!(
            self,
            Op::RenounceAdmin | Op::RenounceWrite | Op::RenounceSpecialWrite
        )
    }
}
