//! Data availability as its users see it: a file is posted, certified, settled and proven; one of four
//! holders is killed; what was proven holds by the genesis file alone.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    chain::{devnet_with, offline, text},
    house::{code, json, noise, run},
};

/// Kills the holder of a number of the network in `dir`.
fn kill(dir: &Path, number: usize) {
    let data = dir.join(format!("net/da/{number}/data"));
    let pattern = format!("da run --dir {}", data.display());
    let killed = Command::new("pkill")
        .args(["-KILL", "-f", &pattern])
        .status();
    assert!(killed.unwrap().success(), "holder {number} was not there");
}

/// Posts a file.
fn post(api: &str, file: &str, cert: &str, wait: &str) -> Value {
    let posted = run(&[
        "da", "post", file, "--api", api, "--cert", cert, "--wait", wait, "--json",
    ]);
    assert_eq!(code(&posted), 0, "{posted:?}");
    json(&posted)
}

#[test]
fn posted_proven_and_read_without_a_third() {
    let dir = tempfile::tempdir().unwrap();
    let network = devnet_with(dir.path(), &["--nodes", "4"]);
    let apis: Vec<String> = network.ready["da"]
        .as_array()
        .unwrap()
        .iter()
        .map(|da| da["api"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(apis.len(), 4);
    let chain = network.ready["chain"]["rpc"].as_str().unwrap().to_owned();
    let at = |name: &str| text(&dir.path().join(name));
    let (file, cert, copy) = (at("file"), at("cert.json"), at("copy"));
    fs::write(&file, noise(1, 5_000_000)).unwrap();
    let posted = post(&apis[0], &file, &cert, "final");
    assert_eq!(posted["blobs"].as_array().unwrap().len(), 1);
    assert_eq!(posted["blobs"][0]["len"], 5_000_000);

    kill(dir.path(), 1);
    let got = run(&["da", "get", &cert, "-o", &copy, "--api", &apis[2]]);
    assert_eq!(code(&got), 0, "{got:?}");
    assert!(fs::read(&file).unwrap() == fs::read(&copy).unwrap());
    let again = post(&apis[3], &file, &at("again.json"), "certified");
    assert_eq!(again["blobs"][0]["handle"], posted["blobs"][0]["handle"]);
    let gone = run(&["da", "get", "0x00-128-5", "-o", &copy, "--api", &apis[0]]);
    assert_ne!(code(&gone), 0);

    let proven = run(&["da", "prove", &cert, "--chain", &chain]);
    assert_eq!(code(&proven), 0, "{proven:?}");
    network.stop();
    let genesis = at("genesis.json");
    fs::copy(dir.path().join("net/genesis.json"), &genesis).unwrap();
    fs::remove_dir_all(dir.path().join("net")).unwrap();
    let verify = |cert: &str, file: &str| {
        offline(&[
            "da",
            "verify",
            cert,
            "--genesis",
            &genesis,
            "--file",
            file,
            "--json",
        ])
    };
    let verified = verify(&cert, &file);
    assert_eq!(code(&verified), 0, "{verified:?}");
    assert!(json(&verified)["rows"].as_u64().unwrap() >= 2049);
    lies(dir.path(), &cert, &file, verify);
}

/// Every digit of what is checked counts, and so does every byte of the file.
fn lies(dir: &Path, cert: &str, file: &str, verify: impl Fn(&str, &str) -> std::process::Output) {
    let other = text(&dir.join("other"));
    fs::write(&other, noise(2, 5_000_000)).unwrap();
    assert_eq!(code(&verify(cert, &other)), 4);
    let text_of = fs::read_to_string(cert).unwrap();
    let whole: Value = serde_json::from_str(&text_of).unwrap();
    let wrong = text(&dir.join("wrong.json"));
    for key in ["proof", "entry"] {
        let digits = whole["blobs"][0][key].as_str().unwrap();
        for place in (2..digits.len()).step_by(digits.len() / 40) {
            let mut changed = digits.as_bytes().to_vec();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let mut lie = whole.clone();
            lie["blobs"][0][key] = String::from_utf8(changed).unwrap().into();
            fs::write(&wrong, lie.to_string()).unwrap();
            let refused = verify(&wrong, file);
            assert_eq!(code(&refused), 4, "{key}, digit {place}: {refused:?}");
        }
    }
}
