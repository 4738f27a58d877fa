//! Blocks that are proposed and checked: what commonware asks for, asked of [`Execution`].
//!
//! Execution builds only on what it knows, so unknown blocks below are executed first, oldest first:
//! after a restart those that are not final yet, in a validator that was late those it did not see.
//!
//! A block's seed is the committee's signature on the view of the block below. Above the last block
//! of an epoch it is that of the block below once more: that one may have been proposed in several
//! views, and validators need not have seen the same.

use std::sync::Arc;

use commonware_consensus::{
    Application, CertifiableBlock, Epochable, Heightable,
    marshal::{ancestry::Ancestry, core::Mailbox, standard::Standard},
    types::Round as ConsensusRound,
};
use commonware_cryptography::{
    Digested,
    bls12381::primitives::variant::MinSig,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_glue::dkg::{network::Addresses, reshare};
use futures_lite::StreamExt as _;
use lode_chain_types::{Block, Round, block::BLOCK_LEN_MAX};

use crate::{
    Execution,
    candidate::{Candidate, Context, write_payload},
    committee::key_of,
    scheme::Scheme,
    seeds::Seeds,
};

/// Where blocks and certificates are kept.
pub(crate) type Marshal = Mailbox<Scheme, Standard<Candidate>>;

/// Unknown blocks that are held at a time. A validator that is further behind waits until it has
/// been given the final ones.
const UNKNOWN_MAX: usize = 64;

/// Asks execution on commonware's behalf.
#[derive(Clone)]
pub(crate) struct Adapter<X> {
    execution: X,
    seeds: Seeds,
    marshal: Marshal,
    group: Arc<Scheme>,
}

impl<X: Execution> Adapter<X> {
    /// `group` checks what the committee as a whole signed.
    pub(crate) fn new(execution: X, seeds: Seeds, marshal: Marshal, group: Scheme) -> Adapter<X> {
        Adapter {
            execution,
            seeds,
            marshal,
            group: Arc::new(group),
        }
    }

    /// Makes all of `ancestry` known. False if a block of it breaks a rule.
    async fn know(&self, mut ancestry: impl Ancestry<Candidate>) -> bool {
        let mut unknown: Vec<Digested<Candidate>> = Vec::new();
        let mut base = None;
        while let Some(block) = ancestry.next().await {
            if self.execution.knows(block.inner().block().hash()) {
                base = Some(block);
                break;
            }
            if unknown.len() == UNKNOWN_MAX {
                break;
            }
            unknown.push(block);
        }
        let Some(mut parent) = base else {
            tracing::debug!(unknown = unknown.len(), "too far behind to check a block");
            return std::future::pending().await;
        };
        for block in unknown.into_iter().rev() {
            if !self.check(parent.inner(), block.inner()) {
                return false;
            }
            if !self.execution.verify(block.inner().block().clone()).await {
                return false;
            }
            parent = block;
        }
        true
    }

    /// Whether the block's round is what consensus says it is, and its seed the committee's.
    fn check(&self, parent: &Candidate, block: &Candidate) -> bool {
        let header = block.block().header();
        let round = block.block().round();
        let linked = header.parent_hash == parent.block().hash()
            && Some(header.number) == parent.block().height().checked_add(1);
        if !linked || header.mix_hash != round.random() {
            return false;
        }
        match parent_round(&block.context()) {
            Some(view) => self.seeds.agree(&self.group, view, &round.seed),
            None => round.seed == parent.block().round().seed,
        }
    }

    /// The round of a block that is proposed on `parent`.
    async fn round(&self, context: &Context, parent: &Candidate, input: Input) -> Round {
        let seed = match parent_round(context) {
            Some(view) => self.seed(view, parent).await,
            None => parent.block().round().seed.clone(),
        };
        Round {
            epoch: context.epoch().get(),
            view: context.round.view().get(),
            parent_view: context.parent.0.get(),
            leader: key_of(&context.leader),
            seed,
            payload: write_payload(input.payload.as_ref()),
        }
    }

    async fn seed(&self, view: ConsensusRound, parent: &Candidate) -> alloy_primitives::Bytes {
        if !self.seeds.has(view)
            && let Some(archived) = self.marshal.get_finalization(parent.height()).await
        {
            self.seeds
                .learn(archived.proposal.round, &archived.certificate);
        }
        self.seeds.of(view).await
    }
}

type Input = reshare::Input<(), MinSig, PrivateKey, Addresses<PublicKey>>;

/// The view of the block below, unless that is the last one of the epoch before.
fn parent_round(context: &Context) -> Option<ConsensusRound> {
    let (view, _) = context.parent;
    (!view.is_zero()).then(|| ConsensusRound::new(context.epoch(), view))
}

/// Whether the block is what was asked for. It is ours, so anything else is our fault.
fn is_as_asked(block: &Block, parent: &Block, round: &Round) -> bool {
    block.round() == round
        && block.parent_hash() == parent.hash()
        && block.header().mix_hash == round.random()
        && block.header().parent_beacon_block_root == Some(round.commitment())
        && block.encoded_len() <= BLOCK_LEN_MAX
}

impl<E: Send, X: Execution> Application<E> for Adapter<X> {
    type SigningScheme = Scheme;
    type Context = Context;
    type Block = Candidate;
    type Input = Input;

    async fn propose(
        &mut self,
        (_, context): (E, Context),
        ancestry: impl Ancestry<Candidate>,
        input: Input,
    ) -> Option<Digested<Candidate>> {
        let parent = ancestry.peek()?.clone();
        if !self.know(ancestry).await {
            return None;
        }
        let round = self.round(&context, parent.inner(), input).await;
        let parent = parent.inner().block();
        let block = self
            .execution
            .propose(parent.clone(), round.clone())
            .await?;
        if !is_as_asked(&block, parent, &round) {
            tracing::error!(block = %block.hash(), "execution built a block that was not asked for");
            return None;
        }
        Candidate::new(block).ok().map(Candidate::digested)
    }

    async fn verify(&mut self, (_, _): (E, Context), ancestry: impl Ancestry<Candidate>) -> bool {
        self.know(ancestry).await
    }
}
