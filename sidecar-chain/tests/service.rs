//! A validator as a service: it makes blocks, goes on where it was, answers for its contracts, and
//! keeps what it has heard of committees.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
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
    Config, Members, Secret, Service, Validator,
    ask::ask,
    committees::Committees,
    deal,
    genesis::{Plan, write},
    start,
};

/// Returns 42.
const ANSWERS: Address = Address::repeat_byte(0x11);
const ANSWER_CODE: Bytes = bytes!("602a60005260206000f3");
/// Reverts.
const REFUSES: Address = Address::repeat_byte(0x22);
const REFUSE_CODE: Bytes = bytes!("60006000fd");
/// Time in which a validator here gets anywhere, on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(120);

fn network() -> (Genesis, Secret, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (committee, mut secrets) =
        deal(B256::repeat_byte(5), std::slice::from_ref(&address)).unwrap();
    let contract = |code: Bytes| GenesisAccount::default().with_code(Some(code));
    let plan = Plan {
        chain_id: 31_337,
        timestamp: 1_700_000_000,
        gas_limit: 30_000_000,
        base_fee: 7,
        blocks_per_epoch: 32,
        accounts: BTreeMap::from([
            (ANSWERS, contract(ANSWER_CODE)),
            (REFUSES, contract(REFUSE_CODE)),
        ]),
    };
    let genesis = write(plan, &committee).unwrap();
    (genesis, secrets.remove(0), address)
}

fn run(dir: &Path, (genesis, secret, address): &(Genesis, Secret, String)) -> Service {
    let config = Config {
        genesis: genesis.clone(),
        dir: dir.to_owned(),
        secret: secret.clone(),
        listen: address.parse().unwrap(),
        beneficiary: Address::ZERO,
        heartbeat: Duration::from_millis(20),
        states: None,
        memory: 1 << 20,
        members: None,
        blocks_kept: 1 << 10,
        threads: 1,
        recoverers: 1,
        ahead: Arc::new(AtomicU64::new(0)),
    };
    let began = Instant::now();
    loop {
        match start(config.clone()) {
            Ok(service) => return service,
            // The threads of one that was stopped let go of its store in their own time.
            Err(error) if began.elapsed() < PATIENCE && error.to_string().contains("Locked") => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn reach(service: &Service, height: u64) {
    let began = Instant::now();
    while service.ledger().latest().tip() < height {
        assert!(began.elapsed() < PATIENCE, "stuck below {height}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Blocks come by themselves, over epochs, each proven final; after a stop the chain goes on with the
/// same blocks below.
#[test]
fn goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let network = network();
    let service = run(dir.path(), &network);
    reach(&service, 40);
    let view = service.ledger().latest();
    let hash = view.hash(35).unwrap().unwrap();
    let proven = (1..=40).filter(|height| {
        let finality = view.finality(*height).unwrap();
        finality
            .is_some_and(|finality| Some(B256::new(finality.block)) == view.hash(*height).unwrap())
    });
    assert!(proven.count() > 20, "certificates of their own");
    service.stop().unwrap();
    let before = view.tip();
    // It holds the store open.
    drop(view);
    let service = run(dir.path(), &network);
    assert!(service.ledger().latest().tip() >= before);
    reach(&service, before + 5);
    let kept = service.ledger().latest().hash(35).unwrap();
    assert_eq!(kept, Some(hash));
    service.stop().unwrap();
}

/// Contracts answer as the state after a block has them; one that does not return, and a block that is
/// not there, are no answer.
#[test]
fn asks_contracts() {
    let dir = tempfile::tempdir().unwrap();
    let service = run(dir.path(), &network());
    reach(&service, 2);
    let question =
        |height, contract| ask(service.ledger(), height, contract, Bytes::new()).unwrap();
    let word = Bytes::copy_from_slice(&U256::from(42).to_be_bytes::<32>());
    for height in [0, 1, 2] {
        assert_eq!(question(height, ANSWERS), Some(word.clone()));
        assert_eq!(question(height, REFUSES), None);
    }
    assert_eq!(question(1 << 40, ANSWERS), None);
    service.stop().unwrap();
}

/// Members of an epoch are asked for when the block that decides them is final, once, and known after
/// a restart to whoever could not ask any more.
#[test]
fn hears_of_members_once() {
    let dir = tempfile::tempdir().unwrap();
    let service = run(dir.path(), &network());
    let ledger = service.ledger();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let member = |epoch: u64| Validator {
        key: keccak256(epoch.to_be_bytes()),
        address: format!("127.0.0.1:{}", 1000 + epoch),
    };
    let members: Members = Arc::new(move |contracts, epoch| {
        count.fetch_add(1, Relaxed);
        assert_eq!(contracts.height(), epoch.saturating_sub(2) * 4);
        Ok(vec![member(epoch)])
    });
    let folder = dir.path().join("heard");
    let committees = Committees::open(folder.clone(), members, 4).unwrap();
    for height in 0..=9 {
        committees.note(ledger, height).unwrap();
    }
    // Epochs 0 to 2 by block 0, then 3 by block 4 and 4 by block 8.
    assert_eq!(asked.load(Relaxed), 5);
    let nobody: Members = Arc::new(|_, _| panic!("it is written down"));
    let again = Committees::open(folder, nobody, 4).unwrap();
    for epoch in 0..=4_u64 {
        let decided = epoch.saturating_sub(2) * 4;
        assert_eq!(again.of(ledger, epoch, decided).unwrap(), [member(epoch)]);
    }
    service.stop().unwrap();
}
