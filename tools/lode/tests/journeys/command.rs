//! The commands as a person or a script uses them.

use std::fs;

use crate::house::{CHUNK, Node, code, json, noise, root_of, run};
use serde_json::Value;

/// Files and directories go in, come back verified, and are gone when deleted.
#[test]
fn put_get_stat_rm() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let tree = dir.path().join("tree/below");
    fs::create_dir_all(&tree).unwrap();
    let files = [
        ("tree/a", noise(1, 10)),
        ("tree/b", noise(2, CHUNK)),
        ("tree/below/c", noise(3, 3_000_000)),
    ];
    for (name, bytes) in &files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let put = node.run(&["put", "--json", dir.path().join("tree").to_str().unwrap()]);
    assert_eq!(code(&put), 0, "{put:?}");
    let stored = json(&put)["files"].clone();
    assert_eq!(stored.as_array().unwrap().len(), 3);
    for ((name, bytes), entry) in files.iter().zip(stored.as_array().unwrap()) {
        assert!(entry["path"].as_str().unwrap().ends_with(name));
        let root = root_of(bytes).to_string();
        assert_eq!(
            (&entry["root"], &entry["existed"]),
            (&Value::from(root.clone()), &Value::from(false))
        );
        let target = dir.path().join("back");
        let got = node.run(&["get", &root, "-o", target.to_str().unwrap()]);
        assert_eq!(code(&got), 0, "{got:?}");
        assert_eq!(&fs::read(&target).unwrap(), bytes);
        let piped = node.run(&["get", &root]);
        assert_eq!((code(&piped), &piped.stdout), (0, bytes));
        let stat = json(&node.run(&["stat", "--json", &root]));
        assert_eq!(stat["size"], bytes.len());
    }
    let again = json(&node.run(&["put", "--json", dir.path().join("tree/b").to_str().unwrap()]));
    assert_eq!(again["files"][0]["existed"], true);
    let root = root_of(&files[2].1).to_string();
    assert_eq!(code(&node.run(&["rm", &root])), 0);
    for arguments in [
        vec!["rm", &root],
        vec!["stat", &root],
        vec!["get", &root],
        vec!["prove", &root, "--chunk", "0"],
    ] {
        let gone = node.run(&arguments);
        assert_eq!(code(&gone), 3, "{arguments:?}: {gone:?}");
        assert!(
            String::from_utf8_lossy(&gone.stderr).contains("error[LODE0010]"),
            "{gone:?}"
        );
    }
}

/// stdin is stored under the root that its bytes have; -q prints nothing but roots.
#[test]
fn stdin() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    for bytes in [noise(4, 1), noise(5, 2_345_678)] {
        let put = node.run_with(&["put", "-q", "-"], &bytes);
        assert_eq!(
            String::from_utf8_lossy(&put.stdout).trim(),
            root_of(&bytes).to_string(),
            "{put:?}"
        );
        assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
    }
    let empty = node.run_with(&["put", "-"], b"");
    assert_eq!(code(&empty), 1);
    assert!(
        String::from_utf8_lossy(&empty.stderr).contains("LODE0013"),
        "{empty:?}"
    );
}

/// One bad file does not stop the others; the exit code and the list say what failed.
#[test]
fn one_bad_file() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let (good, empty) = (dir.path().join("good"), dir.path().join("empty"));
    fs::write(&good, noise(6, 500_000)).unwrap();
    fs::write(&empty, b"").unwrap();
    let missing = dir.path().join("missing");
    let names = [&missing, &empty, &good].map(|path| path.to_str().unwrap());
    let put = node.run(&["put", "--json", names[0], names[1], names[2]]);
    assert_eq!(code(&put), 1);
    let all = json(&put);
    assert_eq!(all["files"][0]["path"], names[2]);
    let failed: Vec<_> = all["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    assert_eq!(failed, names[..2]);
    assert!(
        !node
            .get(&root_of(&noise(6, 500_000)).to_string())
            .is_empty()
    );
}

/// Ranges are cut to the byte, verified by proofs or taken on trust.
#[test]
fn ranges() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(7, 3 * CHUNK + 500);
    let root = node.put(&bytes);
    let end = bytes.len();
    for (range, start, stop) in [
        ("0-0".to_owned(), 0, 1),
        (
            format!("{}-{}", CHUNK - 5, 2 * CHUNK + 4),
            CHUNK - 5,
            2 * CHUNK + 5,
        ),
        (format!("{}-", end - 3), end - 3, end),
        ("-9".to_owned(), end - 9, end),
    ] {
        for trust in [&[][..], &["--trust-node"]] {
            let arguments = [&["get", &root, "--range", &range], trust].concat();
            let got = node.run(&arguments);
            assert_eq!(
                (code(&got), got.stdout.as_slice()),
                (0, &bytes[start..stop]),
                "{arguments:?}"
            );
        }
    }
    for bad in ["5", "9-3", "999999999-", "a-b"] {
        assert_eq!(code(&node.run(&["get", &root, "--range", bad])), 2, "{bad}");
    }
}

/// A download that was interrupted goes on where it stopped, and is checked as a whole.
#[test]
fn get_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(8, 4 * CHUNK);
    let root = node.put(&bytes);
    let target = dir.path().join("blob");
    let part = dir.path().join(format!(".blob.{}.part", &root[2..10]));
    let arguments = ["get", &root, "--json", "-o", target.to_str().unwrap()];
    fs::write(&part, &bytes[..2 * CHUNK + 77]).unwrap();
    let got = node.run(&arguments);
    assert_eq!(
        (code(&got), &json(&got)["resumed_at"]),
        (0, &Value::from(2 * CHUNK)),
        "{got:?}"
    );
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert!(!part.exists());
    let mut rotten = bytes[..2 * CHUNK].to_vec();
    rotten[9] ^= 1;
    fs::write(&part, &rotten).unwrap();
    assert_eq!(
        code(&node.run(&arguments)),
        4,
        "what was there before does not fit"
    );
    assert!(!part.exists(), "and is thrown away");
    assert_eq!(code(&node.run(&arguments)), 0);
}

/// A full disk of ours ends a download at once: nothing is fetched or written twice.
#[test]
fn get_to_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let root = node.put(&noise(14, 5 * CHUNK));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = crate::house::lode();
    command.env("LODE_NODE", node.url()).args(["get", &root]);
    let ended = command.stdout(full).status().unwrap();
    assert_eq!(ended.code(), Some(7));
    let requests = node.metric("lode_http_requests_total{route=\"get\",status=\"2xx\"}");
    assert_eq!(requests, 2, "one for the size and one for the bytes");
}

/// A proof made by a node holds without it, and any flipped bit is noticed.
#[test]
fn prove_and_verify() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(9, 5 * CHUNK + 1);
    let root = node.put(&bytes);
    let path = dir.path().join("proof");
    let name = path.to_str().unwrap();
    for flags in [&["--chunk", "5"][..], &["--chunk", "2", "--no-data"]] {
        let arguments = [&["prove", &root, "-o", name], flags].concat();
        assert_eq!(code(&node.run(&arguments)), 0);
        let verified = run(&["verify", "--json", "--root", &root, name]);
        assert_eq!(code(&verified), 0, "{verified:?}");
        assert_eq!(json(&verified)["proofs"][0]["proof"]["root"], root.as_str());
    }
    let other = "0".repeat(64);
    assert_eq!(code(&run(&["verify", "--root", &other, name])), 4);
    let proof = fs::read(&path).unwrap();
    for bit in (0..proof.len() * 8).step_by(61) {
        let mut flipped = proof.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        assert_eq!(code(&run(&["verify", name])), 4, "bit {bit}");
    }
    fs::write(&path, noise(1, 1 << 20)).unwrap();
    assert_eq!(code(&run(&["verify", name])), 4, "no proof at all");
    let past = node.run(&["prove", &root, "--chunk", "6", "-o", name]);
    assert_eq!(code(&past), 3);
}

/// Roots need no node, and are the same from a file and from stdin.
#[test]
fn offline_root() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(10, 6_000_000);
    let path = dir.path().join("file");
    fs::write(&path, &bytes).unwrap();
    let root = root_of(&bytes).to_string();
    let offline = run(&["root", "-q", path.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&offline.stdout).trim(), root);
    let piped = node.run_with(&["root", "-q", "-"], &bytes);
    assert_eq!(String::from_utf8_lossy(&piped.stdout).trim(), root);
    let bad = run(&["root", dir.path().to_str().unwrap(), path.to_str().unwrap()]);
    assert_eq!(code(&bad), 1);
    assert!(
        String::from_utf8_lossy(&bad.stdout).contains(&root),
        "the good one is printed"
    );
}

/// What there is of a blob is shown, and is no blob yet; every answer tells the term.
#[test]
fn terms_shown() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(12, 3 * CHUNK);
    let (root, file) = (root_of(&bytes).to_string(), dir.path().join("file"));
    fs::write(&file, &bytes).unwrap();
    let name = file.to_str().unwrap();
    let wish = format!(r#"{{"root":"{root}","size":{},"expiry":7}}"#, bytes.len());
    assert_eq!(
        node.send("POST", "/v1/uploads", &[], wish.as_bytes())
            .status,
        201
    );
    let piece = &bytes[..CHUNK];
    let sent = node.send(
        "PATCH",
        &format!("/v1/uploads/{root}"),
        &[("upload-offset", "0")],
        piece,
    );
    assert_eq!(sent.status, 204);
    let part = node.run(&["stat", "--json", &root]);
    assert_eq!(code(&part), 3, "{part:?}");
    let shown = json(&part);
    assert_eq!(shown["stored"], false);
    assert_eq!(
        (&shown["offset"], &shown["expiry"]),
        (&CHUNK.into(), &7.into())
    );
    let failure: Value = serde_json::from_slice(&part.stderr).unwrap();
    assert!(
        failure["hint"].as_str().unwrap().contains("lode put"),
        "{failure}"
    );
    let words = String::from_utf8_lossy(&node.run(&["stat", &root]).stdout).into_owned();
    assert!(
        words.contains("262,144 of 786,432 B  unfinished  until epoch 7"),
        "{words}"
    );
    let put = node.run(&["put", "--json", "--expiry", "9", name]);
    let entry = json(&put)["files"][0].clone();
    assert_eq!(
        (&entry["resumed_at"], &entry["expiry"]),
        (&CHUNK.into(), &9.into())
    );
    let again = node.run(&["put", "--expiry", "3", name]);
    let words = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(words.contains("was there, until epoch 9"), "{words}");
    let stat = json(&node.run(&["stat", "--json", &root]));
    assert_eq!(
        (&stat["stored"], &stat["expiry"]),
        (&true.into(), &9.into())
    );
    let forever = json(&node.run(&["put", "--json", name]));
    assert_eq!(forever["files"][0]["expiry"], Value::Null);
    assert_eq!(code(&node.run(&["put", "--expiry", "0", name])), 2);
}

/// An operator reads and sets the epoch, and is told no when it is to go back.
#[test]
fn epochs() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let epoch = |arguments: &[&str]| {
        let output = node.run(&[&["epoch"], arguments].concat());
        (
            code(&output),
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    assert_eq!(epoch(&[]), (0, "epoch 0".to_owned()));
    assert_eq!(epoch(&["8", "--json"]), (0, r#"{"epoch":8}"#.to_owned()));
    assert_eq!(epoch(&["8", "-q"]), (0, "8".to_owned()));
    assert_eq!(epoch(&["5"]), (1, String::new()));
    assert_eq!(epoch(&["-q"]), (0, "8".to_owned()));
    assert_eq!(epoch(&["soon"]).0, 2);
    let refused = node.run(&["epoch", "5"]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("error[LODE0022]"),
        "{refused:?}"
    );
    assert_eq!(json(&node.run(&["stat", "--json"]))["epoch"], 8);
}

/// A term that somebody else began an upload with does not cut a blob's life that is to last.
#[test]
fn put_outlasts_the_upload() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let bytes = noise(13, 3 * CHUNK);
    let (root, file) = (root_of(&bytes).to_string(), dir.path().join("file"));
    fs::write(&file, &bytes).unwrap();
    let wish = format!(r#"{{"root":"{root}","size":{},"expiry":7}}"#, bytes.len());
    assert_eq!(
        node.send("POST", "/v1/uploads", &[], wish.as_bytes())
            .status,
        201
    );
    assert_eq!(code(&node.run(&["put", file.to_str().unwrap()])), 0);
    assert_eq!(code(&node.run(&["epoch", "7"])), 0);
    assert_eq!(node.get(&root), bytes);
}

/// Proxies that the environment names are not asked for this machine.
#[test]
fn no_proxy_for_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let port = node.address().port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let mut command = crate::house::lode();
        for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "HTTPS_PROXY"] {
            command.env(name, "http://127.0.0.1:1");
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        let url = format!("http://{host}:{port}");
        let stat = command
            .args(["stat", "--json", "--node", &url])
            .output()
            .unwrap();
        assert_eq!(code(&stat), 0, "{host}: {stat:?}");
        assert_eq!(json(&stat)["blobs"], 0);
    }
}

/// Without a node the commands say so, in words and as JSON, with their own exit code.
#[test]
fn no_node() {
    let away = "http://127.0.0.1:1";
    let words = run(&["stat", "--node", away]);
    assert_eq!(code(&words), 5);
    let text = String::from_utf8_lossy(&words.stderr).into_owned();
    assert!(
        text.contains("error[LODE0103]") && text.contains("lode node --dir"),
        "{text}"
    );
    let failed = run(&["stat", "--json", "--node", away]);
    assert!(failed.stdout.is_empty());
    let problem: Value = serde_json::from_slice(&failed.stderr).unwrap();
    assert_eq!(
        (&problem["code"], &problem["exit"], &problem["retryable"]),
        (&"LODE0103".into(), &5.into(), &true.into())
    );
}

/// Damage on the disk is found by a scrub, never served, and named.
#[test]
fn rot() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--scrub-rate", "0"]);
    let bytes = noise(11, 3 * CHUNK);
    let root = node.put(&bytes);
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    assert!(flip_a_byte_of(&dir.path().join("data"), &bytes[CHUNK + 1000..CHUNK + 1064]) > 0);
    let node = Node::start(dir.path(), &["--scrub-rate", "0"]);
    let path = format!("/v1/blobs/{root}");
    let answer = node.ask("GET", &path, &[]);
    assert!(
        answer.cut && answer.body == bytes[..answer.body.len()],
        "no wrong byte is served"
    );
    let range = format!("bytes={CHUNK}-{}", CHUNK + 5000);
    node.ask("GET", &path, &[("range", &range)])
        .is_problem(500, "LODE0040");
    assert_eq!(
        code(&node.run(&[
            "get",
            &root,
            "--range",
            &format!("{CHUNK}-"),
            "--trust-node"
        ])),
        4
    );
    let scrubbed = node.run(&["scrub", "--json"]);
    assert_eq!(code(&scrubbed), 4, "{scrubbed:?}");
    assert_ne!(json(&scrubbed)["corrupt"], 0);
}

/// Finds these bytes in the files below a directory and flips one wherever they are.
fn flip_a_byte_of(dir: &std::path::Path, needle: &[u8]) -> usize {
    let mut flipped = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flipped += flip_a_byte_of(&path, needle);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let places: Vec<usize> = (0..bytes.len().saturating_sub(needle.len()))
            .filter(|at| bytes[*at] == needle[0] && bytes[*at..].starts_with(needle))
            .collect();
        for at in &places {
            bytes[*at] ^= 0x10;
        }
        if !places.is_empty() {
            fs::write(&path, &bytes).unwrap();
            flipped += places.len();
        }
    }
    flipped
}

/// Completions exist for every shell that is offered, and settings are shown with their origin.
#[test]
fn completions_and_settings() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert!(
            code(&script) == 0 && String::from_utf8_lossy(&script.stdout).contains("lode"),
            "{shell}"
        );
    }
    let shown = json(&run(&["config", "show", "--json", "--shards", "3"]));
    assert_eq!(shown["shards"]["value"], "3");
    assert_eq!(shown["shards"]["origin"], "flag --shards");
    assert_eq!(shown["listen"]["origin"], "default");
    let typo = run(&["node", "--listn", "x"]);
    assert_eq!(code(&typo), 2);
    assert!(String::from_utf8_lossy(&typo.stderr).contains("'--listen'"));
    let output = crate::house::lode()
        .env("LODE_LISTN", "x")
        .args(["config", "show"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `listen`"));
}
