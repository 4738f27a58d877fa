//! A place in a folder, as REST shows it (0G wire, 3.5): a directory as a list, a link as itself (it is
//! not followed, or a folder could point anywhere), a file as the blobs that it consists of.

use lode_proofs::Hash32;
use lode_wire::folder::{Folder, Node};
use serde::Serialize;

use crate::failure::Failure;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// A directory.
    Directory(Vec<Entry>),
    /// A symbolic link.
    Link(Link),
    /// A file.
    File {
        /// Its name.
        name: String,
        /// Its blobs, in order; none if it has no bytes.
        roots: Vec<Hash32>,
    },
}

/// A line of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// `file`, `directory` or `symbolic`.
    pub r#type: &'static str,
    /// Bytes of a file; left out if there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: u64,
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// `symbolic`.
    pub r#type: &'static str,
    /// Where it points.
    pub link: String,
}

fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// Looks up a path, in which `.`, `..` and doubled slashes mean what they mean in any path; nothing
/// leads above the folder.
///
/// # Errors
/// [`Failure::NoPath`].
pub fn view(folder: &Folder, path: &str) -> Result<View, Failure> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let node = folder.find(&parts.join("/"));
    let node = node.ok_or_else(|| Failure::NoPath(shown(path)))?;
    Ok(match node {
        Node::Directory { entries, .. } => View::Directory(entries.iter().map(entry).collect()),
        Node::Symbolic { name, link } => View::Link(Link {
            name: name.clone(),
            r#type: "symbolic",
            link: link.clone(),
        }),
        Node::File { name, roots, .. } => View::File {
            name: name.clone(),
            roots: roots.clone(),
        },
    })
}

fn entry(node: &Node) -> Entry {
    let (r#type, size) = match node {
        Node::File { size, .. } => ("file", *size),
        Node::Directory { .. } => ("directory", 0),
        Node::Symbolic { .. } => ("symbolic", 0),
    };
    Entry {
        name: node.name().to_owned(),
        r#type,
        size,
    }
}

fn shown(path: &str) -> String {
    path.chars().take(PATH_SHOWN).collect()
}

/// Characters of a path that an error repeats.
const PATH_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Folder {
        let file = |name: &str, size| Node::File {
            name: name.to_owned(),
            roots: vec![[1; 32].into()],
            size,
        };
        let inner = Node::Directory {
            name: "b".to_owned(),
            entries: vec![file("c.txt", 3)],
        };
        let link = Node::Symbolic {
            name: "l".to_owned(),
            link: "../../etc/passwd".to_owned(),
        };
        Folder::new(vec![file("a", 5), inner, link]).unwrap()
    }

    /// Paths as people write them; none leads out.
    #[test]
    fn paths() {
        let folder = folder();
        for root in ["", "/", ".", "./", "..", "/../../", "b/.."] {
            let View::Directory(entries) = view(&folder, root).unwrap() else {
                panic!("{root} is no directory");
            };
            let kinds: Vec<_> = entries
                .iter()
                .map(|entry| (&*entry.name, entry.r#type))
                .collect();
            assert_eq!(
                kinds,
                [("a", "file"), ("b", "directory"), ("l", "symbolic")]
            );
        }
        for file in [
            "b/c.txt",
            "/b//c.txt",
            "./b/./c.txt",
            "b/../b/c.txt",
            "../b/c.txt",
        ] {
            let found = view(&folder, file).unwrap();
            assert!(
                matches!(found, View::File { ref name, .. } if name == "c.txt"),
                "{file}"
            );
        }
        for none in ["x", "a/x", "b/c.txt/d", "l/passwd"] {
            assert!(
                matches!(view(&folder, none), Err(Failure::NoPath(_))),
                "{none}"
            );
        }
    }

    /// A link is shown, not followed; a size of nothing is left out, as 0G's gateway does.
    #[test]
    fn links_and_sizes() {
        let View::Link(link) = view(&folder(), "l").unwrap() else {
            panic!("no link");
        };
        assert_eq!(link.link, "../../etc/passwd");
        let View::Directory(entries) = view(&folder(), "").unwrap() else {
            panic!("no directory");
        };
        let json = serde_json::to_string(&entries).unwrap();
        let want = r#"[{"name":"a","type":"file","size":5},{"name":"b","type":"directory"},{"name":"l","type":"symbolic"}]"#;
        assert_eq!(json, want);
    }
}
