//! What all methods share, and how they become methods: quick ones are answered where they arrive,
//! heavy ones on threads of their own, a bounded number at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use jsonrpsee::{RpcModule, core::to_json_raw_value, types::Params};
use lode_chain_ledger::{Ledger, View};
use lode_chain_pool::Rules;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::{
    arguments::Arguments, config::Config, events::Events, failure::Failure, filters::Filters,
    ground::Ground, selector::Selector, senders::Senders, whole::Recent,
};

/// What all methods share.
pub struct Service {
    /// The chain.
    pub ledger: Ledger,
    /// Choices and bounds.
    pub config: Config,
    /// What a transaction must be.
    pub rules: Rules,
    /// Who hears of blocks and transactions.
    pub events: Events,
    /// Filters that callers have made.
    pub filters: Filters,
    /// Threads that find senders.
    pub senders: Senders,
    /// Blocks that were read lately.
    pub recent: Recent,
    heavy: Semaphore,
    waiting: AtomicUsize,
}

/// A method's answer, or why there is none.
pub type Answer<R> = Result<R, Failure>;

impl Service {
    /// Over a ledger. Threads are started; they end with it.
    pub fn new(config: Config, ledger: Ledger) -> Service {
        let chain = ledger.chain();
        let rules = Rules {
            chain_id: chain.spec.chain_id(),
            block_gas: chain.genesis.header().gas_limit,
            unprotected: false,
        };
        Service {
            rules,
            events: Events::default(),
            filters: Filters::new(config.filters_max, config.filter_idle),
            senders: Senders::new(ledger.recovery().clone(), config.unchecked_max),
            recent: Recent::default(),
            heavy: Semaphore::new(config.heavy_max),
            waiting: AtomicUsize::new(0),
            ledger,
            config,
        }
    }

    /// The chain as of its last block.
    pub fn view(&self) -> View {
        self.ledger.latest()
    }

    /// A block and the state after it, for reading and executing.
    ///
    /// # Errors
    /// When there is no such block, or its state is not kept.
    pub fn ground(&self, at: Selector) -> Answer<Ground> {
        let view = self.view();
        let height = at.known(&view)?;
        Ground::new(view, height)
    }

    /// When a request that begins now has taken too long.
    pub fn deadline(&self) -> Deadline {
        Deadline(Instant::now() + self.config.time_max)
    }

    /// Takes a place among those that execute.
    async fn turn(&self) -> Answer<tokio::sync::SemaphorePermit<'_>> {
        let limits = || serde_json::json!({ "heavyMax": self.config.heavy_max, "waitingMax": self.config.waiting_max });
        if let Ok(permit) = self.heavy.try_acquire() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let permit = if before < self.config.waiting_max {
            self.heavy.acquire().await.ok()
        } else {
            None
        };
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        permit.ok_or_else(|| Failure::limit("server is busy, try again later", limits()))
    }
}

/// When a request has taken too long.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Whether there is time left.
    ///
    /// # Errors
    /// When there is none.
    pub fn check(self) -> Answer<()> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(Failure::coded(-32002, "request timed out"))
    }

    /// Whether there is none left.
    pub fn over(self) -> bool {
        self.check().is_err()
    }
}

/// A method that reads its arguments and answers.
pub type Method<R> = fn(&Service, &mut Arguments<'_>) -> Answer<R>;

/// Methods, by name.
pub struct Methods<'module>(pub &'module mut RpcModule<Service>);

impl Methods<'_> {
    /// Answers where the request arrives: for what takes microseconds.
    pub fn quick<R: Serialize + Clone + 'static>(&mut self, name: &'static str, method: Method<R>) {
        let registered = self.0.register_method(name, move |params, service, _| {
            run(service, &params, method)
        });
        registered.expect("names of methods differ");
    }

    /// Answers on a thread of its own: for what executes or searches.
    pub fn heavy<R: Serialize + 'static>(&mut self, name: &'static str, method: Method<R>) {
        let registered = self
            .0
            .register_async_method(name, move |params, service, _| {
                heavy(service, params, method)
            });
        registered.expect("names of methods differ");
    }
}

fn run<R>(service: &Service, params: &Params<'_>, method: Method<R>) -> Answer<R> {
    method(service, &mut Arguments::new(params)?)
}

/// The answer is written on that thread as well: it may be long.
async fn heavy<R: Serialize + 'static>(
    service: Arc<Service>,
    params: Params<'static>,
    method: Method<R>,
) -> Answer<Box<RawValue>> {
    let _turn = service.turn().await?;
    let worker = Arc::clone(&service);
    let done = tokio::task::spawn_blocking(move || {
        let answer = run(&worker, &params, method)?;
        to_json_raw_value(&answer).map_err(|error| Failure::server(error.to_string()))
    });
    done.await
        .unwrap_or_else(|_| Err(Failure::server("method handler crashed")))
}
