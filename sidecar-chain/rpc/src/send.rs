//! Transactions from wallets: bytes, rules, sender, pool.
//!
//! ```text
//!  params ─► decode, check ─► Senders ─► ledger.submit ─► hash
//!            where it arrives  threads    where it arrives
//! ```
//! Of a batch all transactions go to the threads at once ([`Ahead`]); their answers come in order.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::{
    Extensions, RpcModule,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Params, Request},
};
use lode_chain_pool::{Checked, Error, Transaction, decode};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    arguments::{Arguments, Data},
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
        let wait = arguments.optional::<u64>()?.map(Duration::from_millis);
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

/// Looks through batches for transactions, and hands them to the threads ahead of their turn.
#[derive(Clone)]
pub struct Ahead<S> {
    inner: S,
    service: Arc<Service>,
}

impl<S> Ahead<S> {
    /// Around what answers requests.
    pub fn new(inner: S, service: Arc<Service>) -> Self {
        Ahead { inner, service }
    }

    /// What is wrong with a transaction is found again when its turn comes, and answered then.
    fn begin(&self, request: &mut Request<'_>) {
        if request.method_name() != SEND {
            return;
        }
        let text = request.params.as_ref().map(|params| params.get());
        let params = Params::new(text);
        let checked = Arguments::new(&params).and_then(|mut arguments| {
            let checked = check(&self.service, &mut arguments)?;
            arguments.end()?;
            Ok(checked)
        });
        let begun = checked
            .ok()
            .and_then(|checked| self.service.senders.try_begin(checked));
        if let Some(found) = begun {
            let begun = Begun(Arc::new(Mutex::new(Some(found))));
            request.extensions_mut().insert(begun);
        }
    }
}

impl<S> RpcServiceT for Ahead<S>
where
    S: RpcServiceT + Send + Sync + Clone + 'static,
{
    type MethodResponse = S::MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(
        &self,
        request: Request<'a>,
    ) -> impl Future<Output = Self::MethodResponse> + Send + 'a {
        self.inner.call(request)
    }

    fn batch<'a>(
        &self,
        mut batch: Batch<'a>,
    ) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        for entry in batch.iter_mut().flatten() {
            if let BatchEntry::Call(request) = entry {
                self.begin(request);
            }
        }
        self.inner.batch(batch)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
