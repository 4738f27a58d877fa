//! Transactions looked into (`debug_`), as geth shows them, and the bytes of what is kept.

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::encode;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::{
    common::TraceResult,
    geth::{GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace},
};
use revm::DatabaseCommit as _;
use revm_inspectors::tracing::{DebugInspector, TraceLimits, TransactionContext};

use crate::{
    arguments::{Arguments, Hash},
    blocks,
    call::Stage,
    failure::Failure,
    ground::Ground,
    replay::{Bound, Replay},
    selector::Selector,
    service::{Answer, Methods, Service},
    whole::Whole,
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("debug_traceTransaction", trace_transaction);
    methods.heavy("debug_traceBlockByNumber", trace_block);
    methods.heavy("debug_traceBlockByHash", trace_block);
    methods.heavy("debug_traceCall", trace_call);
}

pub(crate) fn register_raw(methods: &mut Methods<'_>) {
    methods.quick("debug_getRawHeader", raw_header);
    methods.quick("debug_getRawBlock", raw_block);
    methods.quick("debug_getRawReceipts", raw_receipts);
    methods.quick("debug_getRawTransaction", raw_transaction);
}

/// Who looks on, as a caller wants it, within this node's bounds.
struct Tracer {
    inspector: DebugInspector,
    len_max: usize,
    /// Steps are recorded.
    steps: bool,
    /// With the whole stack each.
    stack: bool,
}

impl Tracer {
    fn new(service: &Service, options: GethDebugTracingOptions) -> Answer<Tracer> {
        let len_max = service.config.trace_len_max;
        let stack = options.config.is_stack_enabled();
        let inspector = DebugInspector::new(options).map_err(wrong)?;
        let limits = TraceLimits::default()
            .set_max_recorded_bytes(Some(len_max))
            .set_behavior(revm_inspectors::tracing::TraceLimitBehavior::Halt);
        let steps = matches!(
            inspector,
            DebugInspector::Default(..) | DebugInspector::Erc7562Tracer(..)
        );
        let inspector = match inspector {
            DebugInspector::Default(one, config) => {
                DebugInspector::Default(one.with_limits(limits), config)
            }
            DebugInspector::CallTracer(one, config) => {
                DebugInspector::CallTracer(one.with_limits(limits), config)
            }
            DebugInspector::PreStateTracer(one, config) => {
                DebugInspector::PreStateTracer(one.with_limits(limits), config)
            }
            DebugInspector::FlatCallTracer(one) => {
                DebugInspector::FlatCallTracer(one.with_limits(limits))
            }
            DebugInspector::Erc7562Tracer(one, config) => {
                DebugInspector::Erc7562Tracer(one.with_limits(limits), config)
            }
            other => other,
        };
        Ok(Tracer {
            inspector,
            len_max,
            steps,
            stack,
        })
    }

    fn bound(&self) -> Bound {
        let len_max = if self.steps { self.len_max } else { usize::MAX };
        Bound::new(len_max, self.stack)
    }

    /// Traces a transaction, which is the next one of a block.
    fn trace(
        &mut self,
        replay: &mut Replay<'_>,
        transaction: Recovered<&TxEnvelope>,
        context: TransactionContext,
    ) -> Answer<GethTrace> {
        let bound = self.bound();
        let looking = (bound, &mut self.inspector);
        let (transaction, done) = replay.inspect(transaction, looking)?;
        let block = &replay.env.block_env;
        let trace = self
            .inspector
            .get_result(Some(context), &transaction, block, &done, &mut replay.state)
            .map_err(wrong)?;
        self.inspector.fuse().map_err(wrong)?;
        replay.state.commit(done.state);
        Ok(trace)
    }
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::server(error.to_string())
}

fn context(whole: &Whole, hash: B256, index: usize) -> TransactionContext {
    TransactionContext::default()
        .with_block_hash(whole.hash)
        .with_tx_hash(hash)
        .with_tx_index(index)
}

fn trace_transaction(service: &Service, arguments: &mut Arguments<'_>) -> Answer<GethTrace> {
    let Hash(hash) = arguments.required()?;
    let options: GethDebugTracingOptions = arguments.optional()?.unwrap_or_default();
    arguments.end()?;
    let view = service.view();
    let missing = || Failure::server("transaction not found");
    let place = view.place(&hash)?.ok_or_else(missing)?;
    let whole = service.recent.block(&view, place.height)?;
    let whole = whole.ok_or_else(missing)?;
    let below = Ground::below(view, place.height)?;
    let mut replay = Replay::new(service, &below, &whole)?;
    let deadline = service.deadline();
    for (index, transaction) in whole.recovered().enumerate() {
        deadline.check()?;
        if *transaction.tx_hash() == hash {
            let context = context(&whole, hash, index);
            return Tracer::new(service, options)?.trace(&mut replay, transaction, context);
        }
        replay.pass(transaction)?;
    }
    Err(missing())
}

type BlockTrace = Vec<TraceResult<GethTrace, String>>;

fn trace_block(service: &Service, arguments: &mut Arguments<'_>) -> Answer<BlockTrace> {
    let at: Selector = arguments.required()?;
    let options: GethDebugTracingOptions = arguments.optional()?.unwrap_or_default();
    arguments.end()?;
    let view = service.view();
    let height = at.height(&view)?.ok_or_else(|| not_found(at))?;
    let whole = service.recent.block(&view, height)?;
    let whole = whole.ok_or_else(|| not_found(at))?;
    let below = Ground::below(view, height)?;
    let mut replay = Replay::new(service, &below, &whole)?;
    let mut tracer = Tracer::new(service, options)?;
    let deadline = service.deadline();
    let mut traces = Vec::new();
    for (index, transaction) in whole.recovered().enumerate() {
        deadline.check()?;
        let hash = *transaction.tx_hash();
        let context = context(&whole, hash, index);
        let trace = tracer.trace(&mut replay, transaction, context)?;
        traces.push(TraceResult::new_success(trace, Some(hash)));
    }
    Ok(traces)
}

/// There is no such block, in geth's words.
pub(crate) fn not_found(at: Selector) -> Failure {
    Failure::server(match at {
        Selector::Hash(hash) => format!("block {hash:#x} not found"),
        Selector::Number(number) => format!("block #{number} not found"),
        _ => "block not found".to_owned(),
    })
}

fn trace_call(service: &Service, arguments: &mut Arguments<'_>) -> Answer<GethTrace> {
    let request: TransactionRequest = arguments.required()?;
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    let options: GethDebugTracingCallOptions = arguments.optional()?.unwrap_or_default();
    arguments.end()?;
    let ground = service.ground(at)?;
    let (state, block) = (options.state_overrides, options.block_overrides);
    let mut stage = Stage::new(service, &ground, state, block)?;
    let transaction = stage.transaction(request)?;
    let mut tracer = Tracer::new(service, options.tracing_options)?;
    let bound = tracer.bound();
    let done = stage.inspect(transaction.clone(), (bound, &mut tracer.inspector))?;
    let block = &stage.env.block_env;
    tracer
        .inspector
        .get_result(None, &transaction, block, &done, &mut stage.state)
        .map_err(wrong)
}

fn raw_header(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Bytes> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let header = view.header(at.known(&view)?)?;
    Ok(header.map(encode).unwrap_or_default().into())
}

fn raw_block(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Bytes> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let height = at.height(&view)?.ok_or_else(|| not_found(at))?;
    let whole = service.recent.block(&view, height)?;
    let whole = whole.ok_or_else(|| not_found(at))?;
    Ok(encode(whole.plain()).into())
}

fn raw_receipts(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Vec<Bytes>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let receipts = view.receipts(at.known(&view)?)?;
    let all = receipts.unwrap_or_default().into_iter();
    Ok(all.map(|receipt| receipt.encoded_2718().into()).collect())
}

fn raw_transaction(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Bytes>> {
    let Hash(hash) = arguments.required()?;
    arguments.end()?;
    blocks::raw(service, &hash)
}
