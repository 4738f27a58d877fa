//! Whatever bytes a request is made of, there is an answer in JSON-RPC's form, and no method crashes.

use std::sync::Arc;

use lode_chain_rpc::{Config, Service, module};
use serde_json::{Value, json};

use crate::common::{LOGGER, Wallet};

/// Requests that are made; the same ones in every run.
const REQUESTS: u32 = 20_000;

/// Numbers that look random, from a seed (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// One good parameter of each kind.
fn parameters() -> Vec<Value> {
    let wallet = Wallet::new(0);
    let hash = alloy_primitives::B256::repeat_byte(1);
    vec![
        json!(LOGGER),
        json!(wallet.address()),
        json!(hash),
        json!("0x0"),
        json!("latest"),
        json!("pending"),
        json!("earliest"),
        json!(true),
        json!(null),
        json!(7),
        json!(2.5),
        json!([10, 50.5]),
        json!(["0x1", hash]),
        json!({ "blockHash": hash, "requireCanonical": true }),
        json!({ "fromBlock": "0x0", "toBlock": "latest", "address": [LOGGER], "topics": [null, [hash]] }),
        json!({ "from": wallet.address(), "to": LOGGER, "gas": "0x5208", "value": "0x1", "data": "0x00" }),
        json!({ LOGGER.to_string(): { "balance": "0x1", "code": "0x6000", "stateDiff": { hash.to_string(): hash } } }),
        json!({ "number": "0x5", "time": "0x6", "baseFeePerGas": "0x0" }),
        json!({ "blockStateCalls": [{ "calls": [{ "to": LOGGER }] }], "traceTransfers": true }),
        json!({ "tracer": "callTracer" }),
        json!({ "enableMemory": true }),
        json!(["trace", "stateDiff", "vmTrace"]),
        json!(wallet.signed(0, LOGGER, 50_000)),
    ]
}

fn request(random: &mut Random, names: &[&'static str], parameters: &[Value]) -> String {
    let name = names[random.below(names.len())];
    let count = random.below(5);
    let chosen: Vec<&Value> = (0..count)
        .map(|_| &parameters[random.below(parameters.len())])
        .collect();
    json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": chosen }).to_string()
}

/// Changes a few bytes of the parameters, or none.
fn mutate(random: &mut Random, text: String) -> String {
    let mut bytes = text.into_bytes();
    for _ in 0..random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = b"0xf\"[]{},:9e-"[random.below(13)],
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"0xf\"[]{},:9e-"[random.below(13)]),
            _ => bytes.truncate(at.max(1)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_is_answered() {
    let (_dir, ledger) = crate::common::ledger(&crate::common::genesis());
    crate::common::mine(&ledger).await;
    let config = Config {
        gas_max: 1_000_000,
        ..Config::default()
    };
    let module = module(Arc::new(Service::new(config, ledger.clone())));
    let names: Vec<&'static str> = module
        .method_names()
        // They wait for what does not come here, or need a connection.
        .filter(|name| !name.ends_with("Sync") && !name.ends_with("ubscribe"))
        .collect();
    assert!(names.len() > 60, "{}", names.len());
    let (mut random, parameters) = (Random(0x5eed), parameters());
    let (mut good, mut refused) = (0_u32, 0_u32);
    for _ in 0..REQUESTS {
        let text = request(&mut random, &names, &parameters);
        let text = mutate(&mut random, text);
        // What is no request is refused before it comes to a method.
        let Ok((answer, _)) = module.raw_json_request(&text, 1).await else {
            continue;
        };
        let answer: Value = serde_json::from_str(answer.get()).unwrap();
        if answer["error"].is_null() {
            assert!(answer.get("result").is_some(), "{text}: {answer}");
            good += 1;
        } else {
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(!message.contains("crashed"), "{text}: {answer}");
            refused += 1;
        }
    }
    println!("{good} answered, {refused} refused");
    assert!(good > 100 && refused > 100);
    ledger.stop();
}
