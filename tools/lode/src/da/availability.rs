//! The node as faces see it: blobs in, blobs out, and all that proves them.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use lode_da::{
    Lost, Service, Stored,
    keep::Keep as _,
    post::{self, State},
    read::{Known, ReadError},
};
use lode_proofs::{
    Hash32,
    da::{BlobRange, Certificate, Namespace, Quorum, namespace::NamespaceTree},
};
use lode_rollup::{
    Availability, Handle,
    availability::{
        Evidence, GetError, Members, Milestone, PostError, Posted, RequestId, Status, StatusError,
    },
};
use tokio::time::timeout;

use super::chain::Chain;

/// What faces ask. Clones are of one node.
#[derive(Clone)]
pub struct Rollups {
    service: Service,
    stored: Stored,
    chain: Chain,
}

impl Rollups {
    /// Over a node and what it knows of the chain.
    pub fn new(service: Service, stored: Stored, chain: Chain) -> Rollups {
        Rollups {
            service,
            stored,
            chain,
        }
    }

    /// Hands what is certified and kept to the chain once more: it may not have been settled when the node
    /// ended. What was is seen before anything is paid.
    pub fn settle_what_is_kept(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            for listed in this.stored.list() {
                let Ok(Some(about)) = this.stored.about(listed.container).await else {
                    continue;
                };
                let committee = this.service.committees.of(about.statement.quorum);
                let (Some(bytes), Some(committee)) = (&about.certificate, committee) else {
                    continue;
                };
                let assignment = committee.holders().assignment();
                if let Ok(certificate) = Certificate::decode(bytes, assignment) {
                    this.chain.settle(certificate);
                }
            }
        });
    }

    /// Has the container of a request settled when it is certified.
    fn settle_when_certified(&self, request: post::RequestId) {
        let this = self.clone();
        tokio::spawn(async move {
            let Some(State::Certified(posted)) = this.service.poster().end(request).await else {
                return;
            };
            // A container has many blobs, and one certificate.
            if posted.place > 0 {
                return;
            }
            let committee = this.service.committees.of(posted.statement.quorum);
            let read = committee.and_then(|committee| {
                let assignment = committee.holders().assignment();
                Certificate::decode(&posted.certificate, assignment).ok()
            });
            if let Some(certificate) = read {
                this.chain.settle(certificate);
            }
        });
    }

    /// A state in the words of faces.
    async fn told(&self, state: State) -> Status {
        match state {
            State::Queued => Status::Queued,
            State::Coding => Status::Encoding,
            State::Dispersing => Status::Gathering,
            State::Failed(Lost::TooFew { .. }) => Status::Unsigned,
            State::Failed(lost @ Lost::Stopped) => Status::Failed(lost.to_string().into()),
            State::Certified(posted) => {
                let container = posted.statement.head.id();
                let milestone = match self.chain.is_settled(container) {
                    true => Milestone::Final,
                    false => Milestone::Certified,
                };
                match self.posted_of(&posted).await {
                    Ok(posted) => Status::Posted(milestone, posted.into()),
                    Err(error) => Status::Failed(error.to_string().into()),
                }
            }
        }
    }

    async fn posted_of(&self, of: &lode_da::Posted) -> Result<Posted, GetError> {
        let container = of.statement.head.id();
        let known = self
            .service
            .reader
            .container(container)
            .await
            .map_err(lost)?;
        posted(&known, of.place, Some(of.certificate.clone()))
    }

    /// Where a handle leads.
    async fn known(&self, handle: Handle) -> Result<(Known, usize), GetError> {
        match handle {
            Handle::Place {
                container,
                offset,
                len,
            } => {
                let known = self
                    .service
                    .reader
                    .container(container)
                    .await
                    .map_err(lost)?;
                let mut entries = known.table.entries().iter();
                let place = entries.position(|entry| (entry.offset, entry.len) == (offset, len));
                let place = place.ok_or(GetError::Absent)?;
                Ok((known, place))
            }
            Handle::Root {
                root,
                epoch,
                quorum,
            } => {
                let committees = self.service.committees.newest_first();
                let mut quorums = committees.iter().map(|committee| committee.quorum());
                let quorum = quorums.find(|of| (of.epoch, of.quorum) == (epoch, quorum));
                let quorum = quorum.ok_or(GetError::NotFound)?;
                self.service.reader.locate(quorum, root).await.map_err(lost)
            }
        }
    }

    async fn range(&self, handle: Handle, range: Range<u64>) -> Result<Bytes, GetError> {
        let blob = self.get(handle).await?;
        let proof = BlobRange::prove(&blob, range).ok_or(GetError::Absent)?;
        Ok(proof.encode().into())
    }

    /// One row with what shows it: this node's own reader checks it first.
    async fn sample(&self, container: Hash32, row: u16) -> Result<Bytes, GetError> {
        let known = self
            .service
            .reader
            .container(container)
            .await
            .map_err(lost)?;
        self.service.reader.sample(&known, row).await.map_err(lost)
    }
}

impl Availability for Rollups {
    async fn post(&self, namespace: Namespace, blob: Bytes) -> Result<RequestId, PostError> {
        let posted = self
            .service
            .post(namespace, blob)
            .map_err(|error| match error {
                post::PostError::Empty => PostError::Empty,
                post::PostError::TooLong { len } => PostError::TooLong { len },
                post::PostError::Overloaded => PostError::Overloaded,
                other => PostError::Unavailable(other.to_string().into()),
            })?;
        self.settle_when_certified(posted);
        let mut id = [0; 32];
        id[..8].copy_from_slice(&posted.0.to_be_bytes());
        Ok(RequestId(id))
    }

    async fn status(&self, request: RequestId) -> Result<Status, StatusError> {
        let id = own(request).ok_or(StatusError::Unknown)?;
        let state = self
            .service
            .poster()
            .state(id)
            .ok_or(StatusError::Unknown)?;
        Ok(self.told(state).await)
    }

    async fn wait(
        &self,
        request: RequestId,
        until: Milestone,
        most: Duration,
    ) -> Result<Status, StatusError> {
        let id = own(request).ok_or(StatusError::Unknown)?;
        let wait = async {
            let ended = self.service.poster().end(id).await;
            let Some(State::Certified(posted)) = ended else {
                return;
            };
            if until == Milestone::Certified {
                return;
            }
            let mut news = self.chain.news();
            while !self.chain.is_settled(posted.statement.head.id()) {
                if news.changed().await.is_err() {
                    return;
                }
            }
        };
        // Late or not: what is known is told.
        let _late = timeout(most, wait).await.is_err();
        self.status(request).await
    }

    async fn find(&self, handle: Handle) -> Result<Arc<Posted>, GetError> {
        let (known, place) = self.known(handle).await?;
        posted(&known, place, known.certificate.clone()).map(Arc::new)
    }

    async fn get(&self, handle: Handle) -> Result<Bytes, GetError> {
        let (known, place) = self.known(handle).await?;
        self.service.reader.blob(&known, place).await.map_err(lost)
    }

    async fn show(&self, evidence: Evidence) -> Result<Bytes, GetError> {
        match evidence {
            Evidence::Certificate(container) => {
                let known = self
                    .service
                    .reader
                    .container(container)
                    .await
                    .map_err(lost)?;
                known.certificate.ok_or_else(uncertified)
            }
            Evidence::Sample(container, row) => self.sample(container, row).await,
            Evidence::Namespace(container, namespace) => {
                let known = self
                    .service
                    .reader
                    .container(container)
                    .await
                    .map_err(lost)?;
                let tree = NamespaceTree::new(&known.table);
                Ok(tree.prove(&known.table, namespace).encode().into())
            }
            Evidence::Range(handle, range) => self.range(handle, range).await,
        }
    }

    async fn members(&self, quorum: Quorum) -> Result<Option<Arc<Members>>, GetError> {
        let members = self.chain.members(quorum).await;
        members.map_err(|why| GetError::Unavailable(why.into()))
    }
}

fn own(request: RequestId) -> Option<post::RequestId> {
    let (number, rest) = request.0.split_first_chunk::<8>()?;
    let zeros = rest.iter().all(|byte| *byte == 0);
    zeros.then(|| post::RequestId(u64::from_be_bytes(*number)))
}

fn posted(known: &Known, place: usize, certificate: Option<Bytes>) -> Result<Posted, GetError> {
    let entry = known.table.entries().get(place).ok_or(GetError::Absent)?;
    let tree = NamespaceTree::new(&known.table);
    Ok(Posted {
        container: known.statement.head.id(),
        place: u32::try_from(place).map_err(|_| GetError::Absent)?,
        namespace: entry.namespace,
        root: entry.root,
        offset: entry.offset,
        len: entry.len,
        quorum: known.statement.quorum,
        expiry: known.statement.expiry,
        certificate: certificate.ok_or_else(uncertified)?,
        entry: tree.show(&known.table, place..place + 1).encode().into(),
    })
}

fn uncertified() -> GetError {
    GetError::Unavailable("nobody has its certificate yet".into())
}

fn lost(error: ReadError) -> GetError {
    match error {
        ReadError::NotFound => GetError::NotFound,
        ReadError::NoBlob => GetError::Absent,
        ReadError::Damaged => GetError::Untrue(error.to_string().into()),
        ReadError::Unavailable { .. } | ReadError::Stopped => {
            GetError::Unavailable(error.to_string().into())
        }
    }
}
