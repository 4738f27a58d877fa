//! The oracle sees what it is there to see: losses, returns and changes planted behind its back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crash::{
    args::Common,
    check::check,
    client::Client,
    failure::Failure,
    kill,
    ledger::{Ledger, State},
    load::{CHUNK, Shape},
    node::Node,
    setup::Setup,
};

fn setup() -> Setup {
    let common = Common {
        dir: None,
        backend: "auto".to_owned(),
        seed: Some(11),
        lode: None,
        json: true,
    };
    Setup::new(&common, env!("CARGO_BIN_EXE_crash").into()).unwrap()
}

/// A blob that is stored and acknowledged, whatever the load has left.
fn stored(client: &Client, ledger: &mut Ledger, seed: u64) -> usize {
    let (index, bytes) = ledger.add(seed, CHUNK + 9, State::Putting).unwrap();
    let root = ledger.entries[index].root;
    client.put(root, &bytes, true).unwrap();
    ledger.set(index, State::Stored).unwrap();
    index
}

/// One broken promise of each kind, all of them found and nothing else.
#[test]
fn every_kind_is_found() {
    let setup = setup();
    let node = Node::start(&setup, &setup.dir().join("store")).unwrap();
    let client = node.client();
    let mut ledgers = kill::ledgers(&setup, 4).unwrap();
    let shape = Shape {
        live_limit: 4 << 20,
        until_full: false,
    };
    kill::under_load(&client, &mut ledgers, 1, shape, |_| {
        setup.sleep(std::time::Duration::from_millis(1500))
    })
    .unwrap();
    let lost = stored(&client, &mut ledgers[0], 101);
    let changed = stored(&client, &mut ledgers[1], 102);
    let back = stored(&client, &mut ledgers[2], 103);
    check(&client, &mut ledgers, 1).unwrap();

    client.delete(ledgers[0].entries[lost].root).unwrap();
    ledgers[1].entries[changed].seed ^= 1;
    ledgers[2].set(back, State::Gone).unwrap();
    let (behind, _) = ledgers[3]
        .add(
            99,
            2 * CHUNK,
            State::Upload {
                acked: CHUNK,
                sent: CHUNK,
            },
        )
        .unwrap();
    let stranger = crash::noise::contents(5, 100);
    let root = lode_proofs::blob_tree(&stranger).unwrap().root();
    client.put(root, &stranger, false).unwrap();

    let planted = [
        (ledgers[0].entries[lost].root, "is lost"),
        (ledgers[1].entries[changed].root, "other bytes"),
        (ledgers[2].entries[back].root, "is back"),
        (ledgers[3].entries[behind].root, "resumes at 0"),
        (root, "never sent"),
    ];
    let Err(Failure::Broken(lines)) = check(&client, &mut ledgers, 2) else {
        panic!("nothing was noticed");
    };
    for (root, what) in planted {
        let found = |line: &&String| line.contains(&root.to_string()) && line.contains(what);
        assert!(lines.iter().any(|line| found(&line)), "{what}: {lines:#?}");
    }
    let known = |line: &String| {
        planted
            .iter()
            .any(|(root, _)| line.contains(&root.to_string()))
    };
    assert!(lines.iter().all(known), "{lines:#?}");
}
