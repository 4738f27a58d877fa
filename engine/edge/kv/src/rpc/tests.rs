//! Every row of the interface, over HTTP, on a node with a few transactions.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    kv::{Config, Handle, Kv, StartError, Streams},
    register::tests::{sign, wallet},
    script::{Script, account, control, keys, stream, write},
    stream::{Draft, Op, StreamId},
};

/// A node and what it follows.
struct World {
    script: Script,
    handle: Handle,
    folder: TempDir,
    client: reqwest::Client,
}

const CHAIN: u64 = 16_601;

fn config(folder: &TempDir) -> Config {
    let mut config = Config::new(folder.path().to_owned());
    config.listen.set_port(0);
    config.chain_id = Some(CHAIN);
    config.streams = Streams::Listed(BTreeSet::from([stream(1)]));
    config.rules.poll = Duration::from_millis(5);
    config.rpc.origins = vec!["https://example.org".to_owned()];
    config
}

fn b64(key: &[u8]) -> String {
    STANDARD.encode(key)
}

/// Four transactions of account 1 on stream 1, and one that is refused.
fn flow(script: &Script) {
    let (a, one, two) = (stream(1), account(1), account(2));
    let mut first = write(a, b"a", b"first");
    first.controls = vec![
        control(Op::SetKeyToSpecial, a, b"special", two),
        control(Op::GrantSpecialWrite, a, b"special", two),
        control(Op::GrantWrite, a, b"", account(3)),
    ];
    let mut flow = script.flow();
    flow.add(one, &first);
    flow.add(one, &write(a, b"b", b"second"));
    flow.add(one, &write(a, b"c", b"third"));
    flow.add(one, &write(a, b"a", b"fourth"));
    flow.add(two, &write(a, b"a", b"refused"));
    let gone = Draft {
        version: u64::MAX,
        writes: vec![(a, Bytes::from_static(b"b"), Bytes::new())],
        controls: vec![control(Op::RenounceAdmin, a, b"", one)],
        ..Draft::default()
    };
    flow.add(one, &gone);
}

impl World {
    async fn new() -> World {
        let script = Script::default();
        flow(&script);
        let folder = tempfile::tempdir().unwrap();
        let handle = Kv::start(config(&folder), script.clone()).await.unwrap();
        let client = reqwest::Client::new();
        let world = World {
            script,
            handle,
            folder,
            client,
        };
        assert_eq!(
            world.ask("lode_waitForSeq", json!([5, 60_000])).await["decided"],
            true
        );
        world
    }

    async fn post(&self, body: &Value) -> Value {
        let url = format!("http://{}", self.handle.address());
        let answer = self.client.post(url).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn raw(&self, method: &str, params: Value) -> Value {
        self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
            .await
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let mut answer = self.raw(method, params).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    /// Code, message and data of a refusal.
    async fn refused(&self, method: &str, params: Value) -> (i64, String, String) {
        let answer = self.raw(method, params).await;
        let error = &answer["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let code = error["code"].as_i64();
        (
            code.unwrap_or_default(),
            text(&error["message"]),
            text(&error["data"]),
        )
    }
}

fn invalid(name: &str, why: &str) -> (i64, String, String) {
    (-32602, format!("Invalid params: {name}"), why.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_status() {
    let world = World::new().await;
    assert_eq!(world.ask("kv_getStatus", json!([])).await, true);
    let without = json!({"jsonrpc": "2.0", "id": 1, "method": "kv_getStatus"});
    assert_eq!(world.post(&without).await["result"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_value() {
    let world = World::new().await;
    let (a, key) = (stream(1), b64(b"a"));
    let whole = json!({"version": 3, "data": b64(b"fourth"), "size": 6});
    assert_eq!(
        world.ask("kv_getValue", json!([a, key, 0, 100])).await,
        whole
    );
    assert_eq!(
        world
            .ask("kv_getValue", json!([a, key, "0", "0x64", null]))
            .await,
        whole
    );
    let old = json!({"version": 0, "data": b64(b"first"), "size": 5});
    assert_eq!(
        world.ask("kv_getValue", json!([a, key, 0, 100, 2])).await,
        old
    );
    let part = json!({"version": 3, "data": b64(b"ur"), "size": 6});
    assert_eq!(world.ask("kv_getValue", json!([a, key, 2, 2])).await, part);
    let none = json!({"version": 3, "data": "", "size": 6});
    assert_eq!(world.ask("kv_getValue", json!([a, key, 6, 2])).await, none);
    assert_eq!(world.ask("kv_getValue", json!([a, key, 99, 0])).await, none);
    let removed = json!({"version": 5, "data": "", "size": 0});
    assert_eq!(
        world.ask("kv_getValue", json!([a, b64(b"b"), 0, 9])).await,
        removed
    );
    let never = json!({"version": 0, "data": "", "size": 0});
    assert_eq!(
        world.ask("kv_getValue", json!([a, b64(b"x"), 0, 9])).await,
        never
    );
    assert_eq!(
        world
            .ask("kv_getValue", json!([stream(9), key, 0, 9]))
            .await,
        never
    );

    let cases = [
        (
            json!([a, key, 7, 1]),
            invalid("start_index", "start index is greater than value length"),
        ),
        (
            json!([a, key, 0, 262_145]),
            invalid("len", "query length too large"),
        ),
        (json!([a, "", 0, 1]), invalid("key", "key is empty")),
        (json!([a, key, 0]), invalid("len", "is missing")),
        (
            json!([a, key, -1, 1]),
            invalid("start_index", "is not a number from 0 to 2^64 - 1"),
        ),
    ];
    for (params, want) in cases {
        assert_eq!(world.refused("kv_getValue", params).await, want);
    }
    for wrong in [
        json!([a, "?", 0, 1]),
        json!(["0x12", key, 0, 1]),
        json!({"a": 1}),
        json!([]),
    ] {
        assert_eq!(world.refused("kv_getValue", wrong).await.0, -32602);
    }
}

fn entry(version: u64, key: &[u8], data: &[u8]) -> Value {
    json!({"version": version, "key": b64(key), "data": b64(data), "size": data.len()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_next() {
    let world = World::new().await;
    let a = stream(1);
    let next = async |params: Value| world.ask("kv_getNext", params).await;
    assert_eq!(
        next(json!([a, b64(b"a"), 0, 9, true])).await,
        entry(3, b"a", b"fourth")
    );
    // One that was removed is passed over, also where it is the one that was asked for.
    assert_eq!(
        next(json!([a, b64(b"a"), 0, 9, false])).await,
        entry(2, b"c", b"third")
    );
    assert_eq!(
        next(json!([a, b64(b"b"), 0, 9, true])).await,
        entry(2, b"c", b"third")
    );
    assert_eq!(
        next(json!([a, b64(b"a"), 0, 9, false, 4])).await,
        entry(1, b"b", b"second")
    );
    assert_eq!(next(json!([a, b64(b"c"), 0, 9, false])).await, Value::Null);
    let refused = world
        .refused("kv_getNext", json!([a, b64(b"c"), 0, 9, 1]))
        .await;
    assert_eq!(refused, invalid("inclusive", "is not true or false"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_prev() {
    let world = World::new().await;
    let a = stream(1);
    let prev = async |params: Value| world.ask("kv_getPrev", params).await;
    assert_eq!(
        prev(json!([a, b64(b"c"), 0, 9, true])).await,
        entry(2, b"c", b"third")
    );
    assert_eq!(
        prev(json!([a, b64(b"c"), 0, 9, false])).await,
        entry(3, b"a", b"fourth")
    );
    assert_eq!(
        prev(json!([a, b64(b"c"), 0, 9, false, 4])).await,
        entry(1, b"b", b"second")
    );
    assert_eq!(prev(json!([a, b64(b"a"), 0, 9, false])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_first() {
    let world = World::new().await;
    let a = stream(1);
    let first = world.ask("kv_getFirst", json!([a, 0, 9])).await;
    assert_eq!(first, entry(3, b"a", b"fourth"));
    let first = world.ask("kv_getFirst", json!([a, 0, 9, 0])).await;
    assert_eq!(first, entry(0, b"a", b"first"));
    assert_eq!(
        world.ask("kv_getFirst", json!([stream(2), 0, 9])).await,
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_last() {
    let world = World::new().await;
    let a = stream(1);
    let last = world.ask("kv_getLast", json!([a, 1, 2])).await;
    let want = json!({"version": 2, "key": b64(b"c"), "data": b64(b"hi"), "size": 5});
    assert_eq!(last, want);
    let last = world.ask("kv_getLast", json!([a, 0, 9, 1])).await;
    assert_eq!(last, entry(1, b"b", b"second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_transaction_result() {
    let world = World::new().await;
    let result = async |params: Value| world.ask("kv_getTransactionResult", params).await;
    assert_eq!(result(json!([0])).await, "Commit");
    // As text, which one of 0G's clients sends.
    assert_eq!(result(json!(["5"])).await, "Commit");
    let denied = format!("WritePermissionDenied: stream: {}, key: a", stream(1));
    assert_eq!(result(json!([4])).await, denied);
    assert_eq!(result(json!([6])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_holding_stream_ids() {
    let world = World::new().await;
    let ids = world.ask("kv_getHoldingStreamIds", json!([])).await;
    assert_eq!(ids, json!([stream(1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_get_replay_progress() {
    let world = World::new().await;
    let progress = world.ask("kv_getReplayProgress", json!([])).await;
    assert_eq!(progress, json!({"appliedSeq": 5, "firstTxSeq": 0}));
}

/// The five questions about permissions, now and before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_has_write_permission() {
    let world = World::new().await;
    let a = stream(1);
    let may = async |params: Value| world.ask("kv_hasWritePermission", params).await;
    assert_eq!(may(json!([account(1), a, b64(b"k")])).await, false);
    assert_eq!(may(json!([account(1), a, b64(b"k"), 4])).await, true);
    assert_eq!(may(json!([account(3), a, b64(b"k")])).await, true);
    assert_eq!(may(json!([account(3), a, b64(b"special")])).await, false);
    assert_eq!(may(json!([account(2), a, b64(b"special")])).await, true);
    assert_eq!(may(json!([account(2), stream(9), b64(b"k")])).await, true);
    let refused = world
        .refused("kv_hasWritePermission", json!([account(1), a, ""]))
        .await;
    assert_eq!(refused, invalid("key", "key is empty"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_is_admin() {
    let world = World::new().await;
    // One of 0G's clients spells it differently.
    for name in ["kv_isAdmin", "kv_IsAdmin"] {
        let is = async |params: Value| world.ask(name, params).await;
        assert_eq!(is(json!([account(1), stream(1)])).await, false);
        assert_eq!(is(json!([account(1), stream(1), 4])).await, true);
        assert_eq!(is(json!([account(2), stream(1), null])).await, false);
    }
    let refused = world
        .refused("kv_isAdmin", json!(["0x12", stream(1)]))
        .await;
    assert_eq!(
        (refused.0, &refused.1[..]),
        (-32602, "Invalid params: account")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_is_special_key() {
    let world = World::new().await;
    let is = async |params: Value| world.ask("kv_isSpecialKey", params).await;
    assert_eq!(is(json!([stream(1), b64(b"special")])).await, true);
    assert_eq!(is(json!([stream(1), b64(b"a")])).await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_is_writer_of_key() {
    let world = World::new().await;
    let is = async |params: Value| world.ask("kv_isWriterOfKey", params).await;
    assert_eq!(
        is(json!([account(2), stream(1), b64(b"special")])).await,
        true
    );
    assert_eq!(
        is(json!([account(3), stream(1), b64(b"special"), 5])).await,
        false
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_is_writer_of_stream() {
    let world = World::new().await;
    let is = async |params: Value| world.ask("kv_isWriterOfStream", params).await;
    assert_eq!(is(json!([account(3), stream(1)])).await, true);
    assert_eq!(is(json!([account(2), stream(1), 5])).await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_add_stream() {
    let world = World::new().await;
    let (key, account) = wallet();
    let new = stream(2);
    world.script.flow().add(account, &write(new, b"k", b"v"));
    let signature = sign(&key, account, new, CHAIN);
    let added = async |of: StreamId, by, signature: &str| {
        world
            .raw("admin_addStream", json!([of, by, signature]))
            .await
    };
    for (of, signature) in [(stream(3), &signature[..]), (new, "0x12")] {
        assert_eq!(added(of, account, signature).await["error"]["code"], -32602);
    }
    for _ in 0..2 {
        assert_eq!(added(new, account, &signature).await["result"], true);
        let ids = world.ask("kv_getHoldingStreamIds", json!([])).await;
        assert_eq!(ids, json!([stream(1), new]));
    }
    let mut progress = world.handle.progress();
    let replayed = |_: &_| world.handle.reader().view().result(6).unwrap().is_some();
    progress.wait_for(replayed).await.unwrap();
    assert_eq!(
        world.ask("kv_getTransactionResult", json!([6])).await,
        "Commit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lode_wait_for_seq() {
    let world = World::new().await;
    let wait = async |params: Value| world.ask("lode_waitForSeq", params).await;
    let decided = json!({"decided": true, "result": "Commit"});
    assert_eq!(wait(json!([0, 0])).await, decided);
    assert_eq!(
        wait(json!([6, 1])).await,
        json!({"decided": false, "result": null})
    );
    let later = async {
        world
            .script
            .flow()
            .add(account(3), &write(stream(1), b"n", b"new"));
        world
            .script
            .flow()
            .add(account(3), &write(stream(9), b"n", b"new"));
    };
    let (waited, ()) = tokio::join!(wait(json!([6, 60_000])), later);
    assert_eq!(waited, decided);
    // Who has waited reads what he wrote; what is of no stream of ours is decided by passing it.
    let read = world
        .ask("kv_getValue", json!([stream(1), b64(b"n"), 0, 9]))
        .await;
    assert_eq!(read["data"], b64(b"new"));
    assert_eq!(
        wait(json!([7, 60_000])).await,
        json!({"decided": true, "result": null})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lode_get_given_up() {
    let world = World::new().await;
    let seq = {
        let mut flow = world.script.flow();
        let seq = flow.add(account(3), &write(stream(1), b"n", b"new"));
        flow.at(seq).submission.given_up = true;
        seq
    };
    world.ask("lode_waitForSeq", json!([seq, 60_000])).await;
    let ask = async |params: Value| world.ask("lode_getGivenUp", params).await;
    let mut progress = world.handle.progress();
    progress
        .wait_for(|progress| progress.low > seq)
        .await
        .unwrap();
    let result = world.ask("kv_getTransactionResult", json!([seq])).await;
    assert_eq!(result, "DataUnavailable");
    assert_eq!(
        ask(json!([0, 100])).await,
        json!({"decided": seq + 1, "seqs": [seq]})
    );
    assert_eq!(ask(json!([0, 2])).await, json!({"decided": 2, "seqs": []}));
}

/// Batches are answered, up to their bound; pages that may ask are told so, others are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_pages() {
    let world = World::new().await;
    let one = |id| json!({"jsonrpc": "2.0", "id": id, "method": "kv_getStatus", "params": []});
    let answers = world.post(&json!([one(1), one(2)])).await;
    assert_eq!(answers.as_array().unwrap().len(), 2);
    let many: Vec<Value> = (0..101).map(one).collect();
    assert!(world.post(&json!(many)).await.get("error").is_some());
    let unknown = world.raw("kv_unknown", json!([])).await;
    assert_eq!(unknown["error"]["code"], -32601);
    let url = format!("http://{}", world.handle.address());
    for (origin, told) in [
        ("https://example.org", true),
        ("https://example.com", false),
    ] {
        let asked = world.client.post(&url).header(ORIGIN, origin).json(&one(1));
        let answer = asked.send().await.unwrap();
        assert_eq!(
            answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
            told
        );
    }
}

/// A node that is stopped lets go of its folder, and begins again where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_start() {
    let world = World::new().await;
    let World {
        script,
        handle,
        folder,
        client,
    } = world;
    assert_eq!(handle.stop().await, None);
    let mut other = config(&folder);
    other.streams = Streams::All;
    let refused = Kv::start(other, script.clone()).await;
    assert!(matches!(refused, Err(StartError::OtherStreams(_))));
    let mut other = config(&folder);
    other.rules.keys = keys();
    let refused = Kv::start(other, script.clone()).await;
    assert!(matches!(refused, Err(StartError::OtherKeys)));
    script.flow().asked = 0;
    let handle = Kv::start(config(&folder), script.clone()).await.unwrap();
    let world = World {
        script,
        handle,
        folder,
        client,
    };
    let progress = world.ask("kv_getReplayProgress", json!([])).await;
    assert_eq!(progress["appliedSeq"], 5);
    assert_eq!(world.script.flow().asked, 0);
}
