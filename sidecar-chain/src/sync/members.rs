//! Who is a member of the epochs that the chain decides before the checkpoint.
//!
//! The block before an epoch names the members of that epoch and of the next one. Those of the one
//! after that are what the stake registry says in the state after the epoch's first block, which is
//! not here. So the registry is asked in a state that is fetched node by node as it is read, each
//! checked up to the state's root: a few hundred nodes.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use lode_chain_consensus::Validator;
use lode_chain_ledger::Chain;
use lode_chain_state::{
    key::Key,
    layers::{Layers, Nothing},
    versions::{self, Read},
    walk::{Leaf, Place, Refused, Walk},
};

use super::{
    chain::Proven,
    download,
    source::{Asked, Error},
};
use crate::{
    ask::Apart,
    committees::{Committees, LEAD},
};

/// Members, by epoch.
pub(crate) type Lists = Vec<(u64, Vec<Validator>)>;

/// Nodes that may be fetched for one answer: more than a registry with a full committee takes.
const NODES_MAX: usize = 1 << 17;

/// Members of the epochs that the state names with which the chain begins.
///
/// # Errors
/// None but those of reading it.
pub(crate) fn of_genesis(chain: &Chain, committees: &Committees) -> Result<Lists, Error> {
    let state = Layers::new(Nothing).with(Arc::new(chain.changes.clone()));
    let genesis = Apart {
        spec: &chain.spec,
        header: chain.genesis.header(),
        state: &state,
    };
    let lists = (0..=LEAD).map(|epoch| Ok((epoch, committees.ask(&genesis, epoch)?)));
    lists.collect()
}

/// Members of the epoch that `first`, the first block of `epoch`, decides.
///
/// # Errors
/// When the source does not have that state, or lies.
pub(crate) fn decided(
    source: &Asked<'_>,
    chain: &Chain,
    committees: &Committees,
    first: &Proven,
    epoch: u64,
) -> Result<Lists, Error> {
    let state = Remote::new(source, first);
    let contracts = Apart {
        spec: &chain.spec,
        header: &first.header,
        state: &state,
    };
    let members = committees.ask(&contracts, epoch + LEAD);
    // What went wrong with the source is why the state could not be read.
    if let Some(error) = state.failure.into_inner() {
        return Err(error);
    }
    Ok(vec![(epoch + LEAD, members?)])
}

/// The state after a block that a source has.
struct Remote<'source> {
    source: &'source Asked<'source>,
    block: B256,
    root: B256,
    /// Nodes that came.
    nodes: RefCell<BTreeMap<String, Bytes>>,
    failure: RefCell<Option<Error>>,
}

impl From<Refused> for Box<Failed> {
    fn from(refused: Refused) -> Self {
        Box::new(Failed::Refused(refused))
    }
}

/// Why a key could not be looked up.
enum Failed {
    Refused(Refused),
    Source(Error),
    /// More nodes than an honest state has on the way.
    Endless,
}

impl<'source> Remote<'source> {
    fn new(source: &'source Asked<'source>, block: &Proven) -> Self {
        Remote {
            source,
            block: block.hash,
            root: block.header.state_root,
            nodes: RefCell::default(),
            failure: RefCell::default(),
        }
    }

    fn node(&self, place: &Place) -> Result<Bytes, Box<Failed>> {
        let name = place.to_string();
        if let Some(node) = self.nodes.borrow().get(&name) {
            return Ok(node.clone());
        }
        if self.nodes.borrow().len() >= NODES_MAX {
            return Err(Box::new(Failed::Endless));
        }
        let page = download::page(self.source, self.block, place, Some("0x1"))
            .map_err(|error| Box::new(Failed::Source(error)))?;
        let node = page.into_iter().next().unwrap_or_default();
        self.nodes.borrow_mut().insert(name, node.clone());
        Ok(node)
    }

    fn leaf(&self, root: B256, place: &Place) -> Result<Option<Leaf>, versions::Error> {
        let found = Walk::find::<Box<Failed>>(root, place, |place| self.node(place));
        found.map_err(|failed| {
            self.fail(match *failed {
                Failed::Refused(refused) => self.source.lie(refused),
                Failed::Source(error) => error,
                Failed::Endless => self.source.uncertified("a state of a sensible size"),
            })
        })
    }

    /// The error goes around what runs the contract, which knows no sources.
    fn fail(&self, error: Error) -> versions::Error {
        self.failure.replace(Some(error));
        versions::Error::Damaged("a state that is fetched")
    }

    fn account(&self, address: B256) -> Result<Option<Leaf>, versions::Error> {
        let path = Nibbles::unpack(address);
        let account = None;
        self.leaf(self.root, &Place { account, path })
    }

    fn slot(&self, address: B256, slot: B256) -> Result<Option<Leaf>, versions::Error> {
        let Some(Leaf::Account { account, .. }) = self.account(address)? else {
            return Ok(None);
        };
        if account.storage_root == EMPTY_ROOT_HASH {
            return Ok(None);
        }
        let place = Place {
            account: Some(address),
            path: Nibbles::unpack(slot),
        };
        self.leaf(account.storage_root, &place)
    }
}

impl Read for Remote<'_> {
    fn get(&self, key: &Key) -> Result<Option<Bytes>, versions::Error> {
        match key.parts() {
            Some((1, address, None)) => {
                let found = self.account(address)?;
                Ok(found.map(|leaf| leaf.entry().1))
            }
            Some((2, address, Some(slot))) => {
                let found = self.slot(address, slot)?;
                Ok(found.map(|leaf| leaf.entry().1))
            }
            Some((5, hash, None)) => match download::codes(self.source, &[hash]) {
                Ok(codes) => Ok(codes.into_iter().next()),
                Err(error) => Err(self.fail(error)),
            },
            _ => Err(versions::Error::Damaged(
                "a node of a state that is fetched",
            )),
        }
    }

    fn below(&self, _: &[u8]) -> Result<BTreeSet<Key>, versions::Error> {
        Err(versions::Error::Damaged(
            "a state that is fetched is not listed",
        ))
    }
}
