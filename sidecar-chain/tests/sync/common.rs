//! A validator whose chain is long enough, one that comes late, and a source that may lie.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use lode_chain::{
    Config, Members, Secret, Service, Validator, deal,
    genesis::{Plan, write},
    rpc::{self, Local},
    start,
    sync::{self, Source, Trouble},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Returns its slot 0, which is 42.
pub const REGISTRY: Address = Address::repeat_byte(0x11);
const REGISTRY_CODE: Bytes = bytes!("60005460005260206000f3");
/// Accounts besides contracts.
const ACCOUNTS: u64 = 600;
/// Blocks of an epoch.
pub const EPOCH: u64 = 32;
/// From this epoch on the late one is a member as well.
pub const LATE_FROM: u64 = 5;
/// Time in which a validator here gets anywhere, on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(240);

/// A chain of one validator, and one that comes late.
pub struct Chain {
    pub genesis: Genesis,
    pub secrets: [Secret; 2],
    pub addresses: [String; 2],
}

impl Chain {
    /// One of its own: no other has its keys.
    pub fn new(number: u8) -> Chain {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.map(|one| one.local_addr().unwrap().to_string());
        let first = std::slice::from_ref(&addresses[0]);
        let (committee, mut secrets) = deal(B256::repeat_byte(number), first).unwrap();
        let late = Secret {
            key: B256::repeat_byte(number + 100),
            share: None,
        };
        let contract = |code: Bytes, slots: u64| GenesisAccount {
            code: Some(code),
            storage: Some(
                (0..slots)
                    .map(|slot| (U256::from(slot).into(), U256::from(42 + slot).into()))
                    .collect(),
            ),
            ..GenesisAccount::default()
        };
        let mut accounts: BTreeMap<Address, GenesisAccount> = (0..ACCOUNTS)
            .map(|number| {
                let address = Address::from_word(keccak256(number.to_be_bytes()));
                let account = GenesisAccount::default().with_balance(U256::from(number + 1));
                (address, account)
            })
            .collect();
        accounts.insert(REGISTRY, contract(REGISTRY_CODE, 200));
        // Code of its own for each.
        for number in 0..9_u8 {
            let code = [&[0x60, number][..], &REGISTRY_CODE].concat();
            accounts.insert(
                Address::repeat_byte(0x20 + number),
                contract(code.into(), u64::from(number)),
            );
        }
        let plan = Plan {
            chain_id: 31_337,
            timestamp: 1_700_000_000,
            gas_limit: 30_000_000,
            base_fee: 7,
            blocks_per_epoch: EPOCH,
            accounts,
        };
        Chain {
            genesis: write(plan, &committee).unwrap(),
            secrets: [secrets.remove(0), late],
            addresses,
        }
    }

    /// Both from [`LATE_FROM`] on, as the registry's slot says that it is one.
    pub fn members(&self) -> Members {
        let all: Vec<Validator> = (0..2)
            .map(|at| Validator {
                key: self.secrets[at].public_key(),
                address: self.addresses[at].clone(),
            })
            .collect();
        Arc::new(move |contracts, epoch| {
            let answer = contracts.ask(REGISTRY, Bytes::new())?.unwrap_or_default();
            assert_eq!(answer[..], U256::from(42).to_be_bytes::<32>());
            let count = if epoch < LATE_FROM { 1 } else { 2 };
            Ok(all[..count].to_vec())
        })
    }

    fn config(&self, dir: &Path, at: usize) -> Config {
        Config {
            genesis: self.genesis.clone(),
            dir: dir.to_owned(),
            secret: self.secrets[at].clone(),
            listen: self.addresses[at].parse().unwrap(),
            beneficiary: Address::ZERO,
            heartbeat: Duration::from_millis(20),
            states: None,
            memory: 1 << 20,
            members: Some(self.members()),
            blocks_kept: 16,
            threads: 1,
            recoverers: 1,
            ahead: Arc::new(AtomicU64::new(0)),
        }
    }

    pub fn start(&self, dir: &Path, at: usize) -> Service {
        let began = Instant::now();
        loop {
            match start(self.config(dir, at)) {
                Ok(service) => return service,
                // The threads of one that was stopped let go of its store in their own time.
                Err(error)
                    if began.elapsed() < PATIENCE && error.to_string().contains("Locked") =>
                {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Why it does not start.
    pub fn refused(&self, dir: &Path, at: usize) -> String {
        match start(self.config(dir, at)) {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    }

    pub fn sync(&self, dir: &Path) -> sync::Config {
        sync::Config {
            genesis: self.genesis.clone(),
            dir: dir.to_owned(),
            members: self.members(),
            blocks_kept: 1 << 14,
        }
    }
}

pub fn reach(service: &Service, height: u64) {
    let began = Instant::now();
    while service.ledger().latest().tip() < height {
        let tip = service.ledger().latest().tip();
        assert!(began.elapsed() < PATIENCE, "stuck at {tip} below {height}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Changes an answer: gets the method, the parameters, the result, and how many calls of that method
/// there were before.
pub type Change<'test> = dyn Fn(&str, &Value, Value, u64) -> Result<Value, Trouble> + 'test;

/// The RPC of a service in this process.
pub struct Near<'test> {
    name: String,
    runtime: Arc<Runtime>,
    local: Local,
    change: Box<Change<'test>>,
    pub calls: RefCell<BTreeMap<String, u64>>,
    pub nodes: Cell<u64>,
}

impl<'test> Near<'test> {
    /// An honest one.
    pub fn new(name: &str, service: &Service) -> Near<'test> {
        Near::changed(name, service, |_, _, answer, _| Ok(answer))
    }

    /// One whose answers are changed on their way.
    pub fn changed(
        name: &str,
        service: &Service,
        change: impl Fn(&str, &Value, Value, u64) -> Result<Value, Trouble> + 'test,
    ) -> Near<'test> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = rpc::Service::new(rpc::Config::default(), service.ledger().clone());
        let local = runtime.block_on(async { Local::new(Arc::new(service)).unwrap() });
        Near {
            name: name.to_owned(),
            runtime: Arc::new(runtime),
            local,
            change: Box::new(change),
            calls: RefCell::default(),
            nodes: Cell::new(0),
        }
    }

    /// What is answered to a call as it is.
    pub fn raw(&self, method: &str, params: &Value) -> Result<Value, Trouble> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let body = self.local.post(serde_json::to_vec(&body).unwrap());
        let (_, answer) = self.runtime.block_on(body).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        match answer.get("error") {
            Some(error) => Err(Trouble::Refused {
                code: error["code"].as_i64().unwrap(),
                message: error["message"].as_str().unwrap().to_owned(),
            }),
            None => Ok(answer["result"].take()),
        }
    }
}

impl Source for Near<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Trouble> {
        let before = {
            let mut calls = self.calls.borrow_mut();
            let count = calls.entry(method.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        let answer = self.raw(method, params)?;
        let answer = (self.change)(method, params, answer, before)?;
        if method == "lode_getStateNodes" {
            let nodes = answer.as_array().map_or(0, Vec::len);
            self.nodes
                .set(self.nodes.get() + u64::try_from(nodes).unwrap());
        }
        Ok(answer)
    }
}

/// Nobody.
pub struct Away;

impl Source for Away {
    fn name(&self) -> &str {
        "http://away"
    }

    fn call(&self, _: &str, _: &Value) -> Result<Value, Trouble> {
        Err(Trouble::Refused {
            code: -1,
            message: "away".to_owned(),
        })
    }
}

/// The first nodes of a page: short pages are honest ones.
pub fn short(mut answer: Value, nodes: usize) -> Value {
    if let Some(page) = answer.as_array_mut() {
        page.truncate(nodes);
    }
    answer
}

/// A counter that the parts of a test share.
pub fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Relaxed)
}
