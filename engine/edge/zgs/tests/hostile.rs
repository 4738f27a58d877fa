//! Clients that mean no good, against the real server on a port: silent ones, slow ones, floods, lies
//! about lengths, and requests that are none. Whatever they do, others are answered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lode_zgs::{Config, Handle, Metrics, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use world::{
    Blob, CHUNK, Node,
    http::{self, answer, ask, call, exchange, head, post},
};

async fn open(change: impl FnOnce(&mut Config)) -> (Node, Handle) {
    let node = Node::with(change);
    let handle = serve(Arc::clone(&node.room)).await.unwrap();
    (node, handle)
}

/// The sum of all numbers of a name.
fn metric(node: &Node, name: &str) -> u64 {
    let numbers = Metrics::of(&node.room).numbers();
    let found = numbers.iter().filter(|number| number.name == name);
    found.map(|number| number.value).sum()
}

/// What was turned away for a reason.
fn refused(node: &Node, reason: &str) -> u64 {
    let numbers = Metrics::of(&node.room).numbers();
    let found = numbers
        .iter()
        .find(|number| number.name == "zgs_refusals" && number.label == Some(("reason", reason)));
    found.unwrap().value
}

/// Waits until something holds; a server needs a moment to see that a client has gone.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never held");
}

async fn is_served(address: SocketAddr) {
    let answer = http::rpc(address, "zgs_getShardConfig", &json!([])).await;
    assert_eq!(answer["result"], json!({"shardId": 0, "numShard": 1}));
}

/// Whether the other side ends the connection; what it says first does not count.
async fn is_ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A connection that is cut may say so as an error.
    let _cut = stream.read_to_end(&mut rest).await.is_err();
}

/// Silent connections and slow heads take every place: a newcomer gets one all the same.
#[tokio::test]
async fn half_open_connections_keep_nobody_out() {
    let (node, handle) = open(|config| config.connections_max = 4).await;
    let mut silent = Vec::new();
    for index in 0..12 {
        let mut stream = TcpStream::connect(handle.address()).await.unwrap();
        if index % 2 == 0 {
            stream.write_all(b"POST / HTTP/1.1\r\nHos").await.unwrap();
        }
        silent.push(stream);
    }
    is_served(handle.address()).await;
    assert!(metric(&node, "zgs_connections") <= 5);
    assert!(metric(&node, "zgs_ended") >= 8);
    for stream in &mut silent[..8] {
        is_ended(stream).await;
    }
}

/// Without anybody else they are ended, too, when their time is over.
#[tokio::test]
async fn half_open_connections_are_ended() {
    let short = |config: &mut Config| config.head_time_max = Duration::from_millis(100);
    let (node, handle) = open(short).await;
    let mut silent = TcpStream::connect(handle.address()).await.unwrap();
    let mut slow = TcpStream::connect(handle.address()).await.unwrap();
    slow.write_all(b"POST / HT").await.unwrap();
    let mut kept = TcpStream::connect(handle.address()).await.unwrap();
    let (status, _) = exchange(&mut kept, &post(&call("zgs_getStatus", &json!([]))))
        .await
        .unwrap();
    assert_eq!(status, 200);
    for stream in [&mut silent, &mut slow, &mut kept] {
        is_ended(stream).await;
    }
    until(|| metric(&node, "zgs_connections") == 0).await;
}

/// Two thousand connections through sixty-four places, some of them talking.
#[tokio::test]
async fn a_flood_of_connections() {
    let (node, handle) = open(|config| config.connections_max = 64).await;
    let mut flood = Vec::new();
    for index in 0..2_000 {
        flood.push(TcpStream::connect(handle.address()).await.unwrap());
        if index % 400 == 399 {
            is_served(handle.address()).await;
            assert!(metric(&node, "zgs_connections") <= 65);
        }
    }
    drop(flood);
    until(|| metric(&node, "zgs_connections") == 0).await;
    is_served(handle.address()).await;
}

/// A body may be as long as is allowed, to the byte; what is announced and does not come, or comes and
/// was not announced, is not taken for anything.
#[tokio::test]
async fn lengths_are_kept() {
    let (node, handle) = open(|config| {
        config.request_len_max = 100_000;
        config.head_time_max = Duration::from_secs(2);
    })
    .await;
    let address = handle.address();
    let padded = |len: usize| {
        let mut body = call("zgs_getStatus", &json!([]));
        body.resize(len, b' ');
        body
    };
    assert_eq!(ask(address, &post(&padded(100_000))).await.unwrap().0, 200);
    assert_eq!(ask(address, &post(&padded(100_001))).await.unwrap().0, 413);
    // Refused by what it says, before anything of it comes.
    let huge = head("Content-Length: 99999999999999\r\n");
    assert_eq!(ask(address, huge.as_bytes()).await.unwrap().0, 413);
    let past = head("Content-Length: 18446744073709551615\r\n");
    assert_eq!(ask(address, past.as_bytes()).await.unwrap().0, 431);
    assert_eq!(refused(&node, "too_long"), 2);
    // Longer than announced: the rest is the next request, which is none.
    let body = call("zgs_getStatus", &json!([]));
    let longer = [post(&body), vec![b'x'; 50_000]].concat();
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(exchange(&mut stream, &longer).await.unwrap().0, 200);
    is_ended(&mut stream).await;
    // Shorter than announced.
    let announced = head(&format!("Content-Length: {}\r\n", body.len() + 1));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let shorter = [announced.as_bytes(), &body].concat();
    stream.write_all(&shorter).await.unwrap();
    stream.shutdown().await.unwrap();
    is_ended(&mut stream).await;
    for bad in [
        "Content-Length: -1\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length:\r\n",
    ] {
        let status = ask(address, head(bad).as_bytes())
            .await
            .map(|(status, _)| status);
        assert!(matches!(status, None | Some(400)), "{bad}{status:?}");
    }
    is_served(address).await;
    until(|| metric(&node, "zgs_in_flight_bytes") == 0).await;
}

/// Three hundred megabytes at once go through room for sixteen, and all are answered.
#[tokio::test]
async fn no_more_than_the_budget() {
    let (node, handle) = open(|config| {
        config.request_len_max = 1 << 20;
        config.in_flight_max = 16 << 20;
    })
    .await;
    let blob = Blob::new(1, CHUNK);
    let mut body = call("zgs_getFileInfo", &json!([blob.root(), true]));
    body.resize(1 << 20, b' ');
    let (request, address) = (Arc::new(post(&body)), handle.address());
    let mut tasks = JoinSet::new();
    for _ in 0..300 {
        let request = Arc::clone(&request);
        tasks.spawn(async move { ask(address, &request).await });
    }
    while let Some(answered) = tasks.join_next().await {
        let Some((status, body)) = answered.unwrap() else {
            panic!("no answer: {:?}", Metrics::of(&node.room).numbers());
        };
        assert_eq!(status, 200);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"jsonrpc": "2.0", "id": 1, "result": null}));
    }
    let peak = metric(&node, "zgs_in_flight_peak_bytes");
    assert!((8 << 20..=16 << 20).contains(&peak), "{peak}");
    until(|| metric(&node, "zgs_in_flight_bytes") == 0).await;
}

/// A request that is announced and does not come gives its room back, and others use it.
#[tokio::test]
async fn slow_bodies_are_given_up() {
    let (node, handle) = open(|config| {
        config.request_len_max = 4 << 20;
        config.in_flight_max = 4 << 20;
        config.time_max = Duration::from_millis(300);
    })
    .await;
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    let slow = head("Content-Length: 4194304\r\n") + "{";
    stream.write_all(slow.as_bytes()).await.unwrap();
    until(|| metric(&node, "zgs_in_flight_bytes") == 4 << 20).await;
    // This one waits for the room that the slow one has.
    is_served(handle.address()).await;
    assert_eq!(answer(&mut stream).await.unwrap().0, 408);
    assert_eq!(refused(&node, "late"), 1);
    is_ended(&mut stream).await;
}

/// Answers that are not fetched take room only for a while.
#[tokio::test]
async fn answers_must_be_fetched() {
    let (node, handle) = open(|config| config.time_max = Duration::from_millis(500)).await;
    let blob = Blob::new(1, CHUNK);
    node.store(&blob).await;
    let question = post(&call("zgs_downloadSegment", &json!([blob.root(), 0, 1024])));
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    // More than the two sockets hold between them.
    stream.write_all(&question.repeat(64)).await.unwrap();
    until(|| metric(&node, "zgs_ended") == 1).await;
    until(|| metric(&node, "zgs_in_flight_bytes") == 0).await;
    is_served(handle.address()).await;
}

/// A body of unknown length is taken while it is no longer than a chunk needs.
#[tokio::test]
async fn chunked_bodies() {
    let (node, handle) = open(|config| config.time_max = Duration::from_millis(2_000)).await;
    let blob = Blob::new(1, CHUNK + 9);
    let seq = node.submit(&[&blob])[0];
    let chunked = |body: &[u8]| {
        let mut bytes = head("Transfer-Encoding: chunked\r\n").into_bytes();
        for piece in body.chunks(10_000) {
            bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        [bytes, b"0\r\n\r\n".to_vec()].concat()
    };
    let upload = call("zgs_uploadSegmentByTxSeq", &json!([blob.segment(0), seq]));
    let (status, body) = ask(handle.address(), &chunked(&upload)).await.unwrap();
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["result"], Value::Null);
    let info = node.call("zgs_getFileInfoByTxSeq", json!([seq])).await;
    assert_eq!(info.unwrap()["uploadedSegNum"], json!(1));
    let mut long = call("zgs_getStatus", &json!([]));
    long.resize((1 << 20) + 1, b' ');
    assert_eq!(ask(handle.address(), &chunked(&long)).await.unwrap().0, 413);
    long.truncate(1 << 20);
    assert_eq!(ask(handle.address(), &chunked(&long)).await.unwrap().0, 200);
    // One that never ends.
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    let endless = head("Transfer-Encoding: chunked\r\n") + "1\r\n{\r\n";
    stream.write_all(endless.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().0, 408);
    is_served(handle.address()).await;
}

async fn raw(address: SocketAddr, body: &[u8]) -> (u16, Value) {
    let (status, body) = ask(address, &post(body)).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Batches: as many as may be, one more, and so many that counting them would take all memory.
#[tokio::test]
async fn batches_are_bounded() {
    let (node, handle) = open(|config| config.answer_len_max = 1 << 20).await;
    let address = handle.address();
    let batch = |one: &[u8], count: usize| {
        let list = vec![one; count].join(&b","[..]);
        [b"[", &list[..], b"]"].concat()
    };
    let one = call("zgs_checkFileFinalized", &json!([0]));
    let (_, answers) = raw(address, &batch(&one, 256)).await;
    assert_eq!(answers.as_array().unwrap().len(), 256);
    let (_, answer) = raw(address, &batch(&one, 257)).await;
    assert_eq!(answer["error"]["code"], json!(-32_010));
    let (_, answer) = raw(address, &batch(b"1", 500_000)).await;
    assert_eq!(answer["error"]["code"], json!(-32_010));
    assert_eq!(raw(address, &batch(b"1", 600_000)).await.0, 413);
    let (_, answer) = raw(address, b"[]").await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    // Small questions with long answers.
    let blob = Blob::new(1, CHUNK);
    node.store(&blob).await;
    let one = call("zgs_downloadSegment", &json!([blob.root(), 0, 1024]));
    let (_, answer) = raw(address, &batch(&one, 256)).await;
    assert!(answer["error"]["code"].is_i64(), "no more than the limit");
    until(|| metric(&node, "zgs_in_flight_bytes") == 0).await;
}

/// What is no JSON, no JSON-RPC or no HTTP is refused in one, and the next one is served.
#[tokio::test]
async fn nonsense_is_refused() {
    let (_node, handle) = open(|_| ()).await;
    let address = handle.address();
    let deep = |open: &str, close: &str, levels: usize| {
        let params = open.repeat(levels) + "1" + &close.repeat(levels);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"zgs_getFileInfo","params":[{params}]}}"#)
    };
    for body in [
        deep("[", "]", 100_000).into_bytes(),
        deep(r#"{"a":"#, "}", 100_000).into_bytes(),
        [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        b"{".repeat(100_000),
        b"\xff\xfe{\"\xc3\x28\"}".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"zgs_getStatus\xff\"}".to_vec(),
        br#"{"jsonrpc":"2.0","id":1,"method":"zgs_getFileInfo","params":["\ud800"]}"#.to_vec(),
        br#"{"jsonrpc":"1.0","id":1,"method":"zgs_getStatus"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":1,"method":7}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":1,"method":"zgs_getFileInfoByTxSeq","params":[1e99]}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":1,"method":"zgs_getFileInfoByTxSeq","params":{"seq":1}}"#
            .to_vec(),
        b"   ".to_vec(),
        Vec::new(),
    ] {
        let (status, answer) = raw(address, &body).await;
        let text = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert!(matches!(status, 200 | 400), "{status} to {text}");
        // What begins as a list is a batch, and answered with one.
        let said = answer.get(0).unwrap_or(&answer)["error"]["code"].is_i64();
        assert!(said, "{answer} to {text}");
    }
    // A call without a number that could be answered to is a notification: it is done, and nothing said.
    let (status, body) = ask(
        address,
        &post(br#"{"jsonrpc":"2.0","id":[1],"method":"zgs_getStatus"}"#),
    )
    .await
    .unwrap();
    assert_eq!((status, &body[..]), (200, &b"null"[..]));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let noise: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let _closed = stream.write_all(&noise).await.is_err();
    is_ended(&mut stream).await;
    let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(ask(address, get).await.unwrap().0, 405);
    is_served(address).await;
}

mod random {
    //! Parameters of any kind for every method.

    use lode_wire::Segment;
    use proptest::prelude::*;

    use super::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let root = format!("0x{}", "11".repeat(32));
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0_u64..3_000).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(Value::from(root)),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(
                    "root|data|index|proof|fileSize|[a-z]{1,4}",
                    inner,
                    0..6
                )
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A valid chunk of which one field is something else.
    fn bent_segment() -> impl Strategy<Value = Value> {
        let fields = prop::sample::select(vec!["root", "data", "index", "proof", "fileSize"]);
        (fields, json_value()).prop_map(|(field, value)| {
            let mut segment = serde_json::to_value(Blob::new(1, 700).segment(0)).unwrap();
            segment[field] = value;
            segment
        })
    }

    /// Every method answers whatever comes, in JSON-RPC's words; and of what is bent nothing is kept.
    #[test]
    fn every_method_answers() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let node = runtime.block_on(async { Node::new() });
        let blob = Blob::new(1, 700);
        node.submit(&[&blob]);
        let names: Vec<&str> = node.module.method_names().collect();
        let params = prop_oneof![
            prop::collection::vec(json_value(), 0..4).prop_map(Value::from),
            json_value(),
            (bent_segment(), json_value()).prop_map(|(segment, second)| json!([
                segment.clone(),
                second,
                segment
            ])),
            bent_segment().prop_map(|segment| json!([[segment], 0])),
        ];
        let cases = ProptestConfig::with_cases(200);
        proptest!(cases, |(params in params, which in any::<prop::sample::Index>())| {
            let sent_whole = params.to_string().contains(&serde_json::to_string(&blob.segment(0)).unwrap());
            prop_assume!(!sent_whole);
            for name in [*which.get(&names), "zgs_uploadSegmentsByTxSeq", "zgs_uploadSegment"] {
                match runtime.block_on(node.call(name, params.clone())) {
                    Ok(_) => {}
                    Err(error) => prop_assert!(error["code"].is_i64(), "{name}: {error}"),
                }
            }
        });
        let info = node.call("zgs_getFileInfoByTxSeq", json!([0]));
        let info = runtime.block_on(info).unwrap();
        assert_eq!(info["uploadedSegNum"], json!(0));
    }

    /// Of a chunk that was changed anywhere nothing is taken, and it is said why.
    #[test]
    fn bent_chunks_are_refused() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let node = runtime.block_on(async { Node::new() });
        let blob = Blob::new(1, CHUNK + 700);
        let seq = node.submit(&[&blob])[0];
        let bends = prop_oneof![
            (0..CHUNK, 1_u8..).prop_map(|(at, mask)| Bend::Byte(at, mask)),
            (0..CHUNK).prop_map(Bend::Cut),
            (0_usize..8, 0_usize..32, 1_u8..)
                .prop_map(|(hash, at, mask)| Bend::Hash(hash, at, mask)),
            (2_u64..).prop_map(Bend::Index),
            (1_u64..).prop_map(Bend::Size),
        ];
        proptest!(ProptestConfig::with_cases(60), |(bend in bends, index in 0_u64..2)| {
            let mut segment = blob.segment(index);
            bend.apply(&mut segment);
            let sent = node.call("zgs_uploadSegmentByTxSeq", json!([segment, seq]));
            let refused = runtime.block_on(sent).unwrap_err();
            prop_assert!(refused["code"].is_i64());
        });
        let info = runtime.block_on(node.call("zgs_getFileInfoByTxSeq", json!([seq])));
        assert_eq!(info.unwrap()["uploadedSegNum"], json!(0));
    }

    /// What is done to a chunk.
    #[derive(Clone, Copy, Debug)]
    enum Bend {
        Byte(usize, u8),
        Cut(usize),
        Hash(usize, usize, u8),
        Index(u64),
        Size(u64),
    }

    impl Bend {
        fn apply(self, segment: &mut Segment) {
            match self {
                Bend::Byte(at, mask) => {
                    let mut bytes = segment.data.to_vec();
                    let at = at % bytes.len();
                    bytes[at] ^= mask;
                    segment.data = bytes.into();
                }
                Bend::Cut(len) => segment.data = segment.data.slice(..len % segment.data.len()),
                Bend::Hash(hash, at, mask) => {
                    let hash = hash % segment.proof.lemma.len();
                    segment.proof.lemma[hash].0[at] ^= mask;
                }
                Bend::Index(index) => segment.index = index,
                Bend::Size(size) => segment.file_size ^= size,
            }
        }
    }
}
