//! What the memory-backed store keeps: containers, bounded in bytes and time, and what is known of
//! requests, bounded in number. The oldest go first.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use lode_proofs::{Hash32, da::Coded};
use tokio::sync::watch;

use crate::availability::{Posted, RequestId, Status};

/// Containers that are remembered for having been dropped: those are expired, all others unknown.
const GONE_MAX: usize = 65_536;

/// A container with all its rows.
pub struct Kept {
    /// Its bytes, rows and trees.
    pub coded: Coded,
    /// Its certificate.
    pub certificate: Bytes,
    /// Its blobs, in their places.
    pub blobs: Vec<Arc<Posted>>,
    /// Until when it is kept.
    pub expiry: u64,
}

/// Root, epoch and quorum of a blob.
pub type ByRoot = (Hash32, u64, u32);

/// See the file's head.
pub struct Shelf {
    containers: BTreeMap<Hash32, Arc<Kept>>,
    /// From the oldest on.
    order: VecDeque<Hash32>,
    len: u64,
    len_max: u64,
    by_root: BTreeMap<ByRoot, Arc<Posted>>,
    gone: VecDeque<Hash32>,
    gone_names: BTreeMap<Hash32, u32>,
    requests: BTreeMap<RequestId, watch::Receiver<Status>>,
    requests_order: VecDeque<RequestId>,
    requests_max: usize,
}

/// What became of something that was asked for.
pub enum Found<T> {
    /// Here it is.
    Here(T),
    /// It was here.
    Gone,
    /// It never was, as far as is remembered.
    Never,
}

impl Shelf {
    /// One of so many bytes of containers, and so many requests.
    pub fn new(len_max: u64, requests_max: usize) -> Shelf {
        Shelf {
            containers: BTreeMap::new(),
            order: VecDeque::new(),
            len: 0,
            len_max,
            by_root: BTreeMap::new(),
            gone: VecDeque::new(),
            gone_names: BTreeMap::new(),
            requests: BTreeMap::new(),
            requests_order: VecDeque::new(),
            requests_max,
        }
    }

    /// Takes note of a request.
    pub fn expect(&mut self, request: RequestId, status: watch::Receiver<Status>) {
        self.requests.insert(request, status);
        self.requests_order.push_back(request);
        if self.requests_order.len() > self.requests_max
            && let Some(oldest) = self.requests_order.pop_front()
        {
            self.requests.remove(&oldest);
        }
    }

    /// Where it is told what becomes of it.
    pub fn request(&self, request: RequestId) -> Option<watch::Receiver<Status>> {
        self.requests.get(&request).cloned()
    }

    /// Keeps a container, and drops what is expired, and what there is no room for beside it.
    pub fn keep(&mut self, kept: Kept, now: u64) {
        self.len += size(&kept);
        let id = kept.coded.head().id();
        for blob in &kept.blobs {
            self.by_root.insert(by_root(blob), Arc::clone(blob));
        }
        // One container has one id, so the same is never kept twice: its expiry may differ, no more.
        if let Some(before) = self.containers.insert(id, Arc::new(kept)) {
            self.len -= size(&before);
        } else {
            self.order.push_back(id);
        }
        while let Some(oldest) = self.order.front().copied() {
            let expired = self
                .containers
                .get(&oldest)
                .is_none_or(|kept| kept.expiry <= now);
            if !expired && (self.len <= self.len_max || self.order.len() == 1) {
                break;
            }
            self.order.pop_front();
            self.drop_one(oldest);
        }
    }

    fn drop_one(&mut self, id: Hash32) {
        let Some(kept) = self.containers.remove(&id) else {
            return;
        };
        self.len -= size(&kept);
        for blob in &kept.blobs {
            let key = by_root(blob);
            // The same blob may lie in a younger container too.
            if self
                .by_root
                .get(&key)
                .is_some_and(|held| held.container == id)
            {
                self.by_root.remove(&key);
            }
        }
        self.gone.push_back(id);
        *self.gone_names.entry(id).or_default() += 1;
        if self.gone.len() > GONE_MAX
            && let Some(oldest) = self.gone.pop_front()
            && let Some(times) = self.gone_names.get_mut(&oldest)
        {
            *times -= 1;
            if *times == 0 {
                self.gone_names.remove(&oldest);
            }
        }
    }

    /// A container.
    pub fn container(&self, id: Hash32, now: u64) -> Found<Arc<Kept>> {
        match self.containers.get(&id) {
            Some(kept) if now < kept.expiry => Found::Here(Arc::clone(kept)),
            Some(_) => Found::Gone,
            None if self.gone_names.contains_key(&id) => Found::Gone,
            None => Found::Never,
        }
    }

    /// Where a blob of this root is, if it is kept.
    pub fn blob(&self, key: &ByRoot) -> Option<Arc<Posted>> {
        self.by_root.get(key).cloned()
    }
}

fn by_root(blob: &Posted) -> ByRoot {
    (blob.root, blob.quorum.epoch, blob.quorum.quorum)
}

/// Bytes that a container takes: its rows, of which a third are original. Trees and checksums are under
/// a hundredth of it, or under a megabyte.
fn size(kept: &Kept) -> u64 {
    let original = kept.coded.container().rows().len();
    u64::try_from(3 * original).expect("64-bit")
}
