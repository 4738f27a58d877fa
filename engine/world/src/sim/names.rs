//! Directories of the simulated disk: the names that look-ups see, the names that would survive a
//! power loss, and the changes between the two, per directory.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(u64),
    Dir,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link { name: String, inode: u64 },
    Rename { from: String, to: String },
    Unlink { name: String },
}

type Entries = BTreeMap<String, Entry>;

#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) visible: Entries,
    pub(super) durable: Entries,
    pub(super) journal: Vec<(u64, NameChange)>,
}

impl Dir {
    pub(super) fn change(&mut self, seq: u64, change: NameChange) {
        apply(&mut self.visible, &change);
        self.journal.push((seq, change));
    }

    pub(super) fn sync(&mut self, upto: u64) {
        let covered = self.journal.partition_point(|(seq, _)| *seq <= upto);
        for (_, change) in self.journal.drain(..covered) {
            apply(&mut self.durable, &change);
        }
    }

    /// Falls back to the durable names; returns how many changes are gone.
    pub(super) fn lose(&mut self) -> u64 {
        self.visible = self.durable.clone();
        crate::units::on_disk(self.journal.drain(..).count())
    }

    /// Whether a name points to `inode`, now or after some power loss.
    pub(super) fn may_name(&self, inode: u64) -> bool {
        let entry = Entry::File(inode);
        self.visible.values().any(|held| *held == entry)
            || self.durable.values().any(|held| *held == entry)
            || self.journal.iter().any(
                |(_, change)| matches!(change, NameChange::Link { inode: held, .. } if *held == inode),
            )
    }
}

fn apply(entries: &mut Entries, change: &NameChange) {
    match change {
        NameChange::Link { name, inode } => {
            entries.insert(name.clone(), Entry::File(*inode));
        }
        NameChange::Rename { from, to } => {
            if let Some(entry) = entries.remove(from) {
                entries.insert(to.clone(), entry);
            }
        }
        NameChange::Unlink { name } => {
            entries.remove(name);
        }
    }
}

/// Every directory by its path; the root is the empty path and always exists.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) dirs: BTreeMap<String, Dir>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            dirs: BTreeMap::from([(String::new(), Dir::default())]),
        }
    }

    pub(super) fn dir(&mut self, path: &str) -> io::Result<&mut Dir> {
        self.dirs.get_mut(path).ok_or_else(|| missing(path))
    }

    pub(super) fn file(&self, path: &str) -> io::Result<u64> {
        let (dir, name) = split(path);
        let entries = &self.dirs.get(dir).ok_or_else(|| missing(path))?.visible;
        match entries.get(name) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Dir) => Err(io::Error::new(io::ErrorKind::IsADirectory, path.to_owned())),
            None => Err(missing(path)),
        }
    }

    /// Makes a directory and its parents, durable at once.
    pub(super) fn make_dir(&mut self, path: &str) -> io::Result<()> {
        let mut parent = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let dir = self.dir(&parent)?;
            if let Some(Entry::File(_)) = dir.visible.get(name) {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    path.to_owned(),
                ));
            }
            dir.visible.insert(name.to_owned(), Entry::Dir);
            dir.durable.insert(name.to_owned(), Entry::Dir);
            if !parent.is_empty() {
                parent.push('/');
            }
            parent.push_str(name);
            self.dirs.entry(parent.clone()).or_default();
        }
        Ok(())
    }
}

/// Directory and name of a path in plain form.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn missing(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} does not exist"))
}

/// A path in plain form: names joined by `/`, no root. The simulated disk has one root, so
/// absolute and relative paths meet.
pub(super) fn plain(path: &Path) -> String {
    let mut plain = String::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                if !plain.is_empty() {
                    plain.push('/');
                }
                plain.push_str(name.to_str().expect("paths in a simulation are UTF-8"));
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                panic!("{} steps out of the simulated disk", path.display())
            }
        }
    }
    plain
}
