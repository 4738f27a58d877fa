//! Listing blobs in the order of their roots, though the index keeps none.

use std::{collections::BTreeMap, rc::Rc};

use lode_world::World;

use crate::{
    Root,
    shard::Shard,
    store::{self, BlobInfo},
};

/// The first `limit` blobs of a shard with roots after `after`. Walks the whole index in pieces.
pub(crate) async fn list<W: World>(
    shard: Rc<Shard<W>>,
    after: Option<Root>,
    limit: usize,
) -> Vec<BlobInfo> {
    let mut first = BTreeMap::new();
    let mut block = 0;
    while block < shard.catalog.borrow().index().blocks() {
        for (root, found) in shard.catalog.borrow().index().block(block) {
            if after.is_none_or(|after| root > after) && !shard.expired(found.expiry()) {
                let info = BlobInfo {
                    root,
                    size: found.size(),
                    expiry: store::expiry(found.expiry()),
                };
                first.insert(root, info);
                if first.len() > limit {
                    first.pop_last();
                }
            }
        }
        block += 1;
        shard.world.breathe().await;
    }
    first.into_values().collect()
}
