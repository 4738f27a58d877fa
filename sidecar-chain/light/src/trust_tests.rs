//! Genesis files: ours are read, others are refused by name.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::{Value, json};

use super::*;
use crate::world;

/// The committed file, which goes with the committed evidence.
fn file() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/genesis.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read(file: &Value) -> Result<Trust, Error> {
    Trust::read(&serde_json::to_vec(file).unwrap())
}

/// Number, namespace and key are those of the file, and the hash changes with any account.
#[test]
fn ours_are_read() {
    let trust = read(&file()).unwrap();
    let known = world::trust();
    assert_eq!(trust.chain_id, known.chain_id);
    assert_eq!(trust.namespace, known.namespace);
    assert_eq!(trust.key, known.key);
    let mut richer = file();
    richer["alloc"]["0x0000000000000000000000000000000000002001"]["balance"] = json!("0x1");
    assert_ne!(read(&richer).unwrap().genesis, trust.genesis);
}

/// What is no genesis file of ours is refused, and why.
#[test]
fn others_are_refused() {
    let with = |name: &str, value: Value| {
        let mut file = file();
        file["config"]["lode"][name] = value;
        read(&file).unwrap_err()
    };
    assert!(matches!(
        with("key", json!("0x00")),
        Error::KeyLen { len: 1 }
    ));
    assert!(matches!(with("key", json!("zz")), Error::Json(_)));
    let infinity = format!("0xc0{}", "00".repeat(KEY_LEN - 1));
    assert!(matches!(
        with("key", json!(infinity)),
        Error::Key(PointRefusal::Infinity)
    ));
    assert!(matches!(
        with("namespace", json!("")),
        Error::NamespaceLen { len: 0 }
    ));
    let long = "x".repeat(NAMESPACE_LEN_MAX + 1);
    assert!(matches!(
        with("namespace", json!(long)),
        Error::NamespaceLen { len: 65 }
    ));
    assert!(matches!(with("namespace", json!(7)), Error::Json(_)));
    let mut foreign = file();
    foreign["config"].as_object_mut().unwrap().remove("lode");
    assert!(matches!(read(&foreign), Err(Error::NotOurs)));
    let mut later = file();
    later["config"]["amsterdamTime"] = json!(0);
    assert!(matches!(read(&later), Err(Error::Genesis(_))));
    assert!(matches!(Trust::read(b"{}"), Err(Error::NotOurs)));
    assert!(matches!(Trust::read(b"{"), Err(Error::Json(_))));
    let long = vec![b' '; GENESIS_LEN_MAX + 1];
    assert!(matches!(Trust::read(&long), Err(Error::Len { .. })));
}
