//! Reading: from the holders of a container, each row checked, the cheap way first.
//!
//! ```text
//!  describe ─► who says so is asked for nothing more than that its words have the container's id
//!  rows of the blob, from their holders ── all there ──────────────────────► bytes ─► blob root ─► reader
//!        └ some are missing ─► any rows, until there are 1024 ─► restored ──►
//! ```
//! No byte reaches the reader that is not of the blob whose root the container's table names. It takes time
//! and memory for the rows of the blob, or for a container where rows have to be restored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use futures_util::{StreamExt as _, stream};
use lode_proofs::{
    Hash32,
    da::{
        Certificate, Quorum, RowVerifier, Statement, Table, Verifier, blob_root,
        container::rows_of,
        restore,
        shape::{ORIGINAL_ROWS, ROWS},
    },
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    asked::Silent,
    bounds::{ANSWER_LEN_MAX, ASK_AHEAD, HAS_MAX},
    committee::{Committee, Committees},
    desk::{Heard, Order},
    message::{Answer, Ask, Described},
};

/// Why nothing is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody who was asked has it: it never was, or has expired.
    #[error("no holder knows it")]
    NotFound,
    /// There is no such blob in the container.
    #[error("the container has no such blob")]
    NoBlob,
    /// Too few rows can be had now.
    #[error("{rows} of {ORIGINAL_ROWS} rows can be had: too many holders are silent")]
    Unavailable {
        /// Rows that came.
        rows: usize,
    },
    /// The table names another root than the bytes have: its maker has lied.
    #[error("the blob is not the one that its container names: whoever made it has lied")]
    Damaged,
    /// The node stops.
    #[error("the node stops")]
    Stopped,
}

/// What is known of a container, checked against its id.
#[derive(Clone)]
pub struct Known {
    /// What its holders have signed.
    pub statement: Statement,
    /// Its holders.
    pub committee: Arc<Committee>,
    /// Its blobs.
    pub table: Arc<Table>,
    /// The certificate as bytes, if whoever was asked had one. It was verified.
    pub certificate: Option<Bytes>,
    verifier: Arc<RowVerifier>,
}

/// Reads from holders. Clones are of one node.
#[derive(Clone)]
pub struct Reader {
    me: PublicKey,
    orders: mpsc::Sender<Order>,
    committees: Committees,
    silent: Silent,
}

/// Rows that came, by their numbers.
type Came = BTreeMap<u16, Bytes>;

impl Reader {
    pub(crate) fn new(
        me: PublicKey,
        orders: mpsc::Sender<Order>,
        committees: Committees,
        silent: Silent,
    ) -> Reader {
        Reader {
            me,
            orders,
            committees,
            silent,
        }
    }

    /// Asks a holder, or this node.
    pub(crate) async fn ask(&self, peer: &PublicKey, ask: Ask) -> Result<Heard, ReadError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Ask(Box::new(peer.clone()), ask, reply);
        let sent = self.orders.send(order).await;
        sent.map_err(|_| ReadError::Stopped)?;
        // Forgotten is as silent.
        let answer = answer.await.unwrap_or(None);
        self.silent.note(peer, answer.is_some());
        Ok(answer)
    }

    /// The same, of clones: a stream of such futures outlives the names it was made of.
    async fn ask_for(self, peer: PublicKey, ask: Ask) -> Result<Heard, ReadError> {
        self.ask(&peer, ask).await
    }

    /// Asks this node, then all holders of a committee at once, until one answer is `right`.
    async fn first<T>(
        &self,
        committee: Option<&Committee>,
        ask: &Ask,
        right: impl Fn(Answer) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        if let Some(found) = self.ask(&self.me, ask.clone()).await?.and_then(&right) {
            return Ok(Some(found));
        }
        let mut others = committee.map(Committee::peers).unwrap_or_default().to_vec();
        others.retain(|peer| *peer != self.me);
        let ask = |peer: PublicKey| self.clone().ask_for(peer, ask.clone());
        let mut answers = stream::iter(others).map(ask).buffer_unordered(FIRST_AHEAD);
        while let Some(answer) = answers.next().await {
            if let Some(found) = answer?.and_then(&right) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What is known of a container.
    ///
    /// # Errors
    /// [`ReadError::NotFound`], [`ReadError::Stopped`]
    pub async fn container(&self, container: Hash32) -> Result<Known, ReadError> {
        let ask = Ask::Describe(container);
        let known = |answer: Answer| match answer {
            Answer::Described(described) => self.known(container, &described),
            _ => None,
        };
        let whole = |answer| known(answer).filter(|known| known.certificate.is_some());
        let mut committees = self.committees.newest_first();
        committees.truncate(COMMITTEES_MAX);
        for committee in &committees {
            let committee = Some(committee.as_ref());
            let found = self.first(committee, &ask, whole).await?;
            if let Some(known) = found {
                return Ok(known);
            }
        }
        // One that nobody has the certificate of is known all the same.
        for committee in &committees {
            let found = self.first(Some(committee.as_ref()), &ask, known).await?;
            if let Some(known) = found {
                return Ok(known);
            }
        }
        Err(ReadError::NotFound)
    }

    /// Where a blob of a quorum is.
    ///
    /// # Errors
    /// [`ReadError::NotFound`], [`ReadError::Stopped`]
    pub async fn locate(&self, quorum: Quorum, blob: Hash32) -> Result<(Known, usize), ReadError> {
        let committee = self.committees.of(quorum).ok_or(ReadError::NotFound)?;
        let ask = Ask::Locate { quorum, blob };
        let right = |answer| match answer {
            Answer::Located { container, place } => Some((container, usize::from(place))),
            _ => None,
        };
        let found = self.first(Some(&committee), &ask, right).await?;
        let (container, place) = found.ok_or(ReadError::NotFound)?;
        let known = self.container(container).await?;
        match known.table.entries().get(place) {
            Some(entry) if entry.root == blob => Ok((known, place)),
            _ => Err(ReadError::NotFound),
        }
    }

    /// The bytes of a blob, by its place in the table.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn blob(&self, known: &Known, place: usize) -> Result<Bytes, ReadError> {
        let entry = known.table.entries().get(place).ok_or(ReadError::NoBlob)?;
        let (shape, range) = (known.statement.head.shape, entry.range());
        let rows = rows_of(shape, &range).ok_or(ReadError::NoBlob)?;
        let wanted: Vec<u16> = rows
            .clone()
            .filter_map(|row| u16::try_from(row).ok())
            .collect();
        let mut came = Came::new();
        let heard: Vec<u16> = wanted
            .iter()
            .copied()
            .filter(|row| !self.is_silent(known, *row))
            .collect();
        self.fetch(known, &heard, &mut came).await?;
        let width = shape.width();
        let bytes = if wanted.iter().all(|row| came.contains_key(row)) {
            let first = u64::try_from(rows.start() * width).map_err(|_| ReadError::NoBlob)?;
            let all: Vec<&[u8]> = wanted.iter().map(|row| &came[row][..]).collect();
            cut(&all.concat(), first, &range)
        } else {
            self.fill(known, &mut came).await?;
            let rows: Vec<(u16, &[u8])> =
                came.iter().map(|(row, bytes)| (*row, &bytes[..])).collect();
            let restored = restore(&rows, width);
            let restored = restored.map_err(|_| ReadError::Unavailable { rows: rows.len() })?;
            cut(&restored, 0, &range)
        };
        match blob_root(&bytes) == entry.root {
            true => Ok(bytes),
            false => Err(ReadError::Damaged),
        }
    }

    /// One row with all that shows it to be part of a container, as [`lode_proofs::da::Sample`] encodes it.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Unavailable`] if its holder does not give it.
    pub async fn sample(&self, known: &Known, row: u16) -> Result<Bytes, ReadError> {
        if usize::from(row) >= ROWS {
            return Err(ReadError::NoBlob);
        }
        let gone = ReadError::Unavailable { rows: 0 };
        let peer = &known.committee.peers()[known.committee.seat_of_row(row)];
        let ask = Ask::Fetch {
            container: known.statement.head.id(),
            rows: vec![row],
        };
        let Some(Answer::Rows(rows)) = self.ask(peer, ask).await? else {
            return Err(gone);
        };
        let holding = known
            .verifier
            .holding(&[row], &[&rows.bytes], &rows.siblings);
        let holding = holding.map_err(|_| gone.clone())?;
        let sample = known.verifier.sample(row, &rows.bytes, &holding);
        Ok(sample.ok_or(gone)?.encode().into())
    }

    /// All original rows of a container, from any 1024.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn originals(&self, known: &Known) -> Result<Vec<u8>, ReadError> {
        let mut came = Came::new();
        let all: Vec<u16> = (0..).take(ORIGINAL_ROWS).collect();
        let heard: Vec<u16> = all
            .into_iter()
            .filter(|row| !self.is_silent(known, *row))
            .collect();
        self.fetch(known, &heard, &mut came).await?;
        self.fill(known, &mut came).await?;
        let rows: Vec<(u16, &[u8])> = came.iter().map(|(row, bytes)| (*row, &bytes[..])).collect();
        let restored = restore(&rows, known.statement.head.shape.width());
        restored.map_err(|_| ReadError::Unavailable { rows: rows.len() })
    }

    /// How many rows the holders say that they hold, for up to [`HAS_MAX`] containers of one committee.
    ///
    /// # Errors
    /// [`ReadError::Stopped`]
    pub async fn live(
        &self,
        committee: &Committee,
        containers: &[Hash32],
    ) -> Result<Vec<usize>, ReadError> {
        let containers = &containers[..containers.len().min(HAS_MAX)];
        let mut live = vec![0; containers.len()];
        if containers.is_empty() {
            return Ok(live);
        }
        let ask = Ask::Has(containers.to_vec());
        let seats: Vec<(usize, PublicKey)> =
            committee.peers().iter().cloned().enumerate().collect();
        let ask = |(seat, peer): (usize, PublicKey)| {
            let answer = self.clone().ask_for(peer, ask.clone());
            async move { answer.await.map(|answer| (seat, answer)) }
        };
        let mut answers = stream::iter(seats).map(ask).buffer_unordered(FIRST_AHEAD);
        while let Some(answer) = answers.next().await {
            let (seat, answer) = answer?;
            let Some(Answer::Having(bits)) = answer else {
                continue;
            };
            for (at, live) in live.iter_mut().enumerate() {
                if bits >> at & 1 == 1 {
                    *live += committee.rows(seat).len();
                }
            }
        }
        Ok(live)
    }

    /// Whether a row's holder did not answer when it was asked last.
    fn is_silent(&self, known: &Known, row: u16) -> bool {
        let seat = known.committee.seat_of_row(row);
        self.silent.is(&known.committee.peers()[seat])
    }

    /// Asks for more rows until there are 1024, or nobody has more. Those who were silent come last.
    async fn fill(&self, known: &Known, came: &mut Came) -> Result<(), ReadError> {
        let mut tried: BTreeSet<u16> = BTreeSet::new();
        while came.len() < ORIGINAL_ROWS {
            let mut next: Vec<u16> = (0..).take(ROWS).collect();
            next.retain(|row| !came.contains_key(row) && !tried.contains(row));
            next.sort_by_key(|row| self.is_silent(known, *row));
            next.truncate(ORIGINAL_ROWS - came.len());
            next.sort_unstable();
            if next.is_empty() {
                return Err(ReadError::Unavailable { rows: came.len() });
            }
            let before = came.len();
            let silent = self.fetch(known, &next, came).await?;
            tried.extend(next);
            // Who gave nothing is not asked for its other rows.
            for seat in silent {
                tried.extend(known.committee.rows(seat));
            }
            tracing::debug!(
                rows = came.len(),
                new = came.len() - before,
                "rows to restore from"
            );
        }
        Ok(())
    }

    /// Asks the holders of rows for them, each for as many as an answer has room for. Returns the seats
    /// that did not give what they were asked for.
    async fn fetch(
        &self,
        known: &Known,
        wanted: &[u16],
        came: &mut Came,
    ) -> Result<BTreeSet<usize>, ReadError> {
        let mut by_seat: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
        for row in wanted.iter().filter(|row| !came.contains_key(row)) {
            by_seat
                .entry(known.committee.seat_of_row(*row))
                .or_default()
                .push(*row);
        }
        let holders = by_seat.len();
        let of_seat = |(seat, rows)| self.clone().of_seat(known.clone(), seat, rows);
        let mut seats = stream::iter(by_seat)
            .map(of_seat)
            .buffer_unordered(holders.max(1));
        let mut silent = BTreeSet::new();
        while let Some(of_seat) = seats.next().await {
            let (seat, rows, whole) = of_seat?;
            came.extend(rows);
            if !whole {
                silent.insert(seat);
            }
        }
        Ok(silent)
    }

    /// Rows of one holder, a few answers at a time. The first that fails is the last that is waited for.
    async fn of_seat(
        self,
        known: Known,
        seat: usize,
        rows: Vec<u16>,
    ) -> Result<(usize, Vec<(u16, Bytes)>, bool), ReadError> {
        let peer = known.committee.peers()[seat].clone();
        let container = known.statement.head.id();
        let per_answer = (ANSWER_LEN_MAX / known.statement.head.shape.width()).max(1);
        let groups: Vec<Vec<u16>> = rows.chunks(per_answer).map(<[u16]>::to_vec).collect();
        let ask = |rows: Vec<u16>| {
            let ask = Ask::Fetch {
                container,
                rows: rows.clone(),
            };
            let (answer, known) = (self.clone().ask_for(peer.clone(), ask), known.clone());
            async move { Ok::<_, ReadError>(known.checked(&rows, answer.await?)) }
        };
        let mut answers = stream::iter(groups).map(ask).buffered(ASK_AHEAD);
        let mut found = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer? {
                Some(rows) => found.extend(rows),
                None => return Ok((seat, found, false)),
            }
        }
        Ok((seat, found, true))
    }

    /// A description, if it is one of this container.
    fn known(&self, container: Hash32, described: &Described) -> Option<Known> {
        let quorum = Certificate::quorum_of(&described.statement).ok()?;
        let committee = self.committees.of(quorum)?;
        let statement = Statement::decode(&described.statement, committee.columns()).ok()?;
        if statement.head.id() != container {
            return None;
        }
        let verifier = Verifier::new(statement.head, &quorum, committee.columns()).ok()?;
        let verifier = verifier.with_checks(&described.checks).ok()?;
        let table = verifier.table(&described.table).ok()?;
        let mut known = Known {
            statement,
            table: table.into(),
            certificate: None,
            verifier: verifier.into(),
            committee,
        };
        // The rest is right without it; a wrong one is none.
        if known.certified(&described.certificate).is_some() {
            known.certificate = Some(described.certificate.clone());
        }
        Some(known)
    }
}

/// Holders that are asked the same at once.
const FIRST_AHEAD: usize = 16;
/// Committees whose holders are asked for a container that names none: those of the last epochs.
const COMMITTEES_MAX: usize = 64;

impl Known {
    /// The certificate that bytes are, if it is of this container and holds.
    fn certified(&self, bytes: &[u8]) -> Option<Certificate> {
        let holders = self.committee.holders();
        let read = Certificate::decode(bytes, holders.assignment()).ok()?;
        let verified = read.verify(holders, lode_proofs::da::Threshold::LEAST);
        verified.ok()?;
        (read.statement.head == self.statement.head).then_some(read)
    }

    /// Rows of an answer, if it is one to that question and right.
    fn checked(&self, wanted: &[u16], answer: Heard) -> Option<Vec<(u16, Bytes)>> {
        let Some(Answer::Rows(rows)) = answer else {
            return None;
        };
        let width = self.statement.head.shape.width();
        if rows.rows != wanted || rows.bytes.len() != wanted.len() * width {
            return None;
        }
        let pieces: Vec<&[u8]> = rows.bytes.chunks_exact(width).collect();
        self.verifier.rows(wanted, &pieces, &rows.siblings).ok()?;
        let piece =
            |(at, row): (usize, &u16)| (*row, rows.bytes.slice(at * width..(at + 1) * width));
        Some(wanted.iter().enumerate().map(piece).collect())
    }
}

/// A range of a container out of bytes of it that begin at `first`.
fn cut(bytes: &[u8], first: u64, range: &std::ops::Range<u64>) -> Bytes {
    let at = |place: u64| usize::try_from(place - first).unwrap_or(usize::MAX);
    let found = bytes.get(at(range.start)..at(range.end));
    Bytes::copy_from_slice(found.unwrap_or_default())
}
