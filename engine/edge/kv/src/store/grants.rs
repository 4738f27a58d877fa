//! Who may write, at a version.
//!
//! ```text
//!  0 ‖ stream                                  ─► seq of the transaction that claimed it
//!  role ‖ stream ‖ account ‖ hash of key ‖ !seq ─► 1 granted, 0 not
//!  5 ‖ stream ‖ account ‖ !seq                 ─► how many special keys the account writes
//! ```
//! Roles: 1 admin, 2 special key, 3 writer, 4 writer of a key. What has no account or key has zeros in
//! its place: a row's length says what it is.
//!
//! The rules are 0G's: a stream is claimed by the first transaction whose tags name it and that
//! commits, and its sender is admin. Until then anybody may write. Admins write everything; a special
//! key is written by its own writers, any other by those of the stream. Admins cannot be revoked, they
//! renounce.

use fjall::Readable as _;
use sha2::{Digest as _, Sha256};

use super::{StoreError, View, number};
use crate::{
    account::Account,
    stream::{Role, StreamId},
};

const CLAIM: u8 = 0;
const COUNT: u8 = 5;

const fn code(role: Role) -> u8 {
    match role {
        Role::Admin => 1,
        Role::Special => 2,
        Role::Writer => 3,
        Role::KeyWriter => 4,
    }
}

/// What a role is about, without its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The role.
    pub role: Role,
    /// The stream.
    pub stream: StreamId,
    /// Who; zero where it is about nobody.
    pub account: Account,
    key: [u8; 32],
}

impl Subject {
    /// Of a stream, or of a key of it. Keys are told apart by SHA-256, which nobody finds two keys for.
    pub fn new(role: Role, stream: StreamId, account: Account, key: &[u8]) -> Self {
        let key = if key.is_empty() {
            [0; 32]
        } else {
            Sha256::digest(key).into()
        };
        Subject {
            role,
            stream,
            account,
            key,
        }
    }

    pub(super) fn row(&self, seq: u64) -> Vec<u8> {
        let parts: [&[u8]; 5] = [
            &[code(self.role)],
            self.stream.0.as_bytes(),
            &self.account.0,
            &self.key,
            &(!seq).to_be_bytes(),
        ];
        parts.concat()
    }
}

pub(super) fn claim_row(stream: StreamId) -> Vec<u8> {
    [&[CLAIM], &stream.0.as_bytes()[..]].concat()
}

pub(super) fn count_row(stream: StreamId, account: Account, seq: u64) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        &[COUNT],
        stream.0.as_bytes(),
        &account.0,
        &(!seq).to_be_bytes(),
    ];
    parts.concat()
}

impl View {
    /// Whether nobody has claimed a stream until transaction `at`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_new(&self, stream: StreamId, at: u64) -> Result<bool, StoreError> {
        let held = self.snapshot.get(&self.spaces.grants, claim_row(stream))?;
        match held {
            Some(seq) => Ok(number(&seq)? > at),
            None => Ok(true),
        }
    }

    /// Streams that somebody has claimed, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn claimed(&self, limit: usize) -> Result<Vec<StreamId>, StoreError> {
        let rows = self.snapshot.prefix(&self.spaces.grants, [CLAIM]);
        rows.take(limit)
            .map(|row| {
                let name = <[u8; 32]>::try_from(&row.key()?[1..]);
                let name = name.map_err(|_| StoreError::Damaged("a claim has another form"))?;
                Ok(StreamId(name.into()))
            })
            .collect()
    }

    /// Whether what a role is about is so as of transaction `at`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn granted(&self, subject: &Subject, at: u64) -> Result<bool, StoreError> {
        let held = self.newest(&subject.row(at), &subject.row(0))?;
        Ok(held.is_some_and(|held| held[..] == [1]))
    }

    /// Whether an account is admin of a stream.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_admin(&self, who: Account, of: StreamId, at: u64) -> Result<bool, StoreError> {
        self.granted(&Subject::new(Role::Admin, of, who, &[]), at)
    }

    /// Whether a key is special.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_special(&self, stream: StreamId, key: &[u8], at: u64) -> Result<bool, StoreError> {
        let nobody = Account::default();
        self.granted(&Subject::new(Role::Special, stream, nobody, key), at)
    }

    /// Whether an account writes a stream.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_writer(&self, who: Account, of: StreamId, at: u64) -> Result<bool, StoreError> {
        self.granted(&Subject::new(Role::Writer, of, who, &[]), at)
    }

    /// Whether an account writes a special key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_key_writer(
        &self,
        who: Account,
        stream: StreamId,
        key: &[u8],
        at: u64,
    ) -> Result<bool, StoreError> {
        self.granted(&Subject::new(Role::KeyWriter, stream, who, key), at)
    }

    /// Special keys of a stream that an account writes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn key_count(&self, who: Account, stream: StreamId, at: u64) -> Result<u64, StoreError> {
        let held = self.newest(&count_row(stream, who, at), &count_row(stream, who, 0))?;
        held.map_or(Ok(0), |held| number(&held))
    }

    /// Whether an account may write anything in a stream.
    ///
    /// # Errors
    /// When the store fails.
    pub fn may_write(&self, who: Account, stream: StreamId, at: u64) -> Result<bool, StoreError> {
        Ok(self.is_new(stream, at)?
            || self.is_admin(who, stream, at)?
            || self.is_writer(who, stream, at)?
            || self.key_count(who, stream, at)? > 0)
    }

    /// Whether an account may write a key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn may_write_key(
        &self,
        who: Account,
        stream: StreamId,
        key: &[u8],
        at: u64,
    ) -> Result<bool, StoreError> {
        if self.is_new(stream, at)? || self.is_admin(who, stream, at)? {
            return Ok(true);
        }
        if self.is_special(stream, key, at)? {
            self.is_key_writer(who, stream, key, at)
        } else {
            self.is_writer(who, stream, at)
        }
    }

    fn newest(&self, from: &[u8], to: &[u8]) -> Result<Option<fjall::Slice>, StoreError> {
        let mut rows = self.snapshot.range(&self.spaces.grants, from..=to);
        rows.next().map(|row| Ok(row.value()?)).transpose()
    }
}
