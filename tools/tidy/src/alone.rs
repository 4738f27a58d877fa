//! The project speaks of itself alone: no path of the machine it was written on, no host it was
//! fetched from, no stray file at the top, nothing that announces work to be done.

use crate::tree::{File, Finding, Tree};

const RULE: &str = "alone";

/// This file spells out what it looks for.
const SELF: &str = "tools/tidy/src/alone.rs";

/// What the top level may hold, files beginning with a dot apart.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "engine",
    "sidecar-chain",
    "miner",
    "proofs",
    "benches",
    "fuzz",
    "tools",
    "README.md",
    "clippy.toml",
    "rust-toolchain.toml",
];

/// Text that belongs to one machine or to how the code was made, in lower case, and the cure.
const FOREIGN: &[(&str, &str)] = &[
    ("/work/", OWN_PATHS),
    ("/tmp/target", OWN_PATHS),
    ("/root/", OWN_PATHS),
    ("/home/", OWN_PATHS),
    ("shared/design", OWN_PATHS),
    ("developers.md", OWN_PATHS),
    ("crates.io", HOSTS),
    ("pypi.org", HOSTS),
    ("npmjs", HOSTS),
    ("deb.debian.org", HOSTS),
    ("chatgpt", MAKERS),
    ("claude", MAKERS),
    ("anthropic", MAKERS),
    ("openai", MAKERS),
    ("language model", MAKERS),
];

const OWN_PATHS: &str = "a path of one machine: take it from the environment or make it relative";
const HOSTS: &str = "name the package, not the registry that serves it";
const MAKERS: &str = "say what the code does, not how it came about";

/// Words that announce unfinished work. Whole words, as written.
const UNFINISHED: [&str; 5] = ["TODO", "FIXME", "XXX", "HACK", "WIP"];

/// Macros that stand for missing code.
const MISSING: [&str; 2] = ["todo", "unimplemented"];

/// Every foreign, stray and unfinished thing.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        check_place(file, &mut findings);
        if file.path == SELF || file.path == "Cargo.lock" || file.text.contains('\0') {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            if let Some(message) = foreign(line).or_else(|| unfinished(line)) {
                findings.push(file.finding(index + 1, RULE, message));
            }
        }
        check_missing(file, &mut findings);
    }
    findings
}

fn check_place(file: &File, findings: &mut Vec<Finding>) {
    let top = file.path.split('/').next().unwrap_or_default();
    if !top.starts_with('.') && !top.starts_with("LICENSE-") && !TOP.contains(&top) {
        let message = format!(
            "`{top}` is not in the fixed list of the top level: move it to where it is used"
        );
        findings.push(file.finding(0, RULE, message));
    }
}

fn foreign(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    let found = FOREIGN.iter().find(|(text, _)| lower.contains(text));
    if let Some((text, cure)) = found {
        return Some(format!("`{text}`: {cure}"));
    }
    let numbered = lower.match_indices("issue ").any(|(at, word)| {
        let rest = lower[at + word.len()..].trim_start_matches('#');
        rest.starts_with(|letter: char| letter.is_ascii_digit())
    });
    numbered.then(|| "a numbered issue: say in words what it was about".to_owned())
}

fn unfinished(line: &str) -> Option<String> {
    let found = UNFINISHED.iter().find(|word| {
        line.match_indices(**word).any(|(at, _)| {
            let part = |letter: char| letter.is_alphanumeric() || letter == '_';
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            !before.is_some_and(part) && !after.is_some_and(part)
        })
    });
    if let Some(word) = found {
        return Some(format!("`{word}`: do it now, or leave it out"));
    }
    let bare = line
        .trim_start_matches(['/', '!', ' '])
        .trim_end_matches('.');
    bare.eq_ignore_ascii_case("placeholder")
        .then(|| "a file with nothing in it: write it or delete it".to_owned())
}

fn check_missing(file: &File, findings: &mut Vec<Finding>) {
    let Some(scan) = &file.scan else { return };
    for name in MISSING {
        for at in scan
            .words(name)
            .filter(|at| scan.code[at + name.len()..].starts_with('!'))
        {
            let message = format!("`{name}!`: do it now, or leave it out");
            findings.push(file.finding(scan.line_of(at), RULE, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Tree::planted(&[(path, text)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Proves that each kind of foreign or unfinished text is found, in any kind of file.
    #[test]
    fn finds_foreign_and_unfinished_text() {
        for text in [
            "see /work/main",
            "CARGO_TARGET_DIR=/tmp/target-x",
            "cp /root/x",
            "from crates.io",
            "fixes issue 12",
            "Issue #7",
            "// TODO: later",
            "# FIXME",
            "//! placeholder",
        ] {
            for path in ["engine/src/a.rs", "README.md", ".ci/run"] {
                assert_eq!(messages(path, text).len(), 1, "{path}: {text}");
            }
        }
        assert_eq!(messages("engine/src/a.rs", "fn f() { todo!() }").len(), 1);
        assert_eq!(
            messages("engine/src/a.rs", "fn f() { unimplemented!() }").len(),
            1
        );
    }

    /// Proves that look-alikes pass.
    #[test]
    fn passes_look_alikes() {
        for text in [
            "a network/worker",
            "an issue here",
            "XXXX and TODOS",
            "DataDog/glommio #605",
            "// the placeholder of an argument",
            "let a = \"todo!()\";",
        ] {
            assert!(messages("engine/src/a.rs", text).is_empty(), "{text}");
        }
        assert!(
            messages(
                "Cargo.lock",
                "source = \"registry+https://crates.io-index\""
            )
            .is_empty()
        );
    }

    /// Proves that the top level is closed, and dotfiles and licences are not strays.
    #[test]
    fn finds_strays() {
        assert_eq!(messages("notes.md", "x").len(), 1);
        assert_eq!(messages("scripts/run.sh", "x").len(), 1);
        for path in [
            "Cargo.toml",
            "LICENSE-MIT",
            ".gitignore",
            ".ci/run",
            "miner/src/lib.rs",
        ] {
            assert!(messages(path, "x").is_empty(), "{path}");
        }
    }
}
