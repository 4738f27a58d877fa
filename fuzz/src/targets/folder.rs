//! Folders of 0G's clients: what decodes leads nowhere outside, is found by its own paths, and comes back
//! unchanged from what we write.

use lode_wire::folder::{Folder, MAGIC, Node, is_name};

use super::Target;

/// Reads a folder.
pub const TARGET: Target = Target {
    name: "folder",
    run,
    seeds,
    repair: Some(repair),
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(folder) = Folder::decode(data) else {
        return;
    };
    for (path, node) in folder.walk() {
        assert!(path.split('/').all(is_name), "{path:?} leads elsewhere");
        assert_eq!(folder.find(&path), Some(node));
    }
    assert_eq!(folder.diff(&folder), []);
    let bytes = folder.encode().expect("no longer than what was read");
    assert_eq!(Folder::decode(&bytes), Ok(folder));
}

fn seeds() -> Vec<Vec<u8>> {
    let file = Node::File {
        name: "a<b>".to_owned(),
        roots: vec![[7; 32].into(), [9; 32].into()],
        size: 700,
    };
    let link = Node::Symbolic {
        name: "link".to_owned(),
        link: "../a".to_owned(),
    };
    let inner = Node::Directory {
        name: "inner".to_owned(),
        entries: vec![file.clone()],
    };
    let folder = Folder::new(vec![file, inner, link]).expect("names in order");
    let mut old = head(1);
    old.extend(
        br#"{"name":"/","type":"directory","entries":[{"name":"f","type":"file","hash":"0x"#,
    );
    old.extend([b'5'; 64]);
    old.extend(br#"","size":3}]}"#);
    vec![folder.encode().expect("few entries"), old]
}

fn head(version: u16) -> Vec<u8> {
    [&MAGIC[..], &version.to_be_bytes()].concat()
}

/// Puts the magic back, and a version that there is.
fn repair(bytes: &mut Vec<u8>) {
    let version = 1 + u16::from(bytes.get(33).is_some_and(|byte| byte % 2 == 0));
    let head = head(version);
    let old = bytes.len().min(head.len());
    bytes.splice(..old, head);
}
