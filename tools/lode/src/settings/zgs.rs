//! The settings of 0G's storage RPC.

use std::net::SocketAddr;

use alloy_primitives::Address;
use lode_peers::PeerAddress;
use lode_wire::Slice;
use lode_zgs::OperatorDoors;

use super::{Texts, operator};
use crate::failure::{Failure, Outcome};

/// How 0G's storage RPC is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZgsSettings {
    /// Where.
    pub listen: SocketAddr,
    /// Where its gRPC twin is, if it is.
    pub grpc: Option<SocketAddr>,
    /// Web pages that may ask.
    pub origins: Vec<String>,
    /// The flow's contract.
    pub flow: Address,
    /// The block from which on the flow is followed.
    pub first_block: u64,
    /// Which part of it is kept.
    pub slice: Slice,
    /// The other nodes, if it speaks to any.
    pub peers: Option<PeersSettings>,
    /// Where the operator is answered, if he is.
    pub operator: OperatorDoors,
}

/// How a node speaks to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who they are; this node may be among them.
    pub others: Vec<PeerAddress>,
}

/// What means something only where 0G's storage RPC is served, and has no default.
const NEED_IT: [&str; 6] = [
    "zgs_grpc_listen",
    "zgs_origins",
    "peers_listen",
    "peers",
    "operator_listen",
    "operator_token",
];

/// None unless it has an address to listen on; then there must be a chain.
pub(super) fn settings(texts: &Texts) -> Outcome<Option<ZgsSettings>> {
    if texts.text("zgs_listen").is_empty() {
        return match NEED_IT.iter().find(|name| !texts.text(name).is_empty()) {
            None => Ok(None),
            Some(name) => {
                let what = format!("{name} is set, and zgs_listen is not: it would do nothing");
                Err(Failure::usage(what, "set zgs_listen as well"))
            }
        };
    }
    if texts.text("chain").is_empty() {
        let what = "zgs_listen is set, and chain is not: what clients of 0G upload is what the \
                    chain has ordered";
        return Err(Failure::usage(what, "name the chain's RPC by --chain URL"));
    }
    let origins = texts.text("zgs_origins").split(',').map(str::trim);
    Ok(Some(ZgsSettings {
        listen: texts.parse("zgs_listen", |text| text.parse().ok())?,
        grpc: texts.parse("zgs_grpc_listen", |text| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        })?,
        origins: origins
            .filter(|origin| !origin.is_empty())
            .map(str::to_owned)
            .collect(),
        flow: texts.parse("flow_address", |text| match text {
            "" => Some(lode_chain_link::addresses::FLOW),
            text => text.parse().ok(),
        })?,
        slice: texts.parse("slice", |text| {
            let (id, count) = text.split_once('/')?;
            Slice::new(id.parse().ok()?, count.parse().ok()?).ok()
        })?,
        peers: peers(texts)?,
        operator: operator::settings(texts)?,
        first_block: texts.parse("flow_first_block", |text| text.parse().ok())?,
    }))
}

/// None unless it has an address to listen on.
fn peers(texts: &Texts) -> Outcome<Option<PeersSettings>> {
    if texts.text("peers_listen").is_empty() {
        return Ok(None);
    }
    Ok(Some(PeersSettings {
        listen: texts.parse("peers_listen", |text| text.parse().ok())?,
        others: texts.parse("peers", |text| {
            let names = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            names.map(|name| name.parse().ok()).collect()
        })?,
    }))
}
