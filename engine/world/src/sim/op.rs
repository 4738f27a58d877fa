//! What a program asks of the simulated disk, and what it gets.

use super::{
    pages::Block,
    trace::{Act, digest},
};
use crate::{Open, Space, units::on_disk};
use std::{rc::Rc, sync::Arc};

/// An open file: its inode, kept alive, and what the handle allows.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) inode: u64,
    pub(super) writable: bool,
    /// Held for its count: while it lives the inode's blocks are not given back.
    pub(super) _open: Arc<()>,
}

/// An IO, as asked for.
pub(super) enum Op {
    Open {
        path: String,
        how: Open,
    },
    List {
        dir: String,
    },
    MakeDir {
        dir: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    SyncDir {
        dir: String,
        upto: u64,
    },
    Space {
        path: String,
    },
    Read {
        file: Handle,
        at: u64,
        len: usize,
    },
    Write {
        file: Handle,
        at: u64,
        block: Rc<Block>,
    },
    Sync {
        file: Handle,
        upto: u64,
    },
    Allocate {
        file: Handle,
        len: u64,
    },
    Truncate {
        file: Handle,
        len: u64,
    },
    Len {
        file: Handle,
    },
}

/// What a successful IO returns.
pub(super) enum Outcome {
    Nothing,
    Bytes(Vec<u8>),
    File(Handle),
    Names(Vec<String>),
    Space(Space),
    Len(u64),
}

impl Op {
    pub(super) fn act(&self) -> Act {
        let name = |path: &String| digest(path.as_bytes());
        match self {
            Self::Open { path, how } => {
                let how = match how {
                    Open::Read => 0,
                    Open::Write => 1,
                    Open::Create => 2,
                };
                Act::Open {
                    path: name(path),
                    how,
                }
            }
            Self::List { dir } => Act::List { path: name(dir) },
            Self::MakeDir { dir } => Act::MakeDir { path: name(dir) },
            Self::Rename { from, to } => Act::Rename {
                from: name(from),
                to: name(to),
            },
            Self::Remove { path } => Act::Remove { path: name(path) },
            Self::SyncDir { dir, .. } => Act::SyncDir { path: name(dir) },
            Self::Space { path } => Act::Space { path: name(path) },
            Self::Read { file, at, len } => Act::Read {
                file: file.inode,
                at: *at,
                len: on_disk(*len),
            },
            Self::Write { file, at, block } => Act::Write {
                file: file.inode,
                at: *at,
                len: on_disk(block.bytes().len()),
                content: digest(block.bytes()),
            },
            Self::Sync { file, .. } => Act::Sync { file: file.inode },
            Self::Allocate { file, len } => Act::Allocate {
                file: file.inode,
                len: *len,
            },
            Self::Truncate { file, len } => Act::Truncate {
                file: file.inode,
                len: *len,
            },
            Self::Len { file } => Act::Len { file: file.inode },
        }
    }
}

impl Outcome {
    pub(super) fn digest(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => digest(bytes),
            Self::File(handle) => handle.inode,
            Self::Names(names) => names
                .iter()
                .fold(0, |all, name| all ^ digest(name.as_bytes())),
            Self::Space(space) => space.free,
            Self::Len(len) => *len,
        }
    }
}
