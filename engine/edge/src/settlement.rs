//! What the node knows of the chain, for who asks over HTTP: how far the settlement of a blob is,
//! and the evidence of it. The edge knows no chain: it carries questions to whoever does.

use core::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use lode_engine::Root;
use tokio::sync::oneshot;

use crate::{
    problem::{self, Problem},
    schema::AnchorState,
};

/// Questions that wait at once.
const QUEUE_LEN: usize = 64;

/// How long an answer may take: the longest one reads an anchor's entries and hashes them.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// An answer, or why the books of the settlement cannot be read.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;

/// A question about a blob that is stored.
#[derive(Debug)]
pub enum AnchorQuestion {
    /// How far is it?
    State {
        /// The blob.
        root: Root,
        /// Where the answer goes.
        reply: Reply<AnchorState>,
    },
    /// What shows that it is settled? Nothing, before it is final.
    Evidence {
        /// The blob.
        root: Root,
        /// Where the answer goes.
        reply: Reply<Option<Bytes>>,
    },
}

/// Asks whoever settles.
#[derive(Clone, Debug)]
pub struct Asker(Sender<AnchorQuestion>);

/// Hears what is asked.
#[derive(Clone, Debug)]
pub struct Asked(Receiver<AnchorQuestion>);

/// Both ends of a bounded queue of questions.
pub fn questions() -> (Asker, Asked) {
    let (sender, receiver) = bounded(QUEUE_LEN);
    (Asker(sender), Asked(receiver))
}

impl Asked {
    /// The next question; none when nobody can ask any more.
    pub async fn next(&self) -> Option<AnchorQuestion> {
        self.0.recv().await.ok()
    }
}

impl Asker {
    /// How far a blob's settlement is.
    pub(crate) async fn state(&self, root: Root) -> Result<AnchorState, Problem> {
        self.ask(|reply| AnchorQuestion::State { root, reply })
            .await
    }

    /// What shows that a blob is settled.
    pub(crate) async fn evidence(&self, root: Root) -> Result<Bytes, Problem> {
        let evidence = self.ask(|reply| AnchorQuestion::Evidence { root, reply });
        evidence.await?.ok_or_else(|| {
            let detail = format!("blob {root} is stored, and its anchor is not final yet");
            Problem::new(problem::NOT_FINAL, detail)
        })
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(Reply<T>) -> AnchorQuestion,
    ) -> Result<T, Problem> {
        let silent = |why: &str| Problem::new(problem::SILENT, why);
        let (reply, answer) = oneshot::channel();
        if self.0.try_send(question(reply)).is_err() {
            return Err(silent("too many questions about anchors wait already"));
        }
        let answer = tokio::time::timeout(ANSWER_TIME, answer).await;
        let answer = answer.map_err(|_| silent("no answer about the anchor within 10 s"))?;
        let answer = answer.map_err(|_| silent("the part that settles has ended; see the log"))?;
        answer.map_err(|why| silent(&why))
    }
}
