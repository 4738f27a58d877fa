//! For tests: 0G's rules over plain lists, from the first transaction to the last. Everything is
//! answered by looking at all rows; nothing is kept that could go stale.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    account::Account,
    stream::{Control, Draft, Op, StreamId},
};

#[derive(Clone, Debug)]
struct Write {
    stream: StreamId,
    key: Vec<u8>,
    version: u64,
    value: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Access {
    stream: StreamId,
    key: Vec<u8>,
    version: u64,
    account: Account,
    op: Op,
}

/// What all replayers should hold.
#[derive(Default)]
pub(crate) struct Model {
    writes: Vec<Write>,
    access: Vec<Access>,
    pub(crate) results: BTreeMap<u64, String>,
}

/// Version and value.
pub(crate) type Versioned = (u64, Vec<u8>);

impl Model {
    pub(crate) fn value(&self, stream: StreamId, key: &[u8], at: u64) -> Option<Versioned> {
        let all = self.writes.iter();
        let of_key = all.filter(|w| w.stream == stream && w.key == key && w.version <= at);
        let newest = of_key.max_by_key(|w| w.version)?;
        Some((newest.version, newest.value.clone()))
    }

    /// All keys that have a value, in order.
    pub(crate) fn keys(&self, stream: StreamId, at: u64) -> Vec<(Vec<u8>, Versioned)> {
        let all = self.writes.iter().filter(|w| w.stream == stream);
        let keys: BTreeSet<&Vec<u8>> = all.map(|w| &w.key).collect();
        let valued = keys.into_iter().filter_map(|key| {
            let value = self.value(stream, key, at)?;
            Some((key.clone(), value))
        });
        valued.filter(|(_, (_, value))| !value.is_empty()).collect()
    }

    fn newest(&self, at: u64, of: impl Fn(&Access) -> bool) -> Option<&Access> {
        let all = self.access.iter().filter(|a| a.version <= at && of(a));
        all.max_by_key(|a| a.version)
    }

    pub(crate) fn is_new(&self, stream: StreamId, at: u64) -> bool {
        self.newest(at, |a| a.stream == stream).is_none()
    }

    pub(crate) fn is_admin(&self, who: Account, stream: StreamId, at: u64) -> bool {
        let ops = [Op::GrantAdmin, Op::RenounceAdmin];
        let last = self.newest(at, |a| {
            a.stream == stream && a.account == who && ops.contains(&a.op)
        });
        last.is_some_and(|a| a.op == Op::GrantAdmin)
    }

    pub(crate) fn is_special(&self, stream: StreamId, key: &[u8], at: u64) -> bool {
        let ops = [Op::SetKeyToSpecial, Op::SetKeyToNormal];
        let last = self.newest(at, |a| {
            a.stream == stream && a.key == key && ops.contains(&a.op)
        });
        last.is_some_and(|a| a.op == Op::SetKeyToSpecial)
    }

    pub(crate) fn is_writer(&self, who: Account, stream: StreamId, at: u64) -> bool {
        let ops = [Op::GrantWrite, Op::RevokeWrite, Op::RenounceWrite];
        let last = self.newest(at, |a| {
            a.stream == stream && a.account == who && ops.contains(&a.op)
        });
        last.is_some_and(|a| a.op == Op::GrantWrite)
    }

    pub(crate) fn is_key_writer(&self, who: Account, s: StreamId, key: &[u8], at: u64) -> bool {
        let last = self.newest(at, |a| {
            a.stream == s && a.account == who && a.key == key && key_writers(a.op)
        });
        last.is_some_and(|a| a.op == Op::GrantSpecialWrite)
    }

    fn writes_some_key(&self, who: Account, stream: StreamId, at: u64) -> bool {
        let all = self
            .access
            .iter()
            .filter(|a| a.stream == stream && key_writers(a.op));
        let keys: BTreeSet<&Vec<u8>> = all.map(|a| &a.key).collect();
        keys.into_iter()
            .any(|key| self.is_key_writer(who, stream, key, at))
    }

    pub(crate) fn may_write(&self, who: Account, s: StreamId, key: &[u8], at: u64) -> bool {
        if self.is_new(s, at) || self.is_admin(who, s, at) {
            return true;
        }
        if self.is_special(s, key, at) {
            self.is_key_writer(who, s, key, at)
        } else {
            self.is_writer(who, s, at)
        }
    }

    /// Decides a transaction.
    pub(crate) fn apply(&mut self, seq: u64, sender: Account, tags: &[StreamId], draft: &Draft) {
        let verdict = self.decide(seq, sender, tags, draft);
        let text = verdict.unwrap_or_else(|| "Commit".to_owned());
        self.results.insert(seq, text);
    }

    /// Decides a transaction that nobody can read.
    pub(crate) fn refuse(&mut self, seq: u64, sender: Account, tags: &[StreamId], why: &str) {
        let text = match self.admits(seq, sender, tags) {
            true => why,
            false => "SenderNoWritePermission",
        };
        self.results.insert(seq, text.to_owned());
    }

    fn admits(&self, seq: u64, sender: Account, tags: &[StreamId]) -> bool {
        tags.iter().any(|stream| {
            self.is_new(*stream, seq)
                || self.is_admin(sender, *stream, seq)
                || self.is_writer(sender, *stream, seq)
                || self.writes_some_key(sender, *stream, seq)
        })
    }

    fn decide(
        &mut self,
        seq: u64,
        sender: Account,
        tags: &[StreamId],
        draft: &Draft,
    ) -> Option<String> {
        if !self.admits(seq, sender, tags) {
            return Some("SenderNoWritePermission".to_owned());
        }
        let newer = |stream, key: &[u8]| {
            self.value(stream, key, seq)
                .is_some_and(|(version, _)| version > draft.version)
        };
        if draft.reads.iter().any(|read| newer(read.stream, &read.key)) {
            return Some("VersionConfliction".to_owned());
        }
        let mut last = BTreeMap::new();
        for (stream, key, value) in &draft.writes {
            last.insert((*stream, key.to_vec()), value.to_vec());
        }
        let mut seen = BTreeSet::new();
        for (stream, key, _) in &draft.writes {
            if !seen.insert((*stream, key)) {
                continue;
            }
            if !tags.contains(stream) {
                return Some("TagsMismatch".to_owned());
            }
            if newer(*stream, key) {
                return Some("VersionConfliction".to_owned());
            }
            if !self.may_write(sender, *stream, key, seq) {
                let key = String::from_utf8(key.to_vec()).unwrap();
                return Some(format!(
                    "WritePermissionDenied: stream: {stream}, key: {key}"
                ));
            }
        }
        let rows = match self.controls(seq, sender, tags, &draft.controls) {
            Ok(rows) => rows,
            Err(text) => return Some(text),
        };
        self.access.extend(rows);
        for ((stream, key), value) in last {
            self.writes.push(Write {
                stream,
                key,
                version: seq,
                value,
            });
        }
        None
    }

    fn controls(
        &self,
        seq: u64,
        sender: Account,
        tags: &[StreamId],
        controls: &[Control],
    ) -> Result<Vec<Access>, String> {
        let mut rows: Vec<(u8, Access)> = Vec::new();
        let admin = |stream| self.is_new(stream, seq) || self.is_admin(sender, stream, seq);
        for stream in tags.iter().collect::<BTreeSet<_>>() {
            if self.is_new(*stream, seq) {
                let (key, op) = (Vec::new(), Op::GrantAdmin);
                rows.push((0, access(*stream, key, seq, sender, op)));
            }
        }
        for control in controls {
            let account = if control.op.renounces() {
                sender
            } else {
                control.account.unwrap_or_default()
            };
            let key = control.key.to_vec();
            let row = access(control.stream, key, seq, account, control.op);
            let kind = control.op.code() & 0xf0;
            let same = rows.iter_mut().find(|(of, r)| {
                *of == kind && r.stream == row.stream && r.key == row.key && r.account == account
            });
            if control.op == Op::GrantAdmin && (same.is_some() || account == sender) {
                continue;
            }
            match same {
                Some((_, earlier)) => *earlier = row,
                None => rows.push((kind, row)),
            }
        }
        for (_, row) in &rows {
            if !tags.contains(&row.stream) {
                return Err("TagsMismatch".to_owned());
            }
            let by_writer = match row.op {
                Op::GrantWrite => self.is_writer(sender, row.stream, seq),
                Op::GrantSpecialWrite => self.is_key_writer(sender, row.stream, &row.key, seq),
                _ => row.op.renounces(),
            };
            if !by_writer && !admin(row.stream) {
                let key = String::from_utf8(row.key.clone()).unwrap();
                let key = if key.is_empty() { "NONE" } else { &key };
                let (op, stream, account) = (row.op.name(), row.stream, row.account);
                return Err(format!(
                    "AccessControlPermissionDenied: operation: {op}, stream: {stream}, key: {key}, \
                     account: {account}"
                ));
            }
        }
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

fn key_writers(op: Op) -> bool {
    op.code() & 0xf0 == 0x30
}

fn access(stream: StreamId, key: Vec<u8>, version: u64, account: Account, op: Op) -> Access {
    Access {
        stream,
        key,
        version,
        account,
        op,
    }
}
