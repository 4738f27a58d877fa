//! What is known of a blob: `zgs_getFileInfo`, `zgs_getFileInfoByTxSeq`, `zgs_checkFileFinalized`.

use std::sync::Arc;

use jsonrpsee::types::Params;
use lode_flow::Submission;
use lode_wire::{FileInfo, Transaction};

use super::{Answer, Arguments, Methods, SeqOrRoot};
use crate::room::Room;

pub fn register(methods: &mut Methods) {
    methods.add("zgs_getFileInfo", by_root);
    methods.add("zgs_getFileInfoByTxSeq", by_seq);
    methods.add("zgs_checkFileFinalized", finalized);
}

/// The second parameter asks for a submission that can be read or written: here each can, or none is
/// there.
async fn by_root(room: Arc<Room>, params: Params<'static>) -> Answer<Option<FileInfo>> {
    let mut arguments = Arguments::of(&params);
    let root = arguments.next()?;
    arguments.optional::<bool>()?;
    info_of(&room, SeqOrRoot::Root(root)).await
}

async fn by_seq(room: Arc<Room>, params: Params<'static>) -> Answer<Option<FileInfo>> {
    let seq = Arguments::of(&params).next()?;
    info_of(&room, SeqOrRoot::Seq(seq)).await
}

async fn finalized(room: Arc<Room>, params: Params<'static>) -> Answer<Option<bool>> {
    let which: SeqOrRoot = Arguments::of(&params).next()?;
    match which.find(&room)? {
        Some(submission) => Ok(Some(room.shelf.held(&submission).await?.whole)),
        None => Ok(None),
    }
}

async fn info_of(room: &Room, which: SeqOrRoot) -> Answer<Option<FileInfo>> {
    let Some(submission) = which.find(room)? else {
        return Ok(None);
    };
    let held = room.shelf.held(&submission).await?;
    Ok(Some(FileInfo {
        tx: transaction(submission),
        finalized: held.whole,
        is_cached: false,
        uploaded_seg_num: held.chunks,
        pruned: false,
    }))
}

/// A submission in the wire's words.
fn transaction(submission: Submission) -> Transaction {
    let nodes = submission.nodes.iter();
    let nodes = nodes.map(|node| (u64::from(node.height) + 1, node.root));
    Transaction {
        stream_ids: Vec::new(),
        data: Vec::new(),
        data_merkle_root: submission.root,
        merkle_nodes: nodes.collect(),
        start_entry_index: submission.start,
        size: submission.size,
        seq: submission.seq,
    }
}
