//! A folder for one run, removed with what is in it. Where it stands decides which disk is
//! measured, so the caller says where; tests use the build folder, which is on a disk.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A folder that exists as long as this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh folder beside the running program.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> io::Result<Self> {
        let program = env::current_exe()?;
        let beside = program.parent().unwrap_or_else(|| Path::new("."));
        Self::within(beside, name)
    }

    /// A fresh folder in `dir`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn within(dir: &Path, name: &str) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("bench-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left behind costs space, not correctness, and there is nobody to tell.
        drop(fs::remove_dir_all(&self.0));
    }
}
