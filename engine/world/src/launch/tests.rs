//! The launcher on every world this machine allows, and the suite on each.

mod again;
mod ends;
mod full;
mod stops;

use super::*;
use crate::{Disk, File, Net, Open, Queue, conformance, preflight};
use futures_lite::future::poll_once;
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

/// A directory of its own for a test, removed with it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        // Beside the test's own binary: a real disk as a rule, where /tmp may be memory.
        let here = std::env::current_exe().unwrap();
        let dir = here.with_file_name(format!("world-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `act` on each world that this machine allows; says which it skips and why.
fn on_each_world(name: &str, executors: usize, act: impl Fn(&Preflight)) {
    for (backend, prompt) in [
        (Backend::Posix, false),
        (Backend::Uring, false),
        (Backend::Uring, true),
    ] {
        let scratch = Scratch::new(&format!("{name}-{backend}-{prompt}"));
        match preflight(&[scratch.path().to_owned()], executors, Some(backend)) {
            Ok(mut preflight) => {
                preflight.defer_completions = !prompt;
                act(&preflight);
            }
            Err(error) => println!("skipped on {backend}: {error}"),
        }
    }
}

/// Which world it is, for messages.
fn label(preflight: &Preflight) -> String {
    let prompt = if preflight.defer_completions {
        ""
    } else {
        ", completions not deferred"
    };
    format!("{}{prompt}", preflight.backend)
}

type Report = Arc<Mutex<Vec<Result<usize, String>>>>;

#[derive(Clone)]
struct Suite {
    dir: PathBuf,
    report: Report,
}

impl Program for Suite {
    async fn run<W: Net>(self, world: W, index: usize) {
        let dir = self.dir.join(index.to_string());
        world.disk().make_dir(&dir).await.unwrap();
        let verdict = async {
            conformance::all(&world, &dir).await?;
            conformance::threads(&world).await?;
            conformance::net(&world).await
        };
        let verdict = verdict
            .await
            .map(|()| index)
            .map_err(|breach| breach.to_string());
        self.report.lock().unwrap().push(verdict);
    }
}

/// Both real worlds pass the whole suite, on two executors at once, and so does the ring of an old
/// kernel.
#[test]
fn real_worlds_conform() {
    on_each_world("suite", 2, |preflight| {
        let report = Report::default();
        let suite = Suite {
            dir: preflight.dirs[0].clone(),
            report: Arc::clone(&report),
        };
        launch(preflight, suite).unwrap().join().unwrap();
        let mut report = report.lock().unwrap().clone();
        report.sort();
        assert_eq!(report, [Ok(0), Ok(1)], "{}", label(preflight));
    });
}

/// Where an executor panics: in the program, or in a task it spawned.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Program,
    Task,
}

#[derive(Clone)]
struct Panics(Where);

impl Program for Panics {
    async fn run<W: Net>(self, world: W, index: usize) {
        if index == 0 {
            return;
        }
        if self.0 == Where::Program {
            panic!("on purpose");
        }
        world.spawn(Queue::Mend, async { panic!("on purpose") });
        std::future::pending::<()>().await;
    }
}

/// A panic on an executor, in its program or in a detached task, is an error that names it.
#[test]
fn a_panic_names_its_executor() {
    for place in [Where::Program, Where::Task] {
        on_each_world("panic", 2, |preflight| {
            let error = launch(preflight, Panics(place))
                .unwrap()
                .join()
                .unwrap_err();
            let told = error.to_string();
            assert!(
                told.contains("lode-shard-1") && told.contains("on purpose"),
                "{told}"
            );
        });
    }
}

#[derive(Clone)]
struct Leaves {
    path: PathBuf,
    names: Arc<Mutex<Vec<String>>>,
}

impl Program for Leaves {
    async fn run<W: Net>(self, world: W, index: usize) {
        let name = std::thread::current().name().unwrap().to_owned();
        self.names.lock().unwrap().push(name);
        let path = self.path.join(format!("left-{index}"));
        let file = world.disk().open(&path, Open::Create).await.unwrap();
        file.allocate(64 << 20).await.unwrap();
        for task in 0..64 {
            let (file, world_) = (file.clone(), world.clone());
            world.spawn(Queue::Ingest, async move {
                loop {
                    let mut buf = file.alloc(1 << 20);
                    buf.as_mut().fill(7);
                    if file.write(task << 20, buf).await.is_err() {
                        return;
                    }
                    let _ = file.read(task << 20, 1 << 20).await;
                    world_.sleep(Duration::from_micros(10)).await;
                }
            });
        }
        world.sleep(Duration::from_millis(50)).await;
    }
}

/// An executor ends when its program returns, whatever its tasks have in flight; threads are named.
#[test]
fn an_executor_ends_under_load() {
    on_each_world("leaves", 2, |preflight| {
        let names = Arc::default();
        let program = Leaves {
            path: preflight.dirs[0].clone(),
            names: Arc::clone(&names),
        };
        launch(preflight, program).unwrap().join().unwrap();
        let mut names = names.lock().unwrap().clone();
        names.sort();
        assert_eq!(names, ["lode-shard-0", "lode-shard-1"]);
    });
}

#[derive(Clone)]
struct Drops {
    path: PathBuf,
    hold: bool,
}

impl Program for Drops {
    async fn run<W: Net>(self, world: W, _index: usize) {
        let file = world.disk().open(&self.path, Open::Create).await.unwrap();
        let mut held = Vec::new();
        for mib in 0..32 {
            let mut buf = file.alloc(1 << 20);
            buf.as_mut().fill(7);
            let mut write = Box::pin(file.write(mib << 20, buf));
            // Begun; on a thread pool it may even be done.
            let _ = poll_once(&mut write).await;
            if self.hold {
                held.push(write);
            }
        }
        world.breathe().await;
    }
}

/// Writes that had begun land whole although their futures were dropped, one by one or by the end
/// of the program itself.
#[test]
fn begun_writes_land_before_the_end() {
    for hold in [false, true] {
        on_each_world("drops", 1, |preflight| {
            let path = preflight.dirs[0].join(format!("dropped-{hold}"));
            let program = Drops {
                path: path.clone(),
                hold,
            };
            launch(preflight, program).unwrap().join().unwrap();
            assert!(
                std::fs::read(path).unwrap() == vec![7; 32 << 20],
                "{}",
                label(preflight)
            );
        });
    }
}

#[derive(Clone)]
struct Fresh(PathBuf);

impl Program for Fresh {
    async fn run<W: Net>(self, world: W, _index: usize) {
        let file = world.disk().open(&self.0, Open::Create).await.unwrap();
        let mut buf = file.alloc(4096);
        buf.as_mut().fill(5);
        file.write(0, buf).await.unwrap();
        assert_eq!(file.read(0, 4096).await.unwrap().as_ref(), [5; 4096]);
    }
}

/// A read works although the first file that the program opens on the device is new and empty.
#[test]
fn a_fresh_directory_serves() {
    on_each_world("fresh", 1, |preflight| {
        launch(preflight, Fresh(preflight.dirs[0].join("first")))
            .unwrap()
            .join()
            .unwrap();
    });
}

#[derive(Clone)]
struct Holds {
    dir: PathBuf,
    held: Arc<()>,
}

impl Program for Holds {
    async fn run<W: Net>(self, world: W, _index: usize) {
        let disk = world.disk();
        let mine = disk.open(&self.dir.join("mine"), Open::Create).await;
        let its = disk
            .open(&self.dir.join("its"), Open::Create)
            .await
            .unwrap();
        let its = (its, Arc::clone(&self.held));
        world.spawn(Queue::Mend, async move {
            let _its = its;
            std::future::pending::<()>().await;
        });
        world.breathe().await;
        mine.unwrap().sync().await.unwrap();
    }
}

/// When an executor has ended, what its program and its tasks held is dropped, and files are closed.
#[test]
fn an_executor_leaves_nothing_behind() {
    on_each_world("holds", 1, |preflight| {
        let (dir, held) = (preflight.dirs[0].clone(), Arc::new(()));
        let program = Holds {
            dir: dir.clone(),
            held: Arc::clone(&held),
        };
        launch(preflight, program).unwrap().join().unwrap();
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let open: Vec<PathBuf> = links
            .filter_map(|link| std::fs::read_link(link.unwrap().path()).ok())
            .filter(|path| path.starts_with(&dir))
            .collect();
        assert!(open.is_empty(), "{}: {open:?}", label(preflight));
        assert_eq!(Arc::strong_count(&held), 1, "{}", label(preflight));
    });
}

/// Executors start together or not at all.
#[test]
fn a_start_that_fails_is_an_error() {
    on_each_world("fails", 2, |preflight| {
        if preflight.backend == Backend::Posix {
            return;
        }
        let mut preflight = preflight.clone();
        // Beyond any address.
        preflight.io_memory = 1 << 60;
        let report = Report::default();
        let suite = Suite {
            dir: preflight.dirs[0].clone(),
            report: Arc::clone(&report),
        };
        let error = launch(&preflight, suite).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(report.lock().unwrap().is_empty());
    });
}
