//! The files that are checked: what git tracks or would track, read once and scanned once.
//! Nothing here decides what is wrong; the rules do.

use std::{fmt, io, path::Path, path::PathBuf, process::Command};

use crate::scan::Scan;

/// Crates that may use the machine directly: programs and measurements, which nobody imports.
const OUTER: [&str; 3] = ["tools/", "benches/", "fuzz/"];

/// One breach of one rule. Ordered by path and line, which is the order of the report.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the checkout.
    pub path: String,
    /// Line, from 1; 0 speaks of the whole file.
    pub line: usize,
    /// Short name of the rule.
    pub rule: &'static str,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.message
        )
    }
}

/// One file of the checkout.
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Present for `.rs` files.
    pub scan: Option<Scan>,
}

impl File {
    /// Reads what `text` is from where it stands.
    pub fn new(path: &str, text: &str) -> Self {
        let scan = path.ends_with(".rs").then(|| Scan::new(text));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            scan,
        }
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule,
            message: message.into(),
        }
    }

    /// Below tools/: part of a crate that others import.
    pub fn is_inner(&self) -> bool {
        !OUTER.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Wholly test code: `tests.rs`, `*_tests.rs`, `tests/`, or a crate's own `benches/` and `examples/`.
    pub fn is_test(&self) -> bool {
        let file_name = self.path.rsplit('/').next().unwrap_or_default();
        file_name == "tests.rs"
            || file_name.ends_with("_tests.rs")
            || ["/tests/", "/benches/", "/examples/"]
                .iter()
                .any(|part| self.path.contains(part))
    }

    /// True when `line` belongs to test code.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test()
            || self
                .scan
                .as_ref()
                .is_some_and(|scan| scan.is_test_line(line))
    }

    /// The part of the name after the last dot.
    pub fn extension(&self) -> &str {
        self.path
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }
}

/// The checkout.
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
}

impl Tree {
    /// A tree made of `(path, text)`: what tests plant.
    #[cfg(test)]
    pub fn planted(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| File::new(path, text))
                .collect(),
        }
    }

    /// The checkout around the current folder.
    ///
    /// # Errors
    /// When there is no workspace above the current folder, or git cannot list its files.
    pub fn of_workspace() -> io::Result<Self> {
        let root = workspace_root()?;
        let listing = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&root)
            .output()?;
        if !listing.status.success() {
            let reason = String::from_utf8_lossy(&listing.stderr).into_owned();
            return Err(io::Error::other(format!(
                "git ls-files failed; run in a clone: {reason}"
            )));
        }
        let names = String::from_utf8_lossy(&listing.stdout).into_owned();
        let mut names: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            // A file that git still lists may have been removed from the work tree.
            if let Some(text) = read_text(&root.join(name))? {
                files.push(File::new(name, &text));
            }
        }
        Ok(Self { files })
    }

    /// Rust files with their scans.
    pub fn rust(&self) -> impl Iterator<Item = (&File, &Scan)> {
        self.files
            .iter()
            .filter_map(|file| file.scan.as_ref().map(|scan| (file, scan)))
    }

    /// True when `path` is a file, or a folder that holds one.
    pub fn holds(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

fn read_text(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

fn workspace_root() -> io::Result<PathBuf> {
    let start = std::env::current_dir()?;
    let is_root = |folder: &&Path| {
        std::fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.contains("[workspace]"))
    };
    let root = start.ancestors().find(is_root);
    root.map(Path::to_path_buf).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "no workspace here; run inside the checkout",
        )
    })
}
