//! What a node takes from the chain, committees, and what it gives to it: certificates.
//!
//! ```text
//!  epoch ─► is its quorum made? ── no: make it, if there is an account ──┐
//!             └─ yes ─► committee ─► containers go to it, its holders are spoken to
//!                          └─► DIR/committees/EPOCH: holders are known while the chain is away
//!  certificate ─► settle, up to 64 in a transaction ─► in a final block
//! ```
//! A chain that is away stops none of it but settling, which goes on when it is back. Blocks of the chain are
//! final when they are made, so what is settled is final.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use lode_chain_link::{
    addresses::{DA_CERTIFICATES, DA_SIGNERS},
    certified::Contracts as _,
    da::{self, QuorumSeats, SETTLE_MAX},
    node::{Http, NodeError},
    send::{Limits, Outcome as Ended, SendError, Sender, Wish},
    store::Store,
};
use lode_da::{Committee, Committees, Da};
use lode_net::{PeerAddress, PeerKey};
use lode_proofs::{
    Hash32,
    da::{Certificate, Quorum, Shown, signing::HolderKey},
};
use lode_rollup::availability::Members;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::availability::Rollups;
use crate::failure::{Failure, Outcome};

/// How often the chain is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Waiting times while it is away: from, and up to.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Time for all questions of a look.
const LOOK_TIME: Duration = Duration::from_secs(20);
/// Gas for a quorum of 340 holders, and for a full transaction of certificates.
const MAKE_GAS: u64 = 14_000_000;
const SETTLE_GAS: u64 = 14_000_000;
/// What a transaction may cost: 1000 gwei for a unit of gas, and blocks until it is offered more.
const FEE_MAX: u128 = 1_000_000_000_000;
const PATIENCE_BLOCKS: u64 = 20;
/// Certificates that wait to be settled. More are settled by whoever else holds them, or not at all: they
/// hold without.
const WAITING_MAX: usize = 1 << 16;
/// Settled containers that are remembered.
const SETTLED_MAX: usize = 1 << 16;
/// Time between two attempts to make a quorum: somebody else may be at it.
const MAKE_EVERY: Duration = Duration::from_secs(10);

/// What is known of the chain. Clones are of one node.
#[derive(Clone)]
pub struct Chain(Arc<Shared>);

struct Shared {
    node: Http,
    committees: Committees,
    members: Mutex<BTreeMap<(u64, u32), Arc<QuorumSeats>>>,
    waiting: Mutex<VecDeque<Certificate>>,
    settled: Mutex<Settled>,
    /// Counts up when something was settled.
    news: watch::Sender<u64>,
    settles: bool,
}

#[derive(Default)]
struct Settled {
    all: BTreeSet<Hash32>,
    order: VecDeque<Hash32>,
}

/// Follows the chain.
pub struct Following {
    chain: Chain,
    folder: PathBuf,
    account: Option<(PrivateKeySigner, Store)>,
    sender: Option<Sender<Http>>,
    /// Certificates that were sent, by the name of their transaction.
    sent: BTreeMap<B256, Vec<Hash32>>,
    made: Option<Instant>,
    told: bool,
}

impl Chain {
    /// What was known at the last end. The chain need not be there.
    pub fn open(
        node: Http,
        account: Option<PrivateKeySigner>,
        dir: &Path,
        committees: Committees,
    ) -> Outcome<(Chain, Following)> {
        let folder = dir.join("committees");
        let failed = |error| Failure::file(folder.display(), &error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let account = match account {
            None => None,
            Some(signer) => {
                let path = dir.join("settlement");
                let store = Store::open(&path).map_err(|error| {
                    Failure::other(
                        format!("{}: {error}", path.display()),
                        "stop what else uses it",
                    )
                })?;
                Some((signer, store))
            }
        };
        let chain = Chain(Arc::new(Shared {
            node,
            committees,
            members: Mutex::default(),
            waiting: Mutex::default(),
            settled: Mutex::default(),
            news: watch::Sender::default(),
            settles: account.is_some(),
        }));
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let answer = fs::read(&path).map_err(failed)?;
            // One that is torn is asked for again.
            match da::committee_at(&answer).map_err(|error| error.to_string()) {
                Ok(quorum) if path.extension().is_none() => {
                    if let Err(why) = chain.know(&quorum) {
                        tracing::warn!(path = %path.display(), why, "no committee");
                    }
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(path = %path.display(), why, "no committee"),
            }
        }
        let following = Following {
            chain: chain.clone(),
            folder,
            account,
            sender: None,
            sent: BTreeMap::new(),
            made: None,
            told: false,
        };
        Ok((chain, following))
    }

    /// A certificate that is to be settled.
    pub fn settle(&self, certificate: Certificate) {
        let mut waiting = self.0.waiting.lock();
        if self.0.settles && waiting.len() < WAITING_MAX {
            waiting.push_back(certificate);
        }
    }

    /// Whether a container was settled, as far as is known here.
    pub fn is_settled(&self, container: Hash32) -> bool {
        self.0.settled.lock().all.contains(&container)
    }

    /// Hears of each settlement.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// Who holds a quorum's rows; none if there is no such quorum and never will be.
    pub async fn members(&self, quorum: Quorum) -> Result<Option<Arc<Members>>, String> {
        let known = self.known(quorum);
        let found = match known {
            Some(found) => Some(found),
            None => self.ask(quorum).await?,
        };
        let Some(found) = found else { return Ok(None) };
        let seats = found.seats().map_err(|error| error.to_string())?;
        let members = Members::new(seats).map_err(|error| error.to_string())?;
        Ok(Some(Arc::new(members)))
    }

    fn known(&self, quorum: Quorum) -> Option<Arc<QuorumSeats>> {
        let members = self.0.members.lock();
        let found = members.get(&(quorum.epoch, quorum.quorum)).cloned();
        found.filter(|found| *found.quorum() == quorum)
    }

    /// Asks the chain for a quorum of the past.
    async fn ask(&self, quorum: Quorum) -> Result<Option<Arc<QuorumSeats>>, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let node = &self.0.node;
        let asked = timeout(LOOK_TIME, async {
            let hash = node
                .ask(DA_SIGNERS, da::committee_hash_call(quorum.epoch))
                .await?;
            let answer = match da::committee_hash(&hash) {
                Ok(Some(_)) => Some(
                    node.ask(DA_SIGNERS, da::committee_call(quorum.epoch))
                        .await?,
                ),
                _ => None,
            };
            let epoch = node.ask(DA_SIGNERS, da::epoch_call()).await?;
            Ok::<_, NodeError>((answer, epoch))
        });
        let asked = asked
            .await
            .map_err(|_| "the chain does not answer".to_owned())?;
        let (answer, epoch) = asked.map_err(|error| told(&error))?;
        let Some(answer) = answer else {
            let epoch = da::epoch(&epoch).map_err(|error| told(&error))?;
            // Of an epoch that has ended there is none, and never will be.
            return match quorum.epoch < epoch || quorum.quorum > 0 {
                true => Ok(None),
                false => Err("the quorum is not made yet".to_owned()),
            };
        };
        let found = da::committee_at(&answer).map_err(|error| told(&error))?;
        self.know(&found)?;
        Ok(self.known(quorum))
    }

    /// Takes a quorum that the chain has.
    fn know(&self, quorum: &QuorumSeats) -> Result<Committee, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let seats = quorum.seats().map_err(|error| told(&error))?;
        let keys = quorum
            .seats
            .iter()
            .map(|seat| HolderKey::at(&seat.holder.key));
        let keys: Result<Vec<HolderKey>, _> = keys.collect();
        let names = quorum
            .seats
            .iter()
            .map(|seat| PeerKey(seat.holder.peer_key.0).read());
        let names: Result<Vec<_>, _> = names.collect();
        let committee = Committee::new(
            *quorum.quorum(),
            seats.assignment(),
            keys.map_err(|error| told(&error))?,
            names.map_err(|error| told(&error))?,
        );
        let committee = committee.map_err(|error| told(&error))?;
        self.0.committees.add(committee.clone());
        let key = (quorum.quorum().epoch, quorum.quorum().quorum);
        self.0.members.lock().insert(key, Arc::new(quorum.clone()));
        Ok(committee)
    }

    fn remember(&self, containers: &[Hash32]) {
        let mut settled = self.0.settled.lock();
        for container in containers {
            if settled.all.insert(*container) {
                settled.order.push_back(*container);
            }
            if settled.order.len() > SETTLED_MAX
                && let Some(oldest) = settled.order.pop_front()
            {
                settled.all.remove(&oldest);
            }
        }
        drop(settled);
        self.0.news.send_modify(|news| *news += 1);
    }
}

impl Following {
    /// The chain's number: as the committees that are known say, or as the chain does, as soon as it answers.
    pub async fn chain_id(&self) -> Outcome<u64> {
        let known = self
            .chain
            .0
            .members
            .lock()
            .values()
            .next()
            .map(|of| of.quorum().chain_id);
        if let Some(chain_id) = known {
            return Ok(chain_id);
        }
        let mut pause = RETRY;
        loop {
            match timeout(LOOK_TIME, self.chain.0.node.chain_id()).await {
                Ok(Ok(chain_id)) => return Ok(chain_id),
                Ok(Err(error)) => tracing::warn!(%error, "which chain it is is not known yet"),
                Err(_) => tracing::warn!("which chain it is is not known yet: no answer"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Follows for ever; ends only when the node's own files fail.
    pub async fn run(&mut self, da: &Da, rollups: &Rollups) -> Outcome<()> {
        let newest = self.chain.0.committees.newest_first().into_iter().next();
        if let Some(committee) = newest {
            self.begin(da, committee.quorum()).await?;
        }
        rollups.settle_what_is_kept();
        let mut pause = RETRY;
        loop {
            let looked = timeout(LOOK_TIME, self.look(da)).await;
            let looked =
                looked.unwrap_or_else(|_| Err(Lost::Chain("it does not answer".to_owned())));
            match looked {
                Ok(()) => {
                    if std::mem::take(&mut self.told) {
                        tracing::info!("the chain is there again");
                    }
                    pause = LOOK_EVERY;
                }
                Err(Lost::Chain(why)) => {
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::warn!(
                            why,
                            "the chain is away: blobs are taken and certified, nothing is settled"
                        );
                    }
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Err(Lost::Here(failure)) => return Err(failure),
            }
            sleep(pause).await;
        }
    }

    async fn look(&mut self, da: &Da) -> Result<(), Lost> {
        let node = self.chain.0.node.clone();
        let epoch = node.ask(DA_SIGNERS, da::epoch_call()).await?;
        let epoch = da::epoch(&epoch).map_err(strange)?;
        self.tend().await?;
        let current = self.chain.0.committees.current();
        if current.is_none_or(|current| current.quorum().epoch != epoch) {
            let hash = node.ask(DA_SIGNERS, da::committee_hash_call(epoch)).await?;
            match da::committee_hash(&hash).map_err(strange)? {
                Some(hash) => self.learn(da, epoch, hash).await?,
                None => self.make(epoch).await?,
            }
        }
        self.settle().await
    }

    /// Takes the quorum of an epoch.
    async fn learn(&mut self, da: &Da, epoch: u64, hash: B256) -> Result<(), Lost> {
        let answer = self
            .chain
            .0
            .node
            .ask(DA_SIGNERS, da::committee_call(epoch))
            .await?;
        let quorum = da::committee_at(&answer).map_err(strange)?;
        if quorum.committee.hash().0 != hash.0 {
            return Err(Lost::Chain(
                "it gives another committee than it has".to_owned(),
            ));
        }
        let committee = self.chain.know(&quorum).map_err(Lost::Chain)?;
        tracing::info!(
            epoch,
            holders = quorum.seats.len(),
            "containers go to a committee"
        );
        let begun = self.begin(da, committee.quorum()).await;
        begun.map_err(Lost::Here)?;
        // Last: whoever sees the file may post.
        let path = self.folder.join(epoch.to_string());
        let fresh = path.with_extension("new");
        let kept = fs::write(&fresh, &answer).and_then(|()| fs::rename(&fresh, &path));
        kept.map_err(|error| Lost::Here(Failure::file(path.display(), &error)))
    }

    /// Containers go to a committee from now on, and its holders are spoken to.
    async fn begin(&self, da: &Da, quorum: Quorum) -> Outcome<()> {
        let Some(found) = self.chain.known(quorum) else {
            return Ok(());
        };
        let peers = found.seats.iter().map(|seat| PeerAddress {
            key: PeerKey(seat.holder.peer_key.0),
            host: seat.holder.socket.clone(),
        });
        let (peers, wrong): (Vec<_>, Vec<_>) =
            peers.partition(|peer| peer.to_string().parse::<PeerAddress>().is_ok());
        for peer in wrong {
            tracing::warn!(%peer, "a holder has no address");
        }
        let tracked = da.track(&peers).await;
        tracked.map_err(|error| Failure::other(error.to_string(), "report this with the log"))?;
        if let Ok(committee) = self.chain.know(&found) {
            self.chain.0.committees.begin(committee);
        }
        Ok(())
    }

    /// Makes the quorum of this epoch, which anybody may.
    async fn make(&mut self, epoch: u64) -> Result<(), Lost> {
        let now = Instant::now();
        if self.made.is_some_and(|made| now < made + MAKE_EVERY) {
            return Ok(());
        }
        let node = self.chain.0.node.clone();
        let Some(sender) = self.sender().await? else {
            return Ok(());
        };
        let slot = node.ask(DA_SIGNERS, da::slot_call(epoch)).await?;
        let slot = da::slot(&slot).map_err(strange)?;
        let blocks = node
            .ask(lode_chain_link::addresses::BEACON, da::slot_blocks_call())
            .await?;
        let blocks = da::slot_blocks(&blocks).map_err(strange)?;
        let header = node.header(slot.saturating_mul(blocks)).await?;
        let header = header.ok_or_else(|| Lost::Chain("it has no such block".to_owned()))?;
        let data = da::make_epoch_call(Some(header));
        // Another attempt is another transaction: the last one may have been too early.
        let attempt = super::run::now().as_secs().to_be_bytes();
        let name = keccak256([epoch.to_be_bytes(), attempt].concat());
        let wish = Wish {
            to: DA_SIGNERS,
            value: U256::ZERO,
            data,
            gas_limit: MAKE_GAS,
        };
        sender.send(name, wish).await?;
        self.made = Some(now);
        Ok(())
    }

    /// Sends what waits, of one committee at a time.
    async fn settle(&mut self) -> Result<(), Lost> {
        let chain = self.chain.clone();
        let batch = {
            let mut waiting = chain.0.waiting.lock();
            let first = waiting.front().map(|first| first.statement.quorum);
            let same = |one: &&Certificate| Some(one.statement.quorum) == first;
            let count = waiting.iter().take_while(same).take(SETTLE_MAX).count();
            waiting.drain(..count).collect::<Vec<Certificate>>()
        };
        let Some(quorum) = batch.first().map(|first| first.statement.quorum) else {
            return Ok(());
        };
        let sent = self.send(quorum, &batch).await;
        if sent.is_err() {
            let mut waiting = chain.0.waiting.lock();
            batch
                .into_iter()
                .rev()
                .for_each(|one| waiting.push_front(one));
        }
        sent
    }

    async fn send(&mut self, quorum: Quorum, batch: &[Certificate]) -> Result<(), Lost> {
        let Some(found) = self.chain.known(quorum) else {
            return Ok(());
        };
        let node = self.chain.0.node.clone();
        let mut fresh = Vec::new();
        let mut settled = Vec::new();
        for certificate in batch {
            let container = certificate.statement.head.id();
            let record = node
                .ask(DA_CERTIFICATES, da::record_call(container))
                .await?;
            let record = da::record(&record).map_err(strange)?;
            match record.is_some_and(|record| record.expiry >= certificate.statement.expiry) {
                true => settled.push(container),
                false => fresh.push(certificate.clone()),
            }
        }
        if !settled.is_empty() {
            self.chain.remember(&settled);
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let seats = found.seats().map_err(strange)?;
        let containers = fresh.iter().map(|one| one.statement.head.id()).collect();
        let shown: Vec<Shown> = fresh
            .into_iter()
            .map(|certificate| Shown::new(found.committee, &seats, certificate))
            .collect();
        let data: Bytes = da::settle_call(&found.committee, &shown);
        let Some(sender) = self.sender().await? else {
            return Ok(());
        };
        let name = keccak256([&data[..], &super::run::now().as_nanos().to_be_bytes()].concat());
        let wish = Wish {
            to: DA_CERTIFICATES,
            value: U256::ZERO,
            data,
            gas_limit: SETTLE_GAS,
        };
        sender.send(name, wish).await?;
        self.sent.insert(name, containers);
        Ok(())
    }

    /// Looks after what was sent.
    async fn tend(&mut self) -> Result<(), Lost> {
        let Some(sender) = &mut self.sender else {
            return Ok(());
        };
        for intent in sender.tend().await? {
            let containers = self.sent.remove(&intent.name);
            match intent.outcome {
                Some(Ended::Done { success: true, .. }) => {
                    if let Some(containers) = containers {
                        tracing::info!(containers = containers.len(), "certificates are settled");
                        self.chain.remember(&containers);
                    }
                }
                Some(outcome) => {
                    tracing::warn!(?outcome, "a transaction did not do what it was to do");
                }
                None => {}
            }
            sender.forget(intent.name)?;
        }
        Ok(())
    }

    /// Opened when the chain is there for the first time.
    async fn sender(&mut self) -> Result<Option<&mut Sender<Http>>, Lost> {
        let Some((signer, store)) = &self.account else {
            return Ok(None);
        };
        if self.sender.is_none() {
            let node = self.chain.0.node.clone();
            let limits = Limits {
                chain_id: node.chain_id().await?,
                fee_max: FEE_MAX,
                patience_blocks: PATIENCE_BLOCKS,
            };
            let sender = Sender::open(node, store.clone(), signer.clone(), limits).await?;
            self.sender = Some(sender);
        }
        Ok(self.sender.as_mut())
    }
}

/// Why a look was not to its end.
enum Lost {
    /// The chain is away, or says what it cannot mean.
    Chain(String),
    /// Something here has failed.
    Here(Failure),
}

fn strange(error: impl std::fmt::Display) -> Lost {
    Lost::Chain(error.to_string())
}

impl From<NodeError> for Lost {
    fn from(error: NodeError) -> Lost {
        strange(error)
    }
}

impl From<SendError> for Lost {
    fn from(error: SendError) -> Lost {
        strange(error)
    }
}
