//! Folders as bytes. What is written is, to the byte, what the Go client writes: its field order, its
//! escapes, and nothing for what is empty.

use std::{borrow::Cow, io};

use lode_proofs::{Hash32, keccak::keccak256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::ser::{Formatter, Serializer as JsonSerializer};

use super::{Folder, FolderError, Node};

/// What a folder's bytes begin with.
pub const MAGIC: [u8; 32] = keccak256(b"0g-storage-client-dir-codec");
/// The version that is written.
const VERSION: u16 = 2;
/// The version before it.
const VERSION_OLD: u16 = 1;
/// Bytes before the tree.
const HEAD_LEN: usize = 34;
/// Bytes of a folder: some four hundred thousand files. A reader holds about four times as much.
pub const LEN_LIMIT: usize = 64 << 20;
/// Bytes of a reason that is passed on: it may quote a name of any length.
const REASON_LEN_LIMIT: usize = 200;

/// Whether bytes begin as a folder does.
#[must_use]
pub fn is_folder(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl Folder {
    /// Reads a folder of version 1 or 2. Names may come in any order, and fields that nobody knows are
    /// passed over, as other clients do. Time and memory grow with the bytes, up to [`LEN_LIMIT`].
    ///
    /// # Errors
    /// A [`FolderError`] for bytes that are no folder, and for a tree that no folder is.
    pub fn decode(bytes: &[u8]) -> Result<Folder, FolderError> {
        if bytes.len() > LEN_LIMIT {
            return Err(FolderError::Long(bytes.len()));
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(FolderError::Magic)?;
        let (version, json) = rest.split_first_chunk().ok_or(FolderError::Magic)?;
        let version = u16::from_be_bytes(*version);
        if ![VERSION_OLD, VERSION].contains(&version) {
            return Err(FolderError::Version(version));
        }
        let node: Node = serde_json::from_slice(json).map_err(|error| {
            let mut why = error.to_string();
            why.truncate(why.floor_char_boundary(REASON_LEN_LIMIT));
            FolderError::Json(why)
        })?;
        Folder::checked(node)
    }

    /// Its bytes, of version 2.
    ///
    /// # Errors
    /// [`FolderError::Long`] if there are more than [`LEN_LIMIT`].
    pub fn encode(&self) -> Result<Vec<u8>, FolderError> {
        let mut bytes = Vec::with_capacity(HEAD_LEN);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        let mut json = JsonSerializer::with_formatter(&mut bytes, AsGo);
        self.root
            .serialize(&mut json)
            .expect("memory takes bytes, and every node has a form");
        match bytes.len() {
            0..=LEN_LIMIT => Ok(bytes),
            len => Err(FolderError::Long(len)),
        }
    }
}

/// JSON as Go's encoder writes it: fit to stand in a page, so with a few more escapes.
struct AsGo;

impl Formatter for AsGo {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, found) in fragment.char_indices() {
            let escape = match found {
                '<' => r"\u003c",
                '>' => r"\u003e",
                '&' => r"\u0026",
                '\u{2028}' => r"\u2028",
                '\u{2029}' => r"\u2029",
                _ => continue,
            };
            to.write_all(&fragment.as_bytes()[plain..at])?;
            to.write_all(escape.as_bytes())?;
            plain = at + found.len_utf8();
        }
        to.write_all(&fragment.as_bytes()[plain..])
    }
}

/// A node's fields, in the order in which they are written.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "<[Hash32]>::is_empty")]
    roots: &'a [Hash32],
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    link: &'a str,
    #[serde(skip_serializing_if = "<[Node]>::is_empty")]
    entries: &'a [Node],
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = Written {
            name: self.name(),
            r#type: "directory",
            roots: &[],
            size: None,
            link: "",
            entries: self.entries().unwrap_or_default(),
        };
        match self {
            Node::File { roots, size, .. } => {
                written.r#type = "file";
                written.roots = roots;
                written.size = Some(*size).filter(|size| *size > 0);
            }
            Node::Symbolic { link, .. } => {
                written.r#type = "symbolic";
                written.link = link;
            }
            Node::Directory { .. } => {}
        }
        written.serialize(serializer)
    }
}

/// A node's fields as they come.
#[derive(Deserialize)]
struct Read<'a> {
    name: String,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    /// The one root of a file of version 1. Version 2 never has it, so it is read in both. It is no root
    /// where a file has no bytes.
    #[serde(default, borrow)]
    hash: Cow<'a, str>,
    #[serde(default)]
    roots: Option<Vec<Hash32>>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    link: String,
    #[serde(default)]
    entries: Option<Vec<Node>>,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let name = read.name;
        match &*read.r#type {
            "file" => {
                let mut roots = read.roots.unwrap_or_default();
                if read.size == 0 {
                    // Nobody fetches them.
                    roots.clear();
                } else if roots.is_empty() && !read.hash.is_empty() {
                    roots.push(read.hash.parse().map_err(D::Error::custom)?);
                }
                let size = read.size;
                Ok(Node::File { name, roots, size })
            }
            "directory" => {
                let mut entries = read.entries.unwrap_or_default();
                entries.sort_by(|a, b| a.name().cmp(b.name()));
                Ok(Node::Directory { name, entries })
            }
            "symbolic" => {
                let link = read.link;
                Ok(Node::Symbolic { name, link })
            }
            _ => Err(D::Error::custom(
                "an entry is a file, a directory or symbolic",
            )),
        }
    }
}
