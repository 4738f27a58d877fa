//! Encrypted files and files in fragments, as a person or a script uses them.

use std::{fs, path::Path, process::Output};

use crate::house::{CHUNK, Node, code, json, lode, noise, root_of};
use lode_wire::cipher::{Cipher, Header, Key, Keys, PrivateKey};
use serde_json::Value;

/// A node, a folder of keys, and a home to keep secrets in.
struct House {
    dir: tempfile::TempDir,
    node: Node,
}

const KEY: [u8; 32] = [0x3c; 32];
const OTHER_KEY: [u8; 32] = [0x11; 32];

impl House {
    fn new() -> House {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &[]);
        let house = House { dir, node };
        house.write("key", hex(&KEY).as_bytes());
        house.write("other", format!("0x{}\n", hex(&OTHER_KEY)).as_bytes());
        house
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_at("state", arguments)
    }

    /// With another home for secrets.
    fn run_at(&self, state: &str, arguments: &[&str]) -> Output {
        let mut command = lode();
        command.env("LODE_NODE", self.node.url());
        command.env("XDG_STATE_HOME", self.dir.path().join(state));
        command.env("OUR_KEY", hex(&KEY));
        command.args(arguments).output().unwrap()
    }

    /// Puts one file; returns what is said of it.
    fn put(&self, flags: &[&str], file: &str) -> Value {
        let put = self.run(&[&["put", "--json"], flags, &[file]].concat());
        assert_eq!(code(&put), 0, "{put:?}");
        json(&put)["files"][0].clone()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decrypted(stored: &[u8], keys: &Keys) -> Vec<u8> {
    let header = Header::decode(stored).unwrap();
    let mut plain = stored[header.size()..].to_vec();
    Cipher::new(keys.open(&header).unwrap(), &header).apply(0, &mut plain);
    plain
}

fn ours() -> Keys {
    Keys {
        symmetric: Some(Key::new(KEY)),
        private: Some(PrivateKey::new(&KEY).unwrap()),
    }
}

fn root_in(entry: &Value) -> &str {
    entry["root"].as_str().unwrap_or_else(|| panic!("{entry}"))
}

/// With a key: what is stored is version 1 of the format, a second run resumes, and the same key, from a
/// file or a variable, reads it. Without one the stored bytes come back.
#[test]
fn with_a_key() {
    let house = House::new();
    let plain = noise(1, 2 * CHUNK + 77);
    let (file, key, back) = (
        house.write("file", &plain),
        house.path("key"),
        house.path("back"),
    );
    let flags = ["--encryption-key", &key];
    let first = house.put(&flags, &file);
    let root = root_in(&first);
    let stored = house.node.get(root);
    assert_eq!((stored[0], stored.len()), (1, plain.len() + 17));
    assert_eq!(decrypted(&stored, &ours()), plain);
    assert_eq!(first["plain"], plain.len());
    let again = house.put(&["--encryption-key", "env:OUR_KEY"], &file);
    assert_eq!((root_in(&again), &again["existed"]), (root, &true.into()));
    for from in [&key, "env:OUR_KEY"] {
        let got = house.run(&["get", root, "-o", &back, "--decryption-key", from]);
        assert_eq!(code(&got), 0, "{got:?}");
        assert_eq!(fs::read(&back).unwrap(), plain);
    }
    let piped = house.run(&["get", root, "--decryption-key", &key]);
    assert_eq!(piped.stdout, plain);
    assert_eq!(house.run(&["get", root]).stdout, stored);
    let noise = house.run(&["get", root, "--decryption-key", &house.path("other")]);
    assert_eq!(
        code(&noise),
        0,
        "nothing in the bytes tells that a key is wrong"
    );
    assert_ne!(noise.stdout, plain);
}

/// One byte more, or another key, and no nonce is the same.
#[test]
fn nonces_differ() {
    let house = House::new();
    let plain = noise(2, 1000);
    let mut headers = vec![];
    for (name, bytes) in [
        ("a", &plain[..]),
        ("b", &plain[..999]),
        ("c", &noise(3, 1000)),
    ] {
        let file = house.write(name, bytes);
        for key in ["key", "other"] {
            let entry = house.put(&["--encryption-key", &house.path(key)], &file);
            headers.push(house.node.get(root_in(&entry))[..17].to_vec());
        }
    }
    headers.sort();
    headers.dedup();
    assert_eq!(headers.len(), 6);
}

/// To a public key: version 2, which only the private key reads. Ours or another's, a second run resumes;
/// from another home the bytes differ, and are read all the same.
#[test]
fn to_a_public_key() {
    let house = House::new();
    let plain = noise(4, CHUNK);
    let (file, key) = (house.write("file", &plain), house.path("key"));
    let public = hex(&PrivateKey::new(&KEY).unwrap().public().encode());
    let to = ["put", "--json", "--encrypt-to", &public, &file];
    let stored = |state: &str| {
        let entry = json(&house.run_at(state, &to))["files"][0].clone();
        (root_in(&entry).to_owned(), entry["existed"].clone())
    };
    let (root, existed) = stored("state");
    assert_eq!(existed, false);
    assert_eq!(stored("state"), (root.clone(), true.into()));
    let (elsewhere, _) = stored("another");
    assert_ne!(elsewhere, root);
    let own = house.put(&["--encrypt", &key], &file);
    assert_eq!(
        root_in(&own),
        root_in(&house.put(&["--encrypt", "env:OUR_KEY"], &file))
    );
    for root in [&root, &elsewhere, root_in(&own)] {
        let bytes = house.node.get(root);
        assert_eq!((bytes[0], bytes.len()), (2, plain.len() + 50));
        assert_eq!(decrypted(&bytes, &ours()), plain);
        let got = house.run(&["get", root, "--private-key", &key]);
        assert_eq!((code(&got), got.stdout == plain), (0, true));
        let needs = house.run(&["get", root, "--decryption-key", &key]);
        assert_eq!(code(&needs), 1);
        assert!(String::from_utf8_lossy(&needs.stderr).contains("private key"));
    }
    use std::os::unix::fs::PermissionsExt;
    let secret = house.dir.path().join("state/lode/resume.key");
    assert_eq!(
        fs::metadata(secret).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// A long file becomes several blobs, which come back as one; a run that was cut goes on.
#[test]
fn fragments() {
    let house = House::new();
    let plain = noise(5, 2 * CHUNK + 100);
    let file = house.write("file", &plain);
    let entry = house.put(&["--fragment-size", "200KiB"], &file);
    let roots: Vec<String> = entry["roots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|root| root.as_str().unwrap().to_owned())
        .collect();
    let want: Vec<String> = plain
        .chunks(CHUNK)
        .map(|piece| root_of(piece).to_string())
        .collect();
    assert_eq!(roots, want, "200 KiB are rounded up to a power of two");
    let (all, back) = (roots.join(","), house.path("back"));
    let quiet = house.run(&["put", "-q", "--fragment-size", "262144", &file]);
    assert_eq!(String::from_utf8_lossy(&quiet.stdout).trim(), all);
    let part = house.path(&format!(".back.{}.part", &roots[0][2..10]));
    fs::write(&part, &plain[..CHUNK + 9]).unwrap();
    let got = house.run(&["get", &all, "--json", "-o", &back]);
    assert_eq!(
        (code(&got), &json(&got)["resumed_at"]),
        (0, &CHUNK.into()),
        "{got:?}"
    );
    assert_eq!(fs::read(&back).unwrap(), plain);
    assert_eq!(house.run(&["get", &all]).stdout, plain);
    let swapped = format!("{},{},{}", roots[1], roots[0], roots[2]);
    assert_ne!(house.run(&["get", &swapped]).stdout, plain);
    assert_eq!(code(&house.run(&["get", &all, "--range", "0-1"])), 2);
    let tiny = house.run(&["put", "--fragment-size", "256", &file]);
    assert_eq!(code(&tiny), 2, "more roots than a command takes");
    for bad in ["0", "x", "9000000TiB"] {
        assert_eq!(
            code(&house.run(&["put", "--fragment-size", bad, &file])),
            2,
            "{bad}"
        );
    }
}

/// Encrypted first, then cut: one header, in the first fragment; parts keep plain bytes and are continued.
#[test]
fn encrypted_fragments() {
    let house = House::new();
    let plain = noise(6, 3 * CHUNK);
    let (file, key, back) = (
        house.write("file", &plain),
        house.path("key"),
        house.path("back"),
    );
    for (seal, open, head) in [
        ("--encryption-key", "--decryption-key", 17),
        ("--encrypt", "--private-key", 50),
    ] {
        let entry = house.put(&[seal, &key, "--fragment-size", "256KiB"], &file);
        let roots: Vec<&str> = entry["roots"]
            .as_array()
            .unwrap()
            .iter()
            .map(|root| root.as_str().unwrap())
            .collect();
        assert_eq!(roots.len(), 4, "the header makes it longer than three");
        let stored: Vec<u8> = roots.iter().flat_map(|root| house.node.get(root)).collect();
        assert_eq!(stored.len(), plain.len() + head);
        assert_eq!(decrypted(&stored, &ours()), plain);
        let part = house.path(&format!(".back.{}.part", &roots[0][2..10]));
        fs::write(&part, &plain[..2 * CHUNK + 1]).unwrap();
        let all = roots.join(",");
        let arguments = ["get", &all, "--json", "-o", &back, open, &key];
        let got = house.run(&arguments);
        assert_eq!(
            (code(&got), &json(&got)["resumed_at"]),
            (0, &(2 * CHUNK).into()),
            "{got:?}"
        );
        assert_eq!(fs::read(&back).unwrap(), plain);
        let mut bad = plain[..2 * CHUNK].to_vec();
        bad[5] ^= 1;
        fs::write(&part, &bad).unwrap();
        assert_eq!(
            code(&house.run(&arguments)),
            4,
            "a part that does not fit is found"
        );
        assert!(!Path::new(&part).exists());
    }
}

/// A folder and all its files under one key: restored, listed, read and compared with it only.
#[test]
fn encrypted_folder() {
    let house = House::new();
    let from = house.path("from");
    fs::create_dir_all(format!("{from}/sub")).unwrap();
    for (name, bytes) in [
        ("sub/big", noise(7, 2 * CHUNK)),
        ("small", noise(8, 10)),
        ("none", vec![]),
    ] {
        fs::write(format!("{from}/{name}"), bytes).unwrap();
    }
    let key = house.path("key");
    for (seal, open) in [
        ("--encryption-key", "--decryption-key"),
        ("--encrypt", "--private-key"),
    ] {
        let put = house.run(&[
            "put",
            "--json",
            "--fragment-size",
            "256KiB",
            seal,
            &key,
            &from,
        ]);
        assert_eq!(code(&put), 0, "{put:?}");
        let root = json(&put)["folders"][0]["root"]
            .as_str()
            .unwrap()
            .to_owned();
        let again = house.run(&["put", "-q", "--fragment-size", "256KiB", seal, &key, &from]);
        assert_eq!(String::from_utf8_lossy(&again.stdout).trim(), root);
        let to = house.path(&format!("to{seal}"));
        let got = house.run(&["get", &root, "--folder", "-o", &to, open, &key]);
        assert_eq!(code(&got), 0, "{got:?}");
        for name in ["sub/big", "small", "none"] {
            let read = |dir: &str| fs::read(format!("{dir}/{name}")).unwrap();
            assert_eq!(read(&to), read(&from));
        }
        let kept = json(&house.run(&["get", &root, "--folder", "--json", "-o", &to, open, &key]));
        assert_eq!(kept["kept"], 3);
        assert_eq!(code(&house.run(&["diff", &to, &root, open, &key])), 0);
        fs::write(format!("{to}/small"), noise(9, 10)).unwrap();
        assert_eq!(code(&house.run(&["diff", &to, &root, open, &key])), 1);
        let read = house.run(&["cat", &root, "sub/big", open, &key]);
        assert_eq!(read.stdout, noise(7, 2 * CHUNK));
        let listed = house.run(&["ls", "-q", &root, open, &key]);
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout),
            "none\nsmall\nsub\nsub/big\n"
        );
        for keys in [&[][..], &[open, &house.path("other")]] {
            let refused = house.run(&[&["ls", &root], keys].concat());
            assert_eq!(code(&refused), 1, "a folder tells a wrong key: {refused:?}");
        }
    }
}

/// Stdin is encrypted on its way, each time anew.
#[test]
fn stdin() {
    let house = House::new();
    let key = house.path("key");
    let plain = noise(10, CHUNK + 3);
    let put = |bytes: &[u8]| {
        let put = house
            .node
            .run_with(&["put", "-q", "--encryption-key", &key, "-"], bytes);
        assert_eq!(code(&put), 0, "{put:?}");
        String::from_utf8_lossy(&put.stdout).trim().to_owned()
    };
    let (a, b) = (put(&plain), put(&plain));
    assert_ne!(a, b);
    for root in [a, b] {
        assert_eq!(decrypted(&house.node.get(&root), &ours()), plain);
    }
    let flags = ["put", "--encryption-key", &key, "-"];
    assert_eq!(
        code(&house.node.run_with(&flags, b"")),
        1,
        "a header alone is no blob"
    );
}

/// What another client encrypted is read: its bytes, put as they are.
#[test]
fn of_another_client() {
    let house = House::new();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/edge/wire/vectors/cipher.json");
    let vectors: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |value: &Value| {
        let text = value.as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        (0..text.len() / 2).map(byte).collect::<Vec<u8>>()
    };
    for (version, flag, from) in [
        ("v1", "--decryption-key", "key"),
        ("v2", "--private-key", "recipient"),
    ] {
        for vector in vectors[version].as_array().unwrap() {
            let key = house.write("theirs", vector[from].as_str().unwrap().as_bytes());
            let fragments = vector["fragments"].as_array().unwrap().iter();
            let roots: Vec<String> = fragments
                .map(|stored| house.node.put(&bytes(stored)))
                .collect();
            let whole = house.node.put(&bytes(&vector["stored"]));
            assert_eq!(vector["root"], whole.as_str());
            let len = usize::try_from(vector["len"].as_u64().unwrap()).unwrap();
            let plain: Vec<u8> = (0..len)
                .map(|at| u8::try_from((at * 7 + 3) % 251).unwrap())
                .collect();
            for root in [whole, roots.join(",")] {
                let got = house.run(&["get", &root, flag, &key]);
                assert_eq!((code(&got), &got.stdout), (0, &plain), "{got:?}");
            }
        }
    }
}

/// Keys do not belong on the command line, are not repeated where they are wrong, and only one way of
/// encrypting is taken.
#[test]
fn keys_stay_hidden() {
    let house = House::new();
    let file = house.write("file", b"some bytes");
    let (digits, key) = (hex(&KEY), house.path("key"));
    for flag in ["--encryption-key", "--encrypt"] {
        for given in [&digits, &format!("0x{digits}")] {
            let refused = house.run(&["put", flag, given, &file]);
            assert_eq!(code(&refused), 2);
            assert!(
                !String::from_utf8_lossy(&refused.stderr).contains(&digits),
                "{refused:?}"
            );
        }
    }
    let secret = house.write("bad", b"my secret passphrase");
    for from in [secret.as_str(), "env:NO_SUCH_KEY", "env:OUR_KEY_"] {
        let refused = house.run(&["put", "--encryption-key", from, &file]);
        assert_eq!(code(&refused), 2, "{refused:?}");
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("passphrase"));
    }
    let both = house.run(&["put", "--encryption-key", &key, "--encrypt", &key, &file]);
    assert_eq!(code(&both), 2);
    for bad in ["", "zz", &digits, &"05".repeat(33)] {
        assert_eq!(
            code(&house.run(&["put", "--encrypt-to", bad, &file])),
            2,
            "{bad}"
        );
    }
    let root = house.node.put(b"in the clear");
    let open = house.run(&["get", &root, "--decryption-key", &key]);
    assert_eq!(
        code(&open),
        1,
        "what is not encrypted is not decrypted: {open:?}"
    );
}
