//! What the store has taken in, for the thread that settles: it asks, an executor answers between
//! requests, and no put waits for either.

use async_channel::{Receiver, Sender, bounded};
use lode_chain_link::book::{Book, BookError};
use lode_engine::{
    Error, Root,
    store::{Fresh, Store, Then, Walk},
};
use lode_proofs::BlobId;
use lode_world::{Queue, World};

/// A question: the next step of a walk over a shard.
struct Question {
    shard: u16,
    walk: Walk,
    reply: Sender<Result<Answer, Error>>,
}

/// The step, and how many shards there are.
struct Answer {
    fresh: Fresh,
    shards: u16,
}

/// The executor's end. Clones are the same one.
#[derive(Clone)]
pub struct Source(Receiver<Question>);

/// The end of the thread that settles.
pub struct Feed {
    ask: Sender<Question>,
    shard: u16,
    /// The walk that is under way over that shard.
    walk: Option<Walk>,
    /// How far the shards before it were looked through.
    moments: Vec<(u16, u64)>,
    /// All shards were, and what was found lies open still.
    round_over: bool,
    /// What clients have submitted themselves.
    flow: Option<lode_flow::Book>,
}

/// Why there are no blobs.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The node is going down.
    #[error("the store takes no questions any more")]
    Closed,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] Error),
    /// The flow's book cannot be read.
    #[error(transparent)]
    Flow(#[from] lode_flow::BookError),
    /// The books do not take them.
    #[error(transparent)]
    Book(#[from] BookError),
}

/// Both ends. What is in the flow is none of the feed's business.
pub fn channel(flow: Option<lode_flow::Book>) -> (Source, Feed) {
    let (ask, questions) = bounded(1);
    let feed = Feed {
        ask,
        shard: 0,
        walk: None,
        moments: Vec::new(),
        round_over: false,
        flow,
    };
    (Source(questions), feed)
}

impl Source {
    /// Answers on this executor for as long as somebody may ask.
    pub fn answer<W: World>(self, world: &W, store: Store<W>) {
        world.spawn(Queue::Serve, async move {
            while let Ok(Question { shard, walk, reply }) = self.0.recv().await {
                let shards = store.shards();
                let fresh = store.fresh(shard, walk).await;
                let answer = fresh.map(|fresh| Answer { fresh, shards });
                // Whoever asked may have given up.
                let _gone = reply.try_send(answer).is_err();
            }
        });
    }
}

impl Feed {
    /// Closes the next anchor over what the store has taken in since the last one; returns how many
    /// steps it took to find it.
    ///
    /// # Errors
    /// See [`FeedError`]; what was found is not lost.
    pub async fn fill(&mut self, book: &mut Book) -> Result<u32, FeedError> {
        let mut steps = 0;
        while !book.is_full() && !self.round_over {
            self.step(book).await?;
            steps += 1;
        }
        let moments = match self.round_over {
            true => &self.moments[..],
            false => &[],
        };
        book.close(moments)?;
        if self.round_over && !book.is_open() {
            self.round_over = false;
            self.moments.clear();
        }
        Ok(steps)
    }

    async fn step(&mut self, book: &mut Book) -> Result<(), FeedError> {
        let begin = book.moment(self.shard)?;
        let walk = self.walk.unwrap_or(Walk::since(begin));
        let Answer { fresh, shards } = self.ask(walk).await?;
        for info in fresh.blobs {
            // The store has no empty blobs.
            if let Ok(blob) = BlobId::new(info.root, info.size)
                && !self.is_paid_for(info.root)?
            {
                book.offer(blob)?;
            }
        }
        match fresh.then {
            Then::More(walk) => self.walk = Some(walk),
            Then::Done(upto) => {
                if upto != begin {
                    self.moments.push((self.shard, upto));
                }
                self.walk = None;
                self.shard += 1;
                self.round_over = self.shard >= shards;
                if self.round_over {
                    self.shard = 0;
                }
            }
        }
        Ok(())
    }

    /// Whether a client has submitted the blob to the flow itself: then it is on the chain already.
    fn is_paid_for(&self, root: Root) -> Result<bool, FeedError> {
        let Some(flow) = &self.flow else {
            return Ok(false);
        };
        Ok(!flow.by_root(root, 0, 1)?.is_empty())
    }

    async fn ask(&self, walk: Walk) -> Result<Answer, FeedError> {
        let (reply, answer) = bounded(1);
        let question = Question {
            shard: self.shard,
            walk,
            reply,
        };
        self.ask
            .send(question)
            .await
            .map_err(|_| FeedError::Closed)?;
        Ok(answer.recv().await.map_err(|_| FeedError::Closed)??)
    }
}
