//! Every path of a file, `a::b::c`, with its line. A `use` tree yields one path per leaf, spelled
//! out from its root, so that `use std::{fs, net}` cannot hide what `std::fs` would show.

use crate::scan::{Scan, is_name};

/// One path and the line it starts on.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Segments joined by `::`, without spaces; a glob ends in `*`.
    pub path: String,
    /// From 1.
    pub line: usize,
}

impl Found {
    /// True when the path is `prefix` or lies below it.
    pub fn is_below(&self, prefix: &str) -> bool {
        self.path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    /// True when the path is `suffix` or ends with it.
    pub fn ends_with(&self, suffix: &str) -> bool {
        self.path
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
    }
}

/// All paths of a file. A single name counts only inside `use`.
pub fn all(scan: &Scan) -> Vec<Found> {
    let mut walk = Walk {
        scan,
        at: 0,
        found: Vec::new(),
    };
    while walk.at < scan.code.len() {
        walk.step();
    }
    walk.found
}

struct Walk<'scan> {
    scan: &'scan Scan,
    at: usize,
    found: Vec<Found>,
}

impl Walk<'_> {
    fn step(&mut self) {
        let name = self.name();
        if name == "use" {
            self.tree("");
        } else if name.is_empty() {
            self.at += self.rest().chars().next().map_or(1, char::len_utf8);
        } else {
            let line = self.scan.line_of(self.at - name.len());
            let mut path = name;
            while self.eat("::") {
                let next = self.name();
                if next.is_empty() {
                    break;
                }
                path = format!("{path}::{next}");
            }
            if path.contains("::") {
                self.found.push(Found { path, line });
            }
        }
    }

    /// One `use` tree below `prefix`, up to the `,`, `}` or `;` behind it.
    fn tree(&mut self, prefix: &str) {
        self.eat("::");
        let mut path = prefix.to_owned();
        loop {
            self.blanks();
            let line = self.scan.line_of(self.at);
            if self.eat("{") {
                while !self.eat("}") && self.at < self.scan.code.len() {
                    self.tree(&path);
                    self.eat(",");
                }
                return;
            }
            let segment = if self.eat("*") {
                "*".to_owned()
            } else {
                self.name()
            };
            if segment.is_empty() {
                // Not a use tree after all (`use` in a macro, or `impl use<'a>`): step over it.
                self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                return;
            }
            if segment != "self" || path.is_empty() {
                path = if path.is_empty() {
                    segment
                } else {
                    format!("{path}::{segment}")
                };
            }
            if !self.eat("::") {
                self.found.push(Found { path, line });
                if self.eat("as ") {
                    self.blanks();
                    self.name();
                }
                return;
            }
        }
    }

    fn rest(&self) -> &str {
        &self.scan.code[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Skips blanks and `text`, if it is there.
    fn eat(&mut self, text: &str) -> bool {
        let trimmed = self.rest().trim_start();
        let found = trimmed.starts_with(text);
        if found {
            self.at = self.scan.code.len() - trimmed.len() + text.len();
        }
        found
    }

    /// The name that starts here, after blanks when inside a path; empty if none does.
    fn name(&mut self) -> String {
        let raw = self.rest().strip_prefix("r#").map_or(0, |_| 2);
        let name: String = self.rest()[raw..]
            .chars()
            .take_while(|&letter| is_name(letter))
            .collect();
        if !name.is_empty() {
            self.at += raw + name.len();
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, all};
    use crate::scan::Scan;

    fn paths(source: &str) -> Vec<String> {
        all(&Scan::new(source))
            .into_iter()
            .map(|found| found.path)
            .collect()
    }

    /// Proves that `use` trees are spelled out whatever their nesting, and inline paths are seen.
    #[test]
    fn spells_out_use_trees() {
        let source = "use std::{fs::{self, File as F}, net, io::*};\nuse ::core::cell;\nlet x = std::fs::read(a.b);";
        let expected = [
            "std::fs",
            "std::fs::File",
            "std::net",
            "std::io::*",
            "core::cell",
            "std::fs::read",
        ];
        assert_eq!(paths(source), expected);
    }

    /// Proves that a path in a comment or a string is not one.
    #[test]
    fn ignores_comments_and_strings() {
        assert!(paths("// std::fs\nlet x = \"std::net\";").is_empty());
    }

    /// Proves that lines are those of the leaf.
    #[test]
    fn gives_the_line_of_the_leaf() {
        let found = all(&Scan::new("use std::{\n    fs,\n    net,\n};"));
        let fs = Found {
            path: "std::fs".to_owned(),
            line: 2,
        };
        let net = Found {
            path: "std::net".to_owned(),
            line: 3,
        };
        assert_eq!(found, [fs, net]);
    }

    /// Proves that matching is by whole segments.
    #[test]
    fn matches_whole_segments() {
        let found = Found {
            path: "std::fsx::Instant::now".to_owned(),
            line: 1,
        };
        assert!(!found.is_below("std::fs"));
        assert!(found.is_below("std::fsx"));
        assert!(found.ends_with("Instant::now"));
        assert!(!found.ends_with("stant::now"));
    }
}
