//! A folder that began with a checkpoint beside one that has every block.

use lode_chain::{
    rpc,
    sync::{self, Synced, Trouble},
};
use lode_chain_state::versions::Read as _;
use serde_json::{Value, json};

use super::common::{Away, Chain, EPOCH, LATE_FROM, Near, reach};

/// A newcomer begins with a block, asks the second source if the first is away, has the same state to
/// the last byte, follows, becomes a member that the chain cannot do without, and goes on after a
/// restart. Of blocks below it says what geth says of pruned history.
#[test]
fn begins_follows_and_becomes_a_member() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let chain = Chain::new(1);
    let old = chain.start(dirs[0].path(), 0);
    reach(&old, 2 * EPOCH + 5);
    let source = Near::new("http://old", &old);
    let mut told = Vec::new();
    let synced = sync::run(&chain.sync(dirs[1].path()), &[&Away, &source], |progress| {
        told.push(*progress);
    })
    .unwrap();
    let Synced::At { block, hash, .. } = synced else {
        panic!("{synced:?}")
    };
    assert!(block > 2 * EPOCH);
    assert_eq!(
        told.last().map(|last| (last.block, last.parts)),
        Some((block, 1_000_000))
    );
    assert!(told.is_sorted_by_key(|progress| progress.parts));

    let late = chain.start(dirs[1].path(), 1);
    let (theirs, ours) = (old.ledger().latest(), late.ledger().latest());
    assert_eq!((ours.base(), ours.from()), (block, block));
    assert_eq!(ours.hash(block).unwrap(), Some(hash));
    for height in (block.saturating_sub(255)..block).chain([0]) {
        assert_eq!(ours.hash(height).unwrap(), theirs.hash(height).unwrap());
    }
    let (their_state, our_state) = (theirs.state(block).unwrap(), ours.state(block).unwrap());
    let keys = their_state.below(&[]).unwrap();
    assert_eq!(our_state.below(&[]).unwrap(), keys);
    for key in &keys {
        assert_eq!(our_state.get(key).unwrap(), their_state.get(key).unwrap());
    }
    assert_eq!(ours.block(block).unwrap(), theirs.block(block).unwrap());
    assert_eq!(
        ours.receipts(block).unwrap(),
        theirs.receipts(block).unwrap()
    );
    assert_eq!(
        ours.finality(block).unwrap(),
        theirs.finality(block).unwrap()
    );
    drop((theirs, ours, their_state, our_state));
    answers_of_pruned_blocks(&Near::new("http://late", &late), block);

    // It is connected from the epoch before its first on.
    reach(&late, (LATE_FROM + 3) * EPOCH);
    let tip = late.ledger().latest().tip();
    for height in block..=tip {
        let of = |service: &lode_chain::Service| service.ledger().latest().hash(height).unwrap();
        assert_eq!(of(&late), of(&old), "block {height}");
    }
    late.stop().unwrap();
    // Of two members both are needed.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let halted = old.ledger().latest().tip();
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(old.ledger().latest().tip(), halted);
    let again = chain.sync(dirs[1].path());
    let synced = sync::run(&again, &[&source], |_| {}).unwrap();
    assert!(
        matches!(synced, Synced::Begun { tip, newest: Some(newest) } if tip > block && newest > block)
    );
    let late = chain.start(dirs[1].path(), 1);
    reach(&late, halted + 10);
    late.stop().unwrap();
    old.stop().unwrap();
}

fn answers_of_pruned_blocks(late: &Near<'_>, base: u64) {
    let pruned = Err(Trouble::Refused {
        code: i64::from(rpc::failure::PRUNED),
        message: "pruned history unavailable".to_owned(),
    });
    let number = |height: u64| format!("{height:#x}");
    let below = number(base - 1);
    for method in ["eth_getBlockByNumber", "eth_getBlockReceipts"] {
        let params = match method {
            "eth_getBlockByNumber" => json!([below, false]),
            _ => json!([below]),
        };
        assert_eq!(late.raw(method, &params), pruned, "{method}");
    }
    let logs = json!([{ "fromBlock": "0x0", "toBlock": number(base) }]);
    assert_eq!(late.raw("eth_getLogs", &logs), pruned);
    let logs = json!([{ "fromBlock": number(base), "toBlock": number(base) }]);
    assert_eq!(late.raw("eth_getLogs", &logs), Ok(json!([])));
    let history = late.raw("eth_feeHistory", &json!(["0x400", number(base), [50.0]]));
    assert_eq!(history.unwrap()["oldestBlock"], number(base));
    for known in [
        number(0),
        number(base),
        "latest".to_owned(),
        "earliest".to_owned(),
    ] {
        let block = late
            .raw("eth_getBlockByNumber", &json!([known, false]))
            .unwrap();
        assert!(block["hash"].is_string(), "{known}");
    }
    // What is kept of it is the header, for contracts that ask for its hash.
    let header = late.raw("eth_getHeaderByNumber", &json!([below])).unwrap();
    assert!(header["hash"].is_string());
    let balance = late.raw(
        "eth_getBalance",
        &json!(["0x0000000000000000000000000000000000000001", below]),
    );
    assert!(
        matches!(balance, Err(Trouble::Refused { message, .. }) if message.contains("is not kept"))
    );
    let capabilities = late.raw("eth_capabilities", &json!([])).unwrap();
    assert_eq!(capabilities["blocks"]["oldestBlock"], number(base));
    let uncertified = late.raw("lode_getFinality", &json!(["0x1"])).unwrap();
    assert_eq!(uncertified["finality"], Value::Null);
    assert_eq!(late.raw("lode_getBlock", &json!([below])), Ok(Value::Null));
    let headers = late.raw(
        "lode_getHeaders",
        &json!(["0xffffffffffffffff", "0xffffffffffffffff"]),
    );
    assert!(headers.unwrap().as_array().unwrap().len() > 30);
}
