//! What gas costs: prices for the next block, and what was paid in blocks before.

use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::FeeHistory;
use lode_chain_types::Height;

use crate::{
    arguments::{Arguments, Number},
    failure::Failure,
    selector::Selector,
    service::{Answer, Methods, Service},
    whole::{Whole, blob_price},
};

/// Blocks that one history may span (as in geth).
const HISTORY_MAX: u64 = 1_024;
/// Percentiles that one history may ask for.
const PERCENTILES_MAX: usize = 100;
/// Blocks whose tips are looked at for a proposal.
const SAMPLE: u64 = 20;
/// Blocks that are fuller than this, in percent, ask for a tip.
const FULL_PERCENT: u64 = 80;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("eth_gasPrice", price);
    methods.quick("eth_maxPriorityFeePerGas", tip);
    methods.quick("eth_baseFee", base_fee);
    methods.quick("eth_blobBaseFee", blob_fee);
    methods.heavy("eth_feeHistory", history);
}

fn last(service: &Service) -> Answer<Header> {
    let view = service.view();
    let header = view.header(view.tip())?;
    header.ok_or_else(|| Failure::server("header not found"))
}

/// The base fee of the block after `header`, in wei.
pub(crate) fn next_base_fee(service: &Service, header: &Header) -> Option<u64> {
    header.next_block_base_fee(service.ledger.chain().base_fee_params())
}

fn base_fee(service: &Service, _: &mut Arguments<'_>) -> Answer<Option<U64>> {
    Ok(next_base_fee(service, &last(service)?).map(U64::from))
}

/// What a unit of blob gas costs in the block after `header`, in wei.
fn next_blob_fee(service: &Service, header: &Header) -> Option<u128> {
    let blobs = service.ledger.chain().spec.blob_params(header.timestamp)?;
    let excess = header.next_block_excess_blob_gas(blobs)?;
    Some(blobs.calc_blob_fee(excess))
}

fn blob_fee(service: &Service, _: &mut Arguments<'_>) -> Answer<U256> {
    let fee = next_blob_fee(service, &last(service)?);
    Ok(U256::from(fee.unwrap_or(0)))
}

/// The last block's base fee and a tip (as in geth): the next block's may be an eighth more or less.
fn price(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U256> {
    let tip = tip(service, arguments)?;
    let fee = last(service)?.base_fee_per_gas.unwrap_or(0);
    Ok(tip + U256::from(fee))
}

/// A tip that gets a transaction into one of the next blocks: what full blocks were paid, and the
/// least there is while blocks have room.
fn tip(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U256> {
    arguments.end()?;
    suggested(service).map(U256::from)
}

pub(crate) fn suggested(service: &Service) -> Answer<u128> {
    let view = service.view();
    let from = view.tip().saturating_sub(SAMPLE - 1);
    let mut tips = Vec::new();
    for height in from..=view.tip() {
        let Some(header) = view.header(height)? else {
            continue;
        };
        if header.gas_used * 100 < header.gas_limit * FULL_PERCENT {
            continue;
        }
        if let Some(whole) = service.recent.block(&view, height)? {
            tips.extend(paid(&whole).map(|paid| paid.tip).min());
        }
    }
    tips.sort_unstable();
    let middle = tips.get(tips.len() / 2).copied().unwrap_or(0);
    Ok(middle.max(service.config.tip))
}

/// What a transaction paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Paid {
    tip: u128,
    gas: u64,
}

fn paid(whole: &Whole) -> impl Iterator<Item = Paid> {
    let base_fee = whole.header.base_fee_per_gas.unwrap_or(0);
    let mut before = 0;
    let all = whole.transactions().iter().zip(&whole.receipts);
    all.map(move |(one, receipt)| {
        let total = receipt.cumulative_gas_used();
        let gas = total - before;
        before = total;
        let tip = one.effective_tip_per_gas(base_fee).unwrap_or(0);
        Paid { tip, gas }
    })
}

fn history(service: &Service, arguments: &mut Arguments<'_>) -> Answer<FeeHistory> {
    let count = arguments.required::<Number>()?.get().min(HISTORY_MAX);
    let newest: Selector = arguments.required()?;
    let percentiles: Vec<f64> = arguments.optional()?.unwrap_or_default();
    arguments.end()?;
    check_percentiles(&percentiles)?;
    let view = service.view();
    let newest = match newest {
        Selector::Number(number) if number > view.tip() => {
            return Err(Failure::server(format!(
                "request beyond head block: requested {number}, head {}",
                view.tip()
            )));
        }
        newest => newest.known(&view)?,
    };
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    if view.is_pruned(newest) {
        return Err(Failure::pruned());
    }
    let oldest = (newest + 1).saturating_sub(count);
    let oldest = if newest > 0 {
        oldest.max(view.base())
    } else {
        oldest
    };
    let mut history = History {
        service,
        answer: FeeHistory {
            oldest_block: oldest,
            reward: (!percentiles.is_empty()).then(Vec::new),
            ..FeeHistory::default()
        },
        percentiles,
    };
    let deadline = service.deadline();
    for height in oldest..=newest {
        deadline.check()?;
        history.block(&view, height)?;
    }
    Ok(history.answer)
}

/// They rise, and are percents.
fn check_percentiles(percentiles: &[f64]) -> Answer<()> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(Failure::server(format!(
            "over the query limit {PERCENTILES_MAX}"
        )));
    }
    let mut before = 0.0;
    for (index, percent) in percentiles.iter().enumerate() {
        if !(0.0..=100.0).contains(percent) {
            return Err(Failure::server(format!(
                "invalid reward percentile: {percent}"
            )));
        }
        if index > 0 && *percent <= before {
            return Err(Failure::server(format!(
                "invalid reward percentile: #{}:{before} >= #{index}:{percent}",
                index - 1
            )));
        }
        before = *percent;
    }
    Ok(())
}

struct History<'service> {
    service: &'service Service,
    answer: FeeHistory,
    percentiles: Vec<f64>,
}

impl History<'_> {
    fn block(&mut self, view: &lode_chain_ledger::View, height: Height) -> Answer<()> {
        let header = view.header(height)?;
        let header = header.ok_or_else(|| Failure::server("header not found"))?;
        let (service, answer) = (self.service, &mut self.answer);
        let spec = &service.ledger.chain().spec;
        let blobs = spec.blob_params(header.timestamp);
        // The next block's fees take the last place, until that block comes itself.
        answer
            .base_fee_per_gas
            .truncate(answer.gas_used_ratio.len());
        answer
            .base_fee_per_blob_gas
            .truncate(answer.gas_used_ratio.len());
        answer.base_fee_per_gas.extend([
            u128::from(header.base_fee_per_gas.unwrap_or(0)),
            u128::from(next_base_fee(service, &header).unwrap_or(0)),
        ]);
        answer.base_fee_per_blob_gas.extend([
            blob_price(&header, spec).unwrap_or(0),
            next_blob_fee(service, &header).unwrap_or(0),
        ]);
        let blob_max = blobs.map_or(0, |blobs| blobs.max_blob_gas_per_block());
        let blob_used = header.blob_gas_used.unwrap_or(0);
        answer
            .gas_used_ratio
            .push(ratio(header.gas_used, header.gas_limit));
        answer.blob_gas_used_ratio.push(ratio(blob_used, blob_max));
        if let Some(rewards) = &mut answer.reward {
            let whole = service.recent.block(view, height)?;
            let whole = whole.ok_or_else(|| Failure::server("block not found"))?;
            rewards.push(tips(&whole, &self.percentiles));
        }
        Ok(())
    }
}

/// Tips at these percents of a block's gas, by rising tips.
fn tips(whole: &Whole, percentiles: &[f64]) -> Vec<u128> {
    let mut all: Vec<Paid> = paid(whole).collect();
    all.sort_unstable();
    let mut all = all.into_iter().peekable();
    let mut sum = all.peek().map_or(0, |first| first.gas);
    let tips = percentiles.iter().map(|percent| {
        let wanted = part(whole.header.gas_used, *percent);
        while sum < wanted {
            let Some(_) = all.next_if(|_| true) else {
                break;
            };
            let Some(next) = all.peek() else { break };
            sum += next.gas;
        }
        all.peek().map_or(0, |paid| paid.tip)
    });
    tips.collect()
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "JSON-RPC wants a fraction; its last digits do not matter"
)]
fn ratio(used: u64, most: u64) -> f64 {
    if most == 0 {
        return 0.0;
    }
    used as f64 / most as f64
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a percent between 0 and 100 of a block's gas"
)]
fn part(gas: u64, percent: f64) -> u64 {
    (gas as f64 * percent / 100.0) as u64
}
