//! Lengths: files, functions, lines. The bounds are where a reader loses the thread, not where the
//! compiler would; a file past them has a second idea in it.

use crate::{
    scan::{Scan, is_name},
    tree::{File, Finding, Tree},
};

const RULE: &str = "shape";

/// Lines of a file.
const FILE_LINES: usize = 600;
/// Lines of a function, from `fn` to its closing brace: one screen.
const FUNCTION_LINES: usize = 70;
/// Characters of a line of Rust, the contents of strings left out.
const COLUMNS: usize = 110;

/// Every file, function and line that has grown too long, and every file that does not open well.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let counted = matches!(file.extension(), "rs" | "sol" | "md");
        let lines = file.text.lines().count();
        if counted && lines > FILE_LINES && !file.path.contains("/vectors/") {
            let message = format!(
                "{lines} lines, {FILE_LINES} at most: find the second idea and move it out"
            );
            findings.push(file.finding(0, RULE, message));
        }
        if let Some(scan) = &file.scan {
            check_opening(file, &mut findings);
            check_functions(file, scan, &mut findings);
            check_columns(file, scan, &mut findings);
        }
    }
    findings
}

fn check_opening(file: &File, findings: &mut Vec<Finding>) {
    let opening = file.text.lines().next().unwrap_or_default();
    if !opening.starts_with("//! ") {
        let message = "does not open with `//!`: say what the file does and what it promises";
        findings.push(file.finding(1, RULE, message));
    }
}

fn check_functions(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    for at in scan.words("fn") {
        let rest = scan.code[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|&letter| is_name(letter)).collect();
        let Some(body) = scan.body(at).filter(|_| !name.is_empty()) else {
            continue;
        };
        let first = scan.line_of(at);
        let lines = scan.line_of(body.end - 1) - first + 1;
        if lines > FUNCTION_LINES {
            let message = format!(
                "`{name}` has {lines} lines, {FUNCTION_LINES} at most: keep the branches, move the steps out"
            );
            findings.push(file.finding(first, RULE, message));
        }
    }
}

fn check_columns(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    for (index, (line, code)) in file.text.lines().zip(scan.code.lines()).enumerate() {
        let width = line.chars().count();
        if width <= COLUMNS || is_exempt(line) {
            continue;
        }
        // Only what stands outside string literals counts: text is not broken for its length.
        if line.contains("//") || code.split('"').step_by(2).map(str::len).sum::<usize>() > COLUMNS
        {
            let message = format!("{width} columns, {COLUMNS} at most: break the line");
            findings.push(file.finding(index + 1, RULE, message));
        }
    }
}

/// Tables and addresses cannot be broken.
fn is_exempt(line: &str) -> bool {
    let line = line.trim_start();
    line.contains("://") || line.starts_with("//! |") || line.starts_with("/// |")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn messages(path: &str, source: &str) -> Vec<String> {
        check(&Tree::planted(&[(path, source)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Proves the bound of a file, by kind.
    #[test]
    fn finds_grown_files() {
        let grown = format!("//! x\n{}", "\n".repeat(600));
        let full = format!("//! x\n{}", "\n".repeat(599));
        assert_eq!(messages("engine/src/a.rs", &grown).len(), 1);
        assert!(messages("engine/src/a.rs", &full).is_empty());
        assert_eq!(messages("README.md", &grown).len(), 1);
        assert_eq!(messages("sidecar-chain/contracts/A.sol", &grown).len(), 1);
        assert!(messages("Cargo.lock", &grown).is_empty());
        assert!(messages("proofs/vectors/README.md", &grown).is_empty());
    }

    /// Proves the bound of a function; braces in strings and function pointers do not mislead it.
    #[test]
    fn finds_grown_functions() {
        let body = |lines: usize| {
            format!(
                "//! x\nfn f() {{{}\"}}\"; }}\nfn g() {{}}\n",
                "\n".repeat(lines)
            )
        };
        assert!(messages("a.rs", &body(69)).is_empty());
        let found = messages("a.rs", &body(70));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("a.rs:2:") && found[0].contains("`f` has 71 lines"),
            "{found:?}"
        );
        let types = format!(
            "//! x\ntype F = fn(u8);\ntrait T {{ fn f(&self);\n{} }}",
            "\n".repeat(80)
        );
        assert!(messages("a.rs", &types).is_empty());
    }

    /// Proves that code and comments count towards the width, strings, addresses and tables do not.
    #[test]
    fn finds_wide_lines() {
        let wide = "a".repeat(120);
        assert_eq!(messages("a.rs", &format!("//! x\nlet {wide};")).len(), 1);
        assert_eq!(messages("a.rs", &format!("//! x\n// {wide}")).len(), 1);
        assert!(messages("a.rs", &format!("//! x\nlet s = \"{wide}\";")).is_empty());
        assert!(messages("a.rs", &format!("//! x\n// https://{wide}")).is_empty());
        assert!(messages("a.rs", &format!("//! x\n//! | {wide} |")).is_empty());
    }

    /// Proves that a file without an opening is found.
    #[test]
    fn finds_files_without_an_opening() {
        assert_eq!(messages("a.rs", "use std::io;\n").len(), 1);
        assert_eq!(messages("a.rs", "").len(), 1);
    }
}
