//! The feed against a node that is played here, as honest or not as the test wants.

#[path = "tls_tests.rs"]
mod tls;

use std::sync::{Arc, Mutex};

use jsonrpsee::{
    RpcModule,
    server::{Server, ServerConfig, ServerHandle},
    types::ErrorObjectOwned,
};
use lode_proofs::{BlobHasher, CHUNK_LEN, fold_roots};

use super::*;

/// A blob of three chunks as a node has it.
fn blob() -> (Vec<u8>, Submission, Vec<Value>) {
    let bytes: Vec<u8> = (0..=250).cycle().take(2 * CHUNK_LEN + 1000).collect();
    let (mut hasher, mut roots) = (BlobHasher::new(), Vec::new());
    hasher.update_with(&bytes, |_, root| roots.push(root));
    let tree = hasher.finish().unwrap();
    roots.extend(tree.last_chunk_root());
    let segments = (0..).zip(bytes.chunks(CHUNK_LEN)).map(|(index, chunk)| {
        let proof = ChunkProof::build(tree.shape(), index, |run| {
            let first = usize::try_from(run.first).unwrap();
            let count = usize::try_from(run.count).unwrap();
            fold_roots(&roots[first..first + count]).unwrap()
        });
        let mut data = chunk.to_vec();
        data.resize(data.len().next_multiple_of(256), 0);
        let segment = Segment {
            root: tree.root(),
            data: data.into(),
            index,
            proof: proof.unwrap().to_wire(),
            file_size: tree.shape().size(),
        };
        serde_json::to_value(segment).unwrap()
    });
    let segments = segments.collect();
    let of = Submission {
        seq: 3,
        root: tree.root(),
        size: tree.shape().size(),
        tags: Bytes::from_static(&[1, 2]),
        sender: Account([9; 20]),
        block: 77,
        transaction: Hash32([8; 32]),
        given_up: false,
    };
    (bytes, of, segments)
}

type Answering = Result<Value, ErrorObjectOwned>;
type Method = Arc<Mutex<dyn FnMut(&str, Value) -> Answering + Send>>;

/// Plays a node.
async fn node(
    answer: impl FnMut(&str, Value) -> Answering + Send + 'static,
) -> (String, ServerHandle) {
    let answer: Method = Arc::new(Mutex::new(answer));
    let settings = ServerConfig::builder()
        .max_response_body_size(64 << 20)
        .build();
    let server = Server::builder().set_config(settings);
    let server = server.build("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let mut module = RpcModule::new(answer);
    for name in [
        "lode_getSubmissions",
        "lode_getGivenUp",
        "zgs_downloadSegmentWithProofByTxSeq",
    ] {
        module
            .register_method(name, move |params, answer, _| {
                let params = params.parse().unwrap();
                answer.lock().unwrap()(name, params)
            })
            .unwrap();
    }
    (url, server.start(module))
}

fn told(of: &Submission) -> Value {
    json!({
        "seq": of.seq, "root": of.root, "size": of.size, "tags": hex::encode(&of.tags),
        "sender": of.sender, "block": of.block, "transaction": of.transaction,
    })
}

fn feed(urls: &[&String]) -> NodeFeed {
    let urls: Vec<String> = urls.iter().map(|url| (*url).clone()).collect();
    NodeFeed::new(&urls, None, &Authorities::Public).unwrap()
}

/// Submissions and bytes come as the node has them.
#[tokio::test]
async fn honest() {
    let (bytes, of, segments) = blob();
    let submission = told(&of);
    let (url, _node) = node(move |method, params| {
        if method == "lode_getSubmissions" {
            assert_eq!(params, json!([3, 10]));
            return Ok(json!([submission]));
        }
        assert_eq!(params[0], 3);
        let index = usize::try_from(params[1].as_u64().unwrap()).unwrap();
        Ok(segments.get(index).cloned().unwrap_or_default())
    })
    .await;
    let feed = feed(&[&url]);
    assert_eq!(
        feed.submissions(3, 10).await.unwrap(),
        std::slice::from_ref(&of)
    );
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_LEN)) {
        assert_eq!(feed.chunk(&of, index).await.unwrap().unwrap(), chunk);
    }
    assert!(feed.chunk(&of, 3).await.unwrap().is_none());
}

/// No bytes are believed that the proof does not lead to the root from: flipped, of another chunk, of
/// another blob, too short, filled with something.
#[tokio::test]
async fn lies() {
    let (_, of, segments) = blob();
    let segment =
        |index: usize| -> Segment { serde_json::from_value(segments[index].clone()).unwrap() };
    let with = |change: fn(&mut Vec<u8>)| {
        let mut wrong = segment(2);
        let mut data = wrong.data.to_vec();
        change(&mut data);
        wrong.data = data.into();
        wrong
    };
    let mut no_proof = segment(2);
    no_proof.proof.lemma.pop();
    let mut other_root = segment(2);
    *other_root.proof.lemma.last_mut().unwrap() = Hash32([1; 32]);
    let cases = [
        with(|data| data[0] ^= 1),
        with(|data| data[999] ^= 0x80),
        with(|data| data.truncate(768)),
        with(|data| *data.last_mut().unwrap() = 1),
        with(Vec::clear),
        segment(1),
        no_proof,
        other_root,
    ];
    for wrong in cases {
        let wrong = serde_json::to_value(wrong).unwrap();
        let (url, _node) = node(move |_, _| Ok(wrong.clone())).await;
        let answer = feed(&[&url]).chunk(&of, 2).await;
        assert!(matches!(answer, Err(FeedError::Lie(_))), "{answer:?}");
    }
    // What another node says then counts.
    let (mut wrong, right) = (segment(2), segments[2].clone());
    wrong.proof.path.pop();
    let wrong = serde_json::to_value(wrong).unwrap();
    let (bad, _bad) = node(move |_, _| Ok(wrong.clone())).await;
    let (good, _good) = node(move |_, _| Ok(right.clone())).await;
    assert!(feed(&[&bad, &good]).chunk(&of, 2).await.unwrap().is_some());
}

/// Only if all nodes say that they have nothing, there is nothing.
#[tokio::test]
async fn missing_or_failing() {
    let (_, of, _) = blob();
    let (empty, _empty) = node(|_, _| Ok(Value::Null)).await;
    let refusal = || ErrorObjectOwned::owned(-32000, "busy", None::<()>);
    let (busy, _busy) = node(move |_, _| Err(refusal())).await;
    let gone = "http://127.0.0.1:1".to_owned();
    assert!(
        feed(&[&empty, &empty])
            .chunk(&of, 0)
            .await
            .unwrap()
            .is_none()
    );
    let answer = feed(&[&empty, &busy]).chunk(&of, 0).await;
    let refused =
        matches!(&answer, Err(FeedError::Refused { code: -32000, message }) if message == "busy");
    assert!(refused, "{answer:?}");
    let answer = feed(&[&gone, &empty]).chunk(&of, 0).await;
    assert!(
        matches!(answer, Err(FeedError::Unreachable(_))),
        "{answer:?}"
    );
}

/// Answers without sense, or without end, are refused.
#[tokio::test]
async fn senseless() {
    let (_, of, _) = blob();
    let mut tags = told(&of);
    tags["tags"] = json!("0xabc");
    let mut size = told(&of);
    size["size"] = json!(-1);
    let endless = json!("x".repeat(ANSWER_LEN_MAX));
    for wrong in [
        json!([tags]),
        json!([size]),
        json!({}),
        json!([1]),
        Value::Null,
        endless,
    ] {
        let (url, _node) = node(move |_, _| Ok(wrong.clone())).await;
        let answer = feed(&[&url]).submissions(0, 1).await;
        assert!(matches!(answer, Err(FeedError::Senseless(_))), "{answer:?}");
    }
    assert!(matches!(
        NodeFeed::new(&[], None, &Authorities::Public),
        Err(NodeFeedError::NoNode)
    ));
    let urls = ["http://a".to_owned(), "node:5678".to_owned()];
    let refused = NodeFeed::new(&urls, None, &Authorities::Public);
    assert!(matches!(refused, Err(NodeFeedError::Url(2))));
    let refused = NodeFeed::new(&urls[..1], Some("/"), &Authorities::Public);
    assert!(matches!(refused, Err(NodeFeedError::Url(0))));
}

/// With a leader nothing is passed on that he has not decided, and what he has given up is marked.
#[tokio::test]
async fn led() {
    let (_, of, _) = blob();
    let page: Vec<Value> = (3..8)
        .map(|seq| told(&Submission { seq, ..of.clone() }))
        .collect();
    let (url, _node) = node(move |_, _| Ok(json!(page))).await;
    let (leader, _leader) = node(|method, params| {
        assert_eq!((method, params), ("lode_getGivenUp", json!([3, 10])));
        Ok(json!({"decided": 6, "seqs": [4]}))
    })
    .await;
    let feed = NodeFeed::new(&[url], Some(&leader), &Authorities::Public).unwrap();
    let page = feed.submissions(3, 10).await.unwrap();
    let page: Vec<_> = page.iter().map(|one| (one.seq, one.given_up)).collect();
    assert_eq!(page, [(3, false), (4, true), (5, false)]);
}
