//! The methods. See the tables of [`super`].

use bytes::Bytes;
use lode_proofs::{Hash32, da::Namespace};
use tonic::{Extensions, Request, Response, Status};

use super::{
    BLOB_LEN_MAX, NAME,
    proto::{
        disperser::{
            BlobHeader, BlobInfo, BlobStatus, BlobStatusReply, BlobStatusRequest,
            DisperseBlobReply, DisperseBlobRequest, RetrieveBlobReply, RetrieveBlobRequest,
            disperser_server::Disperser,
        },
        retriever::{BlobReply, BlobRequest, retriever_server::Retriever},
    },
};
use crate::{
    availability::{
        self, Availability, GetError, Milestone, PostError, Posted, RequestId, StatusError,
    },
    handle::Handle,
    read,
    server::{meter::Meter, turn::Turn},
};

/// An answer is there as the blob, and encoded.
const ANSWER_ROOM: u64 = 2;

/// See the file's head.
#[derive(Clone)]
pub struct Service<A> {
    pub availability: A,
    pub namespace: Namespace,
    pub meter: Meter,
}

#[tonic::async_trait]
impl<A: Availability> Disperser for Service<A> {
    async fn disperse_blob(
        &self,
        request: Request<DisperseBlobRequest>,
    ) -> Result<Response<DisperseBlobReply>, Status> {
        let blob = request.into_inner().data;
        if blob.len() > BLOB_LEN_MAX {
            return Err(too_long());
        }
        let posted = self.availability.post(self.namespace, blob).await;
        let outcome = match &posted {
            Ok(_) => "posted",
            Err(error) => crate::post::NotPosted::from(error.clone()).outcome(),
        };
        self.meter.posted(NAME, outcome);
        let request = posted.map_err(|error| match error {
            PostError::Empty => Status::unknown("blob size must be greater than 0"),
            PostError::TooLong { .. } => too_long(),
            PostError::Overloaded => Status::unknown("request ratelimited"),
            PostError::Unavailable(_) => Status::unavailable(error.to_string()),
        })?;
        Ok(Response::new(DisperseBlobReply {
            result: BlobStatus::Processing.into(),
            request_id: request.to_string().into(),
        }))
    }

    async fn get_blob_status(
        &self,
        request: Request<BlobStatusRequest>,
    ) -> Result<Response<BlobStatusReply>, Status> {
        let name = request.into_inner().request_id;
        let request = request_of(&name)?;
        let status = self.availability.status(request).await;
        let status = status.map_err(|error| match error {
            StatusError::Unknown => Status::not_found(error.to_string()),
            StatusError::Unavailable(_) => Status::unavailable(error.to_string()),
        })?;
        let (status, header) = match status {
            availability::Status::Posted(Milestone::Settled, posted) => {
                (BlobStatus::Confirmed, Some(header(&posted)))
            }
            availability::Status::Posted(Milestone::Final, posted) => {
                (BlobStatus::Finalized, Some(header(&posted)))
            }
            availability::Status::Unsigned => (BlobStatus::InsufficientSignatures, None),
            availability::Status::Failed(_) => (BlobStatus::Failed, None),
            _ => (BlobStatus::Processing, None),
        };
        Ok(Response::new(BlobStatusReply {
            status: status.into(),
            // There in any case, as with 0G's.
            info: Some(BlobInfo {
                blob_header: header,
            }),
        }))
    }

    async fn retrieve_blob(
        &self,
        request: Request<RetrieveBlobRequest>,
    ) -> Result<Response<RetrieveBlobReply>, Status> {
        let (_, extensions, request) = request.into_parts();
        let RetrieveBlobRequest {
            storage_root,
            epoch,
            quorum_id,
        } = request;
        let data = self
            .retrieve(&storage_root, epoch, quorum_id, &extensions)
            .await?;
        Ok(Response::new(RetrieveBlobReply { data }))
    }
}

#[tonic::async_trait]
impl<A: Availability> Retriever for Service<A> {
    async fn retrieve_blob(
        &self,
        request: Request<BlobRequest>,
    ) -> Result<Response<BlobReply>, Status> {
        let (_, extensions, request) = request.into_parts();
        let BlobRequest {
            storage_root,
            epoch,
            quorum_id,
        } = request;
        let data = self
            .retrieve(&storage_root, epoch, quorum_id, &extensions)
            .await?;
        Ok(Response::new(BlobReply { data }))
    }
}

impl<A: Availability> Service<A> {
    async fn retrieve(
        &self,
        root: &[u8],
        epoch: u64,
        quorum: u64,
        extensions: &Extensions,
    ) -> Result<Bytes, Status> {
        let root: Result<[u8; 32], _> = root.try_into();
        let root =
            root.map_err(|_| Status::unknown("parameter StorageRoot len is not accepted"))?;
        // 0G's quorums are counted in 64 bits, ours in 32: nobody has those beyond.
        let quorum = u32::try_from(quorum).map_err(|_| not_had(&GetError::NotFound))?;
        let handle = Handle::Root {
            root: Hash32(root),
            epoch,
            quorum,
        };
        let posted = read::find(&self.availability, handle)
            .await
            .map_err(|error| not_had(&error))?;
        if let Some(turn) = extensions.get::<Turn>() {
            let grown = turn.grow(ANSWER_ROOM * posted.len).await;
            grown.map_err(|busy| Status::resource_exhausted(busy.to_string()))?;
        }
        let read = read::whole_of(&self.availability, handle, posted.root, posted.len).await;
        read.map_err(|error| not_had(&error))
    }
}

fn too_long() -> Status {
    Status::unknown("blob size cannot exceed 31744 KiB")
}

fn header(posted: &Posted) -> BlobHeader {
    BlobHeader {
        storage_root: Bytes::copy_from_slice(&posted.root.0),
        epoch: posted.quorum.epoch,
        quorum_id: u64::from(posted.quorum.quorum),
    }
}

/// A request by the name that `DisperseBlob` gave it.
fn request_of(name: &[u8]) -> Result<RequestId, Status> {
    if name.is_empty() {
        let why = "invalid request: request_id must not be empty";
        return Err(Status::unknown(why));
    }
    let text = core::str::from_utf8(name).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        // What the client sent comes back to it no longer than a name is.
        let shown = name.get(..name.len().min(SHOWN_MAX)).unwrap_or_default();
        let shown = String::from_utf8_lossy(shown);
        Status::unknown(format!("invalid metadata key: {shown}"))
    })
}

/// Bytes of a bad name that are told back: twice those of a good one.
const SHOWN_MAX: usize = 130;

fn not_had(error: &GetError) -> Status {
    let why = error.to_string();
    match error {
        GetError::NotFound | GetError::Absent | GetError::Expired => Status::not_found(why),
        GetError::Unavailable(_) => Status::unavailable(why),
        GetError::TimedOut => Status::deadline_exceeded(why),
        GetError::Untrue(_) => Status::internal(why),
    }
}
