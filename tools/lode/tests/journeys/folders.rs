//! Folders: directories go in, come back as they were, and nothing is written where it does not belong.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::house::{CHUNK, Node, code, json, noise, root_of};
use lode_wire::folder::{Folder, Node as Entry};
use serde_json::Value;

/// Everything below a directory: what files have, and where links point.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let own = |path: &Path| path.strip_prefix(dir).unwrap().to_owned();
        if about.is_symlink() {
            let link = fs::read_link(&path).unwrap();
            all.insert(own(&path), format!("-> {}", link.display()).into_bytes());
        } else if about.is_dir() {
            all.insert(own(&path), b"/".to_vec());
            let below = contents(&path).into_iter();
            all.extend(below.map(|(name, bytes)| (own(&path).join(name), bytes)));
        } else {
            all.insert(own(&path), fs::read(&path).unwrap());
        }
    }
    all
}

/// A directory with everything that a folder can hold.
fn make(dir: &Path) {
    fs::create_dir_all(dir.join("sub/deep")).unwrap();
    fs::create_dir(dir.join("void")).unwrap();
    for (name, bytes) in [
        ("sub/deep/big", noise(1, 3 * CHUNK + 5)),
        ("sub/a\n<&>", noise(2, 100)),
        ("sub.txt", noise(3, CHUNK)),
        ("empty", vec![]),
        ("z", noise(4, 1)),
    ] {
        fs::write(dir.join(name), bytes).unwrap();
    }
    symlink("sub/deep", dir.join("link")).unwrap();
    symlink("/nowhere/at/all", dir.join("sub/dangling")).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Puts a directory; returns its root and the answer.
fn put(node: &Node, dir: &Path) -> (String, Value) {
    let put = node.run(&["put", "--json", text(dir)]);
    assert_eq!(code(&put), 0, "{put:?}");
    let all = json(&put);
    let root = all["folders"][0]["root"].as_str().unwrap().to_owned();
    (root, all)
}

fn restore(node: &Node, root: &str, target: &Path) -> (i32, Value) {
    let got = node.run(&["get", root, "--folder", "--json", "-o", text(target)]);
    assert!(!got.stdout.is_empty(), "{got:?}");
    (code(&got), json(&got))
}

/// A directory comes back as it was; a second put sends nothing, a second get fetches no file.
#[test]
fn there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let (from, to) = (dir.path().join("from"), dir.path().join("new/to"));
    make(&from);
    let (root, all) = put(&node, &from);
    assert_eq!(all["files"].as_array().unwrap().len(), 4);
    assert_eq!(all["folders"][0]["files"], 5);
    let bytes = node.get(&root);
    assert_eq!(root_of(&bytes).to_string(), root);
    let folder = Folder::decode(&bytes).unwrap();
    assert_eq!(folder.encode().unwrap(), bytes);
    let Some(Entry::File { roots, size, .. }) = folder.find("sub/deep/big") else {
        panic!("no big file");
    };
    assert_eq!(roots, &[root_of(&noise(1, 3 * CHUNK + 5))]);
    assert_eq!(*size, u64::try_from(3 * CHUNK + 5).unwrap());

    let (again_root, again) = put(&node, &from);
    assert_eq!(again_root, root);
    for entry in again["files"].as_array().unwrap() {
        assert_eq!(
            (&entry["existed"], &entry["sent"]),
            (&true.into(), &0.into())
        );
    }

    let (exit, done) = restore(&node, &root, &to);
    assert_eq!(exit, 0, "{done}");
    assert_eq!(contents(&to), contents(&from));
    assert_eq!((&done["files"], &done["kept"]), (&5.into(), &0.into()));
    let gets = "lode_http_requests_total{route=\"get\",status=\"2xx\"}";
    let before = node.metric(gets);
    let (exit, done) = restore(&node, &root, &to);
    assert_eq!(
        (exit, &done["kept"], &done["links"]),
        (0, &5.into(), &2.into())
    );
    let heads_and_names = 4 + 2;
    assert!(
        node.metric(gets) - before <= heads_and_names,
        "no file is fetched twice"
    );
}

/// What was right is kept, what is wrong is replaced, parts are continued, and the rest stays.
#[test]
fn restore_mends() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    make(&from);
    let (root, _) = put(&node, &from);
    restore(&node, &root, &to);
    let mut bad = noise(1, 3 * CHUNK + 5);
    bad[CHUNK] ^= 1;
    fs::write(to.join("sub/deep/big"), &bad).unwrap();
    fs::write(to.join("sub.txt"), b"short").unwrap();
    fs::write(to.join("empty"), b"not empty").unwrap();
    fs::remove_file(to.join("link")).unwrap();
    fs::write(to.join("own"), b"mine").unwrap();
    let big = root_of(&noise(1, 3 * CHUNK + 5)).to_string();
    let part = to.join(format!("sub/deep/.big.{}.part", &big[2..10]));
    fs::write(&part, &noise(1, 3 * CHUNK)[..2 * CHUNK + 9]).unwrap();
    let (exit, done) = restore(&node, &root, &to);
    assert_eq!((exit, &done["kept"]), (0, &2.into()), "{done}");
    assert_eq!(fs::read(to.join("own")).unwrap(), b"mine");
    fs::remove_file(to.join("own")).unwrap();
    assert_eq!(contents(&to), contents(&from));
}

/// An upload of a file that somebody began goes on where it is.
#[test]
fn put_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let from = dir.path().join("from");
    make(&from);
    let bytes = noise(1, 3 * CHUNK + 5);
    let root = root_of(&bytes).to_string();
    let wish = format!(r#"{{"root":"{root}","size":{}}}"#, bytes.len());
    assert_eq!(
        node.send("POST", "/v1/uploads", &[], wish.as_bytes())
            .status,
        201
    );
    let path = format!("/v1/uploads/{root}");
    let sent = node.send("PATCH", &path, &[("upload-offset", "0")], &bytes[..CHUNK]);
    assert_eq!(sent.status, 204);
    let (_, all) = put(&node, &from);
    let files = all["files"].as_array().unwrap();
    let big = files
        .iter()
        .find(|entry| entry["root"] == root.as_str())
        .unwrap();
    assert_eq!(big["resumed_at"], CHUNK);
    assert_eq!(big["sent"], 2 * CHUNK + 5);
}

/// What no folder holds is refused by name; the files are stored, the folder is not, until it is moved.
#[test]
fn special_files() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let from = dir.path().join("from");
    make(&from);
    let socket = from.join("sub/socket");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let refused = node.run(&["put", "--json", text(&from)]);
    assert_eq!(code(&refused), 1);
    let all = json(&refused);
    assert_eq!(all["failed"][0]["path"], text(&socket));
    assert_eq!(all["failed"][1]["path"], text(&from));
    assert_eq!(all["files"].as_array().unwrap().len(), 4);
    assert_eq!(all["folders"], Value::Array(vec![]));
    fs::remove_file(&socket).unwrap();
    let (_, all) = put(&node, &from);
    assert!(
        all["files"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["sent"] == 0)
    );
}

/// Scripts get one line for a directory, people a line for each file; a folder's blob is a blob.
#[test]
fn lines() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let from = dir.path().join("from");
    make(&from);
    let (root, _) = put(&node, &from);
    let quiet = node.run(&["put", "-q", text(&from)]);
    assert_eq!(String::from_utf8_lossy(&quiet.stdout), format!("{root}\n"));
    let long = node.run(&["put", text(&from)]);
    let words = String::from_utf8_lossy(&long.stdout).into_owned();
    assert!(words.contains("folder of 5 files, was there"), "{words}");
    assert!(
        words.contains(r"sub/a\n<&>"),
        "control letters are escaped: {words}"
    );
    let raw = node.run(&["get", &root]);
    assert_eq!(raw.stdout, node.get(&root));
    let note = String::from_utf8_lossy(&raw.stderr).into_owned();
    assert!(note.contains("--folder"), "{note}");
    assert_eq!(
        code(&node.run(&["get", &root, "--folder"])),
        2,
        "-o is needed"
    );
}

/// A folder is listed, its files are read one by one, and what is not there is not found.
#[test]
fn ls_and_cat() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let from = dir.path().join("from");
    make(&from);
    let (root, _) = put(&node, &from);
    let listed = json(&node.run(&["ls", "--json", &root]));
    let entries = listed["entries"].as_array().unwrap();
    let paths: Vec<_> = entries
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    let want = [
        "empty",
        "link",
        "sub",
        "sub/a\n<&>",
        "sub/dangling",
        "sub/deep",
        "sub/deep/big",
        "sub.txt",
        "void",
        "z",
    ];
    assert_eq!(paths, want);
    assert_eq!(entries[1]["link"], "sub/deep");
    assert_eq!(entries[6]["size"], 3 * CHUNK + 5);
    let below = node.run(&["ls", "-q", &root, "/sub/deep/"]);
    assert_eq!(String::from_utf8_lossy(&below.stdout), "sub/deep/big\n");
    let one = node.run(&["ls", "-q", &root, "z"]);
    assert_eq!(String::from_utf8_lossy(&one.stdout), "z\n");
    for path in ["sub/deep/big", "z", "empty", "sub/a\n<&>"] {
        let read = node.run(&["cat", &root, path]);
        assert_eq!(code(&read), 0, "{read:?}");
        assert_eq!(read.stdout, fs::read(from.join(path)).unwrap());
    }
    assert_eq!(code(&node.run(&["cat", &root, "sub/no"])), 3);
    assert_eq!(code(&node.run(&["ls", &root, "../from"])), 3);
    for path in ["sub", "link"] {
        assert_eq!(code(&node.run(&["cat", &root, path])), 2, "{path}");
    }
    let blob = node.put(b"no folder");
    assert_eq!(code(&node.run(&["ls", &blob])), 1);
}

/// Differences are found, and none where there is none.
#[test]
fn diff() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let from = dir.path().join("from");
    make(&from);
    let (root, _) = put(&node, &from);
    let same = node.run(&["diff", "--json", text(&from), &root]);
    assert_eq!(
        (code(&same), &json(&same)["same"]),
        (0, &true.into()),
        "{same:?}"
    );
    let mut big = noise(1, 3 * CHUNK + 5);
    big[2 * CHUNK] ^= 1;
    fs::write(from.join("sub/deep/big"), big).unwrap();
    fs::write(from.join("z"), b"longer").unwrap();
    fs::remove_dir(from.join("void")).unwrap();
    fs::create_dir(from.join("fresh")).unwrap();
    fs::write(from.join("fresh/f"), b"x").unwrap();
    fs::remove_file(from.join("link")).unwrap();
    symlink("sub", from.join("link")).unwrap();
    let other = node.run(&["diff", text(&from), &root]);
    assert_eq!(code(&other), 1, "{other:?}");
    let lines = String::from_utf8_lossy(&other.stdout).into_owned();
    assert_eq!(lines, "+ fresh/\n* link\n* sub/deep/big\n- void/\n* z\n");
}

/// A folder whose names lead elsewhere is refused before anything is written.
#[test]
fn names_that_lead_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let blob = node.put(b"evil");
    for name in ["../evil", "..", "/evil", "a/../../evil", ""] {
        let entry = format!(r#"{{"name":"{name}","type":"file","roots":["{blob}"],"size":4}}"#);
        let tree = format!(r#"{{"name":"/","type":"directory","entries":[{entry}]}}"#);
        let bytes = [&lode_wire::folder::MAGIC[..], &[0, 2], tree.as_bytes()].concat();
        let root = node.put(&bytes);
        let target = dir.path().join("inner/target");
        let got = node.run(&["get", &root, "--folder", "-o", text(&target)]);
        assert_eq!(code(&got), 1, "{name}: {got:?}");
        assert!(!target.exists() && !dir.path().join("inner").exists());
    }
}

/// Links in the target are not followed, wherever they are; what can be restored is.
#[test]
fn links_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    make(&from);
    let (root, _) = put(&node, &from);
    let outside = dir.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("file"), b"untouched").unwrap();
    fs::create_dir(&to).unwrap();
    symlink(&outside, to.join("sub")).unwrap();
    symlink(outside.join("file"), to.join("z")).unwrap();
    symlink(outside.join("made"), to.join("empty")).unwrap();
    let text_root = root_of(&noise(3, CHUNK)).to_string();
    let part = to.join(format!(".sub.txt.{}.part", &text_root[2..10]));
    symlink(outside.join("file"), &part).unwrap();
    fs::create_dir(to.join("link")).unwrap();
    let before = contents(&outside);
    let (exit, done) = restore(&node, &root, &to);
    assert_eq!(exit, 1);
    assert_eq!(contents(&outside), before);
    let failed = done["failed"].as_array().unwrap().iter();
    let mut paths: Vec<_> = failed
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["empty", "link", "sub", "sub.txt", "z"]);
    assert!(to.join("void").is_dir());
    for path in ["sub", "z", "empty"] {
        fs::remove_file(to.join(path)).unwrap();
    }
    fs::remove_file(part).unwrap();
    fs::remove_dir(to.join("link")).unwrap();
    assert_eq!(restore(&node, &root, &to).0, 0);
    assert_eq!(contents(&to), contents(&from));
}

/// A link of the folder stays a link: what is below it in the target is not what the folder says.
#[test]
fn a_link_and_a_directory_of_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let blob = node.put(b"evil");
    let link = r#"{"name":"d","type":"symbolic","link":"/tmp"}"#;
    let below = format!(
        r#"{{"name":"d","type":"directory","entries":[{{"name":"f","type":"file","roots":["{blob}"],"size":4}}]}}"#
    );
    let tree = format!(r#"{{"name":"/","type":"directory","entries":[{link},{below}]}}"#);
    let bytes = [&lode_wire::folder::MAGIC[..], &[0, 2], tree.as_bytes()].concat();
    let root = node.put(&bytes);
    let target = dir.path().join("target");
    let got = node.run(&["get", &root, "--folder", "-o", text(&target)]);
    assert_eq!(code(&got), 1);
    assert!(!target.exists());
}

/// A folder that lies about sizes, and a blob that is gone, are found; the other files are restored.
#[test]
fn a_folder_that_lies() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let root = root_of(b"12345");
    node.put(b"12345");
    let file = |name: &str, roots, size| Entry::File {
        name: name.to_owned(),
        roots,
        size,
    };
    let gone = root_of(b"nobody has this");
    let entries = vec![
        file("gone", vec![gone], 15),
        file("ok", vec![root], 5),
        file("short", vec![root], 6),
    ];
    let bytes = Folder::new(entries).unwrap().encode().unwrap();
    let names = node.put(&bytes);
    let target = dir.path().join("target");
    let (exit, done) = restore(&node, &names, &target);
    assert_eq!(exit, 1);
    let failed = |at: usize| {
        let all = done["failed"].as_array().unwrap();
        let mut all: Vec<_> = all
            .iter()
            .map(|entry| (entry["path"].as_str().unwrap(), &entry["error"]["exit"]))
            .collect();
        all.sort_by_key(|(path, _)| *path);
        (all[at].0, all[at].1.as_u64().unwrap())
    };
    assert_eq!((failed(0), failed(1)), (("gone", 3), ("short", 4)));
    assert_eq!(fs::read(target.join("ok")).unwrap(), b"12345");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
}
