//! The launcher on every world this machine allows, and the suite on each.

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
    for backend in [Backend::Posix, Backend::Uring] {
        let scratch = Scratch::new(&format!("{name}-{backend}"));
        match preflight(&[scratch.path().to_owned()], executors, Some(backend)) {
            Ok(preflight) => act(&preflight),
            Err(error) => println!("skipped on {backend}: {error}"),
        }
    }
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

/// Both real worlds pass the whole suite, on two executors at once.
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
        assert_eq!(report, [Ok(0), Ok(1)], "{}", preflight.backend);
    });
}

/// Where executors panic: not at all, in the program, or in a task it spawned.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Program,
    Task,
}

#[derive(Clone)]
struct Panics(Where);

impl Program for Panics {
    async fn run<W: Net>(self, world: W, index: usize) {
        if index == 1 {
            if self.0 == Where::Program {
                panic!("on purpose");
            }
            world.spawn(Queue::Mend, async { panic!("on purpose") });
        }
        if index == 1 {
            std::future::pending::<()>().await;
        }
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
                preflight.backend
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
fn a_fresh_directory_is_primed() {
    on_each_world("fresh", 1, |preflight| {
        launch(preflight, Fresh(preflight.dirs[0].join("first")))
            .unwrap()
            .join()
            .unwrap();
    });
}

/// An ext4 of 24 MiB in a file, mounted by a loop device; only root can have one.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn new(name: &str) -> Result<Self, String> {
        let scratch = Scratch::new(name);
        let (image, dir) = (scratch.path().join("image"), scratch.path().join("mnt"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::File::create(&image)
            .unwrap()
            .set_len(24 << 20)
            .unwrap();
        command(
            "mkfs.ext4",
            &[
                "-q".as_ref(),
                "-O".as_ref(),
                "^has_journal".as_ref(),
                &image,
            ],
        )?;
        command("mount", &["-o".as_ref(), "loop".as_ref(), &image, &dir])?;
        Ok(Self(scratch))
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("mnt")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = command("umount", &[&self.dir()]);
    }
}

fn command(name: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = std::process::Command::new(name).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

#[derive(Clone)]
struct Fills(PathBuf);

impl Program for Fills {
    async fn run<W: Net>(self, world: W, _index: usize) {
        let disk = world.disk();
        let full = io::ErrorKind::StorageFull;
        let kept = disk.open(&self.0.join("kept"), Open::Create).await.unwrap();
        kept.allocate(4 << 20).await.unwrap();
        let more = disk.open(&self.0.join("more"), Open::Create).await.unwrap();
        assert_eq!(more.allocate(1 << 30).await.unwrap_err().kind(), full);
        more.truncate(0).await.unwrap();
        let free = disk.space(&self.0).await.unwrap().free;
        assert!((1 << 20..24 << 20).contains(&free), "{free}");
        let mut refused = None;
        for mib in 0..24 {
            let mut buf = more.alloc(1 << 20);
            buf.as_mut().fill(3);
            if let Err(error) = more.write(mib << 20, buf).await {
                refused = Some((mib, error.kind()));
                break;
            }
        }
        let (written, kind) = refused.expect("24 MiB do not fit on 24 MiB");
        assert_eq!(kind, full);
        assert!(disk.space(&self.0).await.unwrap().free < 1 << 20);
        for mib in 0..written {
            assert!(more.read(mib << 20, 1 << 20).await.unwrap().as_ref() == vec![3; 1 << 20]);
        }
        for mib in 0..4 {
            let mut buf = kept.alloc(1 << 20);
            buf.as_mut().fill(9);
            kept.write(mib << 20, buf).await.unwrap();
        }
        kept.sync().await.unwrap();
        more.truncate(0).await.unwrap();
        assert!(disk.space(&self.0).await.unwrap().free > 8 << 20);
        more.allocate(4 << 20).await.unwrap();
        assert!(kept.read(0, 1 << 20).await.unwrap().as_ref() == vec![9; 1 << 20]);
    }
}

/// A full disk refuses with StorageFull, keeps what it has, lets allocated space be written, and
/// has room again after a truncation.
#[test]
fn a_full_disk_says_so() {
    for backend in [Backend::Posix, Backend::Uring] {
        let checked = SmallDisk::new(&format!("full-{backend}")).and_then(|disk| {
            let preflight = preflight(&[disk.dir()], 1, Some(backend));
            let preflight = preflight.map_err(|error| error.to_string())?;
            launch(&preflight, Fills(disk.dir()))
                .unwrap()
                .join()
                .unwrap();
            Ok(())
        });
        if let Err(why) = checked {
            println!("skipped on {backend}: {why}");
        }
    }
}

/// Executors start together or not at all.
#[test]
fn a_start_that_fails_is_an_error() {
    on_each_world("fails", 2, |preflight| {
        if preflight.backend == Backend::Posix {
            return;
        }
        let mut preflight = preflight.clone();
        preflight.dirs.push("/no/such/place".into());
        let report = Report::default();
        let suite = Suite {
            dir: preflight.dirs[0].clone(),
            report: Arc::clone(&report),
        };
        let error = launch(&preflight, suite).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(report.lock().unwrap().is_empty());
    });
}
