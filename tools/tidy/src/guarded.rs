//! Where `unsafe` may stand, and how each use is argued: `SAFETY` in the comment above the block
//! says why it holds, `JUSTIFICATION` once per file says what it buys and why nothing safe does.

use crate::tree::{Finding, Tree};

const RULE: &str = "unsafe";

/// Path prefixes that may hold `unsafe`: the ring and aligned memory, SIMD keccak and checksums, and
/// two places outside the product that have no safe form (a counting allocator, the raw ring as a
/// yardstick).
const HOMES: [&str; 6] = [
    "engine/world/src/uring",
    "engine/world/src/posix",
    "proofs/src/keccak",
    "proofs/src/da/checksum",
    "fuzz/src/memory.rs",
    "benches/src/disk/ring.rs",
];

/// A comment at most this many lines above the keyword still speaks of it.
const REACH: usize = 12;

/// Every `unsafe` that is out of place or not argued.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, scan) in tree.rust() {
        let uses: Vec<usize> = scan.words("unsafe").map(|at| scan.line_of(at)).collect();
        if uses.is_empty() {
            continue;
        }
        if !HOMES.iter().any(|home| file.path.starts_with(home)) {
            findings.extend(uses.iter().map(|&line| {
                let message = "`unsafe` outside world's uring and posix and proofs' keccak and checksum: use their safe wrappers";
                file.finding(line, RULE, message)
            }));
            continue;
        }
        if !file.text.contains("JUSTIFICATION") {
            let message = "no JUSTIFICATION: say what the unsafe code buys, measured";
            findings.push(file.finding(uses[0], RULE, message));
        }
        let lines: Vec<&str> = file.text.lines().collect();
        for line in uses {
            let above = &lines[line.saturating_sub(REACH)..line];
            if !above
                .iter()
                .any(|text| text.contains("SAFETY") || text.contains("# Safety"))
            {
                let message = "no SAFETY comment above: say why it holds";
                findings.push(file.finding(line, RULE, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn count(path: &str, source: &str) -> usize {
        check(&Tree::planted(&[(path, source)])).len()
    }

    /// Proves that place, reason and argument are each asked for.
    #[test]
    fn asks_for_place_and_argument() {
        let argued = "// JUSTIFICATION: 2x.\n// SAFETY: in bounds.\nunsafe { f() }";
        assert_eq!(count("engine/world/src/uring/ring.rs", argued), 0);
        assert_eq!(count("proofs/src/keccak/avx2.rs", argued), 0);
        assert_eq!(count("engine/src/log.rs", argued), 1);
        assert_eq!(
            count("proofs/src/keccak.rs", "// SAFETY: x\nunsafe { f() }"),
            1
        );
        assert_eq!(
            count(
                "proofs/src/keccak.rs",
                "// JUSTIFICATION: x\nunsafe { f() }"
            ),
            1
        );
    }

    /// Proves that the word in a lint name, a string or a comment is not a use.
    #[test]
    fn ignores_the_mere_word() {
        let source = "#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";";
        assert_eq!(count("engine/src/lib.rs", source), 0);
    }
}
