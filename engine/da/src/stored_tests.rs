//! Slivers on a real disk: what is appended comes back, also where the index is lost.

use lode_proofs::da::{
    Assignment, Coded, ContainerBuilder, Namespace, Quorum, Verifier, blob_root,
};
use lode_world::{Backend, preflight};

use super::*;
use crate::sliver::Packed;

const QUORUM: Quorum = Quorum {
    chain_id: 1,
    epoch: 4,
    quorum: 0,
};
const NOW: u64 = 1_800_000_000;

fn coded(seed: u8) -> Coded {
    let blob: Vec<u8> = (0..=250)
        .cycle()
        .skip(usize::from(seed))
        .take(200_000)
        .collect();
    let mut builder = ContainerBuilder::new();
    builder.add(Namespace([seed; 29]), &blob).unwrap();
    builder.add(Namespace([seed; 29]), &blob[..500]).unwrap();
    Coded::new(builder.close().unwrap(), &QUORUM, 10)
}

fn held(coded: &Coded, rows: &[u16], expiry: u64) -> Held {
    let packed = Packed::of(coded, rows);
    let verifier = Verifier::new(*coded.head(), &QUORUM, 10).unwrap();
    let verifier = verifier.with_checks(&packed.checks()).unwrap();
    let (_, holding) = verifier.held(rows, &packed.sliver()).unwrap();
    Held {
        statement: Statement {
            quorum: QUORUM,
            head: *coded.head(),
            expiry,
        },
        table: packed.table(),
        checks: packed.checks(),
        holding,
        rows: packed.rows(),
    }
}

async fn open(dir: &Path, now: u64) -> (Stored, lode_world::Running) {
    let found = preflight(&[dir.to_owned()], 1, Some(Backend::Posix)).unwrap();
    let options = rows::Options::new(dir.join("rows"), now);
    let (handle, running, _) = rows::launch(&found, options).unwrap();
    let stored = Stored::open(handle, &dir.join("index")).await.unwrap();
    (stored, running)
}

async fn close((stored, running): (Stored, lode_world::Running)) {
    stored.stop().await;
    drop(stored);
    running.join().unwrap();
}

/// What is appended is there after a start, byte for byte, with its blobs, its certificate and its term; also
/// where the index is lost; and goes with its term.
#[test]
fn a_life() {
    let home = tempfile::tempdir().unwrap();
    let seats: Vec<u16> = (0..7).cycle().take(3072).collect();
    let rows = Assignment::new(&seats)
        .unwrap()
        .rows_of(3)
        .unwrap()
        .to_vec();
    let (one, two) = (coded(1), coded(2));
    let (first, second) = (one.head().id(), two.head().id());
    let root = blob_root(two.container().blob(1).unwrap());
    futures_lite::future::block_on(async {
        let store = open(home.path(), NOW).await;
        for (coded, expiry) in [(&one, NOW + 3600), (&two, NOW + 3600)] {
            let held = held(coded, &rows, expiry);
            store.0.append(held.clone()).await.unwrap();
            store.0.append(held).await.unwrap();
        }
        let certificate = Bytes::from_static(b"a certificate");
        store.0.certify(second, certificate.clone()).await.unwrap();
        store
            .0
            .certify(Hash32([9; 32]), certificate.clone())
            .await
            .unwrap();
        store.0.extend(second, NOW + 9000).await.unwrap();
        store.0.extend(second, NOW + 5000).await.unwrap();
        close(store).await;

        let store = open(home.path(), NOW + 1).await;
        assert_eq!(store.0.list().len(), 2);
        let about = store.0.about(second).await.unwrap().unwrap();
        assert_eq!(about.certificate, Some(certificate));
        assert_eq!(about.holding.rows(), rows);
        assert_eq!(about.holding.root(), two.head().row_root);
        assert_eq!(store.0.statement(second).unwrap().expiry, NOW + 9000);
        let some = [rows[0], rows[5], rows[400]];
        let found = store.0.rows(second, &some).await.unwrap().unwrap();
        let want: Vec<&[u8]> = some.iter().map(|row| two.row(*row)).collect();
        assert!(found == want.concat());
        assert_eq!(store.0.rows(second, &[rows[0] + 1]).await.unwrap(), None);
        assert_eq!(store.0.locate(4, 0, root), Some((second, 1)));
        assert_eq!(store.0.locate(5, 0, root), None);
        close(store).await;

        std::fs::remove_dir_all(home.path().join("index")).unwrap();
        let store = open(home.path(), NOW + 1).await;
        assert_eq!(store.0.locate(4, 0, root), Some((second, 1)));
        assert_eq!(store.0.statement(second).unwrap().expiry, NOW + 9000);
        store.0.expire(NOW + 7300).await.unwrap();
        assert_eq!(store.0.statement(first), None);
        assert!(store.0.about(first).await.unwrap().is_none());
        assert!(store.0.about(second).await.unwrap().is_some());
        store.0.expire(NOW + 20_000).await.unwrap();
        assert!(store.0.list().is_empty());
        assert_eq!(store.0.locate(4, 0, root), None);
        close(store).await;
    });
}
