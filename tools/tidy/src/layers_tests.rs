//! Forbidden edges are found however a manifest or a file spells them, and those of the architecture pass.

use super::check;
use crate::tree::Tree;

fn messages(files: &[(&str, &str)]) -> Vec<String> {
    check(&Tree::planted(files))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\n\n{rest}")
}

/// Manifest, package, what it imports, and a part of the finding.
const FORBIDDEN: &[(&str, &str, &str, &str)] = &[
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies]\nlode-edge.workspace = true",
        ":5:",
    ),
    (
        "proofs/Cargo.toml",
        "lode-proofs",
        "[dev-dependencies]\nlode-world = {}",
        ":5:",
    ),
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies.lode-miner]\npath = \"x\"",
        ":4:",
    ),
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies]\nx = { package = \"sim\" }",
        "program",
    ),
    (
        "miner/Cargo.toml",
        "lode-miner",
        "[target.'cfg(unix)'.dependencies]\nlode-engine = {}",
        ":5:",
    ),
    (
        "tools/sim/Cargo.toml",
        "sim",
        "[dependencies]\nlode = \"1\"",
        "nobody imports it",
    ),
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies]\ntokio = \"1\"",
        "World",
    ),
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies]\nalloy-sol-types = \"1\"",
        "ABI",
    ),
    (
        "benches/Cargo.toml",
        "benches",
        "[dependencies]\nglommio = \"0.9\"",
        "World",
    ),
    (
        "proofs/Cargo.toml",
        "lode-proofs",
        "[dependencies]\nrayon = \"1\"",
        "threads",
    ),
    (
        "engine/Cargo.toml",
        "lode-engine",
        "[dependencies]\nhashbrown = \"0.17\"",
        "seeded",
    ),
    ("misc/Cargo.toml", "misc", "", "not in the table"),
    (
        "engine/other/Cargo.toml",
        "lode-engine",
        "",
        "not in the table",
    ),
];

/// Proves that each forbidden edge is found in whatever form the manifest spells it.
#[test]
fn finds_forbidden_edges() {
    for &(path, name, rest, expected) in FORBIDDEN {
        let found = messages(&[(path, &manifest(name, rest))]);
        assert_eq!(found.len(), 1, "{path} {rest}: {found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
}

/// Proves that the edges of the architecture pass.
#[test]
fn allows_the_architecture() {
    let engine = manifest(
        "lode-engine",
        "[dependencies]\nlode-proofs = {}\nlode-world = {}\n",
    );
    let world = manifest(
        "lode-world",
        "[dependencies]\nglommio = \"0.9\"\nio-uring = \"0.7\"\n",
    );
    let sim = manifest("sim", "[dependencies]\nlode-engine = {}\ntokio = \"1\"\n");
    let hashes = manifest("lode-edge", "[dependencies]\nhashbrown.workspace = true\n");
    let found = messages(&[
        ("engine/Cargo.toml", &engine),
        ("engine/world/Cargo.toml", &world),
        ("tools/sim/Cargo.toml", &sim),
        ("engine/edge/Cargo.toml", &hashes),
        (
            "engine/world/src/uring/disk.rs",
            "use glommio::io::DmaFile;",
        ),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

/// Proves that a source file cannot reach around its manifest.
#[test]
fn finds_ways_around_a_manifest() {
    let cases = [
        ("engine/world/src/posix.rs", "use glommio::LocalExecutor;"),
        (
            "engine/src/log.rs",
            "#[path = \"../../miner/src/x.rs\"]\nmod x;",
        ),
        ("engine/src/log.rs", "include!(\"../../miner/src/x.rs\");"),
    ];
    for (path, source) in cases {
        assert_eq!(messages(&[(path, source)]).len(), 1, "{source}");
    }
}
