//! What a node that begins with the state of a block asks others for: a block with its certificate,
//! headers, the nodes of that state, and contracts' code. It checks all of it by itself.
//!
//! | method | answers |
//! |---|---|
//! | `lode_getCheckpoint []` | the newest block with a certificate of its own, as `lode_getFinality` |
//! | `lode_getBlock [block]` | the block as validators send it; null if there is none |
//! | `lode_getHeaders [number, count]` | headers in RLP, that one and those below it, the youngest first |
//! | `lode_getStateNodes [block, place, count]` | nodes of its state from a place on, see `lode_chain_state::walk` |
//! | `lode_getCodes [hashes]` | code by its hash, as much as fits; null where there is none |
//!
//! Promises: an answer takes at most [`NODES_MAX`] reads of the store and [`LEN_MAX`] bytes, but for a
//! single item that is longer. A state that is gone is told by code [`GONE`].

use alloy_primitives::Bytes;
use alloy_rlp::encode;
use lode_chain_ledger as ledger;
use lode_chain_state::{
    key::Key,
    versions::{self, Read as _},
    walk::{self, Walk},
};
use lode_chain_types::Height;
use serde::Deserialize;

use crate::{
    arguments::{Arguments, Hash, Quantity, text},
    chain::{Finalized, finalized},
    failure::Failure,
    ground::Ground,
    selector::Selector,
    service::{Answer, Methods, Service},
};

/// What was asked for is not there any more (EIP-1474, "resource not found").
pub const GONE: i32 = -32001;
/// Nodes of an answer: as many reads of the store.
pub const NODES_MAX: usize = 4096;
/// Bytes of an answer before they are written as text.
pub const LEN_MAX: usize = 512 << 10;
/// Headers of an answer.
pub const HEADERS_MAX: u64 = 1024;
/// Codes that may be asked for at once.
pub const CODES_MAX: usize = 256;
/// Blocks that are looked at for one with a certificate of its own: a certificate makes all blocks
/// below final too, so not each has one.
const LOOKED_AT_MAX: u64 = 1024;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("lode_getCheckpoint", checkpoint);
    methods.heavy("lode_getBlock", block);
    methods.heavy("lode_getHeaders", headers);
    methods.heavy("lode_getStateNodes", nodes);
    methods.heavy("lode_getCodes", codes);
}

fn checkpoint(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Finalized>> {
    arguments.end()?;
    let view = service.view();
    let lowest = view.tip().saturating_sub(LOOKED_AT_MAX).max(view.base());
    for height in (lowest..=view.tip()).rev() {
        if view.finality(height)?.is_some() {
            return finalized(&view, height);
        }
    }
    Ok(None)
}

fn block(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Bytes>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let Some(height) = at.height(&view)? else {
        return Ok(None);
    };
    let found = view.block(height)?;
    Ok(found.map(|(block, _)| block.encode().into()))
}

fn headers(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<Bytes>> {
    let Quantity(newest) = arguments.required()?;
    let Quantity(count) = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let newest = newest.min(view.tip());
    let oldest = (newest + 1).saturating_sub(count.min(HEADERS_MAX));
    let mut headers = Vec::new();
    for height in (oldest..=newest).rev() {
        match view.header(height)? {
            Some(header) => headers.push(encode(header).into()),
            None => break,
        }
    }
    Ok(headers)
}

/// A place in a state, as text.
struct Place(walk::Place);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| {
            text.parse()
                .map(Place)
                .map_err(|error: walk::NoPlace| error.to_string())
        })
    }
}

fn nodes(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<Bytes>> {
    let at: Selector = arguments.required()?;
    let Place(place) = arguments.required()?;
    let count = arguments.optional::<Quantity>()?;
    arguments.end()?;
    let count = count.map_or(NODES_MAX, |Quantity(count)| {
        usize::try_from(count).unwrap_or(NODES_MAX).min(NODES_MAX)
    });
    let view = service.view();
    let height = at
        .height(&view)?
        .ok_or_else(|| Failure::coded(GONE, "block is not known"))?;
    let Ground { header, state, .. } = match view.state(height) {
        Ok(_) => Ground::new(view, height)?,
        Err(ledger::Error::State(versions::Error::NotKept { at, from, tip })) => {
            return Err(gone(at, from, tip));
        }
        Err(error) => return Err(error.into()),
    };
    let walked = Walk::at(header.state_root, &place, &state)
        .and_then(|mut walk| walk.page(&state, count, LEN_MAX));
    walked.map_err(|error| match error {
        walk::Error::State(error) => error.into(),
        walk::Error::Refused(refused) => {
            tracing::error!(%refused, height, "the store's state is not that of its header");
            Failure::server("the state of this node is damaged")
        }
    })
}

fn gone(at: Height, from: Height, tip: Height) -> Failure {
    Failure::coded(
        GONE,
        format!(
            "the state of block {at} is gone: this node has those of blocks {from} to {tip}; begin \
             again with a newer checkpoint"
        ),
    )
}

fn codes(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<Option<Bytes>>> {
    let hashes: Vec<Hash> = arguments.required()?;
    arguments.end()?;
    if hashes.len() > CODES_MAX {
        return Err(Failure::argument(format!(
            "too many hashes (max {CODES_MAX})"
        )));
    }
    let view = service.view();
    let state = view.state(view.tip())?;
    let (mut codes, mut len) = (Vec::new(), 0);
    for Hash(hash) in hashes {
        // Code is kept for ever, so that of any block is in the last one's state.
        let code = state.get(&Key::code(&hash))?;
        len += code.as_ref().map_or(0, |code| code.len());
        if !codes.is_empty() && len > LEN_MAX {
            break;
        }
        codes.push(code);
    }
    Ok(codes)
}
