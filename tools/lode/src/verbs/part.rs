//! A download that is not complete: a file beside its target whose name says what it will be, so
//! that a later run finds it, and nobody takes it for the whole.

mod behind;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use lode_proofs::Hash32;
use rustix::fs::OFlags;

use crate::{
    failure::{Failure, Outcome},
    roots::CHUNK,
};
use behind::Behind;

/// Bytes from which on a thread of its own writes them: fewer are in the page cache sooner than that has
/// begun, and are read again sooner from there.
const BEHIND_FROM: u64 = 16 << 20;

/// The part and its file.
pub struct Part {
    path: PathBuf,
    file: Arc<File>,
    size: u64,
    /// What follows whole chunks that an earlier run has left.
    behind: Option<Behind>,
}

impl Part {
    /// Opens the part of `target`, or makes it. Two runs at once do not share it, and a link in its place
    /// is not followed.
    pub fn open(target: &Path, root: Hash32, size: u64) -> Outcome<Part> {
        let path = part_path(target, root);
        let failed = |error: io::Error| Failure::file(path.display(), &error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(no_follow())
            .open(&path)
            .map_err(failed)?;
        if file.try_lock().is_err() {
            let what = format!("another download is writing {}", path.display());
            return Err(Failure::other(
                what,
                "wait for it, or choose another name by -o",
            ));
        }
        Ok(Part {
            path,
            file: Arc::new(file),
            size,
            behind: None,
        })
    }

    /// Feeds the whole chunks that are here to `seen`; returns their bytes. What follows them is cut off,
    /// and a part that cannot be a part of this blob starts anew.
    pub fn reread(&mut self, mut seen: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<u64> {
        let length = self
            .file
            .metadata()
            .map_err(|error| self.failed(&error))?
            .len();
        let kept = if length > self.size {
            0
        } else {
            length / CHUNK * CHUNK
        };
        let mut left = kept;
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            (&*self.file)
                .read_exact(&mut buffer[..most])
                .map_err(|error| self.failed(&error))?;
            seen(&buffer[..most])?;
            left -= u64::try_from(most).unwrap_or(left);
        }
        self.file
            .set_len(kept)
            .map_err(|error| self.failed(&error))?;
        (&*self.file)
            .seek(SeekFrom::Start(kept))
            .map_err(|error| self.failed(&error))?;
        if self.size - kept >= BEHIND_FROM {
            let behind = Behind::start(Arc::clone(&self.file), kept);
            self.behind = Some(behind.map_err(|error| self.failed(&error))?);
        }
        Ok(kept)
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        let written = match &mut self.behind {
            Some(behind) => behind.push(bytes),
            None => (&*self.file).write_all(bytes),
        };
        written.map_err(|error| self.failed(&error))
    }

    /// The bytes are right: they survive power loss under their own name from here on.
    pub fn publish(mut self, target: &Path) -> Outcome<()> {
        if let Some(behind) = self.behind.take() {
            behind.end().map_err(|error| self.failed(&error))?;
        }
        self.file.sync_all().map_err(|error| self.failed(&error))?;
        fs::rename(&self.path, target).map_err(|error| Failure::file(target.display(), &error))?;
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| Failure::file(dir.display(), &error))
    }

    /// The bytes are wrong.
    pub fn discard(mut self) {
        drop(self.behind.take());
        // Left behind, it would be found wrong again by the next run.
        let _left = fs::remove_file(&self.path).is_err();
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::file(self.path.display(), error)
    }
}

/// Makes opening fail where a link is.
pub fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).expect("the kernel's flags are numbers of 31 bits")
}

fn part_path(target: &Path, root: Hash32) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let digits: String = root.to_string().chars().skip(2).take(8).collect();
    target.with_file_name(format!(".{name}.{digits}.part"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{noise::noise, roots::StreamRoot};
    use lode_proofs::blob_tree;

    /// A part continues after its last whole chunk, whatever came after it, and becomes the file.
    #[test]
    fn continues() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("blob");
        let bytes = noise(3, 700_000);
        let root = blob_tree(&bytes).unwrap().root();
        let mut part = Part::open(&target, root, 700_000).unwrap();
        assert!(Part::open(&target, root, 700_000).is_err(), "locked");
        part.write(&bytes[..600_000]).unwrap();
        drop(part);
        let mut part = Part::open(&target, root, 700_000).unwrap();
        let mut hasher = StreamRoot::new();
        let kept = part.reread(|bytes| {
            hasher.update(bytes);
            Ok(())
        });
        let kept = usize::try_from(kept.unwrap()).unwrap();
        assert_eq!(kept, 2 * 262_144);
        hasher.update(&bytes[kept..]);
        part.write(&bytes[kept..]).unwrap();
        assert_eq!(hasher.finish().unwrap().root(), root);
        part.publish(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no part is left"
        );
    }

    /// The same of a blob so long that its bytes are written behind.
    #[test]
    fn continues_behind() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("blob");
        let bytes = noise(4, 40_000_000);
        let mut from = 0;
        for upto in [20_000_000, 38_000_000, 40_000_000] {
            let mut part = Part::open(&target, Hash32([7; 32]), 40_000_000).unwrap();
            let mut seen = Vec::new();
            let kept = part.reread(|bytes| {
                seen.extend_from_slice(bytes);
                Ok(())
            });
            let kept = usize::try_from(kept.unwrap()).unwrap();
            assert_eq!(kept, from / 262_144 * 262_144);
            assert!(seen == bytes[..kept]);
            for piece in bytes[kept..upto].chunks(100_000) {
                part.write(piece).unwrap();
            }
            from = upto;
            if upto == bytes.len() {
                part.publish(&target).unwrap();
            }
        }
        assert!(fs::read(&target).unwrap() == bytes);
    }

    /// A part that is longer than the blob is worth nothing.
    #[test]
    fn too_long() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("blob");
        let mut part = Part::open(&target, Hash32([1; 32]), 300_000).unwrap();
        part.write(&noise(3, 400_000)).unwrap();
        assert_eq!(part.reread(|_| Ok(())).unwrap(), 0);
        assert_eq!(part.file.metadata().unwrap().len(), 0);
    }

    /// A link in the place of a part is not followed: what it points to stays as it is.
    #[test]
    fn no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, other) = (dir.path().join("blob"), dir.path().join("other"));
        fs::write(&other, "untouched").unwrap();
        std::os::unix::fs::symlink(&other, part_path(&target, Hash32([1; 32]))).unwrap();
        assert!(Part::open(&target, Hash32([1; 32]), 300_000).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"untouched");
    }
}
