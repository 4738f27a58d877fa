//! Transactions from wallets: bytes, rules, sender, pool.
//!
//! ```text
//!  params ─► decode, check ─► Senders ─► ledger.submit ─► hash
//!            where it arrives  threads    where it arrives
//! ```
//! Of a batch all transactions go to the threads at once (`begin`); their answers come in order.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::{
    Extensions, RpcModule,
    types::{ErrorObjectOwned, Params, Request},
};
use lode_chain_pool::{Checked, Error, Transaction, decode};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    arguments::{Arguments, Data, Number},
    blocks::receipt_of,
    failure::Failure,
    service::{Answer, Service},
};

const SEND: &str = "eth_sendRawTransaction";
const SEND_SYNC: &str = "eth_sendRawTransactionSync";
/// How long a caller waits for a receipt unless he says so (EIP-7966 leaves it to the node).
const WAIT: Duration = Duration::from_secs(2);
/// How long he may wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The transaction is in the pool and in no block yet (EIP-7966).
const NOT_YET: i32 = 4;

pub(crate) fn register(module: &mut RpcModule<Service>) {
    let registered = module.register_async_method(SEND, |params, service, extensions| {
        send(service, params, extensions)
    });
    registered.expect("names of methods differ");
    let registered = module.register_async_method(SEND_SYNC, |params, service, _| {
        send_and_wait(service, params)
    });
    registered.expect("names of methods differ");
}

type Found = Result<Transaction, Error>;

/// A transaction that keeps the rules which need no state.
fn check(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Checked> {
    let Data(bytes) = arguments.required()?;
    Ok(service.rules.check(decode(&bytes)?)?)
}

async fn send(
    service: Arc<Service>,
    params: Params<'static>,
    extensions: Extensions,
) -> Answer<B256> {
    let begun = extensions.get::<Begun>().and_then(Begun::take);
    let found = match begun {
        Some(begun) => begun,
        None => {
            let mut arguments = Arguments::new(&params)?;
            let checked = check(&service, &mut arguments)?;
            arguments.end()?;
            service.senders.begin(checked).await
        }
    };
    submit(&service, found).await
}

async fn submit(service: &Service, found: oneshot::Receiver<Found>) -> Answer<B256> {
    let found = found
        .await
        .map_err(|_| Failure::server("the node is stopping"))?;
    Ok(service.ledger.submit(found?, true)??)
}

/// Sends, and answers with the receipt (EIP-7966).
async fn send_and_wait(
    service: Arc<Service>,
    params: Params<'static>,
) -> Result<TransactionReceipt, ErrorObjectOwned> {
    let (checked, wait) = {
        let mut arguments = Arguments::new(&params)?;
        let checked = check(&service, &mut arguments)?;
        let wait = arguments.optional::<Number>()?;
        let wait = wait.map(|wait| Duration::from_millis(wait.get()));
        (checked, wait.unwrap_or(WAIT).min(WAIT_MAX))
    };
    // Before it is sent, so that its block is not missed.
    let mut blocks = service.events.blocks();
    let found = service.senders.begin(checked).await;
    let hash = submit(&service, found).await?;
    let receipt = async {
        loop {
            if let Some(receipt) = receipt_of(&service, &service.view(), &hash)? {
                return Ok::<_, Failure>(receipt);
            }
            // One that came too fast to be heard of is seen in the view as well.
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = blocks.recv().await {
                return Err(Failure::server("the node is stopping"));
            }
        }
    };
    match tokio::time::timeout(wait, receipt).await {
        Ok(receipt) => Ok(receipt?),
        Err(_) => Err(ErrorObjectOwned::owned(
            NOT_YET,
            "The transaction was added to the mempool but wasn't processed within the timeout",
            Some(hash),
        )),
    }
}

/// A transaction of a batch whose sender is being found.
#[derive(Clone)]
struct Begun(Arc<Mutex<Option<oneshot::Receiver<Found>>>>);

impl Begun {
    fn take(&self) -> Option<oneshot::Receiver<Found>> {
        self.0.lock().take()
    }
}

/// Hands a transaction of a batch to the threads ahead of its turn. What is wrong with it is found
/// again when its turn comes, and answered then.
pub(crate) fn begin(service: &Service, request: &mut Request<'_>) {
    if request.method_name() != SEND {
        return;
    }
    let text = request.params.as_ref().map(|params| params.get());
    let params = Params::new(text);
    let checked = Arguments::new(&params).and_then(|mut arguments| {
        let checked = check(service, &mut arguments)?;
        arguments.end()?;
        Ok(checked)
    });
    let begun = checked
        .ok()
        .and_then(|checked| service.senders.try_begin(checked));
    if let Some(found) = begun {
        let begun = Begun(Arc::new(Mutex::new(Some(found))));
        request.extensions_mut().insert(begun);
    }
}
