//! Banned calls and attributes. Below tools/ the world comes in through one trait, so that a seed
//! can replay a run: files, sockets, clocks, threads and chance are taken from `World`, which is
//! the one crate that may call the system. Tests, programs, benches and fuzz targets may do IO.

use crate::{
    paths::{self, Found},
    scan::Scan,
    tree::{Finding, Tree},
};

const RULE: &str = "calls";

/// Types of `std::net` that are plain values.
const ADDRESSES: [&str; 7] = [
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::AddrParseError",
];

/// Below this path: banned, with what to use instead.
const BELOW: &[(&str, &str)] = &[
    ("std::fs", "use World::disk and its File"),
    ("std::net", "use World's Net; plain addresses are fine"),
    ("std::os::unix::net", "use World's Net"),
    ("std::time::SystemTime", "use World::unix_secs"),
    ("std::time::UNIX_EPOCH", "use World::unix_secs"),
    ("std::time::Instant", "use World::now"),
    (
        "std::thread",
        "use World::spawn, World::sleep or World::breathe",
    ),
    ("std::process", "start processes in tools/"),
    ("std::collections::HashMap", UNSEEDED),
    ("std::collections::HashSet", UNSEEDED),
    ("std::collections::hash_map", UNSEEDED),
    ("std::collections::hash_set", UNSEEDED),
    ("std::hash::RandomState", UNSEEDED),
    ("ahash::RandomState", UNSEEDED),
    ("foldhash::fast::RandomState", UNSEEDED),
    ("rand", "use World::random"),
    ("getrandom", "use World::random"),
    ("tokio::fs", "use World::disk and its File"),
];

/// At the end of a path: banned, however it was imported.
const ENDINGS: &[(&str, &str)] = &[
    ("SystemTime::now", "use World::unix_secs"),
    ("Instant::now", "use World::now"),
    ("thread::spawn", "use World::spawn"),
    ("thread::sleep", "use World::sleep"),
    ("RandomState::new", UNSEEDED),
];

const UNSEEDED: &str =
    "its order differs between runs: use BTreeMap, or hashbrown with a seeded hasher";

/// Macros that write to the terminal.
const PRINTS: [&str; 4] = ["println", "print", "eprintln", "eprint"];

/// Every banned call and attribute.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, scan) in tree.rust() {
        let mut calls = Vec::new();
        if takes_the_world(&file.path) && file.is_inner() {
            calls.extend(paths::all(scan).iter().filter_map(banned_path));
        }
        // The simulated world tells its seed where a run panics; nobody else hears it then.
        // And a build script talks to cargo.
        let talks =
            file.path.starts_with("engine/world/src/sim") || file.path.ends_with("build.rs");
        if file.is_inner() && !talks {
            calls.extend(prints(scan));
        }
        calls.extend(unwraps(scan));
        calls.retain(|(line, _)| !file.is_test_line(*line));
        calls.extend(attributes(scan));
        findings.extend(
            calls
                .into_iter()
                .map(|(line, message)| file.finding(line, RULE, message)),
        );
    }
    findings
}

/// True where everything of the machine must come in through `World`. The simulated world is such a
/// place too: a clock or a thread of the machine would break its replay.
fn takes_the_world(path: &str) -> bool {
    let real_world = path.starts_with("engine/world/") && !path.starts_with("engine/world/src/sim");
    let service = SERVICES.iter().any(|folder| path.starts_with(folder));
    !real_world && !service && !path.ends_with("build.rs")
}

/// The chain as a service has threads and clocks of its own: what is replayed from seeds there is
/// consensus, in the runtime that its library brings. What the chain computes is below, and bound.
/// Storage nodes among each other, and holders of data availability, are replayed in the same runtime. What
/// speaks 0G's protocol is a service of its own: its clocks are those of connections, its files a socket and
/// the operator's word.
const SERVICES: [&str; 8] = [
    "engine/da/src/",
    "engine/net/src/",
    "engine/edge/peers/src/",
    "engine/edge/zgs/src/",
    "sidecar-chain/src/",
    "sidecar-chain/consensus/src/",
    "sidecar-chain/ledger/src/",
    "sidecar-chain/rpc/src/",
];

fn banned_path(found: &Found) -> Option<(usize, String)> {
    let value = ADDRESSES.iter().any(|address| found.is_below(address));
    // Asks whether this thread is unwinding; starts nothing and waits for nothing.
    if value || found.is_below("std::thread::panicking") {
        return None;
    }
    let below = BELOW.iter().find(|(path, _)| found.is_below(path));
    let ending = || ENDINGS.iter().find(|(path, _)| found.ends_with(path));
    let (_, instead) = below.or_else(ending)?;
    Some((
        found.line,
        format!("`{}` is banned here: {instead}", found.path),
    ))
}

fn prints(scan: &Scan) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for name in PRINTS {
        for at in scan
            .words(name)
            .filter(|at| scan.code[at + name.len()..].starts_with('!'))
        {
            let message =
                format!("`{name}!` in a library: return a value, or record a tracing event");
            found.push((scan.line_of(at), message));
        }
    }
    found
}

fn unwraps(scan: &Scan) -> Vec<(usize, String)> {
    let calls = scan.words("unwrap").filter(|&at| {
        let before = scan.code[..at].trim_end();
        before.ends_with('.')
            && scan.code[at + "unwrap".len()..]
                .trim_start()
                .starts_with("()")
    });
    let message =
        "`unwrap()` outside tests: pass the error on with `?`, or state the fact with `expect`";
    calls
        .map(|at| (scan.line_of(at), message.to_owned()))
        .collect()
}

/// Attributes that silence something without saying why. They need a reason in tests too.
fn attributes(scan: &Scan) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in scan.code.match_indices("#[ignore]") {
        let message = "`#[ignore]` without a reason: write #[ignore = \"why, and how to run it\"]";
        found.push((scan.line_of(at), message.to_owned()));
    }
    for name in ["allow", "expect"] {
        for at in scan.words(name) {
            let opens = scan.code[..at].trim_end();
            if !opens.ends_with("#[") && !opens.ends_with("#![") {
                continue;
            }
            let attribute = scan.code[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason") {
                let message = format!("`#[{name}]` without a reason: add reason = \"…\"");
                found.push((scan.line_of(at), message));
            }
        }
    }
    found
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

    /// Proves that each banned call is found, and that the message names the replacement.
    #[test]
    fn finds_each_banned_call() {
        let cases = [
            ("use std::{io, fs::File};", "World::disk"),
            ("fn f() { std::fs::read(p) }", "World::disk"),
            ("use std::net::{SocketAddr, TcpStream};", "World's Net"),
            ("use std::net;", "World's Net"),
            ("use std::time::{Duration, Instant};", "World::now"),
            ("fn f() { let t = time::Instant::now(); }", "World::now"),
            ("fn f() { SystemTime::now() }", "World::unix_secs"),
            ("fn f() { thread::spawn(g) }", "World::spawn"),
            ("use std::collections::{BTreeMap, HashMap};", "BTreeMap"),
            (
                "type T = std::collections::HashSet<u8>;",
                "hashbrown with a seeded",
            ),
            ("fn f() { rand::random() }", "World::random"),
            ("fn f() { g()\n.unwrap() }", "expect"),
            ("fn f() { println!(\"x\") }", "tracing"),
            ("#[ignore]\nfn f() {}", "#[ignore = "),
            ("#[allow(dead_code)]\nfn f() {}", "reason"),
            ("#![expect(dead_code)]", "reason"),
        ];
        for (source, expected) in cases {
            let found = messages("engine/src/log.rs", source);
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }

    /// Proves that values, comments, strings and reasons pass.
    #[test]
    fn passes_what_is_allowed() {
        let sources = [
            "use std::net::{IpAddr, SocketAddr};",
            "fn f() -> bool { std::thread::panicking() }",
            "use core::net::SocketAddr; use std::time::Duration;",
            "// std::fs::read and .unwrap()\nconst A: &str = \"std::fs::read\";",
            "fn f() { x.unwrap_or(1); y.unwrap_or_default(); z.expect(\"why\"); }",
            "#[allow(dead_code, reason = \"kept for the table\")]\nfn f() {}",
            "#[ignore = \"needs root\"]\nfn f() {}",
            "use hashbrown::HashMap;",
            "#[cfg(test)]\nmod tests {\n use std::fs;\n fn f() { fs::read(p).unwrap(); println!(); }\n}",
        ];
        for source in sources {
            let found = messages("engine/src/log.rs", source);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    /// Proves where IO is allowed: the world, programs, benches, fuzz targets and tests.
    #[test]
    fn knows_where_io_belongs() {
        let io = "fn f() { std::fs::read(p); Instant::now(); }";
        for path in [
            "engine/world/src/posix/pool.rs",
            "tools/lode/src/main.rs",
            "benches/src/disk.rs",
            "fuzz/src/main.rs",
            "engine/tests/replay.rs",
            "engine/src/log/tests.rs",
        ] {
            assert!(messages(path, io).is_empty(), "{path}");
        }
        for path in [
            "proofs/src/tree.rs",
            "engine/edge/src/http.rs",
            "miner/src/lib.rs",
        ] {
            assert_eq!(messages(path, io).len(), 2, "{path}");
        }
    }
}
