//! Subscriptions over WebSocket: blocks, logs, transactions that wait, and what light clients need.
//!
//! A subscriber hears of every block, in order and once: one who is too slow for the ring of events
//! reads the chain instead. Transactions that wait may be left out for such a one.

use std::sync::Arc;

use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionMessage, SubscriptionSink,
    core::{SubscriptionError, SubscriptionResult, to_json_raw_value},
    types::Params,
};
use lode_chain_types::Height;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    arguments::Arguments,
    blocks,
    chain::finalized,
    failure::Failure,
    logs::{Query, Wanted},
    service::{Answer, Service},
    whole::{Whole, waiting},
};

pub(crate) fn register(module: &mut RpcModule<Service>) {
    let registered = module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, service, _| subscribe(params, pending, service),
    );
    registered.expect("names of methods differ");
    let registered = module.register_subscription(
        "lode_subscribe",
        "lode_subscription",
        "lode_unsubscribe",
        |params, pending, service, _| subscribe_own(params, pending, service),
    );
    registered.expect("names of methods differ");
}

/// What a subscriber hears of.
enum Kind {
    Heads,
    Logs(Wanted),
    Pending { full: bool },
    Syncing,
    Finalized,
}

fn kind(params: &Params<'_>) -> Answer<Kind> {
    let mut arguments = Arguments::new(params)?;
    let name: String = arguments.required()?;
    match name.as_str() {
        "newHeads" => Ok(Kind::Heads),
        "logs" => {
            let query: Query = arguments.optional()?.unwrap_or_default();
            Ok(Kind::Logs(query.wanted))
        }
        "newPendingTransactions" => Ok(Kind::Pending {
            full: arguments.optional()?.unwrap_or_default(),
        }),
        "syncing" => Ok(Kind::Syncing),
        _ => Err(unknown(&name, "eth")),
    }
}

fn unknown(name: &str, namespace: &str) -> Failure {
    let message = format!("no {name:?} subscription in {namespace} namespace");
    Failure::coded(-32601, message)
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    service: Arc<Service>,
) -> SubscriptionResult {
    match kind(&params) {
        Ok(kind) => serve(kind, pending, &service).await,
        Err(failure) => {
            pending.reject(failure).await;
            Ok(())
        }
    }
}

async fn subscribe_own(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    service: Arc<Service>,
) -> SubscriptionResult {
    let name = Arguments::new(&params).and_then(|mut all| all.required::<String>());
    let wanted = name.and_then(|name| match name.as_str() {
        "finalized" => Ok(Kind::Finalized),
        _ => Err(unknown(&name, "lode")),
    });
    match wanted {
        Ok(kind) => serve(kind, pending, &service).await,
        Err(failure) => {
            pending.reject(failure).await;
            Ok(())
        }
    }
}

async fn serve(
    kind: Kind,
    pending: PendingSubscriptionSink,
    service: &Service,
) -> SubscriptionResult {
    match kind {
        Kind::Pending { full } => {
            let queue = service.events.pending();
            transactions(&pending.accept().await?, queue, full).await
        }
        Kind::Syncing => {
            let sink = pending.accept().await?;
            send(&sink, &false).await?;
            sink.closed().await;
            Ok(())
        }
        kind => {
            // In this order, and before it is accepted, so that nothing falls between.
            let queue = service.events.blocks();
            let seen = service.view().tip();
            follow(&pending.accept().await?, service, queue, &kind, seen).await
        }
    }
}

async fn send(sink: &SubscriptionSink, value: &impl Serialize) -> Result<(), SubscriptionError> {
    let message: SubscriptionMessage = to_json_raw_value(value)?.into();
    Ok(sink.send(message).await?)
}

async fn transactions(
    sink: &SubscriptionSink,
    mut queue: tokio::sync::broadcast::Receiver<lode_chain_pool::Transaction>,
    full: bool,
) -> SubscriptionResult {
    loop {
        let next = tokio::select! {
            () = sink.closed() => return Ok(()),
            next = queue.recv() => next,
        };
        match next {
            Ok(one) if full => send(sink, &waiting(&one)).await?,
            Ok(one) => send(sink, &one.hash()).await?,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn follow(
    sink: &SubscriptionSink,
    service: &Service,
    mut queue: tokio::sync::broadcast::Receiver<Height>,
    kind: &Kind,
    mut seen: Height,
) -> SubscriptionResult {
    loop {
        let next = tokio::select! {
            () = sink.closed() => return Ok(()),
            next = queue.recv() => next,
        };
        let to = match next {
            Ok(height) => height,
            Err(RecvError::Lagged(_)) => service.view().tip(),
            Err(RecvError::Closed) => return Ok(()),
        };
        for height in seen + 1..=to {
            tell(sink, service, kind, height).await?;
        }
        seen = seen.max(to);
    }
}

/// Tells of one block.
async fn tell(
    sink: &SubscriptionSink,
    service: &Service,
    kind: &Kind,
    height: Height,
) -> Result<(), SubscriptionError> {
    let view = service.view();
    if let Kind::Finalized = kind {
        return send(sink, &finalized(&view, height)?).await;
    }
    let Some(whole) = service.recent.block(&view, height)? else {
        return Ok(());
    };
    match kind {
        Kind::Logs(wanted) => {
            for log in wanted.of(&whole) {
                send(sink, &log).await?;
            }
            Ok(())
        }
        _ => send(sink, &head(&whole)).await,
    }
}

fn head(whole: &Whole) -> alloy_rpc_types_eth::Header {
    blocks::header(whole.header.clone(), whole.hash, None)
}
