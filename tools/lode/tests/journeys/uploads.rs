//! Uploads that outlive connections, clients and the node.

use std::time::{Duration, Instant};

use crate::house::{CHUNK, Node, noise, root_of};

/// Begins an upload; returns where to send bytes.
fn begin(node: &Node, bytes: &[u8]) -> String {
    let root = root_of(bytes);
    let wish = format!(r#"{{"root":"{root}","size":{}}}"#, bytes.len());
    let answer = node.send("POST", "/v1/uploads", &[], wish.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("upload-offset"), Some("0"));
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/v1/uploads/{root}"));
    location
}

/// Where an upload is, by its head.
fn offset(node: &Node, location: &str) -> usize {
    let head = node.ask("HEAD", location, &[]);
    assert_eq!(head.status, 204, "{head:?}");
    head.header("upload-offset").unwrap().parse().unwrap()
}

/// Sends bytes from an offset on. A node may take a moment to notice that a client has gone, and
/// calls its upload busy until then.
fn patch(node: &Node, location: &str, at: usize, bytes: &[u8]) -> crate::house::Answer {
    let patience = Instant::now();
    loop {
        let answer = patch_once(node, location, at, bytes);
        let busy = answer.status == 409 && answer.json()["code"] == "LODE0018";
        if !busy || patience.elapsed() > Duration::from_secs(60) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn patch_once(node: &Node, location: &str, at: usize, bytes: &[u8]) -> crate::house::Answer {
    let offset = at.to_string();
    node.send("PATCH", location, &[("upload-offset", &offset)], bytes)
}

/// Sends some bytes of a longer body and waits until the node has made whole chunks of them durable.
fn cut(node: &Node, location: &str, at: usize, bytes: &[u8], send: usize) -> usize {
    let mut raw = node.connect();
    let (length, offset_header) = ((bytes.len() - at).to_string(), at.to_string());
    raw.head(
        "PATCH",
        location,
        &[
            ("upload-offset", &offset_header),
            ("content-length", &length),
        ],
    );
    raw.write(&bytes[at..at + send]);
    let want = (at + send) / CHUNK * CHUNK;
    let patience = Instant::now();
    while offset(node, location) < want - CHUNK {
        assert!(patience.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(raw);
    settle(node, location)
}

/// The offset once the node has noticed that the client is gone.
fn settle(node: &Node, location: &str) -> usize {
    let mut last = offset(node, location);
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = offset(node, location);
        if now == last {
            return now;
        }
        last = now;
    }
}

/// A client that lost its connection twice continues at the first missing chunk each time.
#[test]
fn resumes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(1, 20 * CHUNK + 5);
    let location = begin(&node, &bytes);
    let first = cut(&node, &location, 0, &bytes, 7 * CHUNK + 100);
    assert!(first > 0 && first.is_multiple_of(CHUNK), "{first}");
    let second = cut(&node, &location, first, &bytes, 5 * CHUNK);
    assert!(second > first, "{second} after {first}");
    let last = patch(&node, &location, second, &bytes[second..]);
    assert_eq!(last.status, 201, "{last:?}");
    assert_eq!(last.json()["root"], root_of(&bytes).to_string());
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
    assert_eq!(
        offset(&node, &location),
        bytes.len(),
        "a finished upload is a stored blob"
    );
    assert_eq!(
        patch(&node, &location, 0, &bytes[..9]).status,
        200,
        "and needs nothing more"
    );
}

/// Bytes that were durable before SIGKILL need not be sent again after it.
#[test]
fn outlives_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(2, 30 * CHUNK);
    let location = begin(&node, &bytes);
    let acked = cut(&node, &location, 0, &bytes, 17 * CHUNK);
    node.kill();
    let node = Node::start(dir.path(), &[]);
    let found = offset(&node, &location);
    assert!(found >= acked, "{found} after {acked} were acknowledged");
    assert_eq!(patch(&node, &location, found, &bytes[found..]).status, 201);
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
}

/// Pieces that end within the blob are durable up to what the answer says.
#[test]
fn in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(3, 5 * CHUNK + 9);
    let location = begin(&node, &bytes);
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + 2 * CHUNK + 1000);
        let answer = patch(&node, &location, at, &bytes[at..end]);
        if answer.status == 201 {
            break;
        }
        assert_eq!(answer.status, 204, "{answer:?}");
        let next = answer.header("upload-offset").unwrap().parse().unwrap();
        assert!(next > at && next <= end, "{next} in {at}..{end}");
        at = next;
    }
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
}

/// A wrong offset is refused with the right one, and nothing is written.
#[test]
fn wrong_offset() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(4, 6 * CHUNK);
    let location = begin(&node, &bytes);
    for at in [1, CHUNK, 6 * CHUNK] {
        let answer = patch(&node, &location, at, &bytes[..100]);
        answer.is_problem(409, "LODE0019");
        assert_eq!(answer.header("upload-offset"), Some("0"));
    }
    node.send("PATCH", &location, &[], b"x")
        .is_problem(400, "LODE0003");
    node.send("PATCH", &location, &[("upload-offset", "-1")], b"x")
        .is_problem(400, "LODE0003");
    assert_eq!(patch(&node, &location, 0, &bytes).status, 201);
}

/// Two clients do not write one upload at once; the second learns so before it sends.
#[test]
fn one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(5, 8 * CHUNK);
    let location = begin(&node, &bytes);
    let mut raw = node.connect();
    let length = bytes.len().to_string();
    raw.head(
        "PATCH",
        &location,
        &[("upload-offset", "0"), ("content-length", &length)],
    );
    raw.write(&bytes[..3 * CHUNK]);
    while offset(&node, &location) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let answer = patch_once(&node, &location, offset(&node, &location), &bytes[..10]);
    answer.is_problem(409, "LODE0018");
    raw.write(&bytes[3 * CHUNK..]);
    assert_eq!(raw.answer("PATCH").status, 201);
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
}

/// Bytes that are not the declared ones are found at the end, and leave nothing behind.
#[test]
fn wrong_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(6, 3 * CHUNK);
    let location = begin(&node, &bytes);
    let mut other = bytes.clone();
    other[CHUNK + 5] ^= 1;
    patch(&node, &location, 0, &other).is_problem(422, "LODE0014");
    let path = format!("/v1/blobs/{}", root_of(&bytes));
    node.ask("GET", &path, &[]).is_problem(404, "LODE0010");
    let path = format!("/v1/blobs/{}", root_of(&other));
    node.ask("GET", &path, &[]).is_problem(404, "LODE0010");
    let location = begin(&node, &bytes);
    assert_eq!(patch(&node, &location, 0, &bytes).status, 201);
}

/// More bytes than declared are refused.
#[test]
fn too_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(7, 2 * CHUNK);
    let location = begin(&node, &bytes);
    let long = [bytes.as_slice(), b"x"].concat();
    patch(&node, &location, 0, &long).is_problem(422, "LODE0015");
}

/// A blob of one chunk goes the same way, in one piece: a part of it, and other bytes, are refused
/// in words that say so, and nothing is stored.
#[test]
fn small() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(8, 1000);
    let location = begin(&node, &bytes);
    for (at, part) in [
        (0, &bytes[..500]),
        (500, &bytes[500..]),
        (0, &noise(9, 1000)),
        (CHUNK + 1, &bytes),
    ] {
        let refused = patch(&node, &location, at, part);
        refused.is_problem(422, "LODE0021");
        let hint = refused.json()["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains("in one request"), "{hint}");
    }
    patch(&node, &location, CHUNK, &bytes).is_problem(404, "LODE0011");
    let long = noise(10, CHUNK + 1);
    patch(&node, &location, 0, &long).is_problem(404, "LODE0011");
    node.ask("HEAD", &location, &[("upload-offset", "0")]);
    assert_eq!(
        node.ask("HEAD", &location, &[]).status,
        404,
        "nothing is kept"
    );
    assert_eq!(node.figure("blobs"), 0);
    let answer = patch(&node, &location, 0, &bytes);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
    let wish = format!(r#"{{"root":"{}","size":1000}}"#, root_of(&bytes));
    let again = node.send("POST", "/v1/uploads", &[], wish.as_bytes());
    assert_eq!(
        (again.status, &again.json()["existed"]),
        (200, &true.into())
    );
}

/// A body of unknown length is a piece as good as any other, also the only one.
#[test]
fn small_and_chunked() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    for size in [1000, CHUNK, CHUNK + 1] {
        let bytes = noise(11, size);
        // A longer one is not begun here: it is unknown.
        let location = format!("/v1/uploads/{}", root_of(&bytes));
        let mut raw = node.connect();
        let headers = [("upload-offset", "0"), ("transfer-encoding", "chunked")];
        raw.head("PATCH", &location, &headers);
        for part in bytes.chunks(100_000) {
            raw.write(format!("{:x}\r\n", part.len()).as_bytes());
            raw.write(part);
            raw.write(b"\r\n");
        }
        raw.write(b"0\r\n\r\n");
        let answer = raw.answer("PATCH");
        if size > CHUNK {
            answer.is_problem(404, "LODE0011");
        } else {
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
        }
    }
}

/// Every answer about an upload tells until when it is kept, pieces keep its term, and the blob
/// gets the longer of that and what the last piece asks for.
#[test]
fn terms() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    for (seed, (query, told)) in [
        ("", Some("5")),
        ("?expiry=3", Some("5")),
        ("?expiry=9", Some("9")),
        ("?expiry=none", None),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = noise(50 + u64::try_from(seed).unwrap(), 2 * CHUNK + 7);
        let root = root_of(&bytes);
        let number = told.map(|text: &str| text.parse::<u32>().unwrap());
        begin_until_five(&node, &bytes);
        let location = format!("/v1/uploads/{root}");
        let piece = patch_once(&node, &location, 0, &bytes[..CHUNK]);
        assert_eq!(
            (piece.status, piece.header("lode-expiry")),
            (204, Some("5"))
        );
        patch_once(
            &node,
            &format!("{location}?expiry=0"),
            CHUNK,
            &bytes[CHUNK..],
        )
        .is_problem(400, "LODE0003");
        let wrong = patch_once(&node, &location, 0, &bytes);
        wrong.is_problem(409, "LODE0019");
        assert_eq!(wrong.header("lode-expiry"), Some("5"));
        let head = node.ask("HEAD", &location, &[]);
        assert_eq!((head.status, head.header("lode-expiry")), (204, Some("5")));
        assert_eq!(node.ask("GET", &location, &[]).json()["expiry"], 5);
        let last = patch_once(&node, &format!("{location}{query}"), CHUNK, &bytes[CHUNK..]);
        assert_eq!(
            (last.status, last.header("lode-expiry")),
            (201, told),
            "{query}"
        );
        assert_eq!(
            last.json()["expiry"].as_u64(),
            number.map(u64::from),
            "{query}"
        );
        assert_eq!(node.ask("HEAD", &location, &[]).header("lode-expiry"), told);
        let blob = node.ask("HEAD", &format!("/v1/blobs/{root}"), &[]);
        assert_eq!(blob.header("lode-expiry"), told);
        let shorter = node.send(
            "PUT",
            &format!("/v1/blobs?root={root}&expiry=2"),
            &[],
            &bytes,
        );
        assert_eq!((shorter.status, shorter.header("lode-expiry")), (200, told));
    }
}

/// Begins an upload until epoch 5, and asks for other terms after that.
fn begin_until_five(node: &Node, bytes: &[u8]) {
    let (root, size) = (root_of(bytes), bytes.len());
    for (asked, status) in [("5", 201), ("7", 201), ("null", 201), ("0", 400)] {
        let wish = format!(r#"{{"root":"{root}","size":{size},"expiry":{asked}}}"#);
        let begun = node.send("POST", "/v1/uploads", &[], wish.as_bytes());
        assert_eq!(begun.status, status, "{begun:?}");
        if status == 201 {
            let told = begun.header("lode-expiry");
            assert_eq!(told, Some("5"), "the first one counts");
            assert_eq!(begun.json()["expiry"], 5);
        }
    }
}

/// The location of a small upload carries the term that nothing else remembers.
#[test]
fn terms_of_small_ones() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(60, 1000);
    let wish = format!(r#"{{"root":"{}","size":1000,"expiry":5}}"#, root_of(&bytes));
    let begun = node.send("POST", "/v1/uploads", &[], wish.as_bytes());
    let location = begun.header("location").unwrap();
    let stored = patch_once(&node, location, 0, &bytes);
    assert_eq!(
        stored.json()["expiry"],
        5,
        "the location carries the term of a small one"
    );
}

/// A client that goes on the moment it has its answer is never told that its own upload is busy.
#[test]
fn at_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(70, 6 * CHUNK);
    let mut other = bytes.clone();
    other[9] ^= 1;
    let long = [&bytes[4 * CHUNK..], b"x"].concat();
    let root = root_of(&bytes).to_string();
    for round in 0..40 {
        let location = begin(&node, &bytes);
        let sent = |at: usize, bytes: &[u8]| {
            let answer = patch_once(&node, &location, at, bytes);
            let code = match answer.body.is_empty() {
                true => String::new(),
                false => answer.json()["code"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            };
            assert_ne!(code, "LODE0018", "round {round}, from {at}");
            (answer.status, code)
        };
        assert_eq!(sent(0, &bytes[..CHUNK]).0, 204);
        assert_eq!(sent(0, &bytes).1, "LODE0019");
        assert_eq!(sent(CHUNK, &bytes[CHUNK..3 * CHUNK + 5]).0, 204);
        assert_eq!(offset(&node, &location), 3 * CHUNK);
        assert_eq!(sent(3 * CHUNK, &bytes[3 * CHUNK..4 * CHUNK]).0, 204);
        assert_eq!(sent(4 * CHUNK, &long).1, "LODE0015");
        match round % 4 {
            0 => {
                let from = offset(&node, &location);
                assert_eq!(
                    sent(from, &other[from..]).0,
                    201,
                    "only the first chunk differs"
                );
            }
            1 => assert_eq!(node.ask("DELETE", &location, &[]).status, 204),
            2 => {
                assert_eq!(node.ask("DELETE", &location, &[]).status, 204);
                begin(&node, &bytes);
                assert_eq!(sent(0, &other).1, "LODE0014");
                begin(&node, &bytes);
                assert_eq!(sent(0, &bytes).0, 201);
            }
            _ => {
                let put = node.send("PUT", &format!("/v1/blobs?root={root}"), &[], &bytes);
                assert_eq!(put.status, 201, "{put:?}");
            }
        }
        if round % 4 != 1 {
            assert_eq!(node.get(&root), bytes);
            assert_eq!(
                node.ask("DELETE", &format!("/v1/blobs/{root}"), &[]).status,
                204
            );
        }
    }
}

/// A forgotten upload is gone; wishes that cannot come true are refused.
#[test]
fn abandon_and_refusals() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--max-blob", "1GiB"]);
    let bytes = noise(10, 4 * CHUNK);
    let location = begin(&node, &bytes);
    cut(&node, &location, 0, &bytes, 3 * CHUNK);
    assert_eq!(node.ask("DELETE", &location, &[]).status, 204);
    node.ask("DELETE", &location, &[])
        .is_problem(404, "LODE0011");
    node.ask("GET", &location, &[]).is_problem(404, "LODE0011");
    patch(&node, &location, CHUNK, &bytes[CHUNK..]).is_problem(404, "LODE0011");
    let root = root_of(&bytes);
    for (wish, status, code) in [
        (format!(r#"{{"root":"{root}","size":0}}"#), 400, "LODE0013"),
        (
            format!(r#"{{"root":"{root}","size":2000000000}}"#),
            413,
            "LODE0006",
        ),
        (format!(r#"{{"root":"{root}"}}"#), 400, "LODE0003"),
        (
            format!(r#"{{"root":"{root}","size":9,"sizes":9}}"#),
            400,
            "LODE0003",
        ),
        (r#"{"root":"0x12","size":9}"#.to_owned(), 400, "LODE0002"),
        ("not json".to_owned(), 400, "LODE0003"),
        (" ".repeat(5000), 413, "LODE0006"),
    ] {
        node.send("POST", "/v1/uploads", &[], wish.as_bytes())
            .is_problem(status, code);
    }
}
