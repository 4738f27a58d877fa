//! Blocks that are final, given to [`Execution`] one after the other. Each is acknowledged when it is
//! durable there, and comes again after a restart if it was not.

use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::{
    Heightable, Reporter, marshal::Update, simplex::types::Finalization, types::Height,
};
use commonware_cryptography::Digested;
use commonware_utils::{Acknowledgement, acknowledgement::Exact};
use futures_channel::mpsc;
use futures_lite::StreamExt as _;
use lode_chain_types::{Finality, SIGNATURE_LEN};

use crate::{
    Execution,
    adapter::Marshal,
    candidate::{Candidate, Digest},
    scheme::Scheme,
};

/// Final blocks that wait for execution at a time.
pub(crate) const PENDING_MAX: usize = 16;

/// Where marshal reports. Clones are one.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::Sender<(Digested<Candidate>, Exact)>);

/// What was reported and is to be delivered.
pub(crate) struct Outbox(mpsc::Receiver<(Digested<Candidate>, Exact)>);

/// Both ends.
pub(crate) fn channel() -> (Inbox, Outbox) {
    let (sender, receiver) = mpsc::channel(PENDING_MAX);
    (Inbox(sender), Outbox(receiver))
}

impl Reporter for Inbox {
    type Activity = Update<Candidate>;

    fn report(&mut self, update: Update<Candidate>) -> Feedback {
        let Update::Block(block, acknowledgement) = update else {
            return Feedback::Ok;
        };
        // Marshal has no more than PENDING_MAX of them out, so this fails only if nobody delivers
        // any more; the acknowledgement is then dropped, which stops marshal as well.
        match self.0.try_send((block, acknowledgement)) {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Closed,
        }
    }
}

impl Outbox {
    /// Delivers until nothing is reported any more.
    pub(crate) async fn run<X: Execution>(mut self, execution: X, marshal: Marshal) {
        if let Some(processed) = marshal.get_processed().await {
            make_up(&execution, &marshal, processed.height().next()).await;
        }
        while let Some((block, acknowledgement)) = self.0.next().await {
            make_up(&execution, &marshal, block.height()).await;
            deliver(&execution, &marshal, &block).await;
            acknowledgement.acknowledge();
        }
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
