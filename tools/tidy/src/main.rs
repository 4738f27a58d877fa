//! Checks what the compiler and clippy do not: who may import whom, which calls are banned where,
//! and that files stay small, finished and about this project alone. Every message names the cure.
//!
//! In reading order:
//! - [`tree`]: the files that are checked, and which crate each belongs to
//! - [`scan`]: Rust text with comments and strings taken out of the way
//! - [`paths`]: every `a::b::c` of a file, `use` trees spelled out
//! - [`layers`]: imports between crates
//! - [`calls`]: calls and attributes that are banned in some places
//! - [`guarded`]: where `unsafe` may stand, and how it is argued
//! - [`shape`]: lengths of files, functions and lines
//! - [`alone`]: stray files, foreign names, unfinished work
//! - [`links`]: links in Markdown
//!
//! `cargo run -p tidy` prints one line per finding and exits with 1 if there is any. The same
//! check runs as a test. It does not format, and it does not repeat what clippy reports.

mod alone;
mod calls;
mod guarded;
mod layers;
mod links;
mod paths;
mod scan;
mod shape;
mod tree;

use std::process::ExitCode;

use tree::{Finding, Tree};

fn main() -> ExitCode {
    let tree = match Tree::of_workspace() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy: {error}");
            return ExitCode::from(2);
        }
    };
    let findings = check(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "tidy: {} files, {} findings",
        tree.files.len(),
        findings.len()
    );
    if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every finding of every rule, by path and line.
fn check(tree: &Tree) -> Vec<Finding> {
    let rules = [
        layers::check,
        calls::check,
        guarded::check,
        shape::check,
        alone::check,
        links::check,
    ];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::{Tree, check};

    /// Proves that this repository keeps its own rules.
    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::of_workspace().unwrap();
        assert!(
            tree.files
                .iter()
                .any(|file| file.path == "tools/tidy/src/main.rs")
        );
        let findings: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    }
}
