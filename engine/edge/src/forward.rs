//! Across the wall between the shards and the tokio side: whole small requests one way, whole
//! small answers back, and questions to the store the other way.

use core::net::SocketAddr;

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use hyper::{Request, Response};
use lode_engine::{Error, stats::Stats, store::Store};
use lode_world::{Queue, World};
use tokio::sync::oneshot;

use crate::{
    handle::Call,
    problem::{self, Problem},
    reply::Reply,
};

/// Requests and questions under way at once.
const QUEUE_LEN: usize = 256;

/// A request that the tokio side answers.
pub(crate) struct Letter {
    pub request: Request<Bytes>,
    pub peer: SocketAddr,
    pub reply: oneshot::Sender<Response<Bytes>>,
}

/// A question that only a shard can answer.
pub(crate) enum Question {
    /// The store's counters.
    Stats(oneshot::Sender<Result<Stats, Error>>),
    /// One scrub pass at `rate` bytes per second and shard.
    Scrub {
        rate: u64,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// The store's epoch, raised to `epoch` if it is not there yet.
    SetEpoch {
        epoch: u32,
        reply: oneshot::Sender<Result<u32, Error>>,
    },
}

pub(crate) fn letters() -> (Sender<Letter>, Receiver<Letter>) {
    bounded(QUEUE_LEN)
}

pub(crate) fn questions() -> (Sender<Question>, Receiver<Question>) {
    bounded(QUEUE_LEN)
}

/// Hands a request over and waits for its answer.
pub(crate) async fn send<W: World>(call: &mut Call<'_, W>) -> Result<Response<Reply<W>>, Problem> {
    let body = call.intake.all(call.shop.limits.small_body_len).await?;
    let mut request = Request::new(body);
    *request.method_mut() = call.parts.method.clone();
    *request.uri_mut() = call.parts.uri.clone();
    *request.headers_mut() = call.parts.headers.clone();
    let (reply, answer) = oneshot::channel();
    let letter = Letter {
        request,
        peer: call.peer,
        reply,
    };
    if call.shop.letters.try_send(letter).is_err() {
        return Err(Problem::new(
            problem::BUSY,
            "too many requests wait for the same few answers",
        ));
    }
    match answer.await {
        Ok(response) => Ok(response.map(|body| Reply::Whole((!body.is_empty()).then_some(body)))),
        Err(_) => Err(Problem::new(
            problem::SILENT,
            "the request was dropped without an answer",
        )),
    }
}

/// Answers the tokio side's questions until it is gone. Runs on one executor.
pub(crate) async fn answer<W: World>(world: W, store: Store<W>, questions: Receiver<Question>) {
    while let Ok(question) = questions.recv().await {
        let store = store.clone();
        world.spawn(Queue::Serve, async move {
            // Whoever asked may have gone; then nobody misses the answer.
            let _gone = match question {
                Question::Stats(reply) => reply.send(store.stats().await).is_err(),
                Question::Scrub { rate, reply } => reply.send(store.scrub(rate).await).is_err(),
                Question::SetEpoch { epoch, reply } => {
                    reply.send(store.set_epoch(epoch).await).is_err()
                }
            };
        });
    }
}
