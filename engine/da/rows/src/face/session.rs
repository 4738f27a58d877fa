//! A record that is appended from another thread: rows go over a bounded channel to a task beside the
//! store, which waits for the disk, and so makes whoever sends wait.

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use lode_proofs::Hash32;
use lode_world::World;

use crate::{Error, Result, wait::either};

/// Messages of one record that wait for its task. Each has rows of up to [`MESSAGE_LEN`] bytes, or one
/// row.
const MESSAGES_MAX: usize = 2;

/// Bytes of rows that are sent at a time.
const MESSAGE_LEN: usize = 512 << 10;

/// What goes to a record's task.
enum Step {
    Rows(Vec<Bytes>),
    Finish(Sender<Result<()>>),
}

/// A record that is being appended. Dropping it leaves nothing behind.
pub struct Appending {
    container: Hash32,
    steps: Sender<Step>,
    /// Tells why the task ended early.
    why: Receiver<Error>,
}

/// The other end of an [`Appending`].
pub struct Session {
    steps: Receiver<Step>,
    why: Sender<Error>,
}

/// Both ends.
pub fn pair(container: Hash32) -> (Appending, Session) {
    let (send, steps) = async_channel::bounded(MESSAGES_MAX);
    let (tell, why) = async_channel::bounded(1);
    let appending = Appending {
        container,
        steps: send,
        why,
    };
    (appending, Session { steps, why: tell })
}

impl Appending {
    /// The container.
    #[must_use]
    pub fn container(&self) -> Hash32 {
        self.container
    }

    /// Sends the next rows, in the order of the holding's numbers. Returns when they are on their way: an
    /// error of theirs may come with a later call.
    ///
    /// # Errors
    /// Those of [`crate::Appending::push`]; after one the record is given up.
    pub async fn push(&mut self, rows: Vec<Bytes>) -> Result<()> {
        let (mut message, mut len) = (Vec::new(), 0);
        for row in rows {
            len += row.len();
            message.push(row);
            if len >= MESSAGE_LEN {
                len = 0;
                self.send(Step::Rows(std::mem::take(&mut message))).await?;
            }
        }
        match message.is_empty() {
            true => Ok(()),
            false => self.send(Step::Rows(message)).await,
        }
    }

    /// Makes the record durable; when this returns, it is held.
    ///
    /// # Errors
    /// Those of [`crate::Appending::finish`], and of rows on their way: it is not held.
    pub async fn finish(self) -> Result<()> {
        let (reply, answer) = async_channel::bounded(1);
        self.send(Step::Finish(reply)).await?;
        // A task that ended before it came to this leaves it in the channel, until both ends are gone.
        let Appending { steps, why, .. } = self;
        drop(steps);
        match answer.recv().await {
            Ok(finished) => finished,
            Err(_ended) => Err(reason(&why).await),
        }
    }

    async fn send(&self, step: Step) -> Result<()> {
        match self.steps.send(step).await {
            Ok(()) => Ok(()),
            Err(_ended) => Err(reason(&self.why).await),
        }
    }
}

/// What a task said when it ended.
async fn reason(why: &Receiver<Error>) -> Error {
    why.recv().await.unwrap_or(Error::Closing)
}

impl Session {
    /// Carries out what comes until the record is finished, given up, or the executor is to stop.
    pub async fn run<W: World>(self, mut appending: crate::Appending<W>, stopped: Receiver<()>) {
        loop {
            let step = async { self.steps.recv().await.ok() };
            let stop = async {
                // Nothing is ever sent: it ends when the other end is closed.
                let _ = stopped.recv().await;
                None
            };
            match either(step, stop).await {
                Some(Step::Rows(rows)) => {
                    for row in rows {
                        if let Err(error) = appending.push(&row).await {
                            return self.end(error);
                        }
                    }
                }
                Some(Step::Finish(reply)) => {
                    // Whoever asked may have gone: the record is held all the same.
                    let _ = reply.try_send(appending.finish().await);
                    return;
                }
                None => return self.end(Error::Closing),
            }
        }
    }

    fn end(self, error: Error) {
        // There is room for the one word that is ever said; nobody may be there to hear it.
        let _ = self.why.try_send(error);
    }
}
