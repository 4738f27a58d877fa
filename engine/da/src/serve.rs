//! Parts and rows for others. Each peer has a queue and a task of its own, so that one who asks without end
//! waits for itself alone.
//!
//! ```text
//!  Offer, Pull, Ask ─► queue of the peer, 256 ─► one of 16 reads ─► Part, Rows, …
//!                       └ full: dropped; it is asked for again
//! ```

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender as _, LimitedSender, Recipients};
use commonware_runtime::{Clock, IoBuf, IoBufs, Metrics, Spawner};
use lode_proofs::Hash32;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    bounds::{ANSWER_LEN_MAX, INLINE_LEN_MAX, PEERS_MAX, READS_MAX, WAITING_MAX},
    keep::{Keep, KeepError},
    message::{Answer, Ask, Described, Message, Offer, Part, Pull, Rows},
    outgoing::Job,
    sliver::Maker,
};

/// What a peer is served.
pub(crate) enum Order {
    /// Its sliver is offered to it.
    Offer(Arc<Job>, usize),
    /// Parts of it, as it has asked.
    Pull(Arc<Job>, usize, Pull),
    /// An answer.
    Ask(u64, Ask),
    /// A word of the desk's.
    Say(Box<Message>),
}

/// What serving needs.
#[derive(Clone)]
pub(crate) struct Serving<K, S> {
    pub(crate) keep: K,
    pub(crate) words: S,
    pub(crate) bulk: S,
    /// Hears of questions that the network did not take: nobody is there.
    pub(crate) unsent: mpsc::Sender<(PublicKey, u64)>,
}

/// Takes orders, and has them served.
pub(crate) struct Server<E, K, S> {
    context: E,
    serving: Serving<K, S>,
    reads: Arc<Semaphore>,
    queues: BTreeMap<PublicKey, mpsc::Sender<Order>>,
}

impl<E, K, S> Server<E, K, S>
where
    E: Spawner + Metrics + Clock,
    K: Keep,
    S: LimitedSender<PublicKey = PublicKey>,
{
    pub(crate) fn new(context: E, serving: Serving<K, S>) -> Self {
        Server {
            context,
            serving,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            queues: BTreeMap::new(),
        }
    }

    /// Takes an order for a peer, if there is room for it.
    pub(crate) fn take(&mut self, peer: &PublicKey, order: Order) -> bool {
        let queue = match self.queues.get(peer) {
            Some(queue) => queue,
            // The transport lets in none but those that are known, which are no more.
            None if self.queues.len() >= PEERS_MAX => return false,
            None => {
                let queue = self.begin(peer.clone());
                self.queues.entry(peer.clone()).or_insert(queue)
            }
        };
        queue.try_send(order).is_ok()
    }

    fn begin(&self, peer: PublicKey) -> mpsc::Sender<Order> {
        let (queue, mut orders) = mpsc::channel::<Order>(WAITING_MAX);
        let mut service = Service {
            peer,
            serving: self.serving.clone(),
            reads: self.reads.clone(),
        };
        self.context
            .child("service")
            .spawn(move |context| async move {
                while let Some(order) = orders.recv().await {
                    service.serve(&context, order).await;
                }
            });
        queue
    }
}

/// One peer is served.
struct Service<K, S> {
    peer: PublicKey,
    serving: Serving<K, S>,
    reads: Arc<Semaphore>,
}

impl<K: Keep, S: LimitedSender<PublicKey = PublicKey>> Service<K, S> {
    async fn serve(&mut self, clock: &impl Clock, order: Order) {
        match order {
            Order::Offer(job, seat) => {
                let offer = offer(&job, seat);
                self.say(clock, &Message::Offer(offer)).await;
            }
            Order::Pull(job, seat, pull) => self.pull(clock, &job, seat, pull).await,
            Order::Ask(id, ask) => {
                let answer = self.answer(&ask).await;
                self.say(clock, &Message::Answer { id, answer }).await;
            }
            Order::Say(message) => self.say(clock, &message).await,
        }
    }

    async fn pull(&mut self, clock: &impl Clock, job: &Job, seat: usize, pull: Pull) {
        let parts: Vec<Message> = {
            let maker = Maker::new(&job.coded, job.committee.rows(seat));
            let parts = pull.part..pull.part.saturating_add(u32::from(pull.count));
            let part = |part: u32| {
                let range = maker
                    .layout()
                    .part(usize::try_from(part).unwrap_or(usize::MAX));
                (!range.is_empty()).then(|| {
                    let mut bytes = Vec::with_capacity(range.len());
                    maker.copy(range, &mut bytes);
                    Message::Part(Part {
                        container: pull.container,
                        part,
                        bytes: bytes.into(),
                    })
                })
            };
            parts.map_while(part).collect()
        };
        for part in &parts {
            self.say(clock, part).await;
        }
    }

    /// What is known here. What cannot be read is told to be lacking: others have it too.
    async fn answer(&self, ask: &Ask) -> Answer {
        let turn = self.reads.acquire().await;
        // Nobody closes it.
        let _turn = turn.expect("the semaphore is open");
        match answer(&self.serving.keep, ask).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "what a peer asks for cannot be read");
                Answer::Lack
            }
        }
    }

    /// Sends a message when the quota allows. One that the transport does not take is asked for again, or
    /// said again.
    async fn say(&mut self, clock: &impl Clock, message: &Message) {
        let sender = match message.is_bulk() {
            true => &mut self.serving.bulk,
            false => &mut self.serving.words,
        };
        loop {
            let until = match sender.check(Recipients::One(self.peer.clone())) {
                Ok(checked) => {
                    let taken = checked.send(wired(message), false).accepted();
                    if !taken {
                        tracing::debug!(peer = %self.peer, "a message was not taken");
                        unsent(&self.serving.unsent, &self.peer, message);
                    }
                    return;
                }
                Err(until) => until,
            };
            clock.sleep_until(until).await;
        }
    }
}

/// Whoever has asked need not wait for an answer.
fn unsent(to: &mpsc::Sender<(PublicKey, u64)>, peer: &PublicKey, message: &Message) {
    if let Message::Ask { id, .. } = message {
        // Without room he waits until the answer is late.
        let _full = to.try_send((peer.clone(), *id)).is_err();
    }
}

/// A message as the transport takes it.
pub(crate) fn wired(message: &Message) -> IoBufs {
    let parts = message.encode().into_iter();
    let parts: Vec<IoBuf> = parts
        .filter(|part| !part.is_empty())
        .map(IoBuf::from)
        .collect();
    IoBufs::from(parts)
}

/// A short sliver comes with its offer.
fn offer(job: &Job, seat: usize) -> Offer {
    let maker = Maker::new(&job.coded, job.committee.rows(seat));
    let len = maker.layout().len();
    let mut sliver = Vec::new();
    if len <= INLINE_LEN_MAX {
        sliver.reserve(len);
        maker.copy(0..len, &mut sliver);
    }
    let table = job.coded.sliver(&[]).table.len();
    Offer {
        statement: job.statement.encode(),
        table_len: u32::try_from(table).expect("a table is short"),
        sliver: sliver.into(),
    }
}

/// What a store knows, for whoever asks, this node's own readers too.
pub(crate) async fn answer<K: Keep>(keep: &K, ask: &Ask) -> Result<Answer, KeepError> {
    Ok(match ask {
        Ask::Describe(container) => match keep.about(*container).await? {
            Some(about) => Answer::Described(Described {
                statement: about.statement.encode(),
                certificate: about.certificate.clone().unwrap_or_default(),
                table: about.table.clone(),
                checks: about.checks.clone(),
            }),
            None => Answer::Lack,
        },
        Ask::Fetch { container, rows } => match fetch(keep, *container, rows).await? {
            Some(rows) => Answer::Rows(rows),
            None => Answer::Lack,
        },
        Ask::Locate { quorum, blob } => match keep.locate(quorum.epoch, quorum.quorum, *blob) {
            Some((container, place)) => Answer::Located { container, place },
            None => Answer::Lack,
        },
        Ask::Has(containers) => {
            let held = |container: &Hash32| keep.statement(*container).is_some();
            let bits = containers
                .iter()
                .enumerate()
                .filter(|(_, container)| held(container));
            Answer::Having(bits.fold(0, |bits, (at, _)| bits | 1 << at))
        }
    })
}

async fn fetch<K: Keep>(
    keep: &K,
    container: Hash32,
    rows: &[u16],
) -> Result<Option<Rows>, KeepError> {
    let Some(about) = keep.about(container).await? else {
        return Ok(None);
    };
    if rows
        .len()
        .saturating_mul(about.statement.head.shape.width())
        > ANSWER_LEN_MAX
    {
        return Ok(None);
    }
    let Some(siblings) = about.holding.proof(rows) else {
        return Ok(None);
    };
    let bytes: Option<Bytes> = keep.rows(container, rows).await?;
    Ok(bytes.map(|bytes| Rows {
        rows: rows.to_vec(),
        siblings,
        bytes,
    }))
}
