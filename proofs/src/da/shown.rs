//! A certificate with all that it takes to check it against the hash of a committee.
//!
//! ```text
//!  committee    342 bytes: its hash is what the checker knows
//!  certificate  as it is
//!  absent       the seats that did not sign, ascending: key 256, rows 2
//!  siblings     the nodes beside them under the seat root, in the order of a walk from the left
//! ```
//! Which seats are absent follows from the certificate, and how many siblings there are from that, so
//! there is one form. If all have signed nothing is absent and there are no siblings. More than 1023
//! absent rows make no certificate, so what a checker reads is bounded by it.

use alloc::vec::Vec;

use super::{
    certificate::{Certificate, certificate_len},
    committee::{Committee, SEAT_LEN, Seat, Seats},
    decode::{DecodeError, Reader},
    shape::ROWS,
    tree::{Run, beside, walk},
};
use crate::hash32::Hash32;

/// A certificate that can be checked against a committee's hash. Not checked before somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose holders have signed.
    pub committee: Committee,
    /// What they have signed.
    pub certificate: Certificate,
    /// The seats that have not, ascending.
    pub absent: Vec<Seat>,
    /// The nodes beside them.
    pub siblings: Vec<Hash32>,
}

impl Shown {
    /// Joins a certificate with what shows it.
    ///
    /// # Panics
    /// If the certificate's signers are more than there are seats, or the committee is not that of the
    /// seats.
    #[must_use]
    pub fn new(committee: Committee, seats: &Seats, certificate: Certificate) -> Self {
        // [D-37]
        let (all, tree) = (seats.seats(), seats.tree());
        assert_eq!(tree.root(), committee.seat_root, "the committee's own");
        let places = absent(&certificate, all.len());
        let mut siblings = Vec::new();
        if !places.is_empty() {
            let all = Run::all(all.len());
            let shown = |run: Run| meets(&places, run);
            beside(all, &shown, &mut |run| siblings.push(tree.over(run)));
        }
        Self {
            committee,
            absent: places.iter().map(|place| all[*place]).collect(),
            certificate,
            siblings,
        }
    }

    /// Rows that were signed for, if the absent seats are what it says; fewer than none never.
    #[must_use]
    pub fn weight(&self) -> usize {
        // [D-38]
        let absent: usize = self.absent.iter().map(|seat| usize::from(seat.rows)).sum();
        ROWS.saturating_sub(absent)
    }

    /// Whether the absent seats are those of the committee.
    #[must_use]
    pub fn has_its_seats(&self) -> bool {
        // [D-38]
        let places = absent(&self.certificate, usize::from(self.committee.seats));
        if places.len() != self.absent.len() {
            return false;
        }
        if places.is_empty() {
            return self.siblings.is_empty();
        }
        let (mut seats, mut siblings) = (self.absent.iter(), self.siblings.iter());
        let all = Run::all(usize::from(self.committee.seats));
        let root = walk(all, &mut |run| {
            if !meets(&places, run) {
                return siblings.next().copied().map(Some).ok_or(());
            }
            // The walk comes by seats in their order.
            let seat = (run.count == 1).then(|| seats.next().map(Seat::leaf).ok_or(()));
            seat.transpose()
        });
        root == Ok(self.committee.seat_root) && siblings.next().is_none()
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-37]
        let mut bytes = self.committee.encode().to_vec();
        bytes.extend_from_slice(&self.certificate.encode());
        bytes.extend_from_slice(&self.absent());
        bytes
    }

    /// The last two parts: absent seats and siblings.
    #[must_use]
    pub fn absent(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEAT_LEN * self.absent.len() + 32 * self.siblings.len());
        for seat in &self.absent {
            bytes.extend_from_slice(&seat.encode());
        }
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.0);
        }
        bytes
    }

    /// What was encoded: well-formed, but nobody has verified it.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // [D-37]
        let mut reader = Reader::new(bytes);
        let committee = Committee::read(&mut reader)?;
        let count = usize::from(committee.seats);
        let certificate = reader.take(certificate_len(count))?;
        let certificate = Certificate::decode_for(certificate, count)?;
        let places = absent(&certificate, count);
        let absent = reader.list::<SEAT_LEN>(places.len())?.iter();
        let absent = absent.map(|seat| Seat::read(&mut Reader::new(seat)));
        let absent = absent.collect::<Result<Vec<Seat>, _>>()?;
        let mut wanted = 0;
        if !places.is_empty() {
            let shown = |run: Run| meets(&places, run);
            beside(Run::all(count), &shown, &mut |_| wanted += 1);
        }
        let siblings = reader.hashes(wanted)?;
        reader.end()?;
        Ok(Self {
            committee,
            certificate,
            absent,
            siblings,
        })
    }
}

/// Seats out of so many that have not signed, ascending.
fn absent(certificate: &Certificate, seats: usize) -> Vec<usize> {
    let mut signed = certificate.seats().peekable();
    (0..seats)
        .filter(|seat| signed.next_if_eq(seat).is_none())
        .collect()
}

/// Whether a run has one of some places, which ascend.
fn meets(places: &[usize], run: Run) -> bool {
    let next = places.partition_point(|place| *place < run.first);
    places
        .get(next)
        .is_some_and(|place| *place < run.first + run.count)
}
