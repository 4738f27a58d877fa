//! One blob on its way to a node: root first, then bytes from wherever the node is, again and
//! again until all of them are durable. Nothing is remembered on this side.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use lode_edge::schema::{Blob, UploadWish};
use lode_proofs::Hash32;

use crate::{
    client::{Client, Sent},
    failure::{Exit, Failure, Outcome},
    roots::CHUNK,
    source::{Reader, Source},
};

/// Tries in a row that get no byte further before we give up.
const TRIES: u32 = 5;

/// Pause after the first of them; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);

/// How often the node is asked for the bytes that are durable.
const ASK_TIME: Duration = Duration::from_millis(200);

/// What an upload did.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The blob, as the node describes it.
    pub blob: Blob,
    /// Bytes that were sent.
    pub sent: u64,
    /// Where the first of them belongs: above 0 when an upload was resumed.
    pub from: u64,
}

/// Bytes and what is known about them.
pub struct Upload<'a> {
    /// The node.
    pub client: &'a Client,
    /// The bytes.
    pub source: Source<'a>,
    /// How many.
    pub size: u64,
    /// Their root.
    pub root: Hash32,
    /// First epoch in which the blob may be gone.
    pub expiry: Option<u32>,
    /// Tries in a row without progress; 1 gives up at the first loss.
    pub tries: u32,
}

impl<'a> Upload<'a> {
    /// An upload with the usual patience.
    pub fn new(client: &'a Client, source: Source<'a>, root: Hash32) -> Self {
        Upload {
            client,
            source,
            size: source.size(),
            root,
            expiry: None,
            tries: TRIES,
        }
    }

    /// Sends until every byte is durable. `acked` hears the node's durable offset now and then,
    /// if `watched`.
    pub fn run(&self, watched: bool, acked: &(dyn Fn(u64) + Sync)) -> Outcome<Uploaded> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = watched.then(|| scope.spawn(|| self.watch(&over, acked)));
            let uploaded = self.send_all();
            over.store(true, Relaxed);
            if let Some(watcher) = watcher {
                watcher.thread().unpark();
            }
            let uploaded = uploaded?;
            acked(self.size);
            Ok(uploaded)
        })
    }

    fn watch(&self, over: &AtomicBool, acked: &(dyn Fn(u64) + Sync)) {
        while !over.load(Relaxed) {
            if let Ok(state) = self.client.upload(self.root) {
                acked(state.offset);
            }
            thread::park_timeout(ASK_TIME);
        }
    }

    fn send_all(&self) -> Outcome<Uploaded> {
        if self.size <= CHUNK {
            return self.send_small();
        }
        let mut progress = Progress::default();
        loop {
            let answer = match progress.offset {
                None => self.client.begin(&self.wish()),
                Some(offset) => self.patch(offset, &mut progress),
            };
            match answer {
                Ok(Sent::Stored(blob)) => return self.finished(blob, &progress),
                Ok(Sent::Upto(at) | Sent::Elsewhere(at)) => self.advance(&mut progress, at)?,
                Err(failure) => self.wait_or_fail(&mut progress, failure)?,
            }
        }
    }

    /// Bytes from `offset` to the end.
    fn patch(&self, offset: u64, progress: &mut Progress) -> Outcome<Sent> {
        // A node that is past the end is told so by an empty rest, and answers with where it is.
        let left = self.size.saturating_sub(offset);
        let mut reader = self.source.reader(offset);
        let answer = self
            .client
            .patch(self.root, self.expiry, offset, left, &mut reader);
        progress.sent += reader.sent();
        unless_broken(&reader, answer)
    }

    /// The node says where it is. Patience starts anew whenever that is further than ever.
    fn advance(&self, progress: &mut Progress, at: u64) -> Outcome<()> {
        progress.from.get_or_insert(at);
        let stuck = progress.offset.is_some() && at <= progress.best;
        if at > progress.best {
            progress.best = at;
            progress.tries = 0;
        }
        progress.offset = Some(at);
        if stuck {
            let why = "it takes bytes but gets no further";
            return self.wait_or_fail(progress, Failure::unreachable(self.client.node(), why));
        }
        Ok(())
    }

    /// A lost connection, a busy or restarting node: pause, ask where it is, go on.
    fn wait_or_fail(&self, progress: &mut Progress, failure: Failure) -> Outcome<()> {
        // The node forgot an upload of which nothing was durable yet: begin again.
        let forgotten = failure.exit == Exit::NotFound && progress.offset.is_some();
        progress.offset = None;
        progress.tries += 1;
        if (failure.exit != Exit::Unavailable && !forgotten) || progress.tries >= self.tries {
            return Err(failure);
        }
        thread::sleep(PAUSE * 2u32.pow(progress.tries - 1));
        Ok(())
    }

    /// One chunk or less: one request, which also checks the root.
    fn send_small(&self) -> Outcome<Uploaded> {
        let expiry = self
            .expiry
            .map(|epoch| format!("&expiry={epoch}"))
            .unwrap_or_default();
        let query = format!("?root={}{expiry}", self.root);
        let mut tries = 0;
        loop {
            let mut reader = self.source.reader(0);
            let answer = self.client.post(&query, Some(self.size), &mut reader);
            match unless_broken(&reader, answer) {
                Ok(blob) => {
                    let uploaded = Uploaded {
                        blob,
                        sent: reader.sent(),
                        from: 0,
                    };
                    return self.checked(uploaded);
                }
                Err(failure) if failure.exit == Exit::Unavailable && tries + 1 < self.tries => {
                    thread::sleep(PAUSE * 2u32.pow(tries));
                    tries += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn finished(&self, blob: Blob, progress: &Progress) -> Outcome<Uploaded> {
        let from = progress.from.unwrap_or(self.size);
        self.checked(Uploaded {
            blob,
            sent: progress.sent,
            from,
        })
    }

    /// The node's word against ours.
    fn checked(&self, uploaded: Uploaded) -> Outcome<Uploaded> {
        if uploaded.blob.root != self.root.to_string() {
            let what = format!(
                "the node stored {}, the file has {}",
                uploaded.blob.root, self.root
            );
            return Err(Failure::not_verified(
                what,
                "do not trust this node; was the file changed meanwhile?",
            ));
        }
        Ok(uploaded)
    }

    fn wish(&self) -> UploadWish {
        UploadWish {
            root: self.root.to_string(),
            size: self.size,
            expiry: self.expiry,
        }
    }
}

/// How an upload goes.
#[derive(Default)]
struct Progress {
    sent: u64,
    from: Option<u64>,
    best: u64,
    tries: u32,
    /// Where the node is, if we know.
    offset: Option<u64>,
}

/// A file that cannot be read is not the node's fault, and trying again does not help.
fn unless_broken<T>(reader: &Reader, answer: Outcome<T>) -> Outcome<T> {
    match (answer, reader.broken()) {
        (Err(_), Some(why)) => Err(Failure::other(
            format!("the file: {why}"),
            "run the same command again when it is at rest",
        )),
        (answer, _) => answer,
    }
}
