//! How a submission lies on the disk. Numbers are little-endian; keys, whose order matters, are
//! big-endian. The store below checks its blocks and its journal by checksums, so rows have none.
//!
//! ```text
//!    0  version 1 | nodes | tags: 0 kept, 1 dropped | 0 (5)
//!    8  size 8 | start 8 | block 8
//!   32  root 32 | transaction 32 | root of the flow after it 32
//!  128  submitter 20 | sender 20 | heights of nodes 8, zeros behind the last
//!  176  roots of nodes 32 each
//!    …  tags, up to the end; dropped: length 8, digest 32
//! ```

use lode_proofs::{Hash32, SubmissionNode, flow::SUBMISSION_NODES_MAX};

use crate::{
    submission::{Form, Submission, Tags},
    view::BookError,
};

const VERSION: u8 = 1;
const KEPT: u8 = 0;
const DROPPED: u8 = 1;
/// Bytes before the nodes' roots.
const HEAD_LEN: usize = 176;
/// Bytes for heights.
const HEIGHTS_LEN: usize = 8;
const _: () = assert!(SUBMISSION_NODES_MAX <= HEIGHTS_LEN);

/// A submission, and the root of the flow after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub submission: Submission,
    pub flow_root: Hash32,
}

impl Row {
    /// The row's bytes, without its number, which is its key.
    pub fn encode(&self) -> Vec<u8> {
        let of = &self.submission;
        let count = u8::try_from(of.nodes.len()).expect("a valid submission has at most four");
        let (form, tags) = match &of.tags.0 {
            Form::Kept(bytes) => (KEPT, bytes.clone()),
            Form::Dropped { len, digest } => {
                (DROPPED, [&len.to_le_bytes()[..], &digest.0].concat())
            }
        };
        let mut heights = [0; HEIGHTS_LEN];
        for (height, node) in heights.iter_mut().zip(&of.nodes) {
            *height = node.height;
        }
        let mut bytes = Vec::with_capacity(HEAD_LEN + 32 * of.nodes.len() + tags.len());
        bytes.extend([VERSION, count, form, 0, 0, 0, 0, 0]);
        for number in [of.size, of.start, of.block] {
            bytes.extend(number.to_le_bytes());
        }
        for hash in [of.root.0, of.transaction, self.flow_root.0] {
            bytes.extend(hash);
        }
        bytes.extend(of.submitter);
        bytes.extend(of.sender);
        bytes.extend(heights);
        assert!(bytes.len() == HEAD_LEN, "the head is drawn above");
        bytes.extend(of.nodes.iter().flat_map(|node| node.root.0));
        bytes.extend(tags);
        bytes
    }

    /// The row of that number.
    pub fn decode(seq: u64, bytes: &[u8]) -> Result<Self, BookError> {
        let mut rest = bytes;
        let [version, count, form, ..] = take::<8>(&mut rest)?;
        let count = usize::from(count);
        if version != VERSION || count > SUBMISSION_NODES_MAX {
            return Err(BookError::Damaged("a submission of another version"));
        }
        let (size, start, block) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let (root, transaction) = (Hash32(take(&mut rest)?), take(&mut rest)?);
        let flow_root = Hash32(take(&mut rest)?);
        let (submitter, sender) = (take(&mut rest)?, take(&mut rest)?);
        let heights = take::<HEIGHTS_LEN>(&mut rest)?;
        let nodes = heights[..count].iter().map(|&height| {
            let root = Hash32(take(&mut rest)?);
            Ok(SubmissionNode { root, height })
        });
        let nodes = nodes.collect::<Result<_, BookError>>()?;
        let tags = match form {
            KEPT => Form::Kept(rest.to_vec()),
            DROPPED => Form::Dropped {
                len: number(&mut rest)?,
                digest: Hash32(take(&mut rest)?),
            },
            _ => return Err(BookError::Damaged("tags of another form")),
        };
        Ok(Row {
            submission: Submission {
                seq,
                root,
                size,
                start,
                nodes,
                submitter,
                sender,
                tags: Tags(tags),
                block,
                transaction,
            },
            flow_root,
        })
    }

    /// The sector after its last.
    pub fn end(&self) -> u64 {
        let sectors = self.submission.nodes.iter().map(|node| 1 << node.height);
        self.submission.start + sectors.sum::<u64>()
    }
}

/// The next bytes of a row.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BookError> {
    let short = BookError::Damaged("a row that is too short");
    let (taken, after) = rest.split_first_chunk().ok_or(short)?;
    *rest = after;
    Ok(*taken)
}

/// The next number of a row.
pub(crate) fn number(rest: &mut &[u8]) -> Result<u64, BookError> {
    Ok(u64::from_le_bytes(take(rest)?))
}

/// A number at the end of a key.
pub(crate) fn last_number(key: &[u8]) -> Result<u64, BookError> {
    let bytes = key.last_chunk();
    let bytes = bytes.ok_or(BookError::Damaged("a key that is too short"))?;
    Ok(u64::from_be_bytes(*bytes))
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
