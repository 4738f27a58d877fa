//! Chunks out: `zgs_downloadSegment` and its three sisters. Every byte was verified before it leaves;
//! what is not here is null.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonrpsee::types::Params;
use lode_flow::Submission;
use lode_proofs::{SECTORS_PER_CHUNK, chunks, sectors};
use lode_wire::{Segment, text};

use super::{Answer, Arguments, Methods, SeqOrRoot};
use crate::{refusal::Refusal, room::Room};

pub fn register(methods: &mut Methods) {
    methods.add("zgs_downloadSegment", by_root);
    methods.add("zgs_downloadSegmentByTxSeq", by_seq);
    methods.add("zgs_downloadSegmentWithProof", proven_by_root);
    methods.add("zgs_downloadSegmentWithProofByTxSeq", proven_by_seq);
}

async fn by_root(room: Arc<Room>, params: Params<'static>) -> Answer<Option<String>> {
    let mut arguments = Arguments::of(&params);
    let root = SeqOrRoot::Root(arguments.next()?);
    plain(&room, root, arguments.next()?, arguments.next()?).await
}

async fn by_seq(room: Arc<Room>, params: Params<'static>) -> Answer<Option<String>> {
    let mut arguments = Arguments::of(&params);
    let seq = SeqOrRoot::Seq(arguments.next()?);
    plain(&room, seq, arguments.next()?, arguments.next()?).await
}

async fn proven_by_root(room: Arc<Room>, params: Params<'static>) -> Answer<Option<Segment>> {
    let mut arguments = Arguments::of(&params);
    let root = SeqOrRoot::Root(arguments.next()?);
    proven(&room, root, arguments.next()?).await
}

async fn proven_by_seq(room: Arc<Room>, params: Params<'static>) -> Answer<Option<Segment>> {
    let mut arguments = Arguments::of(&params);
    let seq = SeqOrRoot::Seq(arguments.next()?);
    proven(&room, seq, arguments.next()?).await
}

/// Sectors `first..end` of a blob, as base64.
async fn plain(room: &Room, which: SeqOrRoot, first: u64, end: u64) -> Answer<Option<String>> {
    if first >= end {
        return Err(Refusal::param("end_index", text::CHUNK_INDEX));
    }
    if end - first > SECTORS {
        return Err(Refusal::param("end_index", text::TOO_LONG));
    }
    let Some(submission) = which.find(room)? else {
        return Ok(None);
    };
    if end > sectors(submission.size) {
        return Err(Refusal::Sentence(text::CHUNK_INDEX.to_owned()));
    }
    let mut out = String::new();
    // A range may end in the next chunk. Base64 of the parts is that of the whole only where a part is
    // a multiple of three bytes long, so they are put together first.
    let border = (first / SECTORS + 1) * SECTORS;
    let Some(left) = room
        .shelf
        .sectors(&submission, first, end.min(border))
        .await?
    else {
        return Ok(None);
    };
    if end <= border {
        STANDARD.encode_string(&left, &mut out);
        return Ok(Some(out));
    }
    let Some(right) = room.shelf.sectors(&submission, border, end).await? else {
        return Ok(None);
    };
    STANDARD.encode_string([left, right].concat(), &mut out);
    Ok(Some(out))
}

/// A chunk with its proof.
async fn proven(room: &Room, which: SeqOrRoot, index: u64) -> Answer<Option<Segment>> {
    let Some(submission) = which.find(room)? else {
        return Ok(None);
    };
    let Submission { root, size, .. } = submission;
    if index >= chunks(size) {
        return Err(Refusal::param("index", text::INDEX));
    }
    let (first, end) = (index * SECTORS, ((index + 1) * SECTORS).min(sectors(size)));
    let Some(data) = room.shelf.sectors(&submission, first, end).await? else {
        return Ok(None);
    };
    let Some(proof) = room.shelf.prove(&submission, index).await? else {
        return Ok(None);
    };
    Ok(Some(Segment {
        root,
        data,
        index,
        proof: proof.to_wire(),
        file_size: size,
    }))
}

const SECTORS: u64 = 1024;
const _: () = assert!(SECTORS_PER_CHUNK == 1024);
