//! Executors that come and go in one process: their rings, and the memory of those, go with them.

use super::{
    Scratch,
    again::{Held, only, program},
};
use crate::{Backend, Disk, File, Net, Open, Program, launch, preflight};
use futures_lite::future::poll_once;
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// In the environment of the process whose descriptors are counted.
const MARK: &str = "LODE_WORLD_ENDS";

const LIVES: usize = 8;

/// Until a thread that was let go of has ended, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an IO, and leaves another one half-way.
#[derive(Clone)]
struct Lives(PathBuf);

impl Program for Lives {
    async fn run<W: Net>(self, world: W, _index: usize) {
        let disk = world.disk();
        let file = disk.open(&self.0, Open::Write).await.unwrap();
        file.write(0, file.alloc(4096)).await.unwrap();
        let mut read = Box::pin(file.read(0, 4096));
        // Begun, and that is enough.
        assert!(
            poll_once(&mut read).await.is_none(),
            "a read is never ready at once"
        );
    }
}

/// Rings and bells that are open.
fn open() -> (usize, usize) {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let links: Vec<_> = links
        .filter_map(|link| std::fs::read_link(link.unwrap().path()).ok())
        .collect();
    let count = |name| links.iter().filter(|link| link.ends_with(name)).count();
    (
        count("anon_inode:[io_uring]"),
        count("anon_inode:[eventfd]"),
    )
}

/// Runs in the process whose descriptors are counted.
#[test]
fn come_and_go() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    let scratch = Scratch::new("ends");
    let path = scratch.path().join("file");
    std::fs::write(&path, [0; 4096]).unwrap();
    let preflight = match preflight(&[scratch.path().into()], 1, Some(Backend::Uring)) {
        Ok(preflight) => preflight,
        Err(error) => return println!("skipped: {error}"),
    };
    let live = || launch(&preflight, Lives(path.clone())).unwrap().join();
    for _ in 0..LIVES {
        live().unwrap();
    }
    // glommio 0.9.0 keeps the bell of its own.
    let (begun, most) = (Instant::now(), (0, LIVES));
    while open() > most && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (rings, bells) = open();
    assert_eq!(rings, 0, "rings are open");
    assert!(bells <= LIVES, "{bells} bells are open");
}

/// An executor that has ended holds no ring, so no memory of one, and no bell of ours.
#[test]
fn an_executor_takes_its_ring_along() {
    let mut command = Command::new(program());
    command.args(only("ends::come_and_go")).env(MARK, "yes");
    let status = Held::start(&mut command).0.wait().unwrap();
    assert!(status.success(), "{status}");
}
