//! A directory as it is on the disk, for a folder: names in the order of their bytes, links as they are and
//! never followed. What a folder cannot hold — devices, pipes, sockets, names that are no text — is a
//! failure with its path; nothing is left out in silence.

use std::{fs, io, path::Path};

use lode_proofs::Hash32;
use lode_wire::folder::{DEPTH_LIMIT, ENTRIES_LIMIT, Node};

use crate::failure::{Failure, Outcome};

/// A directory that was walked.
#[derive(Default)]
pub struct Tree {
    /// What is in it. Files have no roots yet.
    pub entries: Vec<Node>,
    /// Its files that have bytes, in the order of a walk.
    pub files: Vec<Found>,
    /// What cannot be part of a folder.
    pub bad: Vec<(String, Failure)>,
    seen: usize,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where, from the directory.
    pub path: String,
    /// Its bytes when it was found.
    pub size: u64,
}

/// Walks a directory.
pub fn walk(dir: &Path) -> Tree {
    let mut tree = Tree::default();
    tree.entries = tree.level(dir, "", 0);
    tree
}

impl Tree {
    fn level(&mut self, dir: &Path, path: &str, depth: usize) -> Vec<Node> {
        let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.refuse(path, Failure::file("cannot be listed", &error));
                return Vec::new();
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut nodes = Vec::new();
        for entry in entries {
            let name = entry.file_name();
            let own = join(path, &name.to_string_lossy());
            self.seen += 1;
            if self.seen > ENTRIES_LIMIT {
                let what = format!("a folder has at most {ENTRIES_LIMIT} entries");
                self.refuse(&own, Failure::other(what, "put its directories one by one"));
                break;
            }
            match self.node(&entry, &own, depth) {
                Ok(node) => nodes.extend(node),
                Err(failure) => self.refuse(&own, failure),
            }
        }
        nodes
    }

    /// One entry; none if it is a directory that was refused.
    fn node(&mut self, entry: &fs::DirEntry, own: &str, depth: usize) -> Outcome<Option<Node>> {
        let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
        let name = text(entry.file_name(), "its name")?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            if depth >= DEPTH_LIMIT {
                let what = format!("is below more than {DEPTH_LIMIT} directories");
                return Err(Failure::other(what, "put that directory by itself"));
            }
            let entries = self.level(&entry.path(), own, depth + 1);
            return Ok(Some(Node::Directory { name, entries }));
        }
        if kind.is_symlink() {
            let link = fs::read_link(entry.path()).map_err(unreadable)?;
            let link = text(link.into_os_string(), "what it points to")?;
            return Ok(Some(Node::Symbolic { name, link }));
        }
        if !kind.is_file() {
            let what = "is no file, directory or link";
            return Err(Failure::other(what, "move it out of the directory"));
        }
        let size = entry.metadata().map_err(unreadable)?.len();
        if size > 0 {
            let path = own.to_owned();
            self.files.push(Found { path, size });
        }
        let roots = Vec::new();
        Ok(Some(Node::File { name, roots, size }))
    }

    fn refuse(&mut self, path: &str, failure: Failure) {
        self.bad.push((path.to_owned(), failure));
    }
}

fn text(name: std::ffi::OsString, what: &str) -> Outcome<String> {
    name.into_string().map_err(|_| {
        let what = format!("{what} is not UTF-8, as a folder's must be");
        Failure::other(what, "rename it")
    })
}

/// A path one name longer.
pub fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}

/// Gives every file the roots and the size that `stored` has for its path, in the order of a walk.
pub fn fill(entries: &mut [Node], stored: &mut impl Iterator<Item = (Vec<Hash32>, u64)>) {
    for entry in entries {
        match entry {
            Node::Directory { entries, .. } => fill(entries, stored),
            Node::File { roots, size, .. } if *size > 0 => {
                let next = stored.next();
                (*roots, *size) = next.expect("every file that has bytes was stored");
            }
            Node::File { .. } | Node::Symbolic { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lode_wire::Folder;

    /// Files, links and directories are found in the order of a walk, and filled in the same order.
    #[test]
    fn in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a.d", "a"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("f"), name).unwrap();
        }
        fs::write(dir.path().join("empty"), "").unwrap();
        fs::write(dir.path().join("a-file"), "12345").unwrap();
        std::os::unix::fs::symlink("../elsewhere", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("z")).unwrap();
        let mut tree = walk(dir.path());
        assert!(tree.bad.is_empty());
        let paths: Vec<_> = tree.files.iter().map(|found| &*found.path).collect();
        assert_eq!(paths, ["a/f", "a-file", "a.d/f", "b/f"]);
        let mut stored = tree.files.iter().map(|found| {
            let last = found.path.as_bytes()[0];
            (vec![Hash32([last; 32])], found.size)
        });
        fill(&mut tree.entries, &mut stored);
        assert!(stored.next().is_none());
        let folder = Folder::new(tree.entries).unwrap();
        let walked: Vec<_> = folder.walk().map(|(path, _)| path).collect();
        assert_eq!(
            walked,
            [
                "a", "a/f", "a-file", "a.d", "a.d/f", "b", "b/f", "empty", "link", "z"
            ]
        );
        assert!(
            matches!(folder.find("link"), Some(Node::Symbolic { link, .. }) if link == "../elsewhere")
        );
    }

    /// Pipes and names that are no text are refused by name, and the rest is found all the same.
    #[test]
    fn refused() {
        use std::os::unix::ffi::OsStringExt;
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        let made = std::os::unix::net::UnixListener::bind(dir.path().join("d/socket"));
        drop(made.unwrap());
        let name = std::ffi::OsString::from_vec(b"n\xff".to_vec());
        fs::write(dir.path().join(name), "x").unwrap();
        fs::write(dir.path().join("ok"), "x").unwrap();
        let tree = walk(dir.path());
        let bad: Vec<_> = tree.bad.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(bad, ["d/socket", "n\u{fffd}"]);
        assert_eq!(tree.files.len(), 1);
    }
}
