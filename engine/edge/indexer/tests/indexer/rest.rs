//! Every row of 0G wire, 3.5, over HTTP.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    blob::Blob,
    stack::{Stack, config},
};

fn zero_root() -> String {
    format!("0x{}", "00".repeat(32))
}

/// `GET /file?root=…`: the bytes, as an attachment under the root's name or another one.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_by_root() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = stack.keep(Blob::of(700_001, 1), 4, 1024);
    let response = stack.get(&format!("/file?root={}", blob.root)).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-length"), "700001");
    assert_eq!(header("etag"), format!("\"{}\"", blob.root));
    assert!(
        header("content-disposition")
            .starts_with(&format!("attachment; filename=\"{}\"", blob.root))
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(response.bytes().await.unwrap(), blob.bytes);
    let response = stack
        .get(&format!("/file?root={}&name=a%20b.txt", blob.root))
        .await;
    let name = response.headers()["content-disposition"].to_str().unwrap();
    assert!(name.contains("filename=\"a b.txt\""), "{name}");
}

/// `GET /file?txSeq=…`, which goes before a root.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_by_tx_seq() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = stack.keep(Blob::of(300, 1), 0, 1);
    assert_eq!(stack.bytes("/file?txSeq=0").await, blob.bytes);
    let both = format!("/file?root={}&txSeq=0", zero_root());
    assert_eq!(stack.bytes(&both).await, blob.bytes);
}

/// `HEAD /file`: all that `GET` says, and no chunk is fetched.
#[tokio::test(flavor = "multi_thread")]
async fn head_file() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = stack.keep(Blob::of(700_001, 1), 4, 1024);
    let url = stack.url(&format!("/file?root={}", blob.root));
    let response = stack.http.head(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-length"], "700001");
    assert_eq!(response.headers()["accept-ranges"], "bytes");
    assert_eq!(
        stack.nodes[0].asked("zgs_downloadSegmentWithProofByTxSeq"),
        0
    );
}

/// Code 1: parameters that are none.
#[tokio::test(flavor = "multi_thread")]
async fn code_1_invalid_parameter() {
    let stack = Stack::of(&[(0, 1)]).await;
    for path in [
        "/file",
        "/file?root=",
        "/file?root=0x12",
        "/file?txSeq=-1",
        "/file?txSeq=one",
        "/file/info/0x12",
        "/file/info/99999999999999999999999",
        "/file/zz/a",
        "/files/info",
        "/files/info?cid=zz",
    ] {
        let (status, said) = stack.said(path).await;
        assert_eq!((status, &said["code"]), (200, &json!(1)), "{path}");
        assert_eq!(said["message"], "Invalid parameter");
        assert!(said["data"].is_string(), "{path}: {said}");
    }
    let why = stack.said("/file").await.1["data"].take();
    assert_eq!(why, "Either 'root' or 'txSeq' must be provided");
}

/// Code 2 with HTTP 600: no node answers.
#[tokio::test(flavor = "multi_thread")]
async fn code_2_internal_server_error() {
    let stack = Stack::of(&[]).await;
    for path in [
        "/file?txSeq=1",
        "/file/info/1",
        "/files/info?cid=1",
        "/node/status",
        "/file/1/a",
    ] {
        let (status, said) = stack.said(path).await;
        assert_eq!((status, &said["code"]), (600, &json!(2)), "{path}");
        assert_eq!(said["message"], "Internal server error");
    }
}

/// Code 101: nodes answer, and none knows the blob.
#[tokio::test(flavor = "multi_thread")]
async fn code_101_file_not_found() {
    let stack = Stack::of(&[(0, 1)]).await;
    let root = zero_root();
    for path in [
        format!("/file?root={root}"),
        "/file?txSeq=5".to_owned(),
        format!("/file/info/{root}"),
        "/file/info/5".to_owned(),
        format!("/file/{root}/a"),
    ] {
        let (status, said) = stack.said(&path).await;
        let want = json!({"code": 101, "message": "File not found", "data": null});
        assert_eq!((status, said), (200, want), "{path}");
    }
}

/// A stack of one node that knows a blob, in this state.
async fn knows(finalized: bool, pruned: bool) -> (Stack, Arc<Blob>) {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = Arc::new(Blob::of(3000, 1));
    let mut info = blob.info(4, 1024);
    (info.finalized, info.pruned) = (finalized, pruned);
    stack.nodes[0].keep_as(&blob, info);
    (stack, blob)
}

/// Code 102: it was there.
#[tokio::test(flavor = "multi_thread")]
async fn code_102_file_already_pruned() {
    let (stack, _) = knows(false, true).await;
    for path in ["/file?txSeq=4", "/file/4/a"] {
        let want = json!({"code": 102, "message": "File already pruned", "data": null});
        assert_eq!(stack.said(path).await, (200, want));
    }
}

/// Code 103: its bytes are not all there.
#[tokio::test(flavor = "multi_thread")]
async fn code_103_file_not_finalized() {
    let (stack, blob) = knows(false, false).await;
    for path in [format!("/file?root={}", blob.root), "/file/4/a".to_owned()] {
        let want = json!({"code": 103, "message": "File not finalized yet", "data": null});
        assert_eq!(stack.said(&path).await, (200, want));
    }
}

/// Code 105: only what is read as a whole has a bound, and that is folders.
#[tokio::test(flavor = "multi_thread")]
async fn code_105_file_size_too_large() {
    let mut config = config();
    config.folder_len_max = 1000;
    let stack = Stack::with(&[(0, 1)], config).await;
    let blob = stack.keep(Blob::of(3000, 1), 4, 1024);
    let (status, said) = stack.said("/file/4/").await;
    let data = json!({"actual": 3000, "max": 1000});
    let want = json!({"code": 105, "message": "File size too large", "data": data});
    assert_eq!((status, said), (200, want));
    assert_eq!(stack.bytes("/file?txSeq=4").await, blob.bytes);
}

/// `GET /file/info/{cid}`: one answer for all nodes, by number or root.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_info() {
    let stack = Stack::of(&[(0, 1), (0, 1)]).await;
    let blob = Arc::new(Blob::of(700_000, 1));
    let mut info = blob.info(4, 1024);
    info.finalized = false;
    info.uploaded_seg_num = 2;
    stack.nodes[0].keep_as(&blob, info.clone());
    info.uploaded_seg_num = 1;
    stack.nodes[1].keep_as(&blob, info.clone());
    assert_eq!(stack.data("/file/info/4").await, json!(info));
    assert_eq!(
        stack.data(&format!("/file/info/{}", blob.root)).await,
        json!(info)
    );
    let done = stack.keep(Blob::of(5, 2), 5, 4096);
    let info = stack.data("/file/info/5").await;
    assert_eq!(info, json!(done.info(5, 4096)));
    assert_eq!(info["tx"]["data"], json!([]));
}

/// `GET /files/info?cid=…&cid=…`: in the order asked for, null for those that are missing, at most 100.
#[tokio::test(flavor = "multi_thread")]
async fn get_files_info() {
    let stack = Stack::of(&[(0, 1)]).await;
    let one = stack.keep(Blob::of(3000, 1), 4, 1024);
    let two = stack.keep(Blob::of(3000, 2), 5, 2048);
    let path = format!("/files/info?cid={}&cid=77&cid=4", two.root);
    let infos = stack.data(&path).await;
    assert_eq!(infos, json!([two.info(5, 2048), null, one.info(4, 1024)]));
    let many = |count: usize| format!("/files/info?{}", vec!["cid=4"; count].join("&"));
    assert_eq!(stack.data(&many(100)).await.as_array().unwrap().len(), 100);
    let said = stack.said(&many(101)).await.1;
    assert_eq!(
        (&said["code"], &said["data"]),
        (&json!(1), &json!("Too many cid specified, exceeded 100"))
    );
}

/// `GET /node/status`: least height and number, most peers; a node that is gone is left out.
#[tokio::test(flavor = "multi_thread")]
async fn get_node_status() {
    let mut stack = Stack::of(&[(0, 1), (0, 1)]).await;
    {
        let mut slow = stack.nodes[1].inside.lock().unwrap();
        (slow.height, slow.next_seq, slow.connected) = (50, 3, 9);
    }
    let seen = |stack: &Stack| {
        let trusted = stack.handle.directory().trusted();
        trusted
            .iter()
            .any(|node| node.report.status.log_sync_height == 50)
    };
    stack.until(seen).await;
    let status = stack.data("/node/status").await;
    assert_eq!(status["logSyncHeight"], 50);
    assert_eq!(status["logSyncBlock"], format!("0x{}", "32".repeat(32)));
    assert_eq!(
        (&status["nextTxSeq"], &status["connectedPeers"]),
        (&json!(3), &json!(9))
    );
    assert_eq!(status["networkIdentity"]["chainId"], 31337);
    stack.nodes[1].kill().await;
    stack
        .until(|stack| stack.handle.directory().trusted().len() == 1)
        .await;
    assert_eq!(stack.data("/node/status").await["logSyncHeight"], 100);
}

/// CORS: open by default, or for those that the operator names.
#[tokio::test(flavor = "multi_thread")]
async fn cors() {
    let allowed = async |stack: &Stack, origin: &str| {
        let request = stack
            .http
            .get(stack.url("/healthz"))
            .header("origin", origin);
        let response = request.send().await.unwrap();
        let header = response
            .headers()
            .get("access-control-allow-origin")
            .cloned();
        header.map(|header| header.to_str().unwrap().to_owned())
    };
    let stack = Stack::of(&[]).await;
    assert_eq!(
        allowed(&stack, "https://a.example").await.as_deref(),
        Some("*")
    );
    let mut config = config();
    config.origins = vec!["https://a.example".to_owned()];
    let stack = Stack::with(&[], config).await;
    let ours = allowed(&stack, "https://a.example").await;
    assert_eq!(ours.as_deref(), Some("https://a.example"));
    assert_eq!(allowed(&stack, "https://b.example").await, None);
    let url = stack.url("/file/segment");
    let preflight = stack.http.request(reqwest::Method::OPTIONS, url);
    let preflight = preflight
        .header("origin", "https://a.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response
            .headers()
            .contains_key("access-control-allow-methods")
    );
}

/// There is no other path, and no other way to ask: in our words, since 0G's has none for it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_else() {
    let stack = Stack::of(&[]).await;
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("PUT", "/file", 405),
        ("GET", "/file/segment", 405),
        ("GET", "/", 405),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        let response = stack
            .http
            .request(method, stack.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
    }
}
