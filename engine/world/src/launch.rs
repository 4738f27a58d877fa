//! Starts a program on every executor of the world that preflight chose.
//!
//! The executors come up together or not at all: each prepares, reports, and begins the program
//! only when all have prepared.

use crate::{Backend, Preflight, Program, posix, uring};
use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

/// A launched program.
#[must_use = "join it, or it runs unwatched"]
pub struct Running {
    ended: mpsc::Receiver<(usize, io::Result<()>)>,
    threads: Vec<JoinHandle<()>>,
    jobs: Option<Arc<posix::Jobs>>,
}

impl Running {
    /// Waits until the program has returned on every executor and no IO of it is in flight.
    ///
    /// # Errors
    /// The first executor that panicked or failed, by name, as soon as it does; the others keep
    /// running until the process ends.
    pub fn join(self) -> io::Result<()> {
        for _ in 0..self.threads.len() {
            let (index, result) = self
                .ended
                .recv()
                .map_err(|_| io::Error::other("an executor vanished without a word"))?;
            result.map_err(|error| {
                io::Error::new(error.kind(), format!("executor {}: {error}", name(index)))
            })?;
        }
        for thread in self.threads {
            thread
                .join()
                .map_err(|panic| io::Error::other(message(&panic)))?;
        }
        if let Some(jobs) = self.jobs {
            jobs.finish()
                .map_err(|panic| io::Error::other(message(&panic)))?;
        }
        Ok(())
    }
}

/// Runs `program` on `preflight.executors` threads named `lode-shard-N`.
///
/// # Errors
/// Whatever kept an executor from starting: memory, file descriptors, threads.
pub fn launch(preflight: &Preflight, program: impl Program) -> io::Result<Running> {
    let jobs = match preflight.backend {
        Backend::Posix => Some(posix::start_jobs(preflight.io_threads)?),
        Backend::Uring => None,
    };
    let (ready, prepared) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let mut threads = Vec::new();
    let mut starts = Vec::new();
    for index in 0..preflight.executors {
        let (start, started) = mpsc::channel();
        starts.push(start);
        let gate = Gate {
            ready: ready.clone(),
            started,
        };
        let (preflight, program, end) = (preflight.clone(), program.clone(), end.clone());
        let jobs = jobs.as_ref().map(Arc::clone);
        let body = move || {
            let run = AssertUnwindSafe(|| match jobs {
                Some(jobs) => run_posix(&preflight, index, jobs, gate, program),
                None => uring::run(&preflight, index, gate, program),
            });
            let result = catch_unwind(run).unwrap_or_else(|panic| {
                Err(io::Error::other(format!("panicked: {}", message(&panic))))
            });
            // Nobody may be joining.
            let _ = end.send((index, result));
        };
        threads.push(thread::Builder::new().name(name(index)).spawn(body)?);
    }
    drop(ready);
    for _ in 0..preflight.executors {
        // An executor that died before its report dropped its sender: the rest must not begin.
        prepared
            .recv()
            .map_err(|_| io::Error::other("an executor died while it started"))??;
    }
    for start in starts {
        // An executor that dies right here is reported by `join`.
        let _ = start.send(());
    }
    Ok(Running {
        ended,
        threads,
        jobs,
    })
}

/// Where an executor waits until all are prepared.
pub(crate) struct Gate {
    ready: mpsc::Sender<io::Result<()>>,
    started: mpsc::Receiver<()>,
}

impl Gate {
    /// Reports how preparing went; true when the program may begin.
    pub(crate) fn pass(self, prepared: io::Result<()>) -> bool {
        let begin = prepared.is_ok();
        self.ready.send(prepared).is_ok() && begin && self.started.recv().is_ok()
    }
}

fn run_posix(
    preflight: &Preflight,
    index: usize,
    jobs: Arc<posix::Jobs>,
    gate: Gate,
    program: impl Program,
) -> io::Result<()> {
    if let Some(core) = preflight.cores.get(index) {
        let mut set = rustix::thread::CpuSet::new();
        set.set(*core);
        // A container may forbid it; an executor that roams is slower, not wrong.
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
    if gate.pass(Ok(())) {
        posix::run(jobs, |world| program.run(world, index))
    } else {
        Ok(())
    }
}

fn name(index: usize) -> String {
    format!("lode-shard-{index}")
}

/// What a panic said.
fn message(panic: &Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
pub(crate) mod tests;
