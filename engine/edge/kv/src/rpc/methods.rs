//! The methods, in the order of 0G wire, 3.3.

use core::ops::Bound;
use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonrpsee::RpcModule;
use serde::Serialize;

use super::{
    arguments::Arguments,
    failure::Failure,
    service::{Method, Service, WAIT_MAX},
};
use crate::{
    node_feed::GivenUp,
    register,
    replay::Progress,
    store::{Found, Order, View},
    stream::StreamId,
};

/// All of them.
pub(super) fn module(service: Arc<Service>) -> RpcModule<Service> {
    let mut module = RpcModule::from_arc(service);
    add(&mut module, "kv_getStatus", status);
    add(&mut module, "kv_getValue", value);
    add(&mut module, "kv_getNext", next);
    add(&mut module, "kv_getPrev", prev);
    add(&mut module, "kv_getFirst", first);
    add(&mut module, "kv_getLast", last);
    add(&mut module, "kv_getTransactionResult", result);
    add(&mut module, "kv_getHoldingStreamIds", streams);
    add(&mut module, "kv_getReplayProgress", progress);
    add(&mut module, "kv_hasWritePermission", may_write);
    add(&mut module, "kv_isAdmin", is_admin);
    // One of 0G's clients spells it so.
    add(&mut module, "kv_IsAdmin", is_admin);
    add(&mut module, "kv_isSpecialKey", is_special);
    add(&mut module, "kv_isWriterOfKey", is_key_writer);
    add(&mut module, "kv_isWriterOfStream", is_writer);
    add(&mut module, "admin_addStream", add_stream);
    add(&mut module, "lode_getGivenUp", given_up);
    let registered = module.register_async_method("lode_waitForSeq", |params, service, _| {
        let arguments = Arguments::new(&params);
        async move { wait(&service, arguments?).await }
    });
    registered.expect("names of methods differ");
    module
}

fn add<R: Serialize + Clone + Send + 'static>(
    module: &mut RpcModule<Service>,
    name: &'static str,
    method: Method<R>,
) {
    let registered = module.register_async_method(name, move |params, service, _| {
        let arguments = Arguments::new(&params);
        async move { service.run(method, arguments?).await }
    });
    registered.expect("names of methods differ");
}

/// A value, or a part of it.
#[derive(Clone, Debug, Serialize)]
struct ValueSegment {
    version: u64,
    data: String,
    size: u64,
}

/// A value, or a part of it, with its key.
#[derive(Clone, Debug, Serialize)]
struct KeyValueSegment {
    version: u64,
    key: String,
    data: String,
    size: u64,
}

fn status(service: &Service, _: &mut Arguments) -> Result<bool, Failure> {
    Ok(service.progress.borrow().failure.is_none())
}

/// Which part of a value is asked for.
#[derive(Clone, Copy)]
struct Part {
    from: u64,
    len: u64,
}

impl Part {
    fn of(service: &Service, arguments: &mut Arguments) -> Result<Part, Failure> {
        let from = arguments.number("start_index")?;
        let len = arguments.number("len")?;
        if len > service.config.value_len_max {
            return Err(Failure::parameter("len", "query length too large"));
        }
        Ok(Part { from, len })
    }

    fn read(self, view: &View, of: Found) -> Result<String, Failure> {
        if self.len == 0 || of.size == 0 {
            return Ok(String::new());
        }
        if self.from > of.size {
            let why = "start index is greater than value length";
            return Err(Failure::parameter("start_index", why));
        }
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        Ok(STANDARD.encode(view.bytes(of, self.from, len)?))
    }
}

fn version(arguments: &mut Arguments) -> Result<u64, Failure> {
    arguments.number_or("version", u64::MAX)
}

/// A key without a value has version 0 and no bytes: clients read no null here.
fn value(service: &Service, arguments: &mut Arguments) -> Result<Option<ValueSegment>, Failure> {
    let stream = arguments.stream("stream_id")?;
    let key = arguments.key("key")?;
    let part = Part::of(service, arguments)?;
    let at = version(arguments)?;
    let view = service.reader.view();
    let Some(found) = view.value(stream, &key, at)? else {
        return Ok(Some(ValueSegment {
            version: 0,
            data: String::new(),
            size: 0,
        }));
    };
    Ok(Some(ValueSegment {
        version: found.version,
        data: part.read(&view, found)?,
        size: found.size,
    }))
}

fn neighbour(
    service: &Service,
    stream: StreamId,
    from: Bound<&[u8]>,
    order: Order,
    (part, at): (Part, u64),
) -> Result<Option<KeyValueSegment>, Failure> {
    let view = service.reader.view();
    let Some((key, found)) = view.neighbour(stream, from, order, at)? else {
        return Ok(None);
    };
    Ok(Some(KeyValueSegment {
        version: found.version,
        key: STANDARD.encode(key),
        data: part.read(&view, found)?,
        size: found.size,
    }))
}

fn beside(
    service: &Service,
    arguments: &mut Arguments,
    order: Order,
) -> Result<Option<KeyValueSegment>, Failure> {
    let stream = arguments.stream("stream_id")?;
    let key = arguments.key("key")?;
    let part = Part::of(service, arguments)?;
    let from: Bound<&[u8]> = if arguments.flag("inclusive")? {
        Bound::Included(&key)
    } else {
        Bound::Excluded(&key)
    };
    let at = version(arguments)?;
    neighbour(service, stream, from, order, (part, at))
}

fn end(
    service: &Service,
    arguments: &mut Arguments,
    order: Order,
) -> Result<Option<KeyValueSegment>, Failure> {
    let stream = arguments.stream("stream_id")?;
    let part = Part::of(service, arguments)?;
    let at = version(arguments)?;
    neighbour(service, stream, Bound::Unbounded, order, (part, at))
}

fn next(service: &Service, arguments: &mut Arguments) -> Result<Option<KeyValueSegment>, Failure> {
    beside(service, arguments, Order::Up)
}

fn prev(service: &Service, arguments: &mut Arguments) -> Result<Option<KeyValueSegment>, Failure> {
    beside(service, arguments, Order::Down)
}

fn first(service: &Service, arguments: &mut Arguments) -> Result<Option<KeyValueSegment>, Failure> {
    end(service, arguments, Order::Up)
}

fn last(service: &Service, arguments: &mut Arguments) -> Result<Option<KeyValueSegment>, Failure> {
    end(service, arguments, Order::Down)
}

fn result(service: &Service, arguments: &mut Arguments) -> Result<Option<String>, Failure> {
    let seq = arguments.number("tx_seq")?;
    Ok(service.reader.view().result(seq)?)
}

/// All that are asked for, those among them whose past is still replayed. Of a node that holds all,
/// those that somebody has claimed.
fn streams(service: &Service, _: &mut Arguments) -> Result<Vec<StreamId>, Failure> {
    let view = service.reader.view();
    let mut all = view.wanted(service.streams_max)?;
    if let Some(held) = view.held()? {
        if held.all {
            return Ok(view.claimed(service.streams_max)?);
        }
        all.extend(held.streams.into_iter().chain(held.joining));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// How far the replay is, in 0G's words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayProgress {
    applied_seq: u64,
    first_tx_seq: Option<u64>,
}

fn progress(service: &Service, _: &mut Arguments) -> Result<ReplayProgress, Failure> {
    let progress = service.progress.borrow();
    Ok(ReplayProgress {
        applied_seq: progress.low.saturating_sub(1),
        first_tx_seq: Some(progress.from).filter(|from| progress.next > *from),
    })
}

fn may_write(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let account = arguments.account("account")?;
    let stream = arguments.stream("stream_id")?;
    let key = arguments.key("key")?;
    let at = version(arguments)?;
    Ok(service
        .reader
        .view()
        .may_write_key(account, stream, &key, at)?)
}

fn is_admin(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let account = arguments.account("account")?;
    let stream = arguments.stream("stream_id")?;
    let at = version(arguments)?;
    Ok(service.reader.view().is_admin(account, stream, at)?)
}

fn is_special(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let stream = arguments.stream("stream_id")?;
    let key = arguments.key("key")?;
    let at = version(arguments)?;
    Ok(service.reader.view().is_special(stream, &key, at)?)
}

fn is_key_writer(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let account = arguments.account("account")?;
    let stream = arguments.stream("stream_id")?;
    let key = arguments.key("key")?;
    let at = version(arguments)?;
    Ok(service
        .reader
        .view()
        .is_key_writer(account, stream, &key, at)?)
}

fn is_writer(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let account = arguments.account("account")?;
    let stream = arguments.stream("stream_id")?;
    let at = version(arguments)?;
    Ok(service.reader.view().is_writer(account, stream, at)?)
}

fn add_stream(service: &Service, arguments: &mut Arguments) -> Result<bool, Failure> {
    let stream = arguments.stream("stream_id")?;
    let wallet = arguments.account("wallet")?;
    let signature = arguments.signature("signature")?;
    let Some(chain_id) = service.chain_id else {
        let why = "this node is not told of which chain signatures count";
        return Err(Failure::parameter("signature", why));
    };
    register::verify(wallet, stream, chain_id, &signature)
        .map_err(|error| Failure::parameter("signature", error.to_string()))?;
    service.reader.want(stream, service.streams_max)?;
    Ok(true)
}

/// Submissions that one question of a follower may be about.
const LIMIT_MAX: u64 = 4096;

fn given_up(service: &Service, arguments: &mut Arguments) -> Result<GivenUp, Failure> {
    let from = arguments.number("from")?;
    let limit = arguments.number("limit")?.min(LIMIT_MAX);
    // First how far, then what: what is decided in between is beyond what the answer speaks of.
    let low = service.progress.borrow().low;
    let decided = low.min(from.saturating_add(limit));
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut seqs = service.reader.view().lost(from, most)?;
    seqs.retain(|seq| *seq < decided);
    Ok(GivenUp { decided, seqs })
}

/// What became of a submission that somebody waited for.
#[derive(Clone, Debug, Serialize)]
struct Waited {
    decided: bool,
    result: Option<String>,
}

async fn wait(service: &Service, mut arguments: Arguments) -> Result<Waited, Failure> {
    let seq = arguments.number("seq")?;
    let timeout = Duration::from_millis(arguments.number("timeout_ms")?).min(WAIT_MAX);
    let crowded = |_| Failure::internal("too many requests wait");
    let _place = service.waits.try_acquire().map_err(crowded)?;
    let mut progress = service.progress.clone();
    let decides = progress.wait_for(|progress| decides(progress, seq));
    // What is decided out of turn has its result before the marks say so.
    let decided = match tokio::time::timeout(timeout, decides).await {
        Ok(Ok(progress)) => progress.failure.is_none() || passed(&progress, seq),
        Ok(Err(_)) | Err(_) => false,
    };
    let result = service.reader.view().result(seq)?;
    Ok(Waited {
        decided: decided || result.is_some(),
        result,
    })
}

/// Whether there is nothing (more) to wait for.
fn decides(progress: &Progress, seq: u64) -> bool {
    passed(progress, seq) || progress.failure.is_some()
}

fn passed(progress: &Progress, seq: u64) -> bool {
    seq < progress.next && !progress.waiting.contains(&seq)
}
