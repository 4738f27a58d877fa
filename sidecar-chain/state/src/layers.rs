//! Blocks that are not final: each lies on its parent in memory until one of them is kept.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::Bytes;

use crate::{
    key::Key,
    versions::{Changes, Error, Read},
};

/// A state with blocks on top of it that are not kept. Cheap to clone and to build upon.
#[derive(Clone)]
pub struct Layers<S> {
    base: S,
    /// The youngest last.
    blocks: Vec<Arc<Changes>>,
}

impl<S: Read + Clone> Layers<S> {
    /// A state without blocks on top.
    pub fn new(base: S) -> Self {
        let blocks = Vec::new();
        Layers { base, blocks }
    }

    /// The same with one block more.
    #[must_use]
    pub fn with(&self, block: Arc<Changes>) -> Self {
        let mut layers = self.clone();
        layers.blocks.push(block);
        layers
    }
}

/// A state without anything in it.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Read for Nothing {
    fn get(&self, _: &Key) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }

    fn below(&self, _: &[u8]) -> Result<BTreeSet<Key>, Error> {
        Ok(BTreeSet::new())
    }
}

impl<S: Read> Read for Layers<S> {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        let changed = self.blocks.iter().rev().find_map(|block| block.get(key));
        match changed {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn below(&self, prefix: &[u8]) -> Result<BTreeSet<Key>, Error> {
        let mut keys = self.base.below(prefix)?;
        for block in &self.blocks {
            let from = block.range(Key::stored(prefix)..);
            let below = from.take_while(|(key, _)| key.as_bytes().starts_with(prefix));
            for (key, value) in below {
                if value.is_some() {
                    keys.insert(key.clone());
                } else {
                    keys.remove(key);
                }
            }
        }
        Ok(keys)
    }
}
