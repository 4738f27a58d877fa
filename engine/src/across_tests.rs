//! Reads of another executor's shard: the same answers as its own, or none.

use std::{collections::BTreeMap, path::PathBuf, thread};

use bytes::Bytes;
use lode_world::{
    Queue,
    sim::{Faults, Sim, SimFile, SimWorld},
};

use super::*;
use crate::{
    Error,
    catalog::Catalog,
    format::record::{Header, Kind},
    index::Place,
    mesh::Mesh,
    store::{Options, Store, Terms},
};

const SEGMENT: usize = 1 << 20;

struct Pair {
    /// Of executors 0 and 1; shard 1 is the other's for the first.
    stores: [Store<SimWorld>; 2],
    across: Across<SimWorld>,
    shelf: Arc<ShelfOf<SimWorld>>,
}

impl Pair {
    async fn look(
        &self,
        shard: u16,
        root: &Root,
        chunk: u64,
        range: Range<usize>,
    ) -> Result<Option<Bytes>, Ask> {
        let read = self.across.read(shard, root, chunk, &range).await?;
        Ok(read.map(PieceOf::<SimWorld>::into_bytes))
    }
}

async fn pair(world: &SimWorld) -> Pair {
    let mesh = Mesh::new(2);
    let options = Options {
        segment_len: u64::try_from(SEGMENT).unwrap(),
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 2)
    };
    let (done, opened) = async_channel::bounded(1);
    let other = Store::open(world.clone(), options.clone(), mesh.clone(), 1);
    world.spawn(Queue::Serve, async move {
        done.send(other.await.unwrap()).await.unwrap();
    });
    let one = Store::open(world.clone(), options, mesh.clone(), 0);
    let stores = [one.await.unwrap(), opened.recv().await.unwrap()];
    let shelves = mesh.shelves();
    Pair {
        stores,
        shelf: Arc::clone(&shelves[1]),
        across: Across::new(world.clone(), shelves, Verify::Hash),
    }
}

/// Puts `count` blobs of `len` bytes, of which each begins with `mark` and its number; those that
/// went to shard 1.
async fn fill(pair: &Pair, mark: u8, count: u8, len: usize) -> BTreeMap<Root, Bytes> {
    let store = &pair.stores[0];
    let mut theirs = BTreeMap::new();
    for number in 0..count {
        let mut blob = vec![mark; len];
        blob[0] = number;
        let blob = Bytes::from(blob);
        let stored = store.put(blob.clone(), Terms::default()).await.unwrap();
        if store.home(&stored.root) == 1 {
            theirs.insert(stored.root, blob);
        }
    }
    assert!(theirs.len() > 1, "about half of them");
    theirs
}

fn run(program: impl AsyncFnOnce(SimWorld)) {
    Sim::new(5, Faults::default()).run(program).unwrap();
}

/// What is stored elsewhere is found and read, whole and in part, what is deleted is not; reads are
/// counted where the blob is.
#[test]
fn reads_what_is_there() {
    run(async |world| {
        let pair = pair(&world).await;
        let theirs = fill(&pair, 1, 40, 30_000).await;
        for (root, blob) in &theirs {
            let info = pair.across.stat(1, root).unwrap().unwrap();
            assert_eq!((info.root, info.size), (*root, 30_000));
            for range in [0..30_000, 0..1, 4_000..9_000, 29_999..30_000] {
                let read = pair.look(1, root, 0, range.clone()).await.unwrap();
                assert_eq!(read.unwrap(), blob[range]);
            }
            assert_eq!(pair.look(1, root, 1, 0..1).await, Ok(None));
            assert_eq!(pair.look(0, root, 0, 0..1).await, Ok(None));
        }
        let reads = u64::try_from(theirs.len()).unwrap() * 4;
        assert_eq!(pair.stores[1].stats().await.unwrap().reads, reads);
        let root = theirs.keys().next().unwrap();
        assert!(pair.stores[1].delete(*root).await.unwrap());
        assert_eq!(pair.across.stat(1, root), Ok(None));
        assert_eq!(pair.look(1, root, 0, 0..1).await, Ok(None));
    });
}

/// The epoch that the shard is told reaches those who look in.
#[test]
fn what_has_expired_is_not_there() {
    run(async |world| {
        let pair = pair(&world).await;
        let (mut number, store) = (0_u64, &pair.stores[0]);
        let root = loop {
            let blob = Bytes::copy_from_slice(&number.to_le_bytes());
            let terms = Terms { expiry: Some(9) };
            let root = store.put(blob, terms).await.unwrap().root;
            if store.home(&root) == 1 {
                break root;
            }
            number += 1;
        };
        assert!(pair.across.stat(1, &root).unwrap().is_some());
        pair.shelf.set_epoch(9);
        assert_eq!(pair.across.stat(1, &root), Ok(None));
        assert_eq!(pair.look(1, &root, 0, 0..1).await, Ok(None));
    });
}

/// A range that is none, and an index that is being changed, are its own executor's to answer.
#[test]
fn asks_where_it_cannot_tell() {
    run(async |world| {
        let pair = pair(&world).await;
        let theirs = fill(&pair, 2, 20, 5_000).await;
        let root = theirs.keys().next().unwrap();
        for range in [0..0, 0..5_001] {
            assert_eq!(pair.look(1, root, 0, range.clone()).await, Err(Ask));
            let read = pair.stores[0].read_chunk(*root, 0, range).await;
            assert!(matches!(read, Err(Error::OutOfRange { .. })));
        }
        let changing = pair.shelf.index_mut();
        assert_eq!(pair.across.stat(1, root), Err(Ask));
        assert_eq!(pair.look(1, root, 0, 0..9).await, Err(Ask));
        drop(changing);
        assert!(pair.across.stat(1, root).unwrap().is_some());
    });
}

/// A file that began another life between the look and the read: what it holds now is not served,
/// though the pages are whole.
#[test]
fn a_file_used_again_is_not_read() {
    const LEN: usize = 200_000;
    run(async |world| {
        let pair = pair(&world).await;
        let theirs = fill(&pair, 3, 30, LEN).await;
        let looked = |(root, _): (&Root, _)| (*root, pair.shelf.chunk(root, 0).unwrap().unwrap());
        let looked: Vec<_> = theirs.iter().map(looked).collect();
        for root in theirs.keys() {
            pair.stores[1].delete(*root).await.unwrap();
        }
        pair.stores[1].mend().await.unwrap();
        let freed = pair.stores[1].stats().await.unwrap().segments_freed;
        assert!(freed > 1, "{freed} files wait to be used again");
        fill(&pair, 4, 30, LEN).await;
        let mut refused = 0;
        for (root, (wanted, tag, file)) in looked {
            let file = world.disk().join(file);
            let life = Life { file: &file, tag };
            for range in [0..LEN, 10_000..10_100] {
                let read = wanted.read(&world, life, &root, &range, Verify::Pages);
                match read.await {
                    // Not written over yet.
                    Ok(piece) => assert_eq!(piece.into_bytes(), &theirs[&root][range]),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 1, "{refused} reads met another life");
    });
}

/// Whoever looks in while a blob is replaced, by its copy or for a longer term, finds it.
#[test]
fn a_blob_that_is_replaced_is_always_there() {
    let shelf: Arc<ShelfOf<SimWorld>> = Arc::new(Shelf::new([1, 2], 0));
    let mut catalog: Catalog<SimFile> = Catalog::new(Arc::clone(&shelf));
    let root = Root::from([7; 32]);
    let mut header = Header {
        kind: Kind::Single,
        flags: 0,
        len: 1000,
        sequence: 1,
        blob: 0,
        detail: 0,
        expiry: 0,
        root,
        check: [0; 32],
    };
    let place = |at| Place { segment: 1, at };
    catalog.apply(&header, place(0));
    let looks = thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut found = 0;
            while found < 200_000 {
                if let Ok(stat) = shelf.stat(&root) {
                    assert_eq!(stat.map(|stat| stat.size), Some(1000));
                    found += 1;
                }
            }
        });
        // However late the other thread is let run: replaced for as long as it looks.
        for at in (0..300_000).cycle() {
            if looks.is_finished() {
                break;
            }
            header.sequence += 1;
            catalog.apply(&header, place(at));
        }
        looks.join()
    });
    assert!(looks.is_ok(), "a look did not find the blob");
}

/// What is damaged is no answer; its own executor tells what it is, once it has looked.
#[test]
fn damage_is_told_by_its_own_executor() {
    let sim = Sim::new(6, Faults::default());
    let theirs = sim.run(async |world| {
        let pair = pair(&world).await;
        let theirs = fill(&pair, 5, 8, 20_000).await;
        for store in &pair.stores {
            store.close().await.unwrap();
        }
        theirs
    });
    let theirs = theirs.unwrap();
    let files = sim.files().into_iter();
    for (path, len) in files.filter(|(path, _)| path.contains("shard-00001/segment-")) {
        // The payload of every page between the headers and the footer, but for the first.
        for page in 3..len / 4096 - 2 {
            sim.rot(&path, page * 4096 + 100..page * 4096 + 101);
        }
    }
    let ran = sim.run(async |world| {
        let pair = pair(&world).await;
        for root in theirs.keys() {
            assert_eq!(pair.look(1, root, 0, 0..20_000).await, Err(Ask));
            let before = pair.stores[0].stats().await.unwrap().corrupt;
            let read = pair.stores[0].read_chunk(*root, 0, 0..20_000).await;
            assert!(matches!(read, Err(Error::Corrupt { .. })));
            assert_eq!(pair.stores[0].stats().await.unwrap().corrupt, before + 1);
        }
    });
    ran.unwrap();
}
