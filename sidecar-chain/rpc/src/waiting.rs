//! What waits for a block, as geth shows it.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use alloy_rpc_types_eth::Transaction;
use alloy_rpc_types_txpool::TxpoolStatus;
use lode_chain_pool::views::Content;
use serde::Serialize;

use crate::{
    arguments::{Account, Arguments},
    service::{Answer, Methods, Service},
    whole::waiting,
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("txpool_status", status);
    methods.heavy("txpool_content", content);
    methods.quick("txpool_contentFrom", content_from);
    methods.heavy("txpool_inspect", inspect);
}

/// By nonce.
type ByNonce<T> = BTreeMap<u64, T>;
/// By sender and nonce; senders as geth writes them here, with their checksum.
type BySender<T> = BTreeMap<String, ByNonce<T>>;

/// What can be executed and what cannot yet.
#[derive(Clone, Debug, Default, Serialize)]
struct Both<T> {
    pending: T,
    queued: T,
}

fn status(service: &Service, _: &mut Arguments<'_>) -> Answer<TxpoolStatus> {
    let status = service.ledger.pool(|pool| pool.status());
    let count = |all: usize| u64::try_from(all).expect("usize has at most 64 bits");
    Ok(TxpoolStatus {
        pending: count(status.executable),
        queued: count(status.queued),
    })
}

fn by_nonce<T>(
    all: &[lode_chain_pool::Transaction],
    show: fn(&lode_chain_pool::Transaction) -> T,
) -> ByNonce<T> {
    all.iter().map(|one| (one.nonce(), show(one))).collect()
}

fn all<T>(service: &Service, show: fn(&lode_chain_pool::Transaction) -> T) -> Both<BySender<T>> {
    let (mut pending, mut queued) = (BTreeMap::new(), BTreeMap::new());
    let content: BTreeMap<Address, Content> = service.ledger.pool(|pool| pool.content());
    for (sender, content) in content {
        let name = sender.to_checksum(None);
        if !content.executable.is_empty() {
            pending.insert(name.clone(), by_nonce(&content.executable, show));
        }
        if !content.queued.is_empty() {
            queued.insert(name, by_nonce(&content.queued, show));
        }
    }
    Both { pending, queued }
}

fn content(service: &Service, _: &mut Arguments<'_>) -> Answer<Both<BySender<Transaction>>> {
    Ok(all(service, waiting))
}

fn inspect(service: &Service, _: &mut Arguments<'_>) -> Answer<Both<BySender<String>>> {
    Ok(all(service, lode_chain_pool::Transaction::inspect))
}

fn content_from(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Both<ByNonce<Transaction>>> {
    let Account(sender) = arguments.required()?;
    arguments.end()?;
    let content = service.ledger.pool(|pool| pool.content_of(&sender));
    Ok(Both {
        pending: by_nonce(&content.executable, waiting),
        queued: by_nonce(&content.queued, waiting),
    })
}
