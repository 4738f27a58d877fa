//! What a transaction does, or why it does nothing: 0G's rules, in 0G's order.
//!
//! ```text
//!  reads ─► held? newer than the version?
//!  writes ─► in the tags? newer than the version? may the sender write the key?
//!  controls ─► in the tags? may the sender change that?
//! ```
//! Each list is read whole before its first entry is looked at, and the next list only after it: so a
//! conflict among the reads comes before a list of writes that is none. Everything is asked of the state
//! as of the transaction's own number, whatever came after it.
//!
//! Where 0G's replayer looks at the entries of a list in the order of a hash map, which differs from run
//! to run, here they are looked at in the order in which the transaction first names them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    account::Account,
    store::{Change, Grant, StoreError, Value, View, grants::Subject},
    stream::{Control, Decoder, Op, Read, Role, Source, Stop, StreamId, Writes},
    verdict::Verdict,
};

/// A transaction, but for its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Its number.
    pub seq: u64,
    /// Who signed it.
    pub sender: Account,
    /// The streams that its tags name.
    pub streams: &'a [StreamId],
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It does nothing.
    Refused(Verdict),
    /// It does this.
    Commits(Change),
    /// It reads a stream in which something before it waits: nobody can say yet.
    Waits,
}

/// Why nothing came out.
#[derive(Debug, thiserror::Error)]
pub enum Unjudged<E> {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes could not be had.
    #[error("the source failed: {0}")]
    Source(E),
}

/// Whether the sender may write in any of the streams at all. If not, the bytes are not needed.
///
/// # Errors
/// When the store fails.
pub fn may_write(view: &View, case: Case<'_>) -> Result<bool, StoreError> {
    for stream in case.streams {
        if view.may_write(case.sender, *stream, case.seq)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Judges a transaction. `held` says which streams it may read, `waits` in which of them something
/// before it is undecided. Its own streams must not wait.
///
/// # Errors
/// [`Unjudged`].
pub fn judge<S: Source>(
    view: &View,
    case: Case<'_>,
    decoder: &mut Decoder<S>,
    held: impl Fn(StreamId) -> bool,
    waits: impl Fn(StreamId) -> bool,
) -> Result<Judged, Unjudged<S::Error>> {
    match judged(view, case, decoder, held, waits) {
        Ok(judged) => Ok(judged),
        Err(Halt::Store(error)) => Err(Unjudged::Store(error)),
        Err(Halt::Bytes(Stop::Source(error))) => Err(Unjudged::Source(error)),
        Err(Halt::Bytes(Stop::Malformed(why))) => Ok(Judged::Refused(Verdict::DataParseError(why))),
    }
}

/// Where judging ends early.
enum Halt<E> {
    Store(StoreError),
    Bytes(Stop<E>),
}

impl<E> From<StoreError> for Halt<E> {
    fn from(error: StoreError) -> Self {
        Halt::Store(error)
    }
}

impl<E> From<Stop<E>> for Halt<E> {
    fn from(stop: Stop<E>) -> Self {
        Halt::Bytes(stop)
    }
}

fn judged<S: Source>(
    view: &View,
    case: Case<'_>,
    decoder: &mut Decoder<S>,
    held: impl Fn(StreamId) -> bool,
    waits: impl Fn(StreamId) -> bool,
) -> Result<Judged, Halt<S::Error>> {
    let version = decoder.version()?;
    let reads = decoder.reads()?;
    for read in &reads {
        if let Some(judged) = check_read(view, case, version, read, &held, &waits)? {
            return Ok(judged);
        }
    }
    let writes = decoder.writes()?;
    let values = last_of_each(&writes);
    for value in &values {
        if let Some(verdict) = check_write(view, case, version, value)? {
            return Ok(Judged::Refused(verdict));
        }
    }
    let controls = decoder.controls()?;
    let (claims, admin_of) = claims(view, case)?;
    let effects = effects(case, &claims, controls);
    for control in &effects {
        if let Some(verdict) = check_control(view, case, &admin_of, control)? {
            return Ok(Judged::Refused(verdict));
        }
    }
    let grants = effects.iter().map(|control| Grant {
        subject: subject(control, case.sender),
        granted: control.op.grants(),
    });
    Ok(Judged::Commits(Change {
        claims,
        values,
        grants: grants.collect(),
        values_at: writes.values_at,
        values_len: writes.values_len,
    }))
}

fn check_read(
    view: &View,
    case: Case<'_>,
    version: u64,
    read: &Read,
    held: impl Fn(StreamId) -> bool,
    waits: impl Fn(StreamId) -> bool,
) -> Result<Option<Judged>, StoreError> {
    if !held(read.stream) {
        return Ok(Some(Judged::Refused(Verdict::TagsMismatch)));
    }
    if waits(read.stream) {
        return Ok(Some(Judged::Waits));
    }
    if newer(view, case, version, read.stream, &read.key)? {
        return Ok(Some(Judged::Refused(Verdict::VersionConfliction)));
    }
    Ok(None)
}

fn check_write(
    view: &View,
    case: Case<'_>,
    version: u64,
    value: &Value,
) -> Result<Option<Verdict>, StoreError> {
    if !case.streams.contains(&value.stream) {
        return Ok(Some(Verdict::TagsMismatch));
    }
    if newer(view, case, version, value.stream, &value.key)? {
        return Ok(Some(Verdict::VersionConfliction));
    }
    if !view.may_write_key(case.sender, value.stream, &value.key, case.seq)? {
        return Ok(Some(Verdict::WritePermissionDenied {
            stream: value.stream,
            key: value.key.clone(),
        }));
    }
    Ok(None)
}

/// Whether a key was written after `version`. One that never was counts as written by the first
/// transaction, number 0.
fn newer(
    view: &View,
    case: Case<'_>,
    version: u64,
    stream: StreamId,
    key: &[u8],
) -> Result<bool, StoreError> {
    let found = view.value(stream, key, case.seq)?;
    Ok(found.is_some_and(|found| found.version > version))
}

/// Of several values of a key the last, where the first one stood.
fn last_of_each(writes: &Writes) -> Vec<Value> {
    let mut places = BTreeMap::new();
    let mut values: Vec<Value> = Vec::new();
    for write in &writes.list {
        let value = Value {
            stream: write.stream,
            key: write.key.clone(),
            at: write.at,
            len: write.len,
        };
        let place = *places
            .entry((write.stream, &write.key))
            .or_insert(values.len());
        match values.get_mut(place) {
            Some(earlier) => *earlier = value,
            None => values.push(value),
        }
    }
    values
}

/// The streams that nobody has claimed, and all of which the sender is admin or becomes so.
fn claims(view: &View, case: Case<'_>) -> Result<(Vec<StreamId>, BTreeSet<StreamId>), StoreError> {
    let (mut claims, mut admin_of) = (Vec::new(), BTreeSet::new());
    for stream in case.streams {
        if view.is_new(*stream, case.seq)? {
            if admin_of.insert(*stream) {
                claims.push(*stream);
            }
        } else if view.is_admin(case.sender, *stream, case.seq)? {
            admin_of.insert(*stream);
        }
    }
    Ok((claims, admin_of))
}

/// What the controls come to: first that the sender is admin of what he claims, then of the controls
/// about one subject the last one. Who grants himself the role of an admin changes nothing, nor does
/// granting it to anybody after something else was said about him.
fn effects(case: Case<'_>, claims: &[StreamId], controls: Vec<Control>) -> Vec<Control> {
    let mut places = BTreeMap::new();
    let mut effects: Vec<Control> = Vec::new();
    let claimed = claims.iter().map(|stream| Control {
        op: Op::GrantAdmin,
        stream: *stream,
        key: bytes::Bytes::new(),
        account: Some(case.sender),
    });
    for (control, of_claim) in claimed
        .map(|control| (control, true))
        .chain(controls.into_iter().map(|control| (control, false)))
    {
        let subject = subject(&control, case.sender);
        let there = places.get(&subject).copied();
        let grants_admin = control.op == Op::GrantAdmin && !of_claim;
        if grants_admin && (there.is_some() || subject.account == case.sender) {
            continue;
        }
        match there.and_then(|place: usize| effects.get_mut(place)) {
            Some(earlier) => *earlier = control,
            None => {
                places.insert(subject, effects.len());
                effects.push(control);
            }
        }
    }
    effects
}

fn check_control(
    view: &View,
    case: Case<'_>,
    admin_of: &BTreeSet<StreamId>,
    control: &Control,
) -> Result<Option<Verdict>, StoreError> {
    let (stream, key) = (control.stream, &control.key);
    if !case.streams.contains(&stream) {
        return Ok(Some(Verdict::TagsMismatch));
    }
    let allowed = control.op.renounces()
        || admin_of.contains(&stream)
        || match control.op {
            Op::GrantWrite => view.is_writer(case.sender, stream, case.seq)?,
            Op::GrantSpecialWrite => view.is_key_writer(case.sender, stream, key, case.seq)?,
            _ => false,
        };
    if allowed {
        return Ok(None);
    }
    Ok(Some(Verdict::AccessControlPermissionDenied {
        op: control.op,
        stream,
        key: key.clone(),
        account: subject(control, case.sender).account,
    }))
}

/// What a control of a sender is about.
fn subject(control: &Control, sender: Account) -> Subject {
    let role = control.op.role();
    let account = match role {
        Role::Special => Account::default(),
        _ if control.op.renounces() => sender,
        _ => control.account.unwrap_or_default(),
    };
    Subject::new(role, control.stream, account, &control.key)
}
