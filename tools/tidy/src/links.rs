//! Links in Markdown lead to files of the checkout. Addresses on the network and anchors within a
//! page are not looked at, and neither is anything in code.

use crate::tree::{Finding, Tree};

const RULE: &str = "links";

/// Every link to a file that does not exist.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let broken = targets(line).into_iter().filter(|target| {
                !fenced && resolve(&file.path, target).is_none_or(|path| !tree.holds(&path))
            });
            for target in broken {
                let message =
                    format!("link to `{target}`, which does not exist: correct or remove it");
                findings.push(file.finding(index + 1, RULE, message));
            }
        }
    }
    findings
}

/// Files that a line links to, without anchors and titles.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let inline = prose
        .match_indices("](")
        .map(|(at, mark)| &prose[at + mark.len()..]);
    let inline = inline.filter_map(|rest| Some(rest.split_once(')')?.0));
    let reference = prose
        .strip_prefix('[')
        .and_then(|rest| Some(rest.split_once("]: ")?.1));
    inline
        .chain(reference)
        .filter_map(|link| link.split_whitespace().next())
        .map(|link| link.trim_matches(['<', '>']))
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .filter_map(|link| link.split('#').next())
        .filter(|link| !link.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The path of `link` from the root of the checkout; `None` when it leaves it.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if let Some(absolute) = link.strip_prefix('/') {
        return Some(absolute.to_owned());
    }
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn count(text: &str) -> usize {
        let tree = Tree::planted(&[("engine/FORMAT.md", text), ("proofs/src/lib.rs", "//! x")]);
        check(&tree).len()
    }

    /// Proves that a link to nothing is found in each form a link takes.
    #[test]
    fn finds_broken_links() {
        for text in [
            "[a](b.md)",
            "x [a](../b.md#c) y",
            "![p](p.svg \"title\")",
            "[a]: gone.md",
            "[a](../../x)",
        ] {
            assert_eq!(count(text), 1, "{text}");
        }
        assert_eq!(count("[a](b.md) and [c](d.md)"), 2);
    }

    /// Proves that files, folders, anchors, addresses and code pass.
    #[test]
    fn passes_what_exists_or_is_no_file() {
        for text in [
            "[a](FORMAT.md)",
            "[a](../proofs)",
            "[a](../proofs/src/lib.rs#L1)",
            "[a](#here)",
            "[a](https://example.org/x)",
            "`[a](b.md)`",
            "```\n[a](b.md)\n```",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
