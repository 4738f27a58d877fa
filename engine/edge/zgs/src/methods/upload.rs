//! Chunks in: `zgs_uploadSegment` and its three sisters.

use std::sync::Arc;

use jsonrpsee::types::Params;
use lode_wire::Segment;

use super::{Answer, Arguments, Methods};
use crate::{intake, room::Room};

pub fn register(methods: &mut Methods) {
    methods.add("zgs_uploadSegment", one);
    methods.add("zgs_uploadSegmentByTxSeq", one_of);
    methods.add("zgs_uploadSegments", many);
    methods.add("zgs_uploadSegmentsByTxSeq", many_of);
}

async fn one(room: Arc<Room>, params: Params<'static>) -> Answer<()> {
    let segment: Segment = Arguments::of(&params).next()?;
    drop(params);
    let submission = room.submission_of(segment.root)?;
    intake::take(&room, segment, submission.as_ref()).await
}

async fn one_of(room: Arc<Room>, params: Params<'static>) -> Answer<()> {
    let (segment, seq) = {
        let mut arguments = Arguments::of(&params);
        (arguments.next::<Segment>()?, arguments.next()?)
    };
    drop(params);
    let submission = room.book.submission(seq)?;
    intake::take(&room, segment, submission.as_ref()).await
}

async fn many(room: Arc<Room>, params: Params<'static>) -> Answer<()> {
    let segments: Vec<Segment> = Arguments::of(&params).next()?;
    drop(params);
    for segment in segments {
        let submission = room.submission_of(segment.root)?;
        intake::take(&room, segment, submission.as_ref()).await?;
    }
    Ok(())
}

/// Chunks that are here already are passed over.
async fn many_of(room: Arc<Room>, params: Params<'static>) -> Answer<()> {
    let (segments, seq) = {
        let mut arguments = Arguments::of(&params);
        (arguments.next::<Vec<Segment>>()?, arguments.next()?)
    };
    drop(params);
    intake::take_all_of(&room, segments, seq).await
}
