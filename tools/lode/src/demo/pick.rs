//! Which files the demo stores when nobody names any: real ones that every machine has.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::failure::{Failure, Outcome};

/// Files to find.
const WANTED: usize = 5;

/// Largest file that is taken without being asked to, in bytes.
const SIZE_LIMIT: u64 = 64 << 20;

/// The files that were named, or a few: this program itself, files of the current directory, and
/// what Unix systems keep in well-known places.
pub fn files(named: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    if let Some(bad) = named.iter().find(|path| !is_storable(path, u64::MAX)) {
        let what = format!("{} is no file with bytes in it", bad.display());
        return Err(Failure::usage(
            what,
            "name regular files that are not empty",
        ));
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let mut found = Vec::new();
    found.extend(
        std::env::current_exe()
            .ok()
            .filter(|path| is_storable(path, u64::MAX)),
    );
    let places = [
        ".",
        "/etc",
        "/usr/share/common-licenses",
        "/usr/share/dict",
        "/usr/lib",
    ];
    for place in places {
        found.extend(
            in_directory(Path::new(place))
                .into_iter()
                .take(WANTED.saturating_sub(found.len()).min(2)),
        );
    }
    if found.is_empty() {
        return Err(Failure::other(
            "no file was found on this machine",
            "name some: `lode demo FILE…`",
        ));
    }
    Ok(found)
}

/// Readable files of a directory, largest first.
fn in_directory(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut sized: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let size = fs::symlink_metadata(&path).ok()?.len();
            is_storable(&path, SIZE_LIMIT).then_some((size, path))
        })
        .collect();
    sized.sort_by(|a, b| b.cmp(a));
    sized.into_iter().map(|(_, path)| path).collect()
}

/// A regular file with bytes in it, that we may read.
fn is_storable(path: &Path, limit: u64) -> bool {
    let about = fs::metadata(path);
    let fits = about.is_ok_and(|about| about.is_file() && (1..=limit).contains(&about.len()));
    fits && fs::File::open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some files are always found: this very program is one.
    #[test]
    fn finds() {
        let found = files(&[]).unwrap();
        assert_eq!(found[0], std::env::current_exe().unwrap());
        assert!(found.iter().all(|path| is_storable(path, u64::MAX)));
    }

    /// Directories and empty files are refused by name.
    #[test]
    fn refuses() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs::write(&empty, b"").unwrap();
        for bad in [dir.path().to_owned(), empty, dir.path().join("missing")] {
            assert!(
                files(std::slice::from_ref(&bad)).is_err(),
                "{}",
                bad.display()
            );
        }
    }
}
