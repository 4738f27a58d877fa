//! The actors of a validator, each made with what it needs of the others.

use std::{
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use commonware_broadcast::buffered;
use commonware_consensus::{
    Heightable as _,
    marshal::{
        self, Start,
        resolver::p2p as backfill,
        standard::{Deferred, Standard},
    },
    simplex::{
        SkipBudget,
        config::{ForwardPolicy, SkipPolicy},
        elector::RoundRobin,
        types::Finalization,
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible as _, Signer as _,
    bls12381::{dkg::feldman_desmedt::Reveal, primitives::variant::MinSig},
    certificate::ConstantProvider,
    ed25519::{PrivateKey, PublicKey},
    sha256::Sha256,
};
use commonware_glue::dkg::{
    fence::{Fence, Gate},
    network::{Addresses, Manager},
    orchestrator, reshare, state_sync,
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Clock, Handle, Metrics, Network, Spawner, Storage, buffer::paged::CacheRef,
};
use commonware_storage::{
    archive::{Archive as _, prunable},
    translator::EightCap,
};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize, NonZeroDuration};
use rand_core::CryptoRng;

use crate::{
    Execution,
    adapter::{Adapter, Marshal},
    candidate::{Candidate, Digest, SHARING_VERSION},
    committee::{SHARING_MODE, VALIDATORS_MAX},
    delivery,
    engine::{Parts, Timing},
    prune::Pruner,
    scheme::{NAMESPACE, Roster, Scheme, Schemes},
    seeds::{Seeds, Watched},
};

/// Waiting messages of an actor; what is above waits as well, or is asked for again.
const MAILBOX_LEN: NonZeroUsize = NZUsize!(1024);
/// What the names of votes begin with.
const VOTES: &str = "simplex";
/// Bytes of a cached page of a journal.
const PAGE_LEN: NonZeroU16 = NZU16!(4084);
/// Pages that are cached: 16 MiB.
const PAGES_MAX: NonZeroUsize = NZUsize!(4096);
/// Bytes that journals gather before they write, and read ahead when they are replayed.
const BUFFER_LEN: NonZeroUsize = NZUsize!(1 << 16);
/// Entries in one file of a cache that is pruned as blocks become final.
const CACHE_SECTION: NonZeroU64 = NZU64!(64);
/// Views below the last final one whose votes and blocks are still served.
const VIEWS_KEPT: ViewDelta = ViewDelta::new(64);
/// Blocks that a late validator asks for at a time.
const REPAIR_MAX: NonZeroUsize = NZUsize!(32);
/// Blocks of each validator that are held before they are voted for.
const BROADCASTS_KEPT: usize = 16;

type Archive<E, V> = prunable::Archive<EightCap, E, Digest, V>;
pub(crate) type MarshalActor<E> = marshal::core::Actor<
    E,
    Standard<Candidate>,
    ConstantProvider<Scheme, Epoch>,
    Archive<E, Finalization<Scheme, Digest>>,
    Archive<E, Arc<Candidate>>,
    FixedEpocher,
    Sequential,
>;
pub(crate) type Reshare = reshare::Mailbox<Candidate, MinSig, PrivateKey>;
type Resharing<X> = reshare::Application<Adapter<X>, Candidate, MinSig, PrivateKey>;
pub(crate) type Watching<E, X> =
    Watched<Deferred<E, Scheme, Resharing<X>, Candidate, FixedEpocher>>;
pub(crate) type SyncPlan = state_sync::Plan<Scheme, Digest, MinSig, Addresses<PublicKey>>;

/// What the actors have in common. Each method makes one of them, and starts it if it can.
pub(crate) struct Actors<'a, E, X, M, B> {
    context: &'a E,
    parts: &'a Parts<X, M, B>,
    pages: CacheRef,
    schemes: Schemes,
    seeds: Seeds,
}

impl<'a, E, X, M, B> Actors<'a, E, X, M, B>
where
    E: Spawner + Metrics + Clock + Storage + Network + CryptoRng,
    X: Execution,
    M: Manager<PublicKey = PublicKey, Directory = Addresses<PublicKey>> + Clone + Sync,
    B: Blocker<PublicKey = PublicKey> + Sync,
{
    pub(crate) fn new(context: &'a E, parts: &'a Parts<X, M, B>) -> Self {
        Actors {
            context,
            parts,
            pages: CacheRef::new(PAGE_LEN, PAGES_MAX),
            schemes: Schemes::default(),
            seeds: Seeds::default(),
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.parts.prefix)
    }

    fn epochs(&self) -> FixedEpocher {
        FixedEpocher::new(self.parts.blocks_per_epoch)
    }

    /// Checks what a committee as a whole signed, whoever its members were.
    fn group(&self) -> Scheme {
        let key = *self.parts.committee.info().output.public().public();
        Scheme::certificate_verifier(NAMESPACE, key)
    }

    pub(crate) async fn marshal(&self) -> (MarshalActor<E>, Marshal) {
        let genesis = Candidate::new(self.parts.execution.genesis());
        let genesis = genesis.expect("the committee was read from it");
        let anchor = self.parts.anchor.as_ref();
        let config = marshal::Config {
            provider: ConstantProvider::<_, Epoch>::new(self.group()),
            epocher: self.epochs(),
            start: match anchor {
                Some(anchor) => Start::Floor(anchor.sync.floor.clone()),
                None => Start::Genesis(genesis.digested()),
            },
            partition_prefix: self.named("marshal"),
            mailbox_size: MAILBOX_LEN,
            view_retention: VIEWS_KEPT,
            prunable_items_per_section: CACHE_SECTION,
            page_cache: self.pages.clone(),
            replay_buffer: BUFFER_LEN,
            key_write_buffer: BUFFER_LEN,
            value_write_buffer: BUFFER_LEN,
            block_codec_config: (),
            max_repair: REPAIR_MAX,
            max_pending_acks: NZUsize!(delivery::PENDING_MAX),
            strategy: Sequential,
        };
        let finalizations = self.archive("finalizations").await;
        let blocks = self.archive("blocks").await;
        let blocks = match anchor {
            Some(anchor) => with_anchor(blocks, &anchor.block).await,
            None => blocks,
        };
        let context = self.context.child("marshal");
        let (actor, marshal, _) =
            marshal::core::Actor::init(context, finalizations, blocks, config).await;
        (actor, marshal)
    }

    async fn archive<V>(&self, name: &'static str) -> Archive<E, V>
    where
        V: commonware_codec::CodecShared<Cfg = ()>,
    {
        let config = prunable::Config {
            translator: EightCap,
            metadata_partition: self.named(&format!("archive-{name}-metadata")),
            key_partition: self.named(&format!("archive-{name}-keys")),
            key_page_cache: self.pages.clone(),
            value_partition: self.named(&format!("archive-{name}-values")),
            compression: None,
            codec_config: (),
            items_per_section: self.parts.keep.section,
            key_write_buffer: BUFFER_LEN,
            value_write_buffer: BUFFER_LEN,
            replay_buffer: BUFFER_LEN,
        };
        prunable::Archive::init(self.context.child(name), config)
            .await
            .expect("an archive that cannot be opened stops the validator")
    }

    /// What the actors of an epoch begin with that has no block before it here.
    pub(crate) async fn sync(&self) -> SyncPlan {
        let config = state_sync::Config {
            partition_prefix: self.named("reshare"),
            max_participants: VALIDATORS_MAX,
            max_supported_mode: SHARING_VERSION,
        };
        let anchor = self.parts.anchor.as_ref();
        let provided = anchor.map(|anchor| anchor.sync.clone());
        state_sync::Plan::init(self.context.child("state_sync"), config, provided).await
    }

    pub(crate) fn pruner(&self, name: &'static str) -> Pruner<E> {
        Pruner::new(
            self.context.child(name),
            self.parts.keep,
            self.parts.blocks_per_epoch,
            self.named(VOTES),
        )
    }

    pub(crate) fn resolver<S, R>(
        &self,
        channel: (S, R),
    ) -> (
        marshal::resolver::handler::Receiver<Digest>,
        backfill::Mailbox<Digest, PublicKey>,
    )
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let config = backfill::Config {
            public_key: self.parts.secret.signer().public_key(),
            peer_provider: self.parts.manager.clone(),
            blocker: self.parts.blocker.clone(),
            mailbox_size: MAILBOX_LEN,
            fetch_timeout: self.parts.timing.fetch(),
            fetch_retry_delay: self.parts.timing.retry(),
            priority_requests: false,
            priority_responses: false,
        };
        backfill::init(self.context.child("backfill"), config, channel)
    }

    pub(crate) fn buffer<S, R>(
        &self,
        channel: (S, R),
    ) -> (Handle<()>, buffered::Mailbox<PublicKey, Candidate>)
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let config = buffered::Config {
            public_key: self.parts.secret.signer().public_key(),
            mailbox_size: MAILBOX_LEN,
            deque_size: BROADCASTS_KEPT,
            priority: false,
            codec_config: (),
            peer_provider: self.parts.manager.clone(),
            strategy: Sequential,
        };
        let (engine, buffer) = buffered::Engine::new(self.context.child("blocks"), config);
        (engine.start(channel), buffer)
    }

    pub(crate) fn resharing<S, R>(
        &self,
        marshal: &Marshal,
        state_sync: SyncPlan,
        fence: Fence,
        channel: (S, R),
    ) -> (Handle<()>, Reshare)
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let parts = self.parts;
        let first = parts.committee.validators();
        let config = reshare::Config {
            signer: parts.secret.signer(),
            manager: parts.manager.clone(),
            blocker: parts.blocker.clone(),
            participants_provider: Roster::new(
                parts.execution.clone(),
                first,
                parts.blocks_per_epoch,
            ),
            secret_store: parts.secrets.clone(),
            strategy: Sequential,
            registrar: self.schemes.clone(),
            marshal: marshal.clone(),
            state_sync,
            fence,
            namespace: NAMESPACE,
            sharing_mode: SHARING_MODE,
            reveal: Reveal::V1,
            mailbox_size: MAILBOX_LEN,
            partition_prefix: self.named("reshare"),
            page_cache: self.pages.clone(),
            write_buffer: BUFFER_LEN,
            replay_buffer: BUFFER_LEN,
            max_participants: VALIDATORS_MAX,
            blocks_per_epoch: parts.blocks_per_epoch,
        };
        let (actor, mailbox) = reshare::Actor::new(self.context.child("reshare"), config);
        (actor.start(channel), mailbox)
    }

    pub(crate) fn application(&self, marshal: &Marshal, reshare: Reshare) -> Watching<E, X> {
        let adapter = Adapter::new(
            self.parts.execution.clone(),
            self.seeds.clone(),
            marshal.clone(),
            self.group(),
        );
        let resharing = reshare::Application::new(adapter, reshare, self.parts.blocks_per_epoch);
        let context = self.context.child("application");
        let deferred = Deferred::new(context, resharing, marshal.clone(), self.epochs());
        Watched::new(deferred, self.seeds.clone())
    }

    pub(crate) fn orchestrator<S, R>(
        &self,
        marshal: &Marshal,
        application: Watching<E, X>,
        state_sync: SyncPlan,
        gate: Gate,
        (votes, certificates, requests): ((S, R), (S, R), (S, R)),
    ) -> (Handle<()>, orchestrator::Mailbox<Candidate>)
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let config = orchestrator::Config {
            oracle: self.parts.blocker.clone(),
            manager: self.parts.manager.clone(),
            provider: self.schemes.clone(),
            marshal: marshal.clone(),
            application,
            strategy: Sequential,
            simplex: self.parts.timing.simplex(self.pages.clone()),
            gate,
            state_sync,
            blocks_per_epoch: self.parts.blocks_per_epoch,
            mailbox_size: MAILBOX_LEN,
            partition_prefix: self.named(VOTES),
        };
        let context = self.context.child("orchestrator");
        let (actor, mailbox) = orchestrator::Actor::new(context, config);
        (actor.start(votes, certificates, requests), mailbox)
    }
}

/// The archive with the block that a validator begins with: others need not have it any more. One that
/// is further has no use for it.
async fn with_anchor<E>(
    blocks: Archive<E, Arc<Candidate>>,
    anchor: &Digested<Candidate>,
) -> Archive<E, Arc<Candidate>>
where
    E: Clock + Storage + Metrics,
{
    let height = anchor.height().get();
    if blocks.last_index().is_some_and(|last| last >= height) {
        return blocks;
    }
    let block = Arc::new(anchor.inner().clone());
    let written = blocks.put_sync(height, anchor.digest(), &block).await;
    written.expect("an archive that cannot be written stops the validator")
}

impl Timing {
    fn fetch(&self) -> NonZeroDuration {
        NZDuration!(self.fetch)
    }

    fn retry(&self) -> Duration {
        self.fetch / 4
    }

    /// The engine nullifies a view after `leader`, and at once if its leader was silent for long.
    fn simplex(&self, page_cache: CacheRef) -> orchestrator::SimplexConfig<RoundRobin<Sha256>> {
        orchestrator::SimplexConfig {
            elector: RoundRobin::default(),
            mailbox_size: MAILBOX_LEN,
            replay_buffer: BUFFER_LEN,
            write_buffer: BUFFER_LEN,
            page_cache,
            leader_timeout: self.leader,
            certification_timeout: self.leader * 3 / 2,
            timeout_retry: self.leader,
            fetch_timeout: self.fetch(),
            fetch_retry_delay: self.retry(),
            view_retention: VIEWS_KEPT,
            skip: SkipPolicy::Enabled {
                timeout: self.leader * 4,
                budget: SkipBudget::Participants,
            },
            track_historical_votes: false,
            forward: ForwardPolicy::SilentLeader,
        }
    }
}
