//! The node itself: `zgs_getStatus`, `zgs_getShardConfig`.

use std::sync::Arc;

use jsonrpsee::types::Params;
use lode_proofs::Hash32;
use lode_wire::{Slice, Status};

use super::{Answer, Methods};
use crate::room::Room;

pub fn register(methods: &mut Methods) {
    methods.add("zgs_getStatus", status);
    methods.add("zgs_getShardConfig", slice);
}

async fn status(room: Arc<Room>, _params: Params<'static>) -> Answer<Status> {
    let synced = room.book.synced()?;
    Ok(Status {
        connected_peers: room.peers(),
        log_sync_height: synced.map_or(0, |block| block.number),
        log_sync_block: Hash32(synced.map_or([0; 32], |block| block.hash)),
        next_tx_seq: room.book.next_seq()?,
        network_identity: room.config.identity.clone(),
    })
}

async fn slice(room: Arc<Room>, _params: Params<'static>) -> Answer<Slice> {
    Ok(room.shelf.slice())
}
