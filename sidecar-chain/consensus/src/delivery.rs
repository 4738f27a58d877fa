//! Blocks that are final, given to [`Execution`] one after the other. Each is acknowledged when it is
//! durable there, and comes again after a restart if it was not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::{
    Heightable, Reporter, marshal::Update, simplex::types::Finalization, types::Height,
};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Storage};
use commonware_utils::{Acknowledgement, acknowledgement::Exact};
use futures_channel::mpsc;
use futures_lite::StreamExt as _;
use lode_chain_types::{Finality, SIGNATURE_LEN};

use crate::{
    Execution,
    adapter::Marshal,
    candidate::{Candidate, Digest},
    prune::Pruner,
    scheme::Scheme,
};

/// Final blocks that wait for execution at a time.
pub(crate) const PENDING_MAX: usize = 16;
/// Time without a final block after which it is said why there may be none.
const QUIET: Duration = Duration::from_secs(60);

/// Where marshal reports. Clones are one.
#[derive(Clone)]
pub(crate) struct Inbox {
    blocks: mpsc::Sender<(Digested<Candidate>, Exact)>,
    /// The highest block that is known to be final.
    tip: Arc<AtomicU64>,
}

/// What was reported and is to be delivered.
pub(crate) struct Outbox {
    blocks: mpsc::Receiver<(Digested<Candidate>, Exact)>,
    tip: Arc<AtomicU64>,
}

/// Both ends.
pub(crate) fn channel() -> (Inbox, Outbox) {
    let (sender, receiver) = mpsc::channel(PENDING_MAX);
    let tip = Arc::new(AtomicU64::new(0));
    let inbox = Inbox {
        blocks: sender,
        tip: Arc::clone(&tip),
    };
    let blocks = receiver;
    (inbox, Outbox { blocks, tip })
}

impl Reporter for Inbox {
    type Activity = Update<Candidate>;

    fn report(&mut self, update: Update<Candidate>) -> Feedback {
        let (block, acknowledgement) = match update {
            Update::Block(block, acknowledgement) => (block, acknowledgement),
            Update::Tip(_, height, _) => {
                self.tip.fetch_max(height.get(), Ordering::Relaxed);
                return Feedback::Ok;
            }
        };
        // Marshal has no more than PENDING_MAX of them out, so this fails only if nobody delivers
        // any more; the acknowledgement is then dropped, which stops marshal as well.
        match self.blocks.try_send((block, acknowledgement)) {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Closed,
        }
    }
}

impl Outbox {
    /// Delivers until nothing is reported any more.
    pub(crate) async fn run<E: Clock, S: Storage, X: Execution>(
        mut self,
        clock: E,
        execution: X,
        marshal: Marshal,
        mut pruner: Pruner<S>,
    ) {
        if let Some(processed) = marshal.get_processed().await {
            make_up(&execution, &marshal, processed.height().next()).await;
        }
        loop {
            let next = async { Some(self.blocks.next().await) };
            let quiet = async {
                clock.sleep(QUIET).await;
                None
            };
            let Some(next) = futures_lite::future::or(next, quiet).await else {
                self.explain(execution.height());
                continue;
            };
            let Some((block, acknowledgement)) = next else {
                return;
            };
            make_up(&execution, &marshal, block.height()).await;
            deliver(&execution, &marshal, &block).await;
            acknowledgement.acknowledge();
            pruner.delivered(block.height().get(), &marshal).await;
        }
    }

    /// Nothing has become final for a while: the operator hears why that may be.
    fn explain(&self, height: u64) {
        let tip = self.tip.load(Ordering::Relaxed);
        if tip > height {
            tracing::warn!(
                height,
                tip,
                "others are further, and nobody sends the blocks between: who was away for longer \
                 than others keep blocks begins anew, from a checkpoint"
            );
            return;
        }
        tracing::warn!(
            height,
            "no block for a minute: too few of the committee can be reached; or this validator is in \
             no committee of the next two epochs, to which alone others connect; or it was away for \
             longer than others keep blocks, and has to begin anew from a checkpoint"
        );
    }
}

/// Delivers what was acknowledged and is not in execution all the same, as when its files were
/// replaced by older ones.
async fn make_up<X: Execution>(execution: &X, marshal: &Marshal, end: Height) {
    for height in execution.height().saturating_add(1)..end.get() {
        let Some(block) = marshal.get_block(Height::new(height)).await else {
            tracing::warn!(
                height,
                "a final block is neither in the archive nor in execution"
            );
            return;
        };
        deliver(execution, marshal, &block).await;
    }
}

async fn deliver<X: Execution>(execution: &X, marshal: &Marshal, block: &Digested<Candidate>) {
    let finalization = marshal.get_finalization(block.height()).await;
    let finality = finalization.as_ref().and_then(finality);
    execution
        .finalize(block.inner().block().clone(), finality)
        .await;
}

/// A certificate in our form; none if its signatures are no points.
pub(crate) fn finality(finalization: &Finalization<Scheme, Digest>) -> Option<Finality> {
    let proposal = &finalization.proposal;
    let signature = finalization.certificate.get()?;
    let bytes = |point: &dyn Fn() -> bytes::Bytes| -> Option<[u8; SIGNATURE_LEN]> {
        point().as_ref().try_into().ok()
    };
    Some(Finality {
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent_view: proposal.parent.get(),
        block: proposal.payload.0,
        vote: bytes(&|| signature.vote_signature.encode())?,
        seed: bytes(&|| signature.seed_signature.encode())?,
    })
}
