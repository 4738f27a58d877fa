//! A blob in, and the wait for its certificate, as all faces do it that answer only then.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::da::Namespace;

use crate::{
    availability::{Availability, Milestone, PostError, Posted, Status, StatusError},
    server::meter::Meter,
};

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPosted {
    /// It was not taken in.
    #[error(transparent)]
    Refused(#[from] PostError),
    /// It was, and the milestone was not reached in time. It may be later.
    #[error("no certificate in {} s", .0.as_secs())]
    Late(Duration),
    /// Too few holders signed.
    #[error("too few holders signed")]
    Unsigned,
    /// It will not be stored.
    #[error("the blob was not stored: {0}")]
    Failed(Arc<str>),
    /// Nobody knows what became of it.
    #[error(transparent)]
    Lost(#[from] StatusError),
}

impl NotPosted {
    /// As a label.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            NotPosted::Refused(PostError::Empty) => "empty",
            NotPosted::Refused(PostError::TooLong { .. }) => "too_long",
            NotPosted::Refused(PostError::Overloaded) => "overloaded",
            NotPosted::Refused(PostError::Unavailable(_)) => "unavailable",
            NotPosted::Late(_) => "late",
            NotPosted::Unsigned => "unsigned",
            NotPosted::Failed(_) => "failed",
            NotPosted::Lost(_) => "lost",
        }
    }

    /// Whether whoever posts should fall back to another place for its data: nothing is wrong with the
    /// blob, and to try again at once is not known to help.
    #[must_use]
    pub fn asks_for_fallback(&self) -> bool {
        match self {
            NotPosted::Refused(refused) => matches!(refused, PostError::Unavailable(_)),
            NotPosted::Late(_) | NotPosted::Unsigned | NotPosted::Failed(_) => true,
            NotPosted::Lost(lost) => matches!(lost, StatusError::Unavailable(_)),
        }
    }
}

/// How a face posts.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose blobs they are.
    pub namespace: Namespace,
    /// What is waited for.
    pub until: Milestone,
    /// How long.
    pub most: Duration,
}

/// Posts a blob and waits.
///
/// # Errors
/// [`NotPosted`]
pub(crate) async fn post(
    availability: &impl Availability,
    terms: &Terms,
    blob: Bytes,
    (meter, face): (&Meter, &'static str),
) -> Result<Arc<Posted>, NotPosted> {
    let posted = try_post(availability, terms, blob).await;
    let outcome = posted
        .as_ref()
        .map_or_else(NotPosted::outcome, |_| "posted");
    meter.posted(face, outcome);
    posted
}

async fn try_post(
    availability: &impl Availability,
    terms: &Terms,
    blob: Bytes,
) -> Result<Arc<Posted>, NotPosted> {
    let request = availability.post(terms.namespace, blob).await?;
    let status = availability.wait(request, terms.until, terms.most).await?;
    match status {
        Status::Posted(milestone, posted) if milestone >= terms.until => Ok(posted),
        Status::Unsigned => Err(NotPosted::Unsigned),
        Status::Failed(why) => Err(NotPosted::Failed(why)),
        _ => Err(NotPosted::Late(terms.most)),
    }
}
