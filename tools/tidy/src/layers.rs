//! Who may import whom. The table below is the architecture in one screen: an edge that is not in
//! it does not exist. Reads every member's manifest, normal, build and development dependencies
//! alike, and the few ways in which a source file can reach around a manifest.

use toml::Table;

use crate::{
    paths,
    tree::{File, Finding, Tree},
};

const RULE: &str = "layers";

/// One of our crates: its folder and which of ours it may import.
struct Crate {
    name: &'static str,
    folder: &'static str,
    may: &'static [&'static str],
}

/// Libraries, innermost first. What is not listed under `may` is forbidden.
const LIBRARIES: &[Crate] = &[
    Crate {
        name: "lode-proofs",
        folder: "proofs",
        may: &[],
    },
    Crate {
        name: "lode-world",
        folder: "engine/world",
        may: &[],
    },
    Crate {
        name: "lode-engine",
        folder: "engine",
        may: &["lode-proofs", "lode-world"],
    },
    // Knows committees, and nothing of a chain: they come in as values, too.
    Crate {
        name: "lode-da",
        folder: "engine/da",
        may: &["lode-proofs", "lode-net", "lode-world", "lode-da-rows"],
    },
    // How nodes meet, whatever they then speak of.
    Crate {
        name: "lode-net",
        folder: "engine/net",
        may: &[],
    },
    // What holders keep of containers. It believes what it is given: whoever checks slivers is above it.
    Crate {
        name: "lode-da-rows",
        folder: "engine/da/rows",
        may: &["lode-proofs", "lode-world"],
    },
    // Knows what the chain has ordered, and nothing of a chain: submissions come in as values.
    Crate {
        name: "lode-flow",
        folder: "engine/flow",
        may: &["lode-proofs"],
    },
    // The edge's connections run on the shards, so it is generic over World as the engine is.
    Crate {
        name: "lode-edge",
        folder: "engine/edge",
        may: &["lode-proofs", "lode-world", "lode-engine"],
    },
    Crate {
        name: "lode-wire",
        folder: "engine/edge/wire",
        may: &["lode-proofs"],
    },
    Crate {
        name: "lode-zgs",
        folder: "engine/edge/zgs",
        may: &[
            "lode-proofs",
            "lode-world",
            "lode-engine",
            "lode-flow",
            "lode-wire",
        ],
    },
    // An indexer and a key-value node stand beside storage nodes, and speak to them as anybody does.
    Crate {
        name: "lode-indexer",
        folder: "engine/edge/indexer",
        may: &["lode-proofs", "lode-wire"],
    },
    Crate {
        name: "lode-kv",
        folder: "engine/edge/kv",
        may: &["lode-proofs", "lode-wire"],
    },
    // Storage nodes among each other; of what a node keeps it is told through a trait of its own.
    Crate {
        name: "lode-peers",
        folder: "engine/edge/peers",
        may: &["lode-proofs", "lode-net", "lode-wire"],
    },
    // What rollups ask of data availability; of whoever stores it is told through a trait of its own.
    Crate {
        name: "lode-rollup",
        folder: "engine/edge/rollup",
        may: &["lode-proofs"],
    },
    Crate {
        name: "lode-miner",
        folder: "miner",
        may: &["lode-proofs", "lode-world"],
    },
    Crate {
        name: "lode-chain-types",
        folder: "sidecar-chain/types",
        may: &["lode-proofs"],
    },
    Crate {
        name: "lode-chain-state",
        folder: "sidecar-chain/state",
        may: &[],
    },
    Crate {
        name: "lode-chain-exec",
        folder: "sidecar-chain/exec",
        may: &["lode-proofs", "lode-chain-state"],
    },
    Crate {
        name: "lode-chain-pool",
        folder: "sidecar-chain/pool",
        may: &[],
    },
    Crate {
        name: "lode-chain-ledger",
        folder: "sidecar-chain/ledger",
        may: &[
            "lode-chain-types",
            "lode-chain-state",
            "lode-chain-exec",
            "lode-chain-pool",
        ],
    },
    // Of the chain, the one crate that sees commonware: it turns blocks into its traits, and its
    // certificates into ours.
    Crate {
        name: "lode-chain-consensus",
        folder: "sidecar-chain/consensus",
        may: &["lode-proofs", "lode-chain-types"],
    },
    Crate {
        name: "lode-chain-rpc",
        folder: "sidecar-chain/rpc",
        may: &[
            "lode-chain-types",
            "lode-chain-state",
            "lode-chain-exec",
            "lode-chain-pool",
            "lode-chain-ledger",
        ],
    },
    Crate {
        name: "lode-chain-light",
        folder: "sidecar-chain/light",
        may: &["lode-proofs"],
    },
    Crate {
        name: "lode-chain",
        folder: "sidecar-chain",
        may: &[
            "lode-proofs",
            "lode-chain-types",
            "lode-chain-state",
            "lode-chain-light",
            "lode-chain-exec",
            "lode-chain-pool",
            "lode-chain-ledger",
            "lode-chain-consensus",
            "lode-chain-rpc",
        ],
    },
    Crate {
        name: "lode-chain-link",
        folder: "sidecar-chain/link",
        may: &["lode-proofs"],
    },
];

/// Programs: they may import every library, and nobody imports them.
const PROGRAMS: &[(&str, &str)] = &[
    ("lode", "tools/lode"),
    ("lode-compute", "tools/compute"),
    ("crash", "tools/crash"),
    ("sim", "tools/sim"),
    ("tidy", "tools/tidy"),
    ("benches", "benches"),
    ("fuzz", "fuzz"),
];

/// A foreign crate that only the named ones of ours may see; programs may see all but glommio.
/// A name that ends in `-` stands for all that begin with it.
struct Reserved {
    foreign: &'static [&'static str],
    to: &'static [&'static str],
    instead: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        foreign: &["glommio"],
        to: &["lode-world"],
        instead: "be generic over lode_world::World",
    },
    Reserved {
        foreign: &["io-uring", "rustix", "libc", "nix", "socket2", "memmap2"],
        to: &["lode-world"],
        instead: "be generic over lode_world::World",
    },
    Reserved {
        foreign: &[
            "tokio",
            "hyper",
            "hyper-util",
            "axum",
            "tonic",
            "jsonrpsee",
            "reqwest",
        ],
        to: &[
            "lode-world",
            "lode-da",
            "lode-edge",
            "lode-indexer",
            "lode-kv",
            "lode-peers",
            "lode-rollup",
            "lode-zgs",
            "lode-chain",
            "lode-chain-rpc",
            "lode-chain-link",
        ],
        instead: "spawn and sleep through World; foreign protocols belong to lode-edge",
    },
    Reserved {
        foreign: &[
            "rand",
            "getrandom",
            "fastrand",
            "rand-",
            "chrono",
            "time",
            "web-time",
        ],
        to: &["lode-world"],
        instead: "take randomness from World::random and time from World::now, as values",
    },
    Reserved {
        foreign: &["alloy", "alloy-", "ethers", "ethabi", "revm", "revm-"],
        to: &[
            "lode-chain",
            "lode-chain-consensus",
            "lode-chain-exec",
            "lode-chain-ledger",
            "lode-chain-light",
            "lode-chain-link",
            "lode-chain-pool",
            "lode-chain-rpc",
            "lode-chain-state",
            "lode-chain-types",
        ],
        instead: "only lode-chain-link knows an ABI; emit Anchor values and take Epoch values",
    },
    Reserved {
        foreign: &["commonware-"],
        to: &["lode-chain-consensus", "lode-da", "lode-net", "lode-peers"],
        instead: "take what lode-chain-consensus says in lode-chain-types",
    },
    Reserved {
        foreign: &[
            "rayon",
            "crossbeam",
            "crossbeam-",
            "parking_lot",
            "futures",
            "futures-",
        ],
        to: &[
            "lode-world",
            "lode-engine",
            "lode-da",
            "lode-edge",
            "lode-rollup",
            "lode-zgs",
            "lode-miner",
            "lode-chain",
            "lode-chain-consensus",
            "lode-chain-ledger",
            "lode-chain-link",
            "lode-chain-pool",
            "lode-chain-rpc",
            "lode-chain-state",
        ],
        instead: "lode-proofs is plain functions over bytes; the caller brings the threads",
    },
];

/// Every forbidden edge.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.files.iter().filter(|file| is_manifest(file)) {
        match manifest.text.parse::<Table>() {
            Ok(table) => check_manifest(manifest, &table, &mut findings),
            Err(error) => findings.push(manifest.finding(0, RULE, format!("not TOML: {error}"))),
        }
    }
    check_sources(tree, &mut findings);
    findings
}

fn is_manifest(file: &File) -> bool {
    file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml")
}

fn check_manifest(manifest: &File, table: &Table, findings: &mut Vec<Finding>) {
    if let Some(shared) = table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
    {
        check_hasher(manifest, shared.as_table(), true, findings);
    }
    let package = table
        .get("package")
        .and_then(|package| package.get("name")?.as_str());
    let Some(name) = package else { return };
    let folder = manifest
        .path
        .trim_end_matches("Cargo.toml")
        .trim_end_matches('/');
    let Some(may) = allowed(name, folder) else {
        let message = format!(
            "`{name}` in {folder}/ is not in the table: add it there, with what it may import"
        );
        findings.push(manifest.finding(0, RULE, message));
        return;
    };
    for (kind, dependencies) in dependency_tables(table) {
        check_hasher(manifest, Some(dependencies), false, findings);
        for (key, value) in dependencies {
            let imported = value
                .get("package")
                .and_then(|real| real.as_str())
                .unwrap_or(key);
            let line = line_of_key(&manifest.text, key);
            if let Some(message) = breach(name, &may, imported, kind) {
                findings.push(manifest.finding(line, RULE, message));
            }
        }
    }
}

/// What the crate may import of ours; `None` when the table does not know it.
fn allowed(name: &str, folder: &str) -> Option<Vec<&'static str>> {
    let library = LIBRARIES
        .iter()
        .find(|library| (library.name, library.folder) == (name, folder));
    let program = PROGRAMS.contains(&(name, folder));
    match library {
        Some(library) => Some(library.may.to_vec()),
        None => program.then(|| LIBRARIES.iter().map(|library| library.name).collect()),
    }
}

/// Every table of dependencies with its kind, those under `target` included.
fn dependency_tables(table: &Table) -> Vec<(&'static str, &Table)> {
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let targets = table.get("target").and_then(|targets| targets.as_table());
    let below = targets.into_iter().flat_map(|targets| targets.values());
    let places = std::iter::once(table).chain(below.filter_map(|target| target.as_table()));
    places
        .flat_map(|place| {
            kinds
                .into_iter()
                .filter_map(|kind| Some((kind, place.get(kind)?.as_table()?)))
        })
        .collect()
}

/// Why `name` may not import `imported`, if it may not.
fn breach(name: &str, may: &[&str], imported: &str, kind: &str) -> Option<String> {
    if PROGRAMS.iter().any(|(program, _)| *program == imported) {
        return Some(format!(
            "`{imported}` is a program: nobody imports it; move what is shared into a library"
        ));
    }
    if LIBRARIES.iter().any(|library| library.name == imported) {
        let message = || {
            let list = if may.is_empty() {
                "nothing of ours".to_owned()
            } else {
                may.join(", ")
            };
            format!(
                "`{name}` may not import `{imported}`, only {list}; pass plain values of lode-proofs instead"
            )
        };
        return (!may.contains(&imported)).then(message);
    }
    let reserved = RESERVED.iter().find(|reserved| {
        reserved.foreign.iter().any(|foreign| {
            imported == *foreign || (foreign.ends_with('-') && imported.starts_with(foreign))
        })
    })?;
    let program = PROGRAMS.iter().any(|(program, _)| *program == name);
    // A test may compare with anything but the runtime that only one crate may start.
    let exempt = imported != "glommio" && (program || kind == "dev-dependencies");
    (!exempt && !reserved.to.contains(&name))
        .then(|| format!("`{name}` may not see `{imported}`: {}", reserved.instead))
}

/// hashbrown is only allowed without its default hasher, which is seeded from the address space.
fn check_hasher(manifest: &File, table: Option<&Table>, root: bool, findings: &mut Vec<Finding>) {
    let Some(entry) = table.and_then(|table| table.get("hashbrown")) else {
        return;
    };
    let inherits = entry.get("workspace").is_some();
    let plain = entry
        .get("default-features")
        .and_then(|value| value.as_bool())
        == Some(false);
    let features = entry
        .get("features")
        .and_then(|features| features.as_array());
    let asks = features.is_some_and(|features| {
        features
            .iter()
            .any(|feature| matches!(feature.as_str(), Some("default" | "default-hasher")))
    });
    if asks || (!plain && !inherits && (root || manifest.is_inner())) {
        let line = line_of_key(&manifest.text, "hashbrown");
        let message = "hashbrown's default hasher differs between runs: set default-features = false \
                       and name a seeded hasher";
        findings.push(manifest.finding(line, RULE, message));
    }
}

/// Ways around a manifest: glommio outside its module, and files taken from another crate.
fn check_sources(tree: &Tree, findings: &mut Vec<Finding>) {
    for (file, scan) in tree.rust() {
        let home = file.path.starts_with("engine/world/src/uring");
        if !home {
            for found in paths::all(scan)
                .iter()
                .filter(|found| found.is_below("glommio"))
            {
                let message = "glommio lives in engine/world/src/uring only: use the World trait";
                findings.push(file.finding(found.line, RULE, message));
            }
        }
        for (index, line) in file.text.lines().enumerate() {
            let code = scan.code.lines().nth(index).unwrap_or_default();
            let takes = code.contains("#[path") || code.contains("include!(");
            if takes && line.contains("../") {
                let message = "takes source from another folder: import the crate instead";
                findings.push(file.finding(index + 1, RULE, message));
            }
        }
    }
}

/// The line on which `key` is set, or 0.
fn line_of_key(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches('"');
        let table = line
            .trim_start_matches('[')
            .trim_end()
            .trim_end_matches(']');
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with([' ', '.', '=', '"']))
            || (line.starts_with('[') && table.ends_with(&format!("dependencies.{key}")))
    };
    text.lines().position(sets).map_or(0, |index| index + 1)
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
