//! Logs of the flow, as a chain's node tells them: what is believed follows from the nodes in it.
//!
//! ```text
//!  submitter 32 | identity 32 | data     the topics of a Submit log after the first, then the rest
//! ```

use core::slice;

use alloy_primitives::{Address, B256, Log, LogData, U256};
use alloy_rpc_types_eth::Log as NodeLog;
use alloy_sol_types::SolEvent;
use lode_chain_link::{
    abi::Flow::{Submit, SubmitBy},
    flow,
    logs::{LogsError, Read, Reader, Senders},
};
use lode_proofs::{
    SubmissionNode, blob_tree,
    flow::{FlowShape, identity, submission_root},
    keccak::keccak256,
};

use super::Target;

/// Reads a submission.
pub const TARGET: Target = Target {
    name: "flow_log",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// Bytes of the topics.
const TOPICS_LEN: usize = 64;

/// See the file's head.
pub fn run(data: &[u8]) {
    let Some(submit) = submit_log(data) else {
        return;
    };
    // The contract tells the number twice; a node that tells it twice otherwise is found out.
    let seq = data[TOPICS_LEN..].first_chunk().copied();
    let by = SubmitBy {
        submissionIndex: U256::from_be_bytes(seq.unwrap_or([0; 32])),
        caller: Address::ZERO,
    };
    let alone = read(Senders::Signers, slice::from_ref(&submit));
    let Ok(read) = read(Senders::Logged, &[submit, by.encode_log_data()]) else {
        return;
    };
    assert_eq!(
        alone.as_ref().ok(),
        Some(&read),
        "who sent it changes nothing else"
    );
    let [submission] = &read.list[..] else {
        panic!("one was told");
    };
    let nodes = &submission.nodes[..];
    assert_eq!((submission.seq, read.next), (0, 1));
    assert_eq!(identity(nodes).0[..], data[32..TOPICS_LEN], "its nodes");
    assert_eq!(submission_root(nodes), Some(submission.root));
    let sectors: u64 = nodes
        .iter()
        .map(|node: &SubmissionNode| 1 << node.height)
        .sum();
    assert_eq!(submission.start + sectors, read.shape.length());
    assert!(submission.tags.len() < data.len(), "nothing from nothing");
}

/// What a flow has logged, as a reader takes it that learns senders so.
fn read(senders: Senders, told: &[LogData]) -> Result<Read, LogsError> {
    let mut reader = Reader::new(0, FlowShape::NEW, 0..=0, senders);
    told.iter()
        .try_for_each(|data| reader.take(&log(data)))
        .and_then(|()| reader.finish())
}

/// The log that the input stands for; none of a shorter one.
fn submit_log(data: &[u8]) -> Option<LogData> {
    let (topics, rest) = data.split_at_checked(TOPICS_LEN)?;
    let (submitter, identity) = topics.split_at_checked(32)?;
    let topics = [Submit::SIGNATURE_HASH, word(submitter), word(identity)];
    Some(LogData::new_unchecked(topics.into(), rest.to_vec().into()))
}

fn word(bytes: &[u8]) -> B256 {
    B256::from_slice(bytes)
}

fn log(data: &LogData) -> NodeLog {
    let (address, data) = (Address::ZERO, data.clone());
    NodeLog {
        inner: Log { address, data },
        block_number: Some(0),
        transaction_hash: Some(B256::ZERO),
        ..NodeLog::default()
    }
}

/// Makes the identity that of the nodes.
fn repair(data: &mut [u8]) {
    let decoded = submit_log(data).map(|log| Submit::decode_log_data(&log));
    if let Some(Ok(event)) = decoded {
        let nodes = event.submission.nodes.iter();
        let roots: Vec<u8> = nodes.flat_map(|node| node.root.0).collect();
        data[32..TOPICS_LEN].copy_from_slice(&keccak256(&roots));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let sizes = [1, 257, 1025, 5 * 256, 300_000];
    let seed = |size: usize| {
        let tree = blob_tree(&vec![7; size]).expect("not empty");
        let nodes = tree.submission_nodes();
        let sectors = tree.shape().padded_sectors();
        let height = nodes[0].height;
        let event = Submit {
            sender: Address::repeat_byte(1),
            identity: tree.identity().0.into(),
            submissionIndex: U256::ZERO,
            startPos: U256::from(1_u64 << height),
            length: U256::from(sectors),
            submission: flow::data(&tree, b"tags".as_slice().into()),
        };
        let log = event.encode_log_data();
        let topics = log.topics()[1..].iter().flat_map(|topic| topic.0);
        topics.chain(log.data.iter().copied()).collect()
    };
    sizes.into_iter().map(seed).collect()
}
