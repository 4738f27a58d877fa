//! Containers on their way to their holders: who was offered what, who has signed, when it is enough.
//!
//! ```text
//!   start ─► offered ─► signed ──► enough rows ─► grace ─► summed ─► certificate ─► linger ─► gone
//!              ▲  └── silent, busy: again          ▲          └ a signature is wrong: without it
//!              └─────┘                             └──────────────────┘
//! ```
//! Knows the time and no clock, who is to be told and no network: the desk does what it says.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lode_proofs::{
    Hash32,
    da::{Certificate, Coded, Statement, Threshold},
    finality::SIGNATURE_LEN,
};
use tokio::sync::oneshot;

use crate::{
    bounds::{DISPERSE_TIME, GRACE_MAX, GRACE_MIN, LINGER, OFFER_AGAIN},
    committee::Committee,
    message::Refused,
};

/// A coded container, and who is to hold it.
#[derive(Debug)]
pub struct Job {
    /// The container with everything that is made of it.
    pub coded: Coded,
    /// What its holders sign.
    pub statement: Statement,
    /// Its holders.
    pub committee: Arc<Committee>,
    /// How many rows have to be signed for.
    pub threshold: Threshold,
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Holders of too few rows have signed in time.
    #[error(
        "holders of {rows} rows have signed in time, {want} are needed; {silent} holders are silent, \
         {refused} have refused"
    )]
    TooFew {
        /// Rows that were signed for.
        rows: usize,
        /// The threshold.
        want: u16,
        /// Holders that did not answer.
        silent: usize,
        /// Holders that did not want it.
        refused: usize,
    },
    /// The node stops.
    #[error("the node stops")]
    Stopped,
}

/// A holder's signature.
pub(crate) type Signature = [u8; SIGNATURE_LEN];
/// Who is waiting for a certificate.
pub(crate) type Waiting = oneshot::Sender<Result<Certificate, Lost>>;

/// Signatures that are to be summed up.
pub(crate) struct Sum {
    pub(crate) job: Arc<Job>,
    pub(crate) signatures: Vec<(usize, Signature)>,
}

/// What a sum came to.
pub(crate) struct Summed {
    pub(crate) container: Hash32,
    /// None if some were wrong.
    pub(crate) certificate: Option<Certificate>,
    /// Seats of the wrong ones.
    pub(crate) wrong: Vec<usize>,
}

/// All containers on their way.
#[derive(Default)]
pub(crate) struct Outgoing(BTreeMap<Hash32, Going>);

struct Going {
    job: Arc<Job>,
    seats: Vec<Seat>,
    signatures: Vec<(usize, Signature)>,
    began: SystemTime,
    /// When enough rows were signed for.
    enough: Option<SystemTime>,
    summing: bool,
    waiting: Option<Waiting>,
    /// When it is forgotten.
    over: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    /// Has not answered; is offered again then.
    Open(SystemTime),
    Signed,
    Refused,
}

impl Outgoing {
    /// Begins; one that is on its way already is waited for no longer by who waited.
    pub(crate) fn start(&mut self, job: Arc<Job>, waiting: Waiting, now: SystemTime) {
        let id = job.statement.head.id();
        let seats = vec![Seat::Open(now); job.committee.peers().len()];
        self.0.insert(
            id,
            Going {
                job,
                seats,
                signatures: Vec::new(),
                began: now,
                enough: None,
                summing: false,
                waiting: Some(waiting),
                over: now + DISPERSE_TIME,
            },
        );
    }

    /// The container, if it is on its way.
    pub(crate) fn job(&self, container: Hash32) -> Option<&Arc<Job>> {
        self.0.get(&container).map(|going| &going.job)
    }

    /// A holder has signed; whether it was asked to, and had not.
    pub(crate) fn signed(
        &mut self,
        container: Hash32,
        seat: usize,
        signature: Signature,
        now: SystemTime,
    ) -> bool {
        let Some(going) = self.0.get_mut(&container) else {
            return false;
        };
        match going.seats.get_mut(seat) {
            Some(state @ (Seat::Open(_) | Seat::Refused)) => *state = Seat::Signed,
            _ => return false,
        }
        going.signatures.push((seat, signature));
        let rows = going.weight();
        if going.enough.is_none() && rows >= usize::from(going.job.threshold.rows()) {
            going.enough = Some(now);
        }
        true
    }

    /// A holder does not sign. One that is busy is offered it again.
    pub(crate) fn refused(
        &mut self,
        container: Hash32,
        seat: usize,
        why: Refused,
        now: SystemTime,
    ) {
        let Some(going) = self.0.get_mut(&container) else {
            return;
        };
        if let Some(state @ Seat::Open(_)) = going.seats.get_mut(seat) {
            *state = match why {
                Refused::Busy => Seat::Open(now + OFFER_AGAIN / 4),
                _ => Seat::Refused,
            };
        }
    }

    /// Whom to offer what now.
    pub(crate) fn offers(&mut self, now: SystemTime) -> Vec<(Arc<Job>, usize)> {
        let mut offers = Vec::new();
        for going in self.0.values_mut() {
            for (seat, state) in going.seats.iter_mut().enumerate() {
                if let Seat::Open(at) = state
                    && *at <= now
                {
                    *at = now + OFFER_AGAIN;
                    offers.push((going.job.clone(), seat));
                }
            }
        }
        offers
    }

    /// A holder is at it: it need not be offered again for a while.
    pub(crate) fn heard(&mut self, container: Hash32, seat: usize, now: SystemTime) {
        if let Some(going) = self.0.get_mut(&container)
            && let Some(Seat::Open(at)) = going.seats.get_mut(seat)
        {
            *at = now + OFFER_AGAIN;
        }
    }

    /// What is to be summed up now: enough have signed, and all have answered or the grace is over.
    pub(crate) fn sums(&mut self, now: SystemTime) -> Vec<Sum> {
        let mut sums = Vec::new();
        for going in self.0.values_mut() {
            let Some(enough) = going.enough.filter(|_| !going.summing) else {
                continue;
            };
            if going.waiting.is_none() {
                continue;
            }
            let took = enough.duration_since(going.began).unwrap_or(Duration::ZERO);
            let grace = (took / 4).clamp(GRACE_MIN, GRACE_MAX);
            let open = going.seats.iter().any(|seat| matches!(seat, Seat::Open(_)));
            if open && now < enough + grace {
                continue;
            }
            going.summing = true;
            sums.push(Sum {
                job: going.job.clone(),
                signatures: going.signatures.clone(),
            });
        }
        sums
    }

    /// A sum is there: the certificate goes to who waits, or wrong signatures are forgotten. Returns the
    /// holders who gave those.
    pub(crate) fn summed(&mut self, summed: Summed, now: SystemTime) -> Vec<usize> {
        let Some(going) = self.0.get_mut(&summed.container) else {
            return Vec::new();
        };
        going.summing = false;
        if let Some(certificate) = summed.certificate {
            going.over = now + LINGER;
            if let Some(waiting) = going.waiting.take() {
                // Who waited may have gone; the certificate is known to the holders.
                let _gone = waiting.send(Ok(certificate));
            }
            return Vec::new();
        }
        going
            .signatures
            .retain(|(seat, _)| !summed.wrong.contains(seat));
        for seat in &summed.wrong {
            going.seats[*seat] = Seat::Refused;
        }
        // Without a wrong one it is not known what to leave out: more have to sign.
        if summed.wrong.is_empty() || going.weight() < usize::from(going.job.threshold.rows()) {
            going.enough = None;
        }
        summed.wrong
    }

    /// Forgets what is done, and gives up what is late. Returns what is forgotten.
    pub(crate) fn expire(&mut self, now: SystemTime) -> Vec<Hash32> {
        let mut gone = Vec::new();
        self.0.retain(|id, going| {
            let answered = !going.seats.iter().any(|seat| matches!(seat, Seat::Open(_)));
            let done = going.waiting.is_none() && answered;
            let hopeless = going.waiting.is_some() && answered && going.enough.is_none();
            if now < going.over && !done && !hopeless || going.summing {
                return true;
            }
            if let Some(waiting) = going.waiting.take() {
                let _gone = waiting.send(Err(going.lost()));
            }
            gone.push(*id);
            false
        });
        gone
    }
}

impl Going {
    fn weight(&self) -> usize {
        let rows = |(seat, _): &(usize, Signature)| self.job.committee.rows(*seat).len();
        self.signatures.iter().map(rows).sum()
    }

    fn lost(&self) -> Lost {
        let count =
            |wanted: fn(&Seat) -> bool| self.seats.iter().filter(|seat| wanted(seat)).count();
        Lost::TooFew {
            rows: self.weight(),
            want: self.job.threshold.rows(),
            silent: count(|seat| matches!(seat, Seat::Open(_))),
            refused: count(|seat| *seat == Seat::Refused),
        }
    }
}

impl Sum {
    /// Sums up. All are checked at once; if they do not hold, one by one.
    pub(crate) fn run(self) -> Summed {
        let Sum { job, signatures } = self;
        let (statement, holders) = (job.statement, job.committee.holders());
        let summed = Certificate::sum(statement, holders.assignment(), &signatures);
        let certificate = summed.ok().filter(|certificate| {
            let verified = certificate.verify(holders, job.threshold);
            verified.is_ok()
        });
        let wrong = |(seat, signature): &(usize, Signature)| {
            let key = holders.key(*seat);
            key.is_none_or(|key| key.check(&statement, signature).is_err())
        };
        let wrong = match certificate {
            Some(_) => Vec::new(),
            None => signatures
                .iter()
                .filter(|one| wrong(one))
                .map(|(seat, _)| *seat)
                .collect(),
        };
        Summed {
            container: statement.head.id(),
            certificate,
            wrong,
        }
    }
}
