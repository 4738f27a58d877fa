//! The HTTP API as a client in another language would use it.

use crate::house::{CHUNK, Node, noise, root_of};
use lode_proofs::{ChunkProof, ProofFile};

/// Blobs around every boundary come back byte for byte, under the right root, by every way in.
#[test]
fn put_and_get() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    for (seed, size) in [
        1,
        255,
        256,
        257,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        3 * CHUNK + 77,
        5_000_003,
    ]
    .iter()
    .enumerate()
    {
        let bytes = noise(seed.try_into().unwrap(), *size);
        let root = root_of(&bytes).to_string();
        let first = node.send("PUT", "/v1/blobs", &[], &bytes);
        assert_eq!(first.status, 201, "{first:?}");
        assert_eq!(first.json()["root"], root.as_str());
        assert_eq!(first.json()["size"], *size);
        assert_eq!(
            first.header("location"),
            Some(format!("/v1/blobs/{root}").as_str())
        );
        assert_eq!(first.header("etag"), Some(format!("\"{root}\"").as_str()));
        let again = node.send(
            "POST",
            &format!("/v1/blobs?root={root}&size={size}"),
            &[],
            &bytes,
        );
        assert_eq!(
            (again.status, &again.json()["existed"]),
            (200, &true.into())
        );
        assert_eq!(node.get(&root), bytes);
        assert_eq!(
            node.get(root.strip_prefix("0x").unwrap()),
            bytes,
            "0x is optional"
        );
    }
}

/// A body of unknown length is stored like any other.
#[test]
fn chunked() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(1, 700_001);
    let mut raw = node.connect();
    raw.head("POST", "/v1/blobs", &[("transfer-encoding", "chunked")]);
    for part in bytes.chunks(100_000) {
        raw.write(format!("{:x}\r\n", part.len()).as_bytes());
        raw.write(part);
        raw.write(b"\r\n");
    }
    raw.write(b"0\r\n\r\n");
    let answer = raw.answer("POST");
    assert_eq!(answer.status, 201);
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
}

/// Every kind of range gives exactly its bytes; what cannot be satisfied is said so.
#[test]
fn ranges() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(2, 2 * CHUNK + 1000);
    let (size, path) = (bytes.len(), format!("/v1/blobs/{}", node.put(&bytes)));
    for (header, start, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=5-".to_owned(), 5, size),
        ("bytes=-7".to_owned(), size - 7, size),
        (
            format!("bytes={}-{}", CHUNK - 3, CHUNK + 2),
            CHUNK - 3,
            CHUNK + 3,
        ),
        (format!("bytes=10-{}", 2 * CHUNK + 5), 10, 2 * CHUNK + 6),
        ("bytes=0-99999999999999999999".to_owned(), 0, size),
    ] {
        let answer = node.ask("GET", &path, &[("range", &header)]);
        assert_eq!(answer.status, 206, "{header}");
        assert_eq!(answer.body, bytes[start..end], "{header}");
        let want = format!("bytes {start}-{}/{size}", end - 1);
        assert_eq!(answer.header("content-range"), Some(want.as_str()));
    }
    for header in ["bytes=0-1,5-6", "bytes=9-3", "lines=1-2", "bytes=x-"] {
        let answer = node.ask("GET", &path, &[("range", header)]);
        assert_eq!((answer.status, answer.body.len()), (200, size), "{header}");
    }
    for header in [format!("bytes={size}-"), "bytes=-0".to_owned()] {
        let answer = node.ask("GET", &path, &[("range", &header)]);
        answer.is_problem(416, "LODE0016");
        assert_eq!(
            answer.header("content-range"),
            Some(format!("bytes */{size}").as_str())
        );
    }
}

/// Conditions, heads and caching headers say what a cache needs to know.
#[test]
fn conditions() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(3, 300_000);
    let root = node.put(&bytes);
    let (path, tag) = (format!("/v1/blobs/{root}"), format!("\"{root}\""));
    let head = node.ask("HEAD", &path, &[]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("300000"))
    );
    assert_eq!(head.header("etag"), Some(tag.as_str()));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    assert!(head.header("cache-control").unwrap().contains("immutable"));
    let fresh = node.ask("GET", &path, &[("if-none-match", &tag)]);
    assert_eq!((fresh.status, fresh.body.len()), (304, 0));
    let stale = node.ask("GET", &path, &[("if-none-match", "\"0x00\"")]);
    assert_eq!((stale.status, stale.body), (200, bytes.clone()));
    let range = ("range", "bytes=1-2");
    let same = node.ask("GET", &path, &[range, ("if-range", &tag)]);
    assert_eq!((same.status, same.body.as_slice()), (206, &bytes[1..3]));
    let other = node.ask("GET", &path, &[range, ("if-range", "\"0x00\"")]);
    assert_eq!((other.status, other.body.len()), (200, 300_000));
}

/// One connection serves many requests, also pipelined ones, in order.
#[test]
fn keep_alive() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let blobs: Vec<Vec<u8>> = (0..5).map(|seed| noise(seed, 100_000)).collect();
    let roots: Vec<String> = blobs.iter().map(|bytes| node.put(bytes)).collect();
    let mut raw = node.connect();
    for root in &roots {
        raw.head("GET", &format!("/v1/blobs/{root}"), &[]);
    }
    raw.head("GET", "/healthz", &[]);
    for bytes in &blobs {
        assert_eq!(&raw.answer("GET").body, bytes);
    }
    assert_eq!(raw.answer("GET").body, b"ok\n");
}

/// What is deleted is gone, and the list shows exactly what is there, page by page.
#[test]
fn list_and_delete() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let mut roots: Vec<String> = (0..7).map(|seed| node.put(&noise(seed, 1000))).collect();
    roots.push(node.put(&noise(99, 3 * CHUNK)));
    roots.sort();
    let pages = || {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = node
                .ask("GET", &format!("/v1/blobs?limit=3{after}"), &[])
                .json();
            for blob in page["blobs"].as_array().unwrap() {
                found.push(blob["root"].as_str().unwrap().to_owned());
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(pages(), roots);
    let gone = roots.remove(2);
    let path = format!("/v1/blobs/{gone}");
    assert_eq!(node.ask("DELETE", &path, &[]).status, 204);
    node.ask("DELETE", &path, &[]).is_problem(404, "LODE0010");
    node.ask("GET", &path, &[]).is_problem(404, "LODE0010");
    assert_eq!(node.ask("HEAD", &path, &[]).status, 404);
    assert_eq!(pages(), roots);
}

/// Proofs hold without the node, in both forms, with and without the chunk.
#[test]
fn proofs() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(4, 4 * CHUNK + 12345);
    let root = node.put(&bytes);
    for chunk in 0..5_usize {
        let path = format!("/v1/blobs/{root}/proof/{chunk}");
        let part = &bytes[chunk * CHUNK..bytes.len().min((chunk + 1) * CHUNK)];
        let full = node.ask("GET", &format!("{path}?data=true"), &[]);
        let file = ProofFile::decode(&full.body).unwrap();
        assert_eq!(file.chunk().unwrap().data, part);
        assert_eq!(file.proof().blob().root.to_string(), root);
        let bare = node.ask("GET", &path, &[]);
        let file = ProofFile::decode(&bare.body).unwrap();
        assert!(file.chunk().is_none());
        file.proof().verify(part).unwrap();
        for answer in [
            node.ask("GET", &format!("{path}?format=json"), &[]),
            node.ask("GET", &path, &[("accept", "application/json")]),
        ] {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let proof: ChunkProof = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(&proof, file.proof());
        }
    }
    node.ask("GET", &format!("/v1/blobs/{root}/proof/5"), &[])
        .is_problem(404, "LODE0012");
    let both = format!("/v1/blobs/{root}/proof/0?format=json&data=true");
    node.ask("GET", &both, &[]).is_problem(400, "LODE0003");
}

/// The operator's pages answer, count what happened, and describe every route.
#[test]
fn operator() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    node.put(&noise(5, 600_000));
    assert_eq!(node.ask("GET", "/healthz", &[]).body, b"ok\n");
    let ready = node.ask("GET", "/readyz", &[]);
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    let names: Vec<_> = ready.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].clone())
        .collect();
    assert_eq!(names, ["accepting", "store", "space", "records"]);
    assert_eq!(node.metric("lode_up"), 1);
    assert_eq!(node.metric("lode_blobs"), 1);
    assert_eq!(node.metric("lode_blob_bytes"), 600_000);
    assert_eq!(
        node.metric("lode_http_requests_total{route=\"put\",status=\"2xx\"}"),
        1
    );
    assert_eq!(
        node.metric("lode_http_request_bytes_total{route=\"put\"}"),
        600_000
    );
    assert_eq!(node.figure("blobs"), 1);
    let api = node.ask("GET", "/openapi.json", &[]).json();
    for (path, methods) in api["paths"].as_object().unwrap() {
        let path = path
            .replace("{root}", &"0".repeat(64))
            .replace("{chunk}", "0");
        for method in methods.as_object().unwrap().keys() {
            let answer = node.send(&method.to_uppercase(), &path, &[], b"");
            assert_ne!(
                answer.status, 405,
                "{method} {path} is described but not served"
            );
            if answer.status == 404 && method != "head" {
                assert_ne!(
                    answer.json()["code"],
                    "LODE0001",
                    "{method} {path} is described but not served"
                );
            }
        }
    }
    node.ask("GET", "/nothing", &[]).is_problem(404, "LODE0001");
    let wrong = node.ask("PATCH", "/healthz", &[]);
    wrong.is_problem(405, "LODE0004");
    assert!(wrong.header("allow").unwrap().contains("GET"));
    let wrong = node.ask("DELETE", "/v1/blobs", &[]);
    wrong.is_problem(405, "LODE0004");
    assert_eq!(wrong.header("allow"), Some("GET, POST, PUT"));
}

/// A scrub reads everything; a web page cannot start one.
#[test]
fn scrub() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--scrub-rate", "0"]);
    node.put(&noise(6, 2_000_000));
    let page = [("origin", "http://evil.example")];
    node.ask("POST", "/v1/scrub", &page)
        .is_problem(403, "LODE0050");
    let scrubbed = node.ask("POST", "/v1/scrub", &[]);
    assert_eq!(scrubbed.status, 200, "{scrubbed:?}");
    assert_eq!(scrubbed.json()["corrupt"], 0);
    assert!(scrubbed.json()["bytes"].as_u64().unwrap() >= 2_000_000);
    node.ask("POST", "/v1/scrub?speed=1", &[])
        .is_problem(400, "LODE0003");
}

/// The epoch is set by an operator, never goes back, and ends what was paid for until then.
#[test]
fn epochs() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = [noise(8, 1000), noise(9, 600_000), noise(10, 1000)];
    let roots = bytes.each_ref().map(|bytes| root_of(bytes).to_string());
    for (bytes, query) in bytes.iter().zip(["?expiry=5", "?expiry=6", ""]) {
        let put = node.send("PUT", &format!("/v1/blobs{query}"), &[], bytes);
        assert_eq!(put.status, 201, "{put:?}");
    }
    let set = |epoch: u32, headers: &[(&str, &str)]| {
        let wish = format!(r#"{{"epoch":{epoch}}}"#);
        node.send("PUT", "/v1/epoch", headers, wish.as_bytes())
    };
    let epoch = || {
        node.ask("GET", "/v1/epoch", &[]).json()["epoch"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(epoch(), 0);
    for relayed in ["origin", "forwarded", "x-forwarded-for", "via"] {
        set(9, &[(relayed, "elsewhere")]).is_problem(403, "LODE0050");
    }
    for bad in [
        "",
        "7",
        r#"{"epoch":-1}"#,
        r#"{"epoch":4294967296}"#,
        r#"{"epoch":7,"x":1}"#,
    ] {
        node.send("PUT", "/v1/epoch", &[], bad.as_bytes())
            .is_problem(400, "LODE0003");
    }
    assert_eq!(epoch(), 0);
    for at in [4, 5, 5] {
        let answer = set(at, &[]);
        assert_eq!((answer.status, &answer.json()["epoch"]), (200, &at.into()));
        assert_eq!(epoch(), u64::from(at));
    }
    set(4, &[]).is_problem(409, "LODE0022");
    assert_eq!(epoch(), 5);
    assert_eq!(node.metric("lode_epoch"), 5);
    node.ask("GET", &format!("/v1/blobs/{}", roots[0]), &[])
        .is_problem(404, "LODE0010");
    node.kill();
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.figure("epoch"), 5);
    node.send("PUT", "/v1/blobs?expiry=5", &[], &bytes[0])
        .is_problem(422, "LODE0017");
    assert_eq!(node.get(&roots[1]), bytes[1]);
    assert_eq!(node.get(&roots[2]), bytes[2]);
}

/// A client that asks first is told to go on, and told no without sending its bytes.
#[test]
fn expect_continue() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--max-blob", "1MiB"]);
    let bytes = noise(7, 500_000);
    let mut raw = node.connect();
    let length = bytes.len().to_string();
    raw.head(
        "PUT",
        "/v1/blobs",
        &[("content-length", &length), ("expect", "100-continue")],
    );
    let mut go = [0; 25];
    std::io::Read::read_exact(&mut raw.stream, &mut go).unwrap();
    assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
    raw.write(&bytes);
    assert_eq!(raw.answer("PUT").status, 201);
    let mut raw = node.connect();
    raw.head(
        "PUT",
        "/v1/blobs",
        &[("content-length", "2000000"), ("expect", "100-continue")],
    );
    let refused = raw.answer("PUT");
    refused.is_problem(413, "LODE0006");
    assert_eq!(refused.header("connection"), Some("close"));
    // A short body that is not wanted is not asked for either.
    let mut raw = node.connect();
    raw.head(
        "PUT",
        "/v1/blobs/xyz",
        &[("content-length", "100"), ("expect", "100-continue")],
    );
    let mut first = [0; 12];
    std::io::Read::read_exact(&mut raw.stream, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 400");
}
