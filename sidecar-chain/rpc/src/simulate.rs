//! Blocks that might come (`eth_simulateV1`): which ones a caller wants, in order and without gaps.

use alloy_primitives::{Bytes, U64, U256};
use alloy_rpc_types_eth::{
    Block, BlockOverrides, Log as RpcLog,
    simulate::{SimBlock, SimulatePayload},
};
use serde::Serialize;

use crate::{
    arguments::Arguments,
    failure::Failure,
    selector::Selector,
    service::{Answer, Methods, Service},
    simulated::Simulation,
};

/// Blocks that one simulation may span (as in geth).
const BLOCKS_MAX: u64 = 256;
/// Seconds between blocks that say nothing of their time (as in geth).
const INTERVAL: u64 = 12;
/// Block numbers that do not rise.
const NUMBER_ORDER: i32 = -38020;
/// Times that do not rise.
const TIME_ORDER: i32 = -38021;
/// More than [`BLOCKS_MAX`].
const TOO_MANY: i32 = -38026;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("eth_simulateV1", simulate);
}

/// A block as it might be, and what its calls returned.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The block.
    #[serde(flatten)]
    pub block: Block,
    /// Its calls.
    pub calls: Vec<Outcome>,
}

/// What a call returned.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What it returned; nothing if it did not go well.
    pub return_data: Bytes,
    /// Its logs.
    pub logs: Vec<RpcLog>,
    /// Gas that it used.
    pub gas_used: U64,
    /// Gas that it had in use at most.
    pub max_used_gas: U64,
    /// One if it went well, else zero.
    pub status: U64,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Wrong>,
}

/// Why a call did not go well.
#[derive(Clone, Debug, Serialize)]
pub struct Wrong {
    /// In geth's words.
    pub message: String,
    /// Geth's number for it.
    pub code: i32,
    /// What a contract said when it reverted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
}

fn simulate(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<Shown>> {
    let wanted: SimulatePayload = arguments.required()?;
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    arguments.end()?;
    if wanted.block_state_calls.is_empty() {
        return Err(Failure::argument("empty input"));
    }
    let ground = service.ground(at)?;
    let (number, time) = (ground.header.number, ground.header.timestamp);
    let (validation, full) = (wanted.validation, wanted.return_full_transactions);
    let transfers = wanted.trace_transfers;
    let blocks = ordered(wanted.block_state_calls, number, time)?;
    let mut simulation = Simulation::new(service, &ground, validation, transfers);
    let deadline = service.deadline();
    let mut shown = Vec::new();
    for block in blocks {
        deadline.check()?;
        shown.push(simulation.block(block, full, deadline)?);
    }
    Ok(shown)
}

/// A block that is wanted, with its place.
pub struct Planned {
    /// Its number.
    pub number: u64,
    /// Its time.
    pub time: u64,
    /// What else is wanted of it.
    pub wanted: SimBlock,
}

/// Blocks with numbers and times that rise, and empty ones where numbers are left out.
fn ordered(wanted: Vec<SimBlock>, mut number: u64, mut time: u64) -> Answer<Vec<Planned>> {
    let base = number;
    let too_many = || Failure::coded(TOO_MANY, "too many blocks");
    if u64::try_from(wanted.len()).unwrap_or(u64::MAX) > BLOCKS_MAX {
        return Err(too_many());
    }
    let mut blocks = Vec::new();
    for mut block in wanted {
        let overrides = block.block_overrides.get_or_insert_default();
        let here = overrides
            .number
            .unwrap_or_else(|| U256::from(number) + U256::ONE);
        if here <= U256::from(number) {
            return Err(Failure::coded(
                NUMBER_ORDER,
                format!("block numbers must be in order: {here} <= {number}"),
            ));
        }
        if here - U256::from(base) > U256::from(BLOCKS_MAX) {
            return Err(too_many());
        }
        let here: u64 = here.saturating_to();
        for between in number + 1..here {
            time = time.saturating_add(INTERVAL);
            blocks.push(empty(between, time));
        }
        number = here;
        let then = overrides.time.unwrap_or(time.saturating_add(INTERVAL));
        if then <= time {
            return Err(Failure::coded(
                TIME_ORDER,
                format!("block timestamps must be in order: {then} <= {time}"),
            ));
        }
        time = then;
        blocks.push(Planned {
            number,
            time,
            wanted: block,
        });
    }
    Ok(blocks)
}

fn empty(number: u64, time: u64) -> Planned {
    Planned {
        number,
        time,
        wanted: SimBlock {
            block_overrides: Some(BlockOverrides::default()),
            ..SimBlock::default()
        },
    }
}
