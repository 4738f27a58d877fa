//! Blobs one by one: calls of the flow, and what its logs say.
//!
//! Two generations of clients call two forms of `submit` (0G wire, 2.2); both are made here, so
//! that a test can stand for either kind of client.

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use lode_proofs::BlobTree;

use crate::abi::Flow::{self, Submission, SubmissionData, SubmissionNode, Submit, SubmitBy};

/// `submit` of the newer clients, selector 0xbc8c11f8: data and the submitter's name.
pub type SubmitNamed = Flow::submit_0Call;
/// `submit` of the older clients, selector 0xef3e12dc: data alone.
pub type SubmitPlain = Flow::submit_1Call;

// Selectors decide which client is served; the order of the forms in an artefact must not.
const _: () = assert!(matches!(SubmitNamed::SELECTOR, [0xbc, 0x8c, 0x11, 0xf8]));
const _: () = assert!(matches!(SubmitPlain::SELECTOR, [0xef, 0x3e, 0x12, 0xdc]));

/// A blob that the flow has appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Number of the submission, from 0, without gaps.
    pub index: u64,
    /// The name that the caller gave, which nobody checks. [`caller`] is who it was.
    pub submitter: Address,
    /// keccak of the nodes' roots.
    pub identity: B256,
    /// First sector in the flow.
    pub start: u64,
    /// Sectors, padding included.
    pub sectors: u64,
    /// Bytes.
    pub size: u64,
    /// What the client attached.
    pub tags: Bytes,
    /// Root and height of each of the blob's subtrees, left to right.
    pub nodes: Vec<(B256, u8)>,
}

/// A log that is not of the kind it was taken for.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It does not decode.
    #[error("log does not decode: {0}")]
    Decode(#[from] alloy_sol_types::Error),
    /// A number in it is larger than the contract lets it become.
    #[error("{field} in a log is larger than the contract allows")]
    Range {
        /// Which.
        field: &'static str,
    },
    /// A log of a final block that does not say where it is from.
    #[error("log has no {field}")]
    Missing {
        /// What is not there.
        field: &'static str,
    },
}

/// What is submitted of a blob.
pub fn data(tree: &BlobTree, tags: Bytes) -> SubmissionData {
    let nodes = tree.submission_nodes().iter().map(|node| SubmissionNode {
        root: node.root.0.into(),
        height: U256::from(node.height),
    });
    SubmissionData {
        length: U256::from(tree.shape().size()),
        tags,
        nodes: nodes.collect(),
    }
}

/// The call that appends a blob in the name of `submitter`.
pub fn submit_call(data: SubmissionData, submitter: Address) -> Bytes {
    let submission = Submission { data, submitter };
    SubmitNamed { submission }.abi_encode().into()
}

/// The call that appends a blob in the name of whoever sends it.
pub fn submit_plain_call(data: SubmissionData) -> Bytes {
    SubmitPlain { data }.abi_encode().into()
}

/// What a `Submit` log says.
///
/// # Errors
/// [`LogError`] when it is none.
pub fn submitted(log: &LogData) -> Result<Submitted, LogError> {
    let log = Submit::decode_log_data_validate(log)?;
    let number = |field, value: U256| u64::try_from(value).map_err(|_| LogError::Range { field });
    let nodes = log.submission.nodes.iter().map(|node| {
        let field = "height";
        let height = u8::try_from(node.height).map_err(|_| LogError::Range { field })?;
        Ok((node.root, height))
    });
    Ok(Submitted {
        index: number("submissionIndex", log.submissionIndex)?,
        submitter: log.sender,
        identity: log.identity,
        start: number("startPos", log.startPos)?,
        sectors: number("length", log.length)?,
        size: number("submission.length", log.submission.length)?,
        nodes: nodes.collect::<Result<_, LogError>>()?,
        tags: log.submission.tags,
    })
}

/// Who sent a submission: its number and the caller, from a `SubmitBy` log.
///
/// # Errors
/// [`LogError`] when it is none.
pub fn caller(log: &LogData) -> Result<(u64, Address), LogError> {
    let log = SubmitBy::decode_log_data_validate(log)?;
    let field = "submissionIndex";
    let index = u64::try_from(log.submissionIndex).map_err(|_| LogError::Range { field })?;
    Ok((index, log.caller))
}

/// All submissions among a transaction's logs, each with who sent it. Logs of other contracts and
/// of other kinds are passed over.
///
/// # Errors
/// [`LogError`] when a log of the flow is not what its topic says.
pub fn submissions(flow: Address, logs: &[Log]) -> Result<Vec<(Submitted, Address)>, LogError> {
    let mut found = Vec::new();
    let mut open = None;
    for log in logs.iter().filter(|log| log.address == flow) {
        match log.topics().first() {
            Some(&Submit::SIGNATURE_HASH) => open = Some(submitted(&log.data)?),
            Some(&SubmitBy::SIGNATURE_HASH) => {
                let (index, by) = caller(&log.data)?;
                found.extend(
                    open.take()
                        .filter(|open| open.index == index)
                        .map(|open| (open, by)),
                );
            }
            _ => {}
        }
    }
    Ok(found)
}
