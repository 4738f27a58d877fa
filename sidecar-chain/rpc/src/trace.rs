//! Transactions looked into (`trace_`), as Parity's successors show them: flat lists of calls.

use alloy_primitives::{B256, map::HashSet};
use alloy_rpc_types_eth::{TransactionInfo, TransactionRequest};
use alloy_rpc_types_trace::{
    filter::TraceFilter,
    parity::{LocalizedTransactionTrace, TraceResults, TraceResultsWithTransactionHash, TraceType},
};
use lode_chain_ledger::View;
use lode_chain_types::Height;
use revm::DatabaseCommit as _;
use revm_inspectors::tracing::{
    TraceLimitBehavior, TraceLimits, TracingInspector, TracingInspectorConfig,
};

use crate::{
    arguments::{Arguments, Hash},
    call::Stage,
    debug::not_found,
    failure::Failure,
    ground::Ground,
    replay::{Bound, Replay},
    selector::Selector,
    service::{Answer, Deadline, Methods, Service},
    whole::Whole,
};

/// Blocks that `trace_filter` may span: each is executed again.
const FILTER_MAX: u64 = 100;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("trace_block", block);
    methods.heavy("trace_transaction", transaction);
    methods.heavy("trace_filter", filter);
    methods.heavy("trace_replayTransaction", replay_transaction);
    methods.heavy("trace_replayBlockTransactions", replay_block);
    methods.heavy("trace_call", call);
}

type Traces = Vec<LocalizedTransactionTrace>;

fn inspector(service: &Service, config: TracingInspectorConfig) -> TracingInspector {
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(service.config.trace_len_max))
        .set_behavior(TraceLimitBehavior::Halt);
    TracingInspector::new(config).with_limits(limits)
}

fn bound(service: &Service, types: &HashSet<TraceType>) -> Bound {
    let len_max = if types.contains(&TraceType::VmTrace) {
        service.config.trace_len_max
    } else {
        usize::MAX
    };
    Bound::new(len_max, true)
}

/// Traces of a block's transactions, or of one of them.
fn traces(
    service: &Service,
    view: &View,
    height: Height,
    only: Option<B256>,
    deadline: Deadline,
) -> Answer<Traces> {
    let whole = read(service, view, height)?;
    let below = Ground::below(view.clone(), height)?;
    let mut replay = Replay::new(service, &below, &whole)?;
    let mut all = Vec::new();
    for (index, transaction) in (0_u64..).zip(whole.recovered()) {
        deadline.check()?;
        let hash = *transaction.tx_hash();
        if only.is_some_and(|only| only != hash) {
            replay.pass(transaction)?;
            continue;
        }
        let mut tracer = inspector(service, TracingInspectorConfig::default_parity());
        let (env, done) = replay.inspect(transaction, &mut tracer)?;
        tracer.set_transaction_gas_limit(env.gas_limit);
        let info = TransactionInfo {
            hash: Some(hash),
            index: Some(index),
            block_hash: Some(whole.hash),
            block_number: Some(height),
            base_fee: whole.header.base_fee_per_gas,
            ..TransactionInfo::default()
        };
        let builder = tracer
            .into_parity_builder()
            .with_transaction_gas_used(done.result.tx_gas_used());
        all.extend(builder.into_localized_transaction_traces_iter(info));
        replay.state.commit(done.state);
        if only.is_some() {
            break;
        }
    }
    Ok(all)
}

fn read(service: &Service, view: &View, height: Height) -> Answer<std::sync::Arc<Whole>> {
    let whole = service.recent.block(view, height)?;
    whole.ok_or_else(|| not_found(Selector::Number(height)))
}

fn block(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Traces>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    match at.height(&view)? {
        None => Ok(None),
        Some(0) => Ok(Some(Vec::new())),
        Some(height) => traces(service, &view, height, None, service.deadline()).map(Some),
    }
}

fn transaction(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Traces>> {
    let Hash(hash) = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let Some(place) = view.place(&hash)? else {
        return Ok(None);
    };
    let deadline = service.deadline();
    traces(service, &view, place.height, Some(hash), deadline).map(Some)
}

fn filter(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Traces> {
    let wanted: TraceFilter = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let to = wanted.to_block.unwrap_or_else(|| view.tip());
    let from = wanted.from_block.unwrap_or(0).max(1);
    if to > view.tip() {
        return Err(Failure::argument(
            "block range extends beyond current head block",
        ));
    }
    if to.saturating_sub(from) >= FILTER_MAX {
        let data = serde_json::json!({ "blocksMax": FILTER_MAX });
        return Err(Failure::limit("block range is too wide", data));
    }
    let matcher = wanted.matcher();
    let deadline = service.deadline();
    let mut found = Vec::new();
    for height in from..=to {
        let all = traces(service, &view, height, None, deadline)?.into_iter();
        found.extend(all.filter(|one| matcher.matches(&one.trace)));
    }
    let skip = usize::try_from(wanted.after.unwrap_or(0)).unwrap_or(usize::MAX);
    let take = wanted.count.map_or(usize::MAX, |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    });
    Ok(found.into_iter().skip(skip).take(take).collect())
}

/// Full traces of a block's transactions, or of one of them.
fn results(
    service: &Service,
    view: &View,
    height: Height,
    types: &HashSet<TraceType>,
    only: Option<B256>,
) -> Answer<Vec<TraceResultsWithTransactionHash>> {
    let whole = read(service, view, height)?;
    let below = Ground::below(view.clone(), height)?;
    let mut replay = Replay::new(service, &below, &whole)?;
    let deadline = service.deadline();
    let mut all = Vec::new();
    for transaction in whole.recovered() {
        deadline.check()?;
        let hash = *transaction.tx_hash();
        if only.is_some_and(|only| only != hash) {
            replay.pass(transaction)?;
            continue;
        }
        let config = TracingInspectorConfig::from_parity_config(types);
        let mut tracer = inspector(service, config);
        let (_, done) = replay.inspect(transaction, (bound(service, types), &mut tracer))?;
        let full_trace = tracer.into_parity_builder().into_trace_results_with_state(
            &done,
            types,
            &replay.state,
        )?;
        all.push(TraceResultsWithTransactionHash {
            full_trace,
            transaction_hash: hash,
        });
        replay.state.commit(done.state);
        if only.is_some() {
            break;
        }
    }
    Ok(all)
}

fn replay_block(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Option<Vec<TraceResultsWithTransactionHash>>> {
    let at: Selector = arguments.required()?;
    let types: HashSet<TraceType> = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    match at.height(&view)? {
        None => Ok(None),
        Some(0) => Ok(Some(Vec::new())),
        Some(height) => results(service, &view, height, &types, None).map(Some),
    }
}

fn replay_transaction(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Option<TraceResults>> {
    let Hash(hash) = arguments.required()?;
    let types: HashSet<TraceType> = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let Some(place) = view.place(&hash)? else {
        return Ok(None);
    };
    let all = results(service, &view, place.height, &types, Some(hash))?;
    Ok(all.into_iter().next().map(|one| one.full_trace))
}

fn call(service: &Service, arguments: &mut Arguments<'_>) -> Answer<TraceResults> {
    let request: TransactionRequest = arguments.required()?;
    let types: HashSet<TraceType> = arguments.required()?;
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    arguments.end()?;
    let ground = service.ground(at)?;
    let mut stage = Stage::new(service, &ground, None, None)?;
    let transaction = stage.transaction(request)?;
    let config = TracingInspectorConfig::from_parity_config(&types);
    let mut tracer = inspector(service, config);
    let done = stage.inspect(transaction, (bound(service, &types), &mut tracer))?;
    let builder = tracer.into_parity_builder();
    Ok(builder.into_trace_results_with_state(&done, &types, &stage.state)?)
}
