//! A filesystem of our own: an ext4 image on a loop device, or a tmpfs where there is no root.
//! Lives in the mount namespace of [`apart`](crate::apart); unmounted when dropped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::fs::statvfs;

use crate::{
    apart::Mounter,
    failure::{Failure, Outcome},
};

/// `_IOR('X', 125, __u32)` of fs/ext4/ext4.h: the filesystem goes away with this command.
const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587D;

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what is neither written nor in the journal is lost, as when the
/// power goes.
const NOLOGFLUSH: u32 = 2;

/// Tries of an unmount; a killed process may hold its ring a moment longer.
const UNMOUNT_TRIES: u32 = 100;

/// A mounted filesystem.
pub struct Image {
    file: PathBuf,
    mounted: PathBuf,
    kind: Mounter,
    size: u64,
    up: bool,
}

impl Image {
    /// Makes and mounts an empty filesystem of `size` bytes in `dir`.
    pub fn new(dir: &Path, size: u64, kind: Mounter) -> Outcome<Image> {
        let mut image = Image {
            file: dir.join("image"),
            mounted: dir.join("mounted"),
            kind,
            size,
            up: false,
        };
        std::fs::create_dir(&image.mounted).map_err(Failure::machine("the mount point"))?;
        if kind == Mounter::Root {
            let file = File::create(&image.file).and_then(|file| file.set_len(size));
            file.map_err(Failure::machine("the image"))?;
            run(Command::new("mkfs.ext4").arg("-qF").arg(&image.file))?;
        }
        image.mount()?;
        Ok(image)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// Mounts it (again); ext4 replays its journal.
    pub fn mount(&mut self) -> Outcome<()> {
        let mut mount = Command::new("mount");
        match self.kind {
            Mounter::Root => mount.args(["-t", "ext4", "-o", "loop"]).arg(&self.file),
            Mounter::Namespace => mount
                .args(["-t", "tmpfs", "-o"])
                .arg(format!("size={}", self.size))
                .arg("lode-crash"),
        };
        run(mount.arg(&self.mounted))?;
        self.up = true;
        Ok(())
    }

    /// Unmounts it; nothing of it may be open.
    pub fn unmount(&mut self) -> Outcome<()> {
        for _ in 1..UNMOUNT_TRIES {
            if run(Command::new("umount").arg(&self.mounted)).is_ok() {
                self.up = false;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        run(Command::new("umount").arg(&self.mounted))?;
        self.up = false;
        Ok(())
    }

    /// Cuts the filesystem off from its disk. Perl makes the call: this workspace keeps unsafe
    /// code to the engine's world, no safe crate has this ioctl, and Debian calls perl essential.
    pub fn cut_power(&self) -> Outcome<()> {
        let script = format!(
            "open(my $fs, '<', $ARGV[0]) or die $!; my $flags = pack('L', {NOLOGFLUSH}); \
             ioctl($fs, {EXT4_IOC_SHUTDOWN}, $flags) or die $!"
        );
        run(Command::new("perl")
            .args(["-e", &script])
            .arg(&self.mounted))
    }

    /// Makes everything in it durable.
    pub fn sync(&self) -> Outcome<()> {
        run(Command::new("sync").arg("-f").arg(&self.mounted))
    }

    /// Free bytes, the part reserved for root included.
    pub fn free(&self) -> Outcome<u64> {
        let found = statvfs(&self.mounted).map_err(Failure::machine("statvfs"))?;
        Ok(found.f_bfree * found.f_frsize)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.up && self.unmount().is_err() {
            // It goes with the namespace, and nobody else sees it; detach it from the folder, which
            // is about to be removed.
            let lazy = Command::new("umount").arg("-l").arg(&self.mounted).status();
            let _left_to_the_namespace = lazy.is_err();
        }
    }
}

/// Runs a tool of the machine; its own words if it fails.
fn run(command: &mut Command) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::machine(name.clone()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::Machine {
            what: name,
            why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}
