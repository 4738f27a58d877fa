//! Folders (0G wire, 4.4): a tree of names that says which blobs its files are. The tree is a blob
//! itself, and that blob's root is the folder's root.
//!
//! ```text
//!   32  magic    keccak-256 of "0g-storage-client-dir-codec"
//!    2  version  big-endian: 2 is written, 1 is read too
//!    …  JSON     {name, type, roots, size, link, entries}, what is empty left out
//! ```
//! Version 1 named the one blob of a file `hash`, version 2 has a list, `roots`: the fragments of a long
//! file in order. `size` is that of the plain bytes, also where the blobs are encrypted. A file without
//! bytes has no blob. The root directory is called "/"; that name is never part of a path.
//!
//! A [`Folder`] is checked: no name leads out of it, names in a directory differ and are in order, and all
//! of it is within the limits below. What links point to is not checked: who restores them does not follow.

mod codec;
mod compare;
#[cfg(test)]
mod tests;

use lode_proofs::Hash32;

pub use codec::{LEN_LIMIT, MAGIC, is_folder};
pub use compare::{Change, Difference, compare};

/// Directories within each other: the JSON reader goes down 127 values, of which each takes two.
pub const DEPTH_LIMIT: usize = 60;
/// Entries of a folder, all directories together. What fewer bytes than [`LEN_LIMIT`] hold of the shortest
/// entries is not much more.
pub const ENTRIES_LIMIT: usize = 1 << 20;
/// Bytes of a name: what filesystems take.
pub const NAME_LEN_LIMIT: usize = 255;
/// Bytes that a link points with: what the kernel takes, without the zero at the end.
pub const LINK_LEN_LIMIT: usize = 4095;
/// Bytes of a file: other clients have them signed.
pub const SIZE_LIMIT: u64 = i64::MAX.cast_unsigned();

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File {
        /// Its name in its directory.
        name: String,
        /// Its blobs, in order; none if it has no bytes.
        roots: Vec<Hash32>,
        /// Its plain bytes.
        size: u64,
    },
    /// A directory.
    Directory {
        /// Its name in its directory.
        name: String,
        /// What is in it, in the order of their names' bytes.
        entries: Vec<Node>,
    },
    /// A symbolic link.
    Symbolic {
        /// Its name in its directory.
        name: String,
        /// Where it points, as it was found.
        link: String,
    },
}

/// Why a tree is no folder. Paths are as in the tree, from its root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// The bytes do not begin as a folder does.
    #[error("these bytes are no folder")]
    Magic,
    /// A version that we do not read.
    #[error("version {0} of folders is unknown")]
    Version(u16),
    /// Too many bytes.
    #[error("a folder of {0} bytes is longer than {LEN_LIMIT}")]
    Long(usize),
    /// No tree in JSON.
    #[error("the folder's JSON: {0}")]
    Json(String),
    /// The outermost entry is a file or a link.
    #[error("what is stored is no directory")]
    NoDirectory,
    /// Directories within each other without end.
    #[error("{0:?} is below more than {DEPTH_LIMIT} directories")]
    Deep(String),
    /// Too many entries.
    #[error("a folder of more than {ENTRIES_LIMIT} entries")]
    Many,
    /// A name that is none, or leads elsewhere.
    #[error("{0:?} has a name that no file has")]
    Name(String),
    /// Two entries of one name.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// Names that are not in order.
    #[error("{0:?} is not in the order of names")]
    Order(String),
    /// Bytes without a blob, or more than there can be.
    #[error("{0:?} has bytes and no blob, or more bytes than a file")]
    File(String),
    /// A link to nowhere, or one that no filesystem takes.
    #[error("{0:?} is a link that cannot be made")]
    Link(String),
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Node::File { name, .. }
            | Node::Directory { name, .. }
            | Node::Symbolic { name, .. } => name,
        }
    }

    /// What is in it, if it is a directory.
    #[must_use]
    pub fn entries(&self) -> Option<&[Node]> {
        match self {
            Node::Directory { entries, .. } => Some(entries),
            Node::File { .. } | Node::Symbolic { .. } => None,
        }
    }

    /// The entry at a path below this one: names between slashes. Empty names and "." stay where they are;
    /// ".." is no name, so it finds nothing.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Node> {
        let mut at = self;
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            let entries = at.entries()?;
            let place = entries.binary_search_by(|entry| entry.name().cmp(name));
            at = &entries[place.ok()?];
        }
        Some(at)
    }

    /// Everything below, each with its path from here: directories before what is in them, names in order.
    pub fn walk(&self) -> impl Iterator<Item = (String, &Node)> {
        let below = |path: &str, node: &'_ Node| join(path, node.name());
        let mut open: Vec<(String, &Node)> = Vec::new();
        let first = self.entries().unwrap_or_default().iter().rev();
        open.extend(first.map(|node| (below("", node), node)));
        core::iter::from_fn(move || {
            let (path, node) = open.pop()?;
            let inner = node.entries().unwrap_or_default().iter().rev();
            open.extend(inner.map(|node| (below(&path, node), node)));
            Some((path, node))
        })
    }
}

/// A path one name longer.
fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}

/// A tree that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// A directory.
    root: Node,
}

impl Folder {
    /// A folder of these entries.
    ///
    /// # Errors
    /// A [`FolderError`] that names the entry which no folder has.
    pub fn new(entries: Vec<Node>) -> Result<Folder, FolderError> {
        Folder::checked(Node::Directory {
            name: "/".to_owned(),
            entries,
        })
    }

    fn checked(root: Node) -> Result<Folder, FolderError> {
        let entries = root.entries().ok_or(FolderError::NoDirectory)?;
        check(entries, "", 0, &mut 0)?;
        Ok(Folder { root })
    }

    /// The outermost directory.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// What is in it.
    #[must_use]
    pub fn entries(&self) -> &[Node] {
        self.root.entries().unwrap_or_default()
    }

    /// The entry at a path, see [`Node::find`]; the root at the empty one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Node> {
        self.root.find(path)
    }

    /// Everything in it, see [`Node::walk`].
    pub fn walk(&self) -> impl Iterator<Item = (String, &Node)> {
        self.root.walk()
    }

    /// What has to happen to this folder until it is `new`, see [`compare`]. Files are the same if their
    /// roots and sizes are.
    #[must_use]
    pub fn diff(&self, new: &Folder) -> Vec<Change> {
        let by_root = |_: &str, a: &Node, b: &Node| Ok::<_, core::convert::Infallible>(a == b);
        match compare(self.entries(), new.entries(), by_root) {
            Ok(changes) => changes,
            Err(never) => match never {},
        }
    }
}

/// Checks entries of one directory and all below it.
fn check(entries: &[Node], path: &str, depth: usize, seen: &mut usize) -> Result<(), FolderError> {
    let mut before: Option<&str> = None;
    for entry in entries {
        let own = || join(path, entry.name());
        *seen += 1;
        if *seen > ENTRIES_LIMIT {
            return Err(FolderError::Many);
        }
        if depth > DEPTH_LIMIT {
            return Err(FolderError::Deep(own()));
        }
        if !is_name(entry.name()) {
            return Err(FolderError::Name(own()));
        }
        match before {
            Some(before) if before == entry.name() => return Err(FolderError::Twice(own())),
            Some(before) if before > entry.name() => return Err(FolderError::Order(own())),
            _ => before = Some(entry.name()),
        }
        match entry {
            Node::File { roots, size, .. } => {
                if *size > SIZE_LIMIT || (*size == 0) != roots.is_empty() {
                    return Err(FolderError::File(own()));
                }
            }
            Node::Symbolic { link, .. } => {
                if link.is_empty() || link.len() > LINK_LEN_LIMIT || link.contains('\0') {
                    return Err(FolderError::Link(own()));
                }
            }
            Node::Directory { entries, .. } => check(entries, &own(), depth + 1, seen)?,
        }
    }
    Ok(())
}

/// Whether a file can have this name and is then where it seems to be.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let len = 1..=NAME_LEN_LIMIT;
    len.contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(['/', '\0'])
}
