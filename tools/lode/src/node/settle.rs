//! The thread that settles what the node stores, and tells how far it is. Whatever happens to it or
//! to the chain, puts are acknowledged and gets served as if it were not there.
//!
//! ```text
//!  store ─ what is new ─▶ books ─ one anchor at a time ─▶ chain
//!                          ▲  ▲                             │
//!     GET …/anchor ────────┘  └─────── block, certificate ──┘
//! ```

use std::{fs, path::Path, thread, time::Duration};

use alloy_signer_local::PrivateKeySigner;
use lode_chain_link::{
    book::{Anchor, Book, Reader, Status},
    keys,
    node::{Http, Rpc},
    settle::{Bounds, SettleError, Settler, Turn},
    store::Store,
};
use lode_edge::{
    schema::{AnchorState, AnchorStep},
    settlement::{AnchorQuestion, Asked},
};
use lode_engine::Root;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::feed::{Feed, FeedError};
use crate::{
    failure::{Failure, Outcome},
    settings::AccountSettings,
    settled,
};

/// Time in which blobs gather for an anchor.
const GATHER: Duration = Duration::from_millis(500);
/// How often the chain is asked about what it was sent.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Rest for each step of the last walk, which takes 2 ms of an executor at most: so much the less often
/// a large index is walked over.
const STEP_REST: Duration = Duration::from_millis(50);
/// Waiting times after failures: from, and up to. Reverted transactions cost fees, so they wait longer.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
const REVERTED_RETRY_MAX: Duration = Duration::from_secs(600);
/// Time for all questions of a turn; a chain that accepts connections and says nothing is away too.
const TURN_TIME: Duration = Duration::from_secs(30);
/// What an anchor may cost: 1000 gwei for a unit of gas, and blocks until it is offered more.
const BOUNDS: Bounds = Bounds {
    fee_max: 1_000_000_000_000,
    patience_blocks: 20,
};

/// Why a round was not to its end.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Settle(#[from] SettleError),
    #[error("the chain's node did not answer within {} s", TURN_TIME.as_secs())]
    Late,
}

/// Opens key and books and starts the thread. The chain need not be there.
pub fn start(
    url: &str,
    account: &AccountSettings,
    dir: &Path,
    feed: Feed,
    asked: Asked,
) -> Outcome<()> {
    let AccountSettings { key, password_file } = account;
    let node = Rpc::http(url)
        .map_err(|error| Failure::usage(format!("chain is {url}: {error}"), "correct --chain"))?;
    let password =
        fs::read(password_file).map_err(|error| Failure::file(password_file.display(), &error))?;
    let signer = keys::open(key, &password).map_err(|error| {
        let what = format!("{} cannot be opened: {error}", key.display());
        Failure::usage(what, "check --chain-key and --chain-password-file")
    })?;
    let folder = dir.join("settlement");
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("{}: {error}", folder.display());
        let next = "use the account of before; the folder may go only when every blob may be \
                    settled again";
        Failure::other(what, next)
    };
    let store = Store::open(&folder).map_err(|error| unusable(&error))?;
    let book = Book::open(store.clone(), signer.address()).map_err(|error| unusable(&error))?;
    let account = signer.address();
    tracing::info!(chain = url, %account, "what is stored is settled");
    let clerk = Clerk {
        node,
        store,
        signer,
        book,
        feed,
        settler: None,
        steps: 0,
        trouble: watch::Sender::default(),
    };
    let failed = |error| Failure::file("the thread that settles", &error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    thread::Builder::new()
        .name("lode-settle".to_owned())
        .spawn(move || runtime.block_on(clerk.run(asked)))
        .map_err(failed)?;
    Ok(())
}

/// Keeps the books.
struct Clerk {
    node: Http,
    store: Store,
    signer: PrivateKeySigner,
    book: Book,
    feed: Feed,
    settler: Option<Settler<Http>>,
    /// Steps of the last walk over the store.
    steps: u32,
    /// Why it stands still, if it does: for who asks how far a blob is.
    trouble: watch::Sender<Option<String>>,
}

impl Clerk {
    /// Settles and answers until the node ends.
    async fn run(mut self, asked: Asked) {
        let (reader, trouble) = (self.book.reader(), self.trouble.subscribe());
        tokio::join!(self.settle(), answer(reader, trouble, asked));
    }

    async fn settle(&mut self) {
        let (mut lost, mut reverted) = (RETRY, RETRY);
        loop {
            let rest = match self.round().await {
                Ok(turn) => {
                    self.settle_down();
                    lost = RETRY;
                    match turn {
                        Turn::Progress => Duration::ZERO,
                        Turn::Waits => LOOK_EVERY,
                        Turn::Idle => {
                            reverted = RETRY;
                            GATHER.max(STEP_REST * self.steps)
                        }
                        Turn::Failed => {
                            tracing::warn!(
                                wait_s = reverted.as_secs(),
                                "an anchor was reverted, or its nonce was used by somebody else"
                            );
                            reverted = (2 * reverted).min(REVERTED_RETRY_MAX);
                            reverted
                        }
                    }
                }
                Err(RoundError::Feed(FeedError::Closed)) => return,
                Err(error) => {
                    self.complain(&error);
                    lost = (2 * lost).min(RETRY_MAX);
                    lost
                }
            };
            sleep(rest).await;
        }
    }

    /// Closes an anchor if none waits, and takes it as far as it goes now.
    async fn round(&mut self) -> Result<Turn, RoundError> {
        if self.book.current().is_none() {
            self.steps = self.feed.fill(&mut self.book).await?;
        }
        let before = self.book.current();
        let turn = timeout(
            TURN_TIME,
            turn(
                &mut self.settler,
                &mut self.book,
                &self.node,
                &self.store,
                &self.signer,
            ),
        );
        let Ok(turn) = turn.await else {
            // What it was about to remember is on the disk.
            self.settler = None;
            return Err(RoundError::Late);
        };
        let turn = turn?;
        if let (Some(anchor), None) = (before, self.book.current()) {
            let (root, blobs) = (anchor.root, anchor.count);
            tracing::info!(%root, blobs, "anchored");
        }
        Ok(turn)
    }

    /// Told once, not at every try.
    fn complain(&self, error: &RoundError) {
        let told = self.trouble.send_replace(Some(error.to_string()));
        if told.is_none() {
            tracing::warn!(%error, "nothing is settled until this is over; puts and gets go on");
        }
    }

    fn settle_down(&self) {
        if self.trouble.send_replace(None).is_some() {
            tracing::info!("settling goes on");
        }
    }
}

/// A turn of the settler, which is made when the chain is there for the first time.
async fn turn<N: lode_chain_link::certified::Contracts + Clone>(
    settler: &mut Option<Settler<N>>,
    book: &mut Book,
    node: &N,
    store: &Store,
    signer: &PrivateKeySigner,
) -> Result<Turn, SettleError> {
    let settler = match settler {
        Some(settler) => settler,
        None => {
            let (store, signer) = (store.clone(), signer.clone());
            settler.insert(Settler::open(node.clone(), store, book, signer, BOUNDS).await?)
        }
    };
    settler.turn(book).await
}

/// Answers what is asked about blobs.
async fn answer(reader: Reader, trouble: watch::Receiver<Option<String>>, asked: Asked) {
    while let Some(question) = asked.next().await {
        // Whoever asked may have gone.
        let _gone = match question {
            AnchorQuestion::State { root, reply } => {
                let status = reader.status(&root).map_err(|error| error.to_string());
                let trouble = trouble.borrow().clone();
                reply
                    .send(status.map(|status| state(root, status, trouble)))
                    .is_err()
            }
            AnchorQuestion::Evidence { root, reply } => {
                let settlement = reader.settlement(&root).map_err(|error| error.to_string());
                let evidence = settlement.and_then(|settlement| {
                    let evidence = settlement.as_ref().map(settled::evidence);
                    Ok(evidence
                        .transpose()?
                        .map(|evidence| evidence.encode().into()))
                });
                reply.send(evidence).is_err()
            }
        };
    }
}

fn state(root: Root, status: Status, trouble: Option<String>) -> AnchorState {
    let pending = AnchorState {
        root: root.to_string(),
        state: AnchorStep::Pending,
        anchor: None,
        blobs: None,
        tx: None,
        block: None,
        certified: None,
        trouble,
    };
    let of = |state, anchor: Anchor, certified| AnchorState {
        state,
        anchor: Some(anchor.root.to_string()),
        blobs: Some(anchor.count),
        tx: anchor.sent.map(|sent| sent.to_string()),
        block: anchor.block,
        certified,
        ..pending.clone()
    };
    match status {
        Status::Pending => pending,
        Status::Sent(anchor) => of(AnchorStep::Sent, anchor, None),
        Status::Anchored(anchor) => of(AnchorStep::Anchored, anchor, None),
        Status::Final { anchor, certified } => of(AnchorStep::Final, anchor, Some(certified)),
    }
}
