//! IO threads: a bounded queue of jobs, and memory to read into and write from.

use crate::{ALIGN, memory::Aligned};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Jobs that wait for a thread. An executor that meets a full queue waits, without blocking.
const QUEUED_MAX: usize = 1024;

/// Spare buffers kept per size: enough for every IO thread and a deep queue of small reads, and at
/// most 32 MiB for the large sizes.
const SPARE_BYTES_MAX: usize = 32 << 20;

/// Sizes of buffers: powers of two from [`ALIGN`] to 2 MiB. Larger ones are not kept.
const SIZES: usize = 10;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Jobs {
    queue: async_channel::Sender<Job>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    spare: [Mutex<Vec<Aligned>>; SIZES],
}

impl Jobs {
    pub(super) fn start(threads: usize) -> io::Result<Arc<Self>> {
        assert!(threads > 0, "IO needs a thread");
        let (queue, jobs) = async_channel::bounded::<Job>(QUEUED_MAX);
        let threads = (0..threads).map(|index| {
            let jobs = jobs.clone();
            thread::Builder::new()
                .name(format!("lode-io-{index}"))
                .spawn(move || {
                    while let Ok(job) = jobs.recv_blocking() {
                        job();
                    }
                })
        });
        let threads = Mutex::new(threads.collect::<io::Result<_>>()?);
        let spare = std::array::from_fn(|_| Mutex::default());
        Ok(Arc::new(Self {
            queue,
            threads,
            spare,
        }))
    }

    /// Takes no more jobs and waits for those it has: writes whose futures were dropped included.
    pub(crate) fn finish(&self) -> thread::Result<()> {
        self.queue.close();
        let threads = std::mem::take(&mut *locked(&self.threads));
        threads.into_iter().try_for_each(JoinHandle::join)
    }

    /// Runs `act` on an IO thread. When the future is dropped, an act that was queued still runs.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let job = Box::new(move || {
            // Nobody may be listening any more.
            let _ = answer.send(act());
        });
        self.queue.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// A buffer of `len` bytes, reused where possible: fresh ones of 128 KiB and more cost more
    /// in page faults than the IO itself.
    pub(super) fn alloc(self: &Arc<Self>, len: usize) -> JobBuf {
        let class = class(len);
        let spare = class.and_then(|(class, _)| locked(&self.spare[class]).pop());
        let mut memory = spare.unwrap_or_else(|| Aligned::new(class.map_or(len, |(_, size)| size)));
        memory.truncate(len);
        JobBuf {
            memory,
            jobs: Arc::clone(self),
        }
    }

    fn keep(&self, mut memory: Aligned) {
        memory.restore();
        if let Some((class, size)) = class(memory.bytes().len()) {
            let mut spare = locked(&self.spare[class]);
            if (spare.len() + 1) * size <= SPARE_BYTES_MAX {
                spare.push(memory);
            }
        }
    }
}

/// A lock's contents, also after a panic: what is kept here is whole between any two statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Index and bytes of the size that holds `len`.
fn class(len: usize) -> Option<(usize, usize)> {
    (0..SIZES)
        .map(|class| (class, ALIGN << class))
        .find(|(_, size)| len <= *size)
}

fn gone() -> io::Error {
    io::Error::other("an IO thread panicked; see the log above this line")
}

/// A buffer that returns to the spare ones when it is dropped, on whichever thread.
pub(super) struct JobBuf {
    memory: Aligned,
    jobs: Arc<Jobs>,
}

impl JobBuf {
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.memory.truncate(len);
    }
}

impl Drop for JobBuf {
    fn drop(&mut self) {
        self.jobs.keep(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dropped buffer is handed out again, whole.
    #[test]
    fn buffers_are_reused() {
        let jobs = Jobs::start(1).unwrap();
        let mut buf = jobs.alloc(3 * ALIGN);
        buf.bytes_mut().fill(9);
        buf.truncate(ALIGN);
        let place = buf.bytes().as_ptr();
        drop(buf);
        let again = jobs.alloc(4 * ALIGN);
        assert_eq!(again.bytes().as_ptr(), place);
        assert_eq!(again.bytes().len(), 4 * ALIGN);
        assert_eq!(&again.bytes()[..3 * ALIGN], [9; 3 * ALIGN]);
        assert_ne!(jobs.alloc(4 * ALIGN).bytes().as_ptr(), place);
    }
}
