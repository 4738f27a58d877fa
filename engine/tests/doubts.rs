//! What is told to be gone stays gone, whatever the next start finds in the log of records whose
//! writes failed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bytes::Bytes;
use lode_engine::{
    Error, Result, Root,
    mesh::Mesh,
    store::{Options, Resumed, Store, Terms},
};
use lode_world::{
    World,
    sim::{Chance, Crash, Faults, Sim, SimWorld},
};

const CHUNK: usize = 256 * 1024;
/// No term.
const EVER: Terms = Terms { expiry: None };

async fn open(world: SimWorld) -> Store<SimWorld> {
    let options = Options {
        segment_len: 2 << 20,
        shards: 2,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    };
    Store::open(world, options, Mesh::new(1), 0).await.unwrap()
}

/// A blob, and what is known of it and of its upload: none where a failure left that open.
struct Known {
    bytes: Vec<u8>,
    root: Root,
    blob: Option<bool>,
    upload: Option<bool>,
}

impl Known {
    fn new(seed: u8, len: usize) -> Known {
        let mut bytes = vec![0; len];
        let mut stream = blake3::Hasher::new();
        stream.update(&[seed]).finalize_xof().fill(&mut bytes);
        Known {
            root: lode_proofs::blob_tree(&bytes).unwrap().root(),
            bytes,
            blob: Some(false),
            upload: Some(false),
        }
    }

    fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap()
    }

    /// Begins the upload and leaves it.
    async fn begin(&mut self, store: &Store<SimWorld>) {
        match store.resume(self.root, self.size(), EVER).await {
            Ok(Resumed::Upload(upload)) => {
                upload.leave().await;
                self.upload = Some(self.bytes.len() > CHUNK);
            }
            Ok(Resumed::Stored(_)) => {
                assert_ne!(self.blob, Some(false));
                self.upload = self.upload.filter(|there| !there);
            }
            Err(error) => {
                assert_ne!(self.upload, Some(true), "nothing had to be written");
                failed(&error);
                self.upload = None;
            }
        }
    }

    /// Sends the whole blob, as an upload of its root; only its end meets what is set `late`.
    async fn finish(&mut self, store: &Store<SimWorld>, late: impl FnOnce()) {
        match self.send(store, late).await {
            // An upload of a blob that was there may stay where it cannot be forgotten.
            Ok(existed) => {
                self.upload = Some(false).filter(|_| !existed);
                self.blob = Some(true);
            }
            Err(error) => {
                failed(&error);
                self.upload = None;
                self.blob = self.blob.filter(|there| *there);
            }
        }
    }

    async fn send(&self, store: &Store<SimWorld>, late: impl FnOnce()) -> Result<bool> {
        match store.resume(self.root, self.size(), EVER).await? {
            Resumed::Stored(stored) => Ok(stored.existed),
            Resumed::Upload(mut upload) => {
                let from = usize::try_from(upload.offset()).unwrap();
                upload.write(&self.bytes[from..]).await?;
                upload.flush().await?;
                late();
                upload.finish().await.map(|stored| stored.existed)
            }
        }
    }

    /// Sends the whole blob without a word of its root; only its end meets what is set `late`.
    async fn stream(&mut self, store: &Store<SimWorld>, late: impl FnOnce()) {
        let sent = async {
            let mut upload = store.begin(EVER).await?;
            upload.write(&self.bytes).await?;
            upload.flush().await?;
            late();
            upload.finish().await
        };
        match sent.await {
            Ok(_) => self.blob = Some(true),
            Err(error) => {
                failed(&error);
                self.blob = self.blob.filter(|there| *there);
            }
        }
    }

    async fn delete(&mut self, store: &Store<SimWorld>) {
        match store.delete(self.root).await {
            Ok(there) => {
                assert!(there || self.blob != Some(true));
                // With what could not be bound goes its upload.
                self.upload = self.upload.filter(|_| self.blob.is_some());
                self.blob = Some(false);
            }
            Err(error) => {
                failed(&error);
                self.upload = self.upload.filter(|_| self.blob.is_some());
                self.blob = None;
            }
        }
    }

    async fn abandon(&mut self, store: &Store<SimWorld>) {
        match store.abandon(self.root).await {
            Ok(there) => {
                assert!(there || self.upload != Some(true));
                self.upload = Some(false);
            }
            Err(error) => {
                failed(&error);
                self.upload = None;
            }
        }
    }

    /// Compares all that is known with a store that has just started. What it has now, it has.
    async fn check(&mut self, store: &Store<SimWorld>) {
        let blob = store.stat(self.root).await.unwrap().is_some();
        let upload = store.upload(self.root).await.unwrap().is_some();
        assert!(self.blob.is_none_or(|known| known == blob), "blob: {blob}");
        assert!(
            self.upload.is_none_or(|known| known == upload),
            "upload: {upload}"
        );
        (self.blob, self.upload) = (Some(blob), Some(upload));
    }
}

/// The second write of a step may find no lane any more.
fn failed(error: &Error) {
    let disk = matches!(error, Error::WriteFailed { .. } | Error::Io { .. });
    assert!(disk, "{error}");
}

/// Opens the lanes that records may go to: a new one would be refused for another reason. `turn` is
/// another one each time, for what is there is not put again.
async fn warm(store: &Store<SimWorld>, turn: u64) {
    for fill in 0..8 {
        let filler = [turn.to_le_bytes(), u64::to_le_bytes(fill)].concat();
        store.put(Bytes::from(filler), EVER).await.unwrap();
    }
}

/// One thing after the other, on a disk half of whose syncs fail.
async fn life(sim: &Sim, world: SimWorld, blobs: &mut [Known], dice: &mut impl FnMut(u8) -> u8) {
    let start = u64::try_from(world.now().as_micros()).unwrap();
    let store = open(world).await;
    for known in blobs.iter_mut() {
        known.check(&store).await;
    }
    for step in 0..12 {
        let at = usize::from(dice(3));
        let known = &mut blobs[at];
        warm(&store, start + step).await;
        let (fails, late) = (dice(2) == 0, dice(2) == 0);
        let fail = |now: bool| {
            sim.set_faults(Faults {
                sync_error: if now { Chance::ALWAYS } else { Chance::NEVER },
                ..Faults::default()
            });
        };
        match (dice(10), fails && late) {
            (0..=2, true) => known.finish(&store, || fail(true)).await,
            (3..=4, true) => known.stream(&store, || fail(true)).await,
            (way, _) => {
                fail(fails);
                match way {
                    0 | 1 => known.begin(&store).await,
                    2 => known.finish(&store, || ()).await,
                    3 => known.stream(&store, || ()).await,
                    4..=6 => known.delete(&store).await,
                    _ => known.abandon(&store).await,
                }
            }
        }
        sim.set_faults(Faults::default());
    }
    if dice(3) == 0 {
        store.close().await.unwrap();
    }
}

/// For sixty seeds: of blobs and uploads whose records fail now and then, a start finds what was
/// acknowledged, and nothing that was told to be gone.
#[test]
fn nothing_comes_back_that_was_gone() {
    for seed in 0..60 {
        let mut stream = blake3::Hasher::new()
            .update(&u64::to_le_bytes(seed))
            .finalize_xof();
        let mut dice = |below: u8| {
            let mut byte = [0];
            stream.fill(&mut byte);
            byte[0] % below
        };
        let sim = Sim::new(seed, Faults::default());
        let mut blobs = [
            Known::new(1, 700),
            Known::new(2, CHUNK + 9),
            Known::new(3, CHUNK * 2),
        ];
        for _ in 0..5 {
            println!("seed {seed}");
            sim.run(async |world| life(&sim, world, &mut blobs, &mut dice).await)
                .unwrap();
            let crash = [Crash::Kill, Crash::Power][usize::from(dice(2))];
            sim.crash(crash);
        }
    }
}

/// An upload that could not be begun, and one that could not be ended, are gone when that was told:
/// whatever became of the failed records.
#[test]
fn an_upload_in_doubt_is_ended_for_good() {
    for seed in 0..20 {
        for begins in [false, true] {
            let sim = Sim::new(seed, Faults::default());
            let mut known = Known::new(4, 3 * CHUNK);
            sim.run(async |world| {
                let store = open(world).await;
                if !begins {
                    known.begin(&store).await;
                }
                warm(&store, 0).await;
                let sync_error = Chance::ALWAYS;
                sim.set_faults(Faults {
                    sync_error,
                    ..Faults::default()
                });
                match begins {
                    true => known.begin(&store).await,
                    false => known.abandon(&store).await,
                }
                assert_eq!(known.upload, None, "it failed");
                sim.set_faults(Faults::default());
                assert!(store.abandon(known.root).await.unwrap());
                assert!(!store.abandon(known.root).await.unwrap());
                known.upload = Some(false);
            })
            .unwrap();
            sim.crash(Crash::Kill);
            sim.run(async |world| known.check(&open(world).await).await)
                .unwrap();
        }
    }
}

/// A delete of a blob whose manifest could not be written takes its upload along, so that neither comes
/// back, and what is uploaded from then on does not go with them.
#[test]
fn a_delete_in_doubt_takes_the_upload_along() {
    for seed in 0..20 {
        let sim = Sim::new(seed, Faults::default());
        let mut known = Known::new(5, 2 * CHUNK);
        sim.run(async |world| {
            let store = open(world).await;
            warm(&store, 0).await;
            let fail = |sync_error| {
                sim.set_faults(Faults {
                    sync_error,
                    ..Faults::default()
                });
            };
            known.finish(&store, || fail(Chance::ALWAYS)).await;
            assert_eq!((known.blob, known.upload), (None, None), "it failed");
            fail(Chance::NEVER);
            assert!(store.delete(known.root).await.unwrap());
            assert!(!store.delete(known.root).await.unwrap());
            assert!(!store.abandon(known.root).await.unwrap());
            (known.blob, known.upload) = (Some(false), Some(false));
            if seed % 2 == 0 {
                known.begin(&store).await;
            }
        })
        .unwrap();
        sim.crash(Crash::Kill);
        sim.run(async |world| known.check(&open(world).await).await)
            .unwrap();
    }
}
