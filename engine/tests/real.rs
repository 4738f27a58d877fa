//! The store on real files, on every world that this machine allows: many clients, segments that
//! fill and are closed under load, a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use lode_engine::{
    mesh::Mesh,
    store::{Options, Store, Terms},
};
use lode_world::{Backend, Net, Program, Queue, launch, preflight};

const EXECUTORS: usize = 2;
const CLIENTS: u64 = 32;
const PUTS: u64 = 40;

#[derive(Clone)]
struct Load {
    dir: PathBuf,
    mesh: Mesh,
    /// Executors that have ended their load, then those that have looked at the result.
    ended: Arc<AtomicUsize>,
    done: mpsc::Sender<()>,
}

fn blob(client: u64, put: u64) -> Vec<u8> {
    let len = 1 + usize::try_from(client * 7919 + put * 104_729).unwrap() % (256 * 1024);
    let mut out = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&client.to_le_bytes())
        .update(&put.to_le_bytes());
    hasher.finalize_xof().fill(&mut out);
    out
}

impl Program for Load {
    async fn run<W: Net>(self, world: W, index: usize) {
        let options = Options {
            segment_len: 4 << 20,
            shards: 3,
            reserve_percent: 0,
            ..Options::new(self.dir, EXECUTORS)
        };
        let store = Store::open(world.clone(), options, self.mesh, index)
            .await
            .unwrap();
        let (told, ended) = async_channel::unbounded();
        for client in 0..CLIENTS {
            let (store, told) = (store.clone(), told.clone());
            let client = client + CLIENTS * u64::try_from(index).unwrap();
            world.spawn(Queue::Ingest, async move {
                for put in 0..PUTS {
                    let bytes = blob(client, put);
                    let stored = store
                        .put(Bytes::from(bytes.clone()), Terms::default())
                        .await
                        .unwrap();
                    let size = u64::try_from(bytes.len()).unwrap();
                    let mut reader = store.read(stored.root, 0..size).await.unwrap().unwrap();
                    let piece = reader.next().await.unwrap().unwrap();
                    assert_eq!(piece.into_bytes(), bytes);
                }
                told.send(()).await.unwrap();
            });
        }
        for _ in 0..CLIENTS {
            ended.recv().await.unwrap();
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        // Shards of this executor serve the others until all are done.
        while self.ended.load(Ordering::SeqCst) < EXECUTORS {
            world.sleep(Duration::from_millis(20)).await;
        }
        let stats = store.stats().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        while self.ended.load(Ordering::SeqCst) < 2 * EXECUTORS {
            world.sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(stats.unwrap().blobs, 2 * CLIENTS * PUTS);
        store.close().await.unwrap();
        self.done.send(()).unwrap();
    }
}

fn run(dir: &Path, backend: Backend) {
    let found = preflight(&[dir.to_owned()], EXECUTORS, Some(backend));
    let found = match found {
        Ok(found) => found,
        Err(error) => return eprintln!("skipped on {backend:?}: {error}"),
    };
    let (done, ended) = mpsc::channel();
    let load = Load {
        dir: dir.to_owned(),
        mesh: Mesh::new(EXECUTORS),
        ended: Arc::default(),
        done,
    };
    let running = launch(&found, load).unwrap();
    for _ in 0..EXECUTORS {
        ended
            .recv_timeout(Duration::from_secs(120))
            .expect("the load ends");
    }
    running.join().unwrap();
}

fn both_times(backend: Backend, name: &str) {
    let dir = std::env::temp_dir().join(format!("lode-real-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    run(&dir, backend);
    // The second time everything is there already and has to be found, beside files that are named
    // like newer checkpoints and are not even made of pages.
    let foreign = [1, 4095, 5000].into_iter().zip(900_000_001_u64..);
    for (len, number) in foreign {
        let path = dir.join(format!("shard-00000/checkpoint-0{number}"));
        std::fs::write(path, vec![7; len]).unwrap();
    }
    run(&dir, backend);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Every put is read back at once and after a restart, on io_uring.
#[test]
fn load_on_uring() {
    both_times(Backend::Uring, "uring");
}

/// The same on the thread pool.
#[test]
fn load_on_posix() {
    both_times(Backend::Posix, "posix");
}
