//! A walk since any moment finds every blob that came after it, whatever happens meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{cell::Cell, collections::BTreeSet, path::PathBuf, rc::Rc, time::Duration};

use bytes::Bytes;
use lode_engine::{
    Root,
    mesh::Mesh,
    store::{Options, Store, Terms, Then, Walk},
};
use lode_proofs::{CHUNK_LEN, blob_tree};
use lode_world::{
    Queue, World,
    sim::{Crash, Faults, Sim, SimWorld},
};

async fn open(world: &SimWorld) -> Store<SimWorld> {
    let options = Options {
        segment_len: 1 << 20,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    };
    Store::open(world.clone(), options, Mesh::new(1), 0)
        .await
        .unwrap()
}

/// All that a walk over the only shard finds, and the moment for the next one.
async fn walk(store: &Store<SimWorld>, since: u64) -> (BTreeSet<Root>, u64) {
    let (mut walk, mut roots) = (Walk::since(since), BTreeSet::new());
    loop {
        let fresh = store.fresh(0, walk).await.unwrap();
        roots.extend(fresh.blobs.iter().map(|info| info.root));
        match fresh.then {
            Then::More(more) => walk = more,
            Then::Done(upto) => return (roots, upto),
        }
    }
}

fn bytes(number: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes.into()
}

async fn put(store: &Store<SimWorld>, content: Bytes) -> Root {
    if content.len() <= CHUNK_LEN {
        return store.put(content, Terms::default()).await.unwrap().root;
    }
    let mut upload = store.begin(Terms::default()).await.unwrap();
    upload.write(&content).await.unwrap();
    upload.finish().await.unwrap().root
}

/// Who looks for blobs: where the next walk begins, and what it has to find.
#[derive(Default)]
struct Watcher {
    moment: u64,
    due: BTreeSet<Root>,
    number: u64,
}

impl Watcher {
    /// One thing of many, by chance.
    async fn act(&mut self, world: &SimWorld, store: &Store<SimWorld>) {
        self.number += 1;
        let long = world.random().is_multiple_of(4);
        let content = bytes(self.number, if long { 300_000 } else { 40_000 });
        match world.random() % 7 {
            0 => {
                if let Some(gone) = self.due.pop_first() {
                    assert!(store.delete(gone).await.unwrap());
                }
            }
            1 => store.mend().await.unwrap(),
            2 => {
                self.look(walk(store, self.moment).await);
                let again = walk(store, self.moment).await;
                assert_eq!(again, (BTreeSet::new(), self.moment));
            }
            3 => {
                // What is acknowledged while a walk is under way comes with it or with the next.
                let root = blob_tree(&content).unwrap().root();
                let done = Rc::new(Cell::new(false));
                let (store_of_put, done_of_put) = (store.clone(), Rc::clone(&done));
                world.spawn(Queue::Serve, async move {
                    put(&store_of_put, content).await;
                    done_of_put.set(true);
                });
                world
                    .sleep(Duration::from_micros(world.random() % 3000))
                    .await;
                let walked = walk(store, self.moment).await;
                while !done.get() {
                    world.sleep(Duration::from_millis(1)).await;
                }
                let came = walked.0.contains(&root);
                self.look(walked);
                if !came {
                    self.due.insert(root);
                }
            }
            _ => {
                self.due.insert(put(store, content).await);
            }
        }
    }

    fn look(&mut self, (found, upto): (BTreeSet<Root>, u64)) {
        let missed: Vec<_> = self.due.difference(&found).collect();
        assert!(missed.is_empty(), "{missed:?} since {}", self.moment);
        (self.moment, self.due) = (upto, BTreeSet::new());
    }
}

/// For twenty seeds: puts of one chunk and of several, deletes, compaction, stops, kills and power
/// losses in any order. What was acknowledged since the last walk, and is there, the next one
/// finds; where nothing is new, a walk finds nothing.
#[test]
fn nothing_is_missed() {
    for seed in 0..20 {
        let sim = Sim::new(seed, Faults::default());
        let mut watcher = Watcher::default();
        for life in 0..6 {
            let watcher = &mut watcher;
            sim.run(async move |world| {
                let store = open(&world).await;
                for _ in 0..30 {
                    watcher.act(&world, &store).await;
                }
                if life % 3 == 0 {
                    store.close().await.unwrap();
                }
            })
            .unwrap();
            if life % 3 == 1 {
                sim.crash(Crash::Power);
            }
        }
        sim.run(async move |world| {
            let store = open(&world).await;
            watcher.look(walk(&store, watcher.moment).await);
        })
        .unwrap();
    }
}

/// A walk since the beginning finds all, in more than one step if the index is large.
#[test]
fn all_of_it() {
    let sim = Sim::new(1, Faults::default());
    sim.run(async |world| {
        let store = open(&world).await;
        let mut all = BTreeSet::new();
        for number in 0..70_000u64 {
            let content = Bytes::from(number.to_le_bytes().to_vec());
            all.insert(store.put(content, Terms::default()).await.unwrap().root);
        }
        let first = store.fresh(0, Walk::since(0)).await.unwrap();
        assert!(matches!(first.then, Then::More(_)));
        assert_eq!(walk(&store, 0).await.0, all);
    })
    .unwrap();
}
