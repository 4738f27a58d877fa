//! Every row of METHODS.md: one test, of the same name, calls the method as a client does and compares
//! the answer with what 0G wire, 3.1 says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lode_proofs::{Hash32, keccak::keccak256, leads_to};
use serde_json::{Value, json};
use world::{Blob, CHUNK, Node, table_is_true};

/// The table lists what is served, nothing else, and each row has a test here.
#[tokio::test]
async fn the_table_is_true() {
    let (table, tests) = (include_str!("../METHODS.md"), include_str!("methods.rs"));
    table_is_true(table, tests, Node::new().module.method_names());
}

/// Whoever listens is told of each chunk that came and was new, sooner or later as it was.
#[tokio::test]
async fn what_comes_is_told() {
    let (node, blob) = (Node::new(), Blob::new(1, 2 * CHUNK + 9));
    let mut news = node.room.news().unwrap();
    assert!(node.room.news().is_none(), "one listens");
    let upload = |index| node.call("zgs_uploadSegment", json!([blob.segment(index)]));
    // It waits for its submission.
    assert_eq!(upload(0).await, Ok(Value::Null));
    assert!(news.try_recv().is_err());
    assert_eq!(node.submit(&[&Blob::new(2, 9), &blob]), [0, 1]);
    node.room.submitted().await;
    assert_eq!(news.try_recv(), Ok(1));
    assert_eq!(upload(2).await, Ok(Value::Null));
    assert_eq!(news.try_recv(), Ok(1));
    assert!(upload(2).await.is_err(), "it is here");
    assert!(news.try_recv().is_err());
    // Nobody reads: what is told is bounded, and the chunks are kept.
    for seq in 0..10_000 {
        node.room.tell(seq);
    }
    assert_eq!(upload(1).await, Ok(Value::Null));
    assert!(news.len() < 10_000);
}

#[tokio::test]
async fn get_status() {
    let node = Node::new();
    let status = |height: u64, block: String, next: u64| {
        json!({
            "connectedPeers": 0, "logSyncHeight": height, "logSyncBlock": block, "nextTxSeq": next,
            "networkIdentity": {
                "chainId": 31_337, "flowAddress": format!("0x{}", "f1".repeat(20)),
                "p2pProtocolVersion": {"major": 0, "minor": 4, "build": 0},
            },
        })
    };
    let empty = status(0, format!("0x{}", "00".repeat(32)), 0);
    assert_eq!(node.call("zgs_getStatus", json!([])).await, Ok(empty));
    node.submit(&[&Blob::new(1, 10), &Blob::new(2, 20)]);
    let two = status(1, format!("0x{}", "01".repeat(32)), 2);
    assert_eq!(node.call("zgs_getStatus", json!([])).await, Ok(two));
}

#[tokio::test]
async fn get_shard_config() {
    let node = Node::new();
    let whole = json!({"shardId": 0, "numShard": 1});
    assert_eq!(node.call("zgs_getShardConfig", json!([])).await, Ok(whole));
}

/// What is said of a blob while its chunks come.
#[tokio::test]
async fn get_file_info() {
    let (node, blob) = (Node::new(), Blob::new(1, 2 * CHUNK + 1));
    let ask = || node.call("zgs_getFileInfo", json!([blob.root(), true]));
    assert_eq!(ask().await, Ok(Value::Null));
    node.submit(&[&blob]);
    let nodes = blob.tree.submission_nodes().iter();
    let nodes: Vec<Value> = nodes
        .map(|node| json!([node.height + 1, node.root]))
        .collect();
    let mut want = json!({
        "tx": {
            "streamIds": [], "data": [], "dataMerkleRoot": blob.root(), "merkleNodes": nodes,
            "startEntryIndex": 2048, "size": blob.size(), "seq": 0,
        },
        "finalized": false, "isCached": false, "uploadedSegNum": 0, "pruned": false,
    });
    assert_eq!(ask().await, Ok(want.clone()));
    for (index, (count, finalized)) in [(2, (1, false)), (0, (2, false)), (1, (3, true))] {
        let segment = blob.segment(index);
        let sent = node.call("zgs_uploadSegmentByTxSeq", json!([segment, 0]));
        assert_eq!(sent.await, Ok(Value::Null));
        want["uploadedSegNum"] = json!(count);
        want["finalized"] = json!(finalized);
        assert_eq!(ask().await, Ok(want.clone()));
    }
    // Older clients send the root alone.
    let alone = node.call("zgs_getFileInfo", json!([blob.root()]));
    assert_eq!(alone.await, Ok(want.clone()));
    let other = json!([format!("0x{}", "99".repeat(32)), false]);
    assert_eq!(node.call("zgs_getFileInfo", other).await, Ok(Value::Null));
}

#[tokio::test]
async fn get_file_info_by_tx_seq() {
    let (node, blob) = (Node::new(), Blob::new(1, 300));
    let seq = node.store(&blob).await;
    // A blob that comes again is complete at once.
    let again = node.submit(&[&blob])[0];
    for seq in [seq, again] {
        let info = node.call("zgs_getFileInfoByTxSeq", json!([seq]));
        let info = info.await.unwrap();
        assert_eq!(
            (&info["tx"]["seq"], &info["finalized"]),
            (&json!(seq), &json!(true))
        );
    }
    let none = node.call("zgs_getFileInfoByTxSeq", json!([7])).await;
    assert_eq!(none, Ok(Value::Null));
}

#[tokio::test]
async fn check_file_finalized() {
    let (node, one, two) = (Node::new(), Blob::new(1, 300), Blob::new(2, 300));
    node.store(&one).await;
    node.submit(&[&two]);
    for (which, want) in [
        (json!([0]), json!(true)),
        (json!([one.root()]), json!(true)),
        (json!([1]), json!(false)),
        (json!([two.root()]), json!(false)),
        (json!([2]), Value::Null),
        (json!([Blob::new(3, 3).root()]), Value::Null),
    ] {
        assert_eq!(node.call("zgs_checkFileFinalized", which).await, Ok(want));
    }
}

/// A chunk by the root of its blob, before the chain knows it and after.
#[tokio::test]
async fn upload_segment() {
    let (node, blob) = (Node::new(), Blob::new(1, CHUNK + 5));
    let send = |index| node.call("zgs_uploadSegment", json!([blob.segment(index)]));
    assert_eq!(send(0).await, Ok(Value::Null));
    assert_eq!(duplicate(), send(0).await.unwrap_err());
    node.submit(&[&blob]);
    node.room.submitted().await;
    let info = node
        .call("zgs_getFileInfo", json!([blob.root(), true]))
        .await;
    assert_eq!(
        info.unwrap()["uploadedSegNum"],
        json!(1),
        "what waited is stored"
    );
    assert_eq!(duplicate(), send(0).await.unwrap_err());
    assert_eq!(send(1).await, Ok(Value::Null));
    assert_eq!(finalized(), send(1).await.unwrap_err());
}

fn duplicate() -> Value {
    let text = "segment has already been uploaded or is being uploaded";
    json!({"code": -32000, "message": text})
}

fn finalized() -> Value {
    param("root", "already uploaded and finalized")
}

fn param(field: &str, data: &str) -> Value {
    json!({"code": -32602, "message": format!("Invalid params: {field}"), "data": data})
}

/// Every refusal of 0G wire, 3.1, in its words.
#[tokio::test]
async fn upload_segment_by_tx_seq() {
    let (node, blob, other) = (Node::new(), Blob::new(1, 2 * CHUNK + 300), Blob::new(2, 9));
    let seq = node.submit(&[&blob])[0];
    node.submit(&[&other]);
    let send = |segment| node.call("zgs_uploadSegmentByTxSeq", json!([segment, seq]));
    let mut empty = blob.segment(1);
    empty.data = Vec::new().into();
    assert_eq!(send(empty).await, Err(param("data", "invalid data length")));
    let mut odd = blob.segment(1);
    odd.data = odd.data.slice(1..);
    assert_eq!(send(odd).await, Err(param("data", "invalid data length")));
    let mut short = blob.segment(1);
    short.data = short.data.slice(256..);
    assert_eq!(send(short).await, Err(param("data", "invalid data length")));
    let mut past = blob.segment(1);
    past.index = 3;
    assert_eq!(send(past).await, Err(param("index", "index out of bound")));
    let mut sized = blob.segment(1);
    sized.file_size += 1;
    let text = "segment file size not matched with tx file size";
    assert_eq!(send(sized).await, Err(param("file_size", text)));
    let another = send(other.segment(0)).await.unwrap_err();
    assert_eq!(another["data"], json!("data root and tx seq not match"));
    assert_eq!(another["code"], json!(-32603));
    let mut bent = blob.segment(1);
    bent.data = [vec![1; 256], bent.data[256..].to_vec()].concat().into();
    assert_eq!(
        send(bent).await.unwrap_err()["message"],
        json!("Invalid params: proof")
    );
    let mut turned = blob.segment(1);
    turned.proof.path[0] = !turned.proof.path[0];
    assert_eq!(
        send(turned).await.unwrap_err()["message"],
        json!("Invalid params: proof")
    );
    let mut fill = blob.segment(2);
    fill.data = [fill.data[..511].to_vec(), vec![1]].concat().into();
    assert_eq!(
        send(fill).await.unwrap_err()["message"],
        json!("Invalid params: proof")
    );
    let info = node.call("zgs_getFileInfoByTxSeq", json!([seq])).await;
    assert_eq!(
        info.unwrap()["uploadedSegNum"],
        json!(0),
        "nothing of it was kept"
    );
    for index in [2, 0, 1] {
        assert_eq!(send(blob.segment(index)).await, Ok(Value::Null));
    }
    assert_eq!(send(blob.segment(0)).await, Err(finalized()));
}

/// A large blob that the chain does not know is not kept; a small one is.
#[tokio::test]
async fn upload_segments() {
    let (node, blob) = (Node::new(), Blob::new(1, 3 * CHUNK));
    let segments: Vec<_> = (0..3).map(|index| blob.segment(index)).collect();
    let sent = node.call("zgs_uploadSegments", json!([segments]));
    assert_eq!(sent.await, Ok(Value::Null));
    assert_eq!(
        node.call("zgs_uploadSegments", json!([[]])).await,
        Ok(Value::Null)
    );
    node.submit(&[&blob]);
    node.room.submitted().await;
    let whole = node.call("zgs_checkFileFinalized", json!([blob.root()]));
    assert_eq!(whole.await, Ok(json!(true)));
    let large = Blob::new(2, 10 * 1024 * 1024 + 1);
    let sent = node.call("zgs_uploadSegments", json!([[large.segment(0)]]));
    let text = "caching of large file when tx is unavailable is not supported";
    assert_eq!(sent.await, Err(param("file_size", text)));
    let mut bent = Blob::new(3, CHUNK).segment(0);
    bent.data = vec![1; CHUNK].into();
    let sent = node.call("zgs_uploadSegments", json!([[bent]])).await;
    assert_eq!(sent.unwrap_err()["message"], json!("Invalid params: proof"));
}

/// All at once, and again: what is there is passed over.
#[tokio::test]
async fn upload_segments_by_tx_seq() {
    let (node, blob) = (Node::new(), Blob::new(1, 3 * CHUNK));
    let seq = node.submit(&[&blob])[0];
    let send = |indices: Vec<u64>| {
        let segments: Vec<_> = indices.iter().map(|index| blob.segment(*index)).collect();
        node.call("zgs_uploadSegmentsByTxSeq", json!([segments, seq]))
    };
    assert_eq!(send(vec![1]).await, Ok(Value::Null));
    assert_eq!(send(vec![1, 1, 0]).await, Ok(Value::Null));
    // The blob is whole after the first of these.
    assert_eq!(send(vec![2, 0, 2]).await, Ok(Value::Null));
    assert_eq!(send(vec![2]).await, Err(finalized()));
}

/// Ranges within a chunk and across two, the end filled with zeros, as the bytes say.
#[tokio::test]
async fn download_segment() {
    let (node, blob) = (Node::new(), Blob::new(1, 2 * CHUNK + 300));
    let ask =
        |first: u64, end: u64| node.call("zgs_downloadSegment", json!([blob.root(), first, end]));
    assert_eq!(ask(0, 1).await, Ok(Value::Null));
    node.store(&blob).await;
    let mut bytes = blob.bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(256), 0);
    for (first, end) in [
        (0, 1),
        (0, 1024),
        (1000, 1030),
        (1024, 2048),
        (2048, 2050),
        (2049, 2050),
    ] {
        let range = usize::try_from(first).unwrap() * 256..usize::try_from(end).unwrap() * 256;
        let got = ask(first, end).await.unwrap();
        let got = STANDARD.decode(got.as_str().unwrap()).unwrap();
        assert!(got == bytes[range], "sectors {first}..{end}");
    }
    assert_eq!(
        ask(5, 5).await,
        Err(param("end_index", "invalid chunk index"))
    );
    assert_eq!(
        ask(6, 5).await,
        Err(param("end_index", "invalid chunk index"))
    );
    let long = param("end_index", "exceeds maximum chunks 1024");
    assert_eq!(ask(0, 1025).await, Err(long));
    let past = ask(2049, 2051).await.unwrap_err();
    assert_eq!(past["message"], json!("invalid chunk index"));
}

#[tokio::test]
async fn download_segment_by_tx_seq() {
    let (node, blob) = (Node::new(), Blob::new(1, 700));
    let seq = node.store(&blob).await;
    let got = node.call("zgs_downloadSegmentByTxSeq", json!([seq, 1, 3]));
    let mut want = blob.bytes[256..].to_vec();
    want.resize(512, 0);
    assert_eq!(got.await, Ok(json!(STANDARD.encode(want))));
    let none = node.call("zgs_downloadSegmentByTxSeq", json!([9, 0, 1]));
    assert_eq!(none.await, Ok(Value::Null));
}

#[tokio::test]
async fn download_segment_with_proof() {
    let (node, blob) = (Node::new(), Blob::new(1, 2 * CHUNK + 300));
    let ask = |index: u64| node.call("zgs_downloadSegmentWithProof", json!([blob.root(), index]));
    assert_eq!(ask(0).await, Ok(Value::Null));
    node.store(&blob).await;
    for index in 0..3 {
        let want = serde_json::to_value(blob.segment(index)).unwrap();
        assert_eq!(ask(index).await, Ok(want));
    }
    assert_eq!(ask(3).await, Err(param("index", "index out of bound")));
}

#[tokio::test]
async fn download_segment_with_proof_by_tx_seq() {
    let (node, blob) = (Node::new(), Blob::new(1, 300));
    let seq = node.store(&blob).await;
    let got = node.call("zgs_downloadSegmentWithProofByTxSeq", json!([seq, 0]));
    let want = serde_json::to_value(blob.segment(0)).unwrap();
    assert_eq!(got.await, Ok(want));
    let none = node.call("zgs_downloadSegmentWithProofByTxSeq", json!([5, 0]));
    assert_eq!(none.await, Ok(Value::Null));
}

/// Sectors of all kinds lead to the flow's root: data, padding within a chunk and whole chunks of it,
/// gaps, the first leaf; to the root of now and to one of before.
#[tokio::test]
async fn get_sector_proof() {
    let node = Node::new();
    // The last one has whole chunks of padding behind its bytes.
    let sizes = [
        300,
        5 * 256,
        CHUNK + 5,
        16 * CHUNK + 9 * 256,
        34 * CHUNK + 1,
    ];
    let blobs: Vec<Blob> = (1..)
        .zip(sizes)
        .map(|(seed, len)| Blob::new(seed, len))
        .collect();
    let mut leaves = vec![Hash32([0; 32])];
    let mut before = None;
    for blob in &blobs {
        before = node.room.book.flow_root().ok();
        let seq = node.store(blob).await;
        let submission = node.room.book.submission(seq).unwrap().unwrap();
        let zero = Hash32(keccak256(&[0; 256]));
        leaves.resize(usize::try_from(submission.start).unwrap(), zero);
        leaves.extend(blob.bytes.chunks(256).map(|sector| {
            let mut whole = [0; 256];
            whole[..sector.len()].copy_from_slice(sector);
            Hash32(keccak256(&whole))
        }));
        leaves.resize(
            usize::try_from(node.room.book.length().unwrap()).unwrap(),
            zero,
        );
    }
    let root = node.room.book.flow_root().unwrap();
    let checked: Vec<usize> = (0..leaves.len()).step_by(389).chain(0..20).collect();
    for sector in checked.into_iter().chain([leaves.len() - 1]) {
        let proof = node.call("zgs_getSectorProof", json!([sector, null])).await;
        let proof: lode_wire::FlowProof = serde_json::from_value(proof.unwrap()).unwrap();
        let (first, rest) = proof.lemma.split_first().unwrap();
        let (last, siblings) = rest.split_last().unwrap();
        assert_eq!((*first, *last), (leaves[sector], root), "sector {sector}");
        let turns = u64::try_from(sector).unwrap();
        assert!(
            leads_to(root, *first, turns, siblings.iter().copied()),
            "sector {sector}"
        );
        let path = (0..siblings.len()).map(|level| sector >> level & 1 == 0);
        assert!(proof.path.iter().copied().eq(path));
    }
    let old = node
        .call("zgs_getSectorProof", json!([2, before]))
        .await
        .unwrap();
    assert_eq!(
        old["lemma"].as_array().unwrap().last(),
        Some(&json!(before))
    );
    let never = json!([2, format!("0x{}", "77".repeat(32))]);
    assert!(node.call("zgs_getSectorProof", never).await.is_err());
    assert!(
        node.call("zgs_getSectorProof", json!([1_u64 << 40]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn get_flow_context() {
    let (node, blob) = (Node::new(), Blob::new(1, 300));
    let empty = json!([format!("0x{}", "00".repeat(32)), 1]);
    assert_eq!(node.call("zgs_getFlowContext", json!([])).await, Ok(empty));
    node.submit(&[&blob]);
    let context = json!([node.room.book.flow_root().unwrap(), 4]);
    assert_eq!(
        node.call("zgs_getFlowContext", json!([])).await,
        Ok(context)
    );
}

#[tokio::test]
async fn get_hash_at_node_index() {
    let (node, blob) = (Node::new(), Blob::new(1, 3 * CHUNK + 5));
    node.store(&blob).await;
    let first = node.room.book.submission(0).unwrap().unwrap().start / 1024;
    for (chunk, root) in (first..).zip(&blob.leaves[..3]) {
        let hash = node.call("zgs_getHashAtNodeIndex", json!([chunk]));
        assert_eq!(hash.await, Ok(json!(root)));
    }
    let none = node.call("zgs_getHashAtNodeIndex", json!([1000])).await;
    assert_eq!(none, Ok(Value::Null));
}

#[tokio::test]
async fn get_data_by_node_index() {
    let (node, one, two) = (Node::new(), Blob::new(1, 700), Blob::new(2, CHUNK));
    node.submit(&[&one, &two]);
    let ask = |index: u64| node.call("zgs_getDataByNodeIndex", json!([index]));
    assert_eq!(ask(0).await, Ok(Value::Null), "it is not here");
    node.store(&one).await;
    node.store(&two).await;
    let sectors = ask(0).await.unwrap();
    let sector = |at: usize| -> Vec<u8> { serde_json::from_value(sectors[at].clone()).unwrap() };
    assert_eq!(sector(0), [0; 256]);
    let start = usize::try_from(node.room.book.submission(0).unwrap().unwrap().start).unwrap();
    assert_eq!(sector(start), one.bytes[..256]);
    assert_eq!(sector(start + 1), one.bytes[256..512]);
    assert_eq!(sector(start + 2)[..188], one.bytes[512..]);
    let chunk = ask(1).await.unwrap();
    let bytes: Vec<Vec<u8>> = serde_json::from_value(chunk).unwrap();
    assert!(bytes.concat() == two.bytes);
    assert_eq!(ask(99).await, Ok(Value::Null));
}

#[tokio::test]
async fn get_meta_data_by_node_index() {
    let (node, blob) = (Node::new(), Blob::new(1, 700));
    node.submit(&[&blob]);
    let text = node.call("zgs_getMetaDataByNodeIndex", json!([0])).await;
    let text = text.unwrap();
    let root = blob.root().to_string();
    assert!(text.as_str().unwrap().contains(&root), "{text}");
    assert!(
        node.call("zgs_getMetaDataByNodeIndex", json!([1_u64 << 50]))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn get_submissions() {
    let node = Node::new();
    let blobs: Vec<Blob> = (1..6).map(|seed| Blob::new(seed, 300)).collect();
    node.submit(&blobs.iter().collect::<Vec<_>>());
    let got = node
        .call("lode_getSubmissions", json!([3, 10]))
        .await
        .unwrap();
    assert_eq!(got.as_array().unwrap().len(), 2);
    assert_eq!(got[0]["root"], json!(blobs[3].root()));
    assert_eq!(
        got[1],
        json!({
            "seq": 4, "root": blobs[4].root(), "size": 300,
            "start": node.room.book.submission(4).unwrap().unwrap().start,
            "tags": "0x010203", "sender": format!("0x{}", "06".repeat(20)),
            "submitter": format!("0x{}", "05".repeat(20)), "block": 1,
            "transaction": format!("0x{}", "09".repeat(32)),
        })
    );
    let all = node.call("lode_getSubmissions", json!([0])).await.unwrap();
    assert_eq!(all.as_array().unwrap().len(), 5);
}
