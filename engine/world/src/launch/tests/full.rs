//! A disk that is full: a small ext4 in a mount namespace of its own, so that no mount and no loop
//! device outlives the test, however it ends.

use super::{
    Scratch,
    again::{Held, only, program},
};
use crate::{Backend, Disk, File, Net, Open, Program, launch, preflight};
use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// In the environment of the process that has its own mount namespace.
const MARK: &str = "LODE_WORLD_APART";

/// Tries at an unmount, 100 ms apart: the kernel closes the files of a ring a moment after the ring.
const UNMOUNT_TRIES: u32 = 50;

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

    fn unmount(&self) -> Result<(), String> {
        for _ in 1..UNMOUNT_TRIES {
            if command("umount", &[&self.dir()]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        command("umount", &[&self.dir()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let Err(why) = self.unmount() else {
            return;
        };
        // Detached, so that the folder can go; the disk itself goes with the namespace.
        let lazy = command("umount", &["-l".as_ref(), &self.dir()]);
        let why = format!("a file of the full disk is still open: {why}; detached: {lazy:?}");
        if std::thread::panicking() {
            eprintln!("{why}");
        } else {
            panic!("{why}");
        }
    }
}

fn command(name: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(name).args(arguments).output();
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
        let mut at = written << 20;
        while more.write(at, more.alloc(4096)).await.is_ok() {
            at += 4096;
        }
        preflight(std::slice::from_ref(&self.0), 1, Some(Backend::Posix))
            .expect("a full disk may start");
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

/// Runs in the process that has its own mount namespace.
#[test]
fn fills() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
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

/// A full disk refuses with StorageFull, keeps what it has, lets allocated space be written, and
/// has room again after a truncation.
#[test]
fn a_full_disk_says_so() {
    let apart = ["--mount", "--propagation", "private"];
    let [mount, propagation, private] = apart.map(Path::new);
    let tried = command("unshare", &[mount, propagation, private, "true".as_ref()]);
    if let Err(why) = tried {
        println!("skipped: {why}");
        return;
    }
    let mut command = Command::new("unshare");
    command
        .args(apart)
        .arg("--")
        .arg(program())
        .args(only("full::fills"))
        .env(MARK, "yes");
    let status = Held::start(&mut command).0.wait().unwrap();
    assert!(status.success(), "{status}");
}
