//! The oracle sees what it is there to see: losses, returns and changes planted behind its back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

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
    storage::{check::proven, kills::quietly, pay::Wish, stage::Stage},
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
        setup.sleep(Duration::from_millis(1500))
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

/// How long storage nodes may look for what is planted as lost: nobody has it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the check says of a storage network in which something is wrong.
fn broken(setup: &Setup, stage: &mut Stage<'_>) -> Vec<String> {
    match proven(setup, &mut stage.nodes, &stage.shared, PATIENCE) {
        Err(Failure::Broken(lines)) => lines,
        other => panic!("nothing was noticed: {other:?}"),
    }
}

/// An acknowledgement of what was never sent, other contents than those that were sent, and a slice of
/// which all replicas have lost their disks: each is found on the nodes that it is planted on, and nothing
/// else.
#[test]
fn losses_of_storage_nodes_are_found() {
    let setup = setup();
    let mut stage = Stage::new(&setup, false, 2 << 20).unwrap();
    let sent = stage.submit(7).unwrap();
    quietly(&mut stage, &sent).unwrap();
    stage.expect_whole().unwrap();

    let (seed, size) = (77, CHUNK + 9);
    let never = stage.submit_these(&[Wish { seed, size }]).unwrap()[0];
    let faces = stage.nodes.faces();
    let blob = stage.shared.blob(never);
    let keeps = |node: &usize| faces[*node].slice.keeps(blob.start, 0);
    let owners: Vec<usize> = stage.nodes.numbers().into_iter().filter(keeps).collect();
    stage.shared.ledger(|ledger| {
        ledger.ack(never, owners[0], &[0]).unwrap();
        ledger.blobs[sent[2]].seed ^= 1;
    });
    let changed = stage.shared.blob(sent[2]);
    let lines = broken(&setup, &mut stage);
    for node in &owners {
        let lost = format!(
            "is lost on node {node}: chunk 0 (acknowledged by node {})",
            owners[0]
        );
        let found =
            |line: &&String| line.contains(&format!("(seq {},", blob.seq)) && line.contains(&lost);
        assert_eq!(lines.iter().filter(found).count(), 1, "{lost}: {lines:#?}");
    }
    let other = |line: &&String| {
        line.contains(&format!("(seq {},", changed.seq)) && line.contains("has other bytes on node")
    };
    // One chunk, on both replicas of its slice.
    assert_eq!(lines.iter().filter(other).count(), 2, "{lines:#?}");
    assert_eq!(lines.len(), 4, "{lines:#?}");

    stage.shared.ledger(|ledger| {
        ledger.blobs[never].acked.clear();
        ledger.blobs[sent[2]].seed ^= 1;
    });
    stage.nodes.kill(&[0, 2]).unwrap();
    for node in [0, 2] {
        stage.nodes.wipe(node).unwrap();
    }
    stage.nodes.start(&setup, &[0, 2]).unwrap();
    let lines = broken(&setup, &mut stage);
    let blobs = stage.shared.blobs();
    let of_slice = blobs
        .iter()
        .filter(|blob| blob.acked_in(faces[0].slice).next().is_some());
    assert_eq!(lines.len(), 2 * of_slice.count(), "{lines:#?}");
    for line in &lines {
        assert!(
            line.contains("is lost on node 0") || line.contains("is lost on node 2"),
            "{line}"
        );
    }
}
