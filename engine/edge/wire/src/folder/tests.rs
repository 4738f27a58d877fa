//! Bytes as the Go client writes them, what is refused, and trees against naive models.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn file(name: &str, root: u8, size: u64) -> Node {
    Node::File {
        name: name.to_owned(),
        roots: vec![Hash32([root; 32])],
        size,
    }
}

fn directory(name: &str, entries: Vec<Node>) -> Node {
    Node::Directory {
        name: name.to_owned(),
        entries,
    }
}

fn link(name: &str, to: &str) -> Node {
    Node::Symbolic {
        name: name.to_owned(),
        link: to.to_owned(),
    }
}

/// Every kind of node, and every text that JSON has to escape.
fn sample() -> Folder {
    let empty = Node::File {
        name: "empty".to_owned(),
        roots: vec![],
        size: 0,
    };
    let long = Node::File {
        name: "long".to_owned(),
        roots: vec![Hash32([1; 32]), Hash32([2; 32])],
        size: 5000,
    };
    Folder::new(vec![
        file("\"\\\n\u{1}\u{7f}\u{2028}é", 0xab, 1),
        directory(
            "a<b>&c",
            vec![file("x", 0xff, 1024), directory("y", vec![])],
        ),
        empty,
        link("link", "../<elsewhere>"),
        long,
    ])
    .unwrap()
}

fn bytes(version: u16, json: &str) -> Vec<u8> {
    [&MAGIC[..], &version.to_be_bytes(), json.as_bytes()].concat()
}

/// The encoding is Go's `json.Marshal` of the client's `FsNode` (its struct tags: name, type, hash, roots,
/// size, link, entries; `omitempty` on all but the first two) behind magic and version.
#[test]
fn as_go_writes() {
    let root = |byte: &str| format!("0x{}", byte.repeat(32));
    let json = [
        r#"{"name":"/","type":"directory","entries":["#,
        r#"{"name":"\"\\\n\u0001"#,
        "\u{7f}",
        r#"\u2028é","type":"file","roots":["#,
        &format!("\"{}\"", root("ab")),
        r#"],"size":1},"#,
        r#"{"name":"a\u003cb\u003e\u0026c","type":"directory","entries":["#,
        r#"{"name":"x","type":"file","roots":["#,
        &format!("\"{}\"", root("ff")),
        r#"],"size":1024},{"name":"y","type":"directory"}]},"#,
        r#"{"name":"empty","type":"file"},"#,
        r#"{"name":"link","type":"symbolic","link":"../\u003celsewhere\u003e"},"#,
        r#"{"name":"long","type":"file","roots":["#,
        &format!("\"{}\",\"{}\"", root("01"), root("02")),
        r#"],"size":5000}]}"#,
    ]
    .concat();
    let encoded = sample().encode().unwrap();
    let (head, written) = encoded.split_at(34);
    assert_eq!(String::from_utf8_lossy(written), json);
    assert_eq!(
        Hash32(MAGIC).to_string(),
        "0xa8795aa6b5ee8997448d47d3135f70f45e2d3502f8002edeef242ebd0458e7f5"
    );
    assert_eq!(head[32..], [0, 2]);
    assert_eq!(Folder::decode(&encoded).unwrap(), sample());
}

/// Version 1 had one root per file, under another name.
#[test]
fn version_one() {
    let root = Hash32([7; 32]);
    let json = format!(
        r#"{{"name":"/","type":"directory","entries":[
            {{"name":"a","type":"file","hash":"{root}","size":9}},
            {{"name":"b","type":"file","hash":"{0}","roots":["{0}"]}},
            {{"name":"c","type":"symbolic","link":"a"}}]}}"#,
        Hash32([0; 32])
    );
    let empty = Node::File {
        name: "b".to_owned(),
        roots: vec![],
        size: 0,
    };
    let want = Folder::new(vec![file("a", 7, 9), empty, link("c", "a")]).unwrap();
    assert_eq!(Folder::decode(&bytes(1, &json)), Ok(want));
}

/// Names in any order, fields that nobody knows, null lists and other names of the root are read.
#[test]
fn tolerant() {
    let json = r#"{"type":"directory","mode":420,"name":"any/..","entries":[
        {"name":"b","type":"directory","entries":null},{"name":"a","type":"directory"}]}"#;
    let read = Folder::decode(&bytes(2, json)).unwrap();
    let names: Vec<_> = read.walk().map(|(path, _)| path).collect();
    assert_eq!(names, ["a", "b"]);
    let again = Folder::decode(&read.encode().unwrap()).unwrap();
    assert_eq!(again, read);
}

/// What leads out of the folder, or is none, is refused, and the refusal says where.
#[test]
fn refusals() {
    let within = |entry: &str| {
        let json = format!(
            r#"{{"name":"/","type":"directory","entries":[{{"name":"d","type":"directory","entries":[{entry}]}}]}}"#
        );
        Folder::decode(&bytes(2, &json)).unwrap_err()
    };
    let named = |name: &str| within(&format!(r#"{{"name":"{name}","type":"directory"}}"#));
    let own = |name: &str| format!("d/{name}");
    for name in ["", ".", "..", "a/b", "/", "../x", &"n".repeat(256)] {
        assert_eq!(named(name), FolderError::Name(own(name)));
    }
    assert_eq!(named(r"a\u0000b"), FolderError::Name(own("a\0b")));
    let twice = r#"{"name":"a","type":"directory"},{"name":"a","type":"symbolic","link":"x"}"#;
    assert_eq!(within(twice), FolderError::Twice(own("a")));
    let no_root = r#"{"name":"a","type":"file","size":5}"#;
    assert_eq!(within(no_root), FolderError::File(own("a")));
    let root = Hash32([1; 32]);
    let huge = format!(
        r#"{{"name":"a","type":"file","size":{},"roots":["{root}"]}}"#,
        1u64 << 63
    );
    assert_eq!(within(&huge), FolderError::File(own("a")));
    for link in [String::new(), r"a\u0000".to_owned(), "l".repeat(4096)] {
        let entry = format!(r#"{{"name":"a","type":"symbolic","link":"{link}"}}"#);
        assert_eq!(within(&entry), FolderError::Link(own("a")));
    }
    for json in [
        r#"{"name":"a","type":"file","size":-1}"#,
        r#"{"name":"a","type":"file","size":1,"roots":["0x12"]}"#,
        r#"{"name":"a","type":"file","size":1,"hash":"0x12"}"#,
        r#"{"name":"a","type":"pipe"}"#,
        r#"{"type":"file"}"#,
        "null",
        "}",
    ] {
        assert!(matches!(within(json), FolderError::Json(_)), "{json}");
    }
    let long_reason = within(&format!(
        r#"{{"name":"a","type":"file","size":"{}"}}"#,
        "é".repeat(9999)
    ));
    assert!(long_reason.to_string().len() < 300);
}

/// What is before the tree is checked, and that the tree is a directory.
#[test]
fn heads() {
    let good = sample().encode().unwrap();
    for len in 0..34 {
        assert_eq!(Folder::decode(&good[..len]), Err(FolderError::Magic));
    }
    let mut other = good.clone();
    other[0] ^= 1;
    assert_eq!(Folder::decode(&other), Err(FolderError::Magic));
    assert!(is_folder(&good) && !is_folder(&other));
    for version in [0, 3, 0x0200] {
        assert_eq!(
            Folder::decode(&bytes(version, "{}")),
            Err(FolderError::Version(version))
        );
    }
    let json = r#"{"name":"/","type":"symbolic","link":"/etc"}"#;
    assert_eq!(
        Folder::decode(&bytes(2, json)),
        Err(FolderError::NoDirectory)
    );
    assert!(matches!(
        Folder::decode(&bytes(2, r#"{"name":"/","type":"directory"} x"#)),
        Err(FolderError::Json(_))
    ));
}

/// Limits hold where a folder is made and where one is read.
#[test]
fn limits() {
    let nested = |levels: usize| (0..levels).fold(vec![], |inner, _| vec![directory("d", inner)]);
    let deepest = Folder::new(nested(DEPTH_LIMIT + 1)).unwrap();
    assert_eq!(Folder::decode(&deepest.encode().unwrap()).unwrap(), deepest);
    assert!(matches!(
        Folder::new(nested(DEPTH_LIMIT + 2)),
        Err(FolderError::Deep(_))
    ));
    let json = format!(
        "{}{}",
        r#"{"name":"d","type":"directory","entries":["#.repeat(5000),
        "]}".repeat(5000)
    );
    assert!(matches!(
        Folder::decode(&bytes(2, &json)),
        Err(FolderError::Json(_))
    ));
    let many = |count: usize| {
        let names = (0..count).map(|at| link(&format!("{at:08}"), "x"));
        Folder::new(names.collect())
    };
    let all = many(ENTRIES_LIMIT).unwrap();
    assert_eq!(many(ENTRIES_LIMIT + 1), Err(FolderError::Many));
    assert!(matches!(all.encode(), Ok(bytes) if bytes.len() <= LEN_LIMIT));
    let long = vec![0; LEN_LIMIT + 1];
    assert_eq!(Folder::decode(&long), Err(FolderError::Long(LEN_LIMIT + 1)));
    let unsorted = vec![link("b", "x"), link("a", "x")];
    assert_eq!(
        Folder::new(unsorted),
        Err(FolderError::Order("a".to_owned()))
    );
}

/// Paths find what they name and nothing else.
#[test]
fn finds() {
    let folder = sample();
    assert_eq!(folder.find(""), Some(folder.root()));
    assert_eq!(folder.find("/./"), Some(folder.root()));
    for path in ["a<b>&c/x", "/a<b>&c//x", "a<b>&c/./x/"] {
        assert_eq!(folder.find(path).map(Node::name), Some("x"), "{path}");
    }
    for path in [
        "nothing",
        "a<b>&c/z",
        "long/x",
        "a<b>&c/../long",
        "..",
        "link/x",
    ] {
        assert_eq!(folder.find(path), None, "{path}");
    }
}

/// Any folder of a few names, some levels deep.
fn any_entries() -> impl Strategy<Value = Vec<Node>> {
    let leaf = prop_oneof![
        (0u8..3, 0u64..3).prop_map(|(root, size)| Node::File {
            name: String::new(),
            roots: (0..u8::from(size > 0))
                .map(|_| Hash32([root; 32]))
                .collect(),
            size,
        }),
        "[ab]{1,2}".prop_map(|to| link("", &to)),
    ];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        named(inner).prop_map(|entries| directory("", entries))
    });
    named(node)
}

/// Nodes with names of their own, in order.
fn named(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Vec<Node>> {
    proptest::collection::btree_map("[a-c<é\n]", node, 0..5).prop_map(|nodes| {
        let name = |(own, mut node): (String, Node)| {
            let (Node::File { name, .. }
            | Node::Directory { name, .. }
            | Node::Symbolic { name, .. }) = &mut node;
            *name = own;
            node
        };
        nodes.into_iter().map(name).collect()
    })
}

/// Every path and what is there, without what is below.
fn flat(folder: &Folder) -> BTreeMap<String, Node> {
    let bare = |node: &Node| match node {
        Node::Directory { name, .. } => directory(name, vec![]),
        other => other.clone(),
    };
    folder
        .walk()
        .map(|(path, node)| (path, bare(node)))
        .collect()
}

/// What the difference is by its definition: paths that only one has or that differ, but for those below a
/// directory that is one of them.
fn naive(old: &Folder, new: &Folder) -> BTreeMap<String, Difference> {
    let (old, new) = (flat(old), flat(new));
    let mut all = BTreeMap::new();
    for path in old.keys().chain(new.keys()) {
        let what = match (old.get(path), new.get(path)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), Some(_)) => Difference::Modified,
            (Some(_), None) => Difference::Removed,
            _ => Difference::Added,
        };
        all.insert(path.clone(), what);
    }
    let above = |path: &str| {
        path.match_indices('/')
            .any(|(at, _)| all.contains_key(&path[..at]))
    };
    let named = all.iter().filter(|(path, _)| !above(path));
    named.map(|(path, what)| (path.clone(), *what)).collect()
}

proptest! {
    /// What is written is read again, and every path of the walk finds its node.
    #[test]
    fn round_trip(entries in any_entries()) {
        let folder = Folder::new(entries).unwrap();
        let bytes = folder.encode().unwrap();
        let read = Folder::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &folder);
        for (path, node) in folder.walk() {
            prop_assert_eq!(read.find(&path), Some(node));
        }
        let paths: Vec<_> = folder.walk().map(|(path, _)| path).collect();
        prop_assert_eq!(paths.len(), flat(&folder).len());
    }

    /// The difference is the naive one, and there is none between equals.
    #[test]
    fn differences(old in any_entries(), new in any_entries()) {
        let (old, new) = (Folder::new(old).unwrap(), Folder::new(new).unwrap());
        let changes = old.diff(&new);
        let found: BTreeMap<_, _> = changes.iter().map(|change| (change.path.clone(), change.what)).collect();
        prop_assert_eq!(found.len(), changes.len());
        prop_assert_eq!(found, naive(&old, &new));
        prop_assert_eq!(new.diff(&new), vec![]);
        for change in &changes {
            let node = new.find(&change.path).or_else(|| old.find(&change.path));
            prop_assert_eq!(change.is_directory, node.unwrap().entries().is_some());
        }
    }

    /// Any bytes behind the head are refused or read, and never break a promise.
    #[test]
    fn any_bytes(json in "\\PC{0,200}") {
        if let Ok(folder) = Folder::decode(&bytes(2, &json)) {
            prop_assert_eq!(Folder::decode(&folder.encode().unwrap()).unwrap(), folder);
        }
    }
}
