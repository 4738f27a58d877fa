//! Turns a blocking peer into a subject: one thread for each request in flight.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use bytes::Bytes;
use rustix::fs::{Advice, fadvise, syncfs};

use super::{Key, Peer, key_of};
use crate::{
    error::{Error, Result},
    meter::bytes_of,
    store::Candidate,
    subject::{Fill, GROUP, Reads, SmallPuts, Subject},
    values::CHUNK_LEN,
};

/// A peer, its folder, and the threads that ask it.
pub struct Threads<P> {
    peer: P,
    dir: PathBuf,
}

impl<P: Peer + 'static> Threads<P> {
    /// How to open it.
    pub fn candidate() -> Candidate {
        Candidate {
            name: P::NAME,
            open: Self::open,
        }
    }

    fn open(dir: &Path) -> Result<Box<dyn Subject>> {
        Ok(Box::new(Self {
            peer: P::open(dir)?,
            dir: dir.to_owned(),
        }))
    }
}

impl<P: Peer> Subject for Threads<P> {
    fn fill(&mut self, job: Fill<'_>) -> Result<()> {
        let group = bytes_of(GROUP);
        for first in (0..job.count).step_by(GROUP) {
            let indices = first..job.count.min(first + group);
            let values: Vec<(Key, Bytes)> = indices
                .map(|index| (key_of(index), job.values.share(index, CHUNK_LEN)))
                .collect();
            let pairs: Vec<(Key, &[u8])> = values
                .iter()
                .map(|(key, value)| (*key, value.as_ref()))
                .collect();
            self.peer.put(&pairs)?;
        }
        Ok(())
    }

    fn read(&mut self, job: Reads<'_>) -> Result<()> {
        let next = AtomicUsize::new(0);
        let peer = &self.peer;
        in_parallel(job.depth, || {
            let mut piece = vec![0; job.len];
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(index, offset)) = job.picks.get(at) else {
                    return Ok(());
                };
                peer.read(&key_of(index), offset, &mut piece)?;
                job.check(P::NAME, at, &piece[..])?;
            }
        })
    }

    fn put_small(&mut self, job: SmallPuts<'_>) -> Result<u64> {
        let next = AtomicU64::new(0);
        let end = Instant::now() + job.span;
        let peer = &self.peer;
        in_parallel(job.clients, || {
            loop {
                let index = job.first + next.fetch_add(1, Ordering::Relaxed);
                let value = job.values.share(index, job.len);
                peer.put(&[(key_of(index), &value)])?;
                if Instant::now() >= end {
                    return Ok(());
                }
            }
        })?;
        Ok(next.into_inner())
    }

    fn cool(&mut self) -> Result<()> {
        let folder = File::open(&self.dir).map_err(Error::io("open", &self.dir))?;
        syncfs(&folder).map_err(|error| Error::io("sync", &self.dir)(error.into()))?;
        drop_pages(&self.dir)
    }
}

fn in_parallel(threads: usize, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let ends: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| thread.join().expect("work does not panic"))
            .collect();
        ends.into_iter().collect()
    })
}

/// Drops the cached pages of every file below `dir`; clean ones go at once.
fn drop_pages(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.is_dir() {
            drop_pages(&path)?;
            continue;
        }
        // A store may remove a file of its own while we look.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        fadvise(&file, 0, None, Advice::DontNeed)
            .map_err(|error| Error::io("drop the cache of", &path)(error.into()))?;
    }
    Ok(())
}
