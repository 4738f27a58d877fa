//! Which nodes hold a blob.
//!
//! All trusted nodes are asked at once. One submission is chosen among their answers, since the same
//! blob may have been submitted several times, and each submission lies elsewhere in the flow and so is
//! cut into slices differently. Holders are nodes that report just this submission finalized. Only when
//! the trusted ones do not cover it, the discovered ones are asked too.
//!
//! Cost: one question per trusted node, a second one where nodes disagree about the submission; memory
//! for as many small answers. At most [`ASKED_MAX`] questions are under way for all callers together.

use core::{future::pending, str::FromStr, time::Duration};
use std::sync::Arc;

use lode_proofs::{BlobId, Hash32};
use lode_wire::{FileInfo, Slice, Transaction};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{
    client::Error,
    directory::{Directory, Live},
    failure::Failure,
    selection,
};

/// How clients name a blob: decimal digits are the number of a submission, all else is a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cid {
    /// A submission.
    Seq(u64),
    /// A root.
    Root(Hash32),
}

impl FromStr for Cid {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Cid, Failure> {
        let text = text.trim();
        if let Ok(seq) = text.parse() {
            return Ok(Cid::Seq(seq));
        }
        let root = text.parse().map_err(|error| {
            Failure::Invalid(format!("neither a submission's number nor a root: {error}"))
        })?;
        Ok(Cid::Root(root))
    }
}

/// What is known of one submission.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The submission.
    pub tx: Transaction,
    /// Its root and size.
    pub blob: BlobId,
    /// Nodes that have all chunks of their slice.
    pub holders: Vec<Live>,
    /// Trusted nodes that know the submission.
    pub knowing: Vec<Live>,
    /// What trusted nodes that know the submission say.
    pub told: Vec<FileInfo>,
    /// What the holders say.
    pub held: Vec<FileInfo>,
}

/// Asks nodes about blobs.
#[derive(Clone, Debug)]
pub struct Locator {
    directory: Directory,
    asked: Arc<Semaphore>,
}

/// A node and what it says.
type Told = (Live, Result<Option<FileInfo>, Error>);

/// Questions about blobs that are under way at once.
pub const ASKED_MAX: usize = 256;
/// Time that is left to slow nodes when the quick ones suffice.
const GRACE: Duration = Duration::from_millis(250);
/// Chunks that are looked at one by one: more slices than that nobody has.
const CHUNKS_MAX: u64 = 1 << 16;

impl Locator {
    /// Among the nodes of a directory.
    #[must_use]
    pub fn new(directory: Directory) -> Locator {
        Locator {
            directory,
            asked: Arc::new(Semaphore::new(ASKED_MAX)),
        }
    }

    /// What is known of a blob.
    ///
    /// # Errors
    /// [`Failure::Unknown`]; [`Failure::Silent`] if no trusted node answered.
    pub async fn survey(&self, cid: Cid) -> Result<Survey, Failure> {
        let mut survey = self.trusted(cid).await?;
        if !survey.is_covered() {
            let seq = Cid::Seq(survey.tx.seq);
            let told = self.ask(self.directory.discovered(), seq).await;
            survey.note(told, false);
        }
        Ok(survey)
    }

    /// What trusted nodes know of a blob.
    ///
    /// # Errors
    /// As [`Locator::survey`].
    pub async fn trusted(&self, cid: Cid) -> Result<Survey, Failure> {
        let mut told = self.ask(self.directory.trusted(), cid).await;
        let tx = choose(&told, cid)?;
        if matches!(cid, Cid::Root(_)) {
            self.ask_again(&mut told, &tx).await;
        }
        let blob = BlobId::new(tx.data_merkle_root, tx.size).map_err(|_| Failure::Unknown)?;
        let mut survey = Survey {
            tx,
            blob,
            holders: Vec::new(),
            knowing: Vec::new(),
            told: Vec::new(),
            held: Vec::new(),
        };
        survey.note(told, true);
        Ok(survey)
    }

    /// Asks those who spoke of another submission of the same blob about this one.
    async fn ask_again(&self, told: &mut Vec<Told>, tx: &Transaction) {
        let spoke_of_it = |told: &Told| match &told.1 {
            Ok(Some(info)) => info.tx == *tx,
            Ok(None) => false,
            // Who does not answer at all is not asked twice.
            Err(_) => true,
        };
        let (kept, others): (Vec<Told>, Vec<Told>) = told.drain(..).partition(spoke_of_it);
        *told = kept;
        let others = others.into_iter().map(|(node, _)| node).collect();
        told.extend(self.ask(others, Cid::Seq(tx.seq)).await);
    }

    /// All nodes at once; answers in the order of the nodes. When those that answered hold all of it, the
    /// others have [`GRACE`] left: one slow node does not slow everybody.
    async fn ask(&self, nodes: Vec<Live>, cid: Cid) -> Vec<Told> {
        let mut asking = JoinSet::new();
        for (order, node) in nodes.into_iter().enumerate() {
            let asked = Arc::clone(&self.asked);
            asking.spawn(async move {
                let _turn = asked.acquire().await;
                let told = match cid {
                    Cid::Seq(seq) => node.client.blob_of(seq).await,
                    Cid::Root(root) => node.client.blob(root, true).await,
                };
                (order, (node, told))
            });
        }
        let mut told = Vec::new();
        let mut deadline = None;
        while !asking.is_empty() {
            let late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(answer) = asking.join_next() => match answer {
                    Ok(answer) => told.push(answer),
                    Err(error) => tracing::error!(%error, "a question was cut short"),
                },
                () = late => break,
            }
            if deadline.is_none() && is_enough(&told) {
                deadline = Some(sleep(GRACE).deadline());
            }
        }
        told.sort_by_key(|(order, _)| *order);
        told.into_iter().map(|(_, told)| told).collect()
    }
}

/// Whether these alone cover the flow.
fn is_enough(told: &[(usize, Told)]) -> bool {
    let holds = |(_, (node, told)): &(usize, Told)| match told {
        Ok(Some(info)) if info.finalized => Some(node.report.slice),
        _ => None,
    };
    selection::reach(told.iter().filter_map(holds)) > 0
}

/// The submission to go by: the first that is finalized somewhere, else the first that is not pruned,
/// else the first.
fn choose(told: &[Told], cid: Cid) -> Result<Transaction, Failure> {
    let fits = |info: &&FileInfo| match cid {
        Cid::Seq(seq) => info.tx.seq == seq,
        Cid::Root(root) => info.tx.data_merkle_root == root,
    };
    let infos = told
        .iter()
        .filter_map(|(_, told)| told.as_ref().ok()?.as_ref());
    let best = infos
        .filter(fits)
        .min_by_key(|info| (!info.finalized, info.pruned, info.tx.seq));
    match best {
        Some(info) => Ok(info.tx.clone()),
        None if told.iter().any(|(_, told)| told.is_ok()) => Err(Failure::Unknown),
        None => Err(Failure::Silent),
    }
}

impl Survey {
    fn note(&mut self, told: Vec<Told>, trusted: bool) {
        for (node, told) in told {
            let Ok(Some(info)) = told else { continue };
            if info.tx != self.tx {
                continue;
            }
            if info.finalized {
                self.holders.push(node.clone());
                self.held.push(info.clone());
            }
            if trusted {
                self.knowing.push(node);
                self.told.push(info);
            }
        }
    }

    fn slices(&self) -> impl Iterator<Item = Slice> {
        self.holders.iter().map(|node| node.report.slice)
    }

    /// Whether every slice of the flow has a holder: what clients need who go by slices alone.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        selection::reach(self.slices()) > 0
    }

    /// Whether all chunks of `first..end` can be had.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, first: u64, end: u64) -> Result<(), Failure> {
        if self.holders.is_empty() {
            let pruned = self.told.iter().any(|info| info.pruned);
            let coming = self.told.iter().any(|info| !info.pruned);
            return Err(match (pruned, coming) {
                (true, false) => Failure::Pruned,
                _ => Failure::NotFinal,
            });
        }
        // Slices repeat with the largest count, so it is enough to look at as many chunks.
        let period = self
            .slices()
            .map(Slice::count)
            .max()
            .unwrap_or(1)
            .min(CHUNKS_MAX);
        let start = self.tx.start_entry_index;
        let kept = |index: u64| self.slices().any(|slice| slice.keeps(start, index));
        let mut chunks = first..end.min(first.saturating_add(period));
        match chunks.find(|index| !kept(*index)) {
            Some(index) => Err(Failure::Incomplete { index }),
            None => Ok(()),
        }
    }

    /// One answer for all nodes, as 0G's gateway makes it: of the holders if they cover the flow, else
    /// of the trusted nodes that know the submission.
    #[must_use]
    pub fn overall(&self) -> FileInfo {
        let infos = match self.is_covered() {
            true => &self.held,
            false => &self.told,
        };
        let mut infos = infos.iter().cloned();
        let first = infos.next().unwrap_or_else(|| FileInfo {
            tx: self.tx.clone(),
            finalized: false,
            is_cached: false,
            uploaded_seg_num: 0,
            pruned: false,
        });
        infos.fold(first, |sum, info| FileInfo {
            finalized: sum.finalized && info.finalized,
            is_cached: sum.is_cached && info.is_cached,
            uploaded_seg_num: sum.uploaded_seg_num.min(info.uploaded_seg_num),
            pruned: sum.pruned || info.pruned,
            tx: sum.tx,
        })
    }
}
