//! Pieces are a map from root and index: through restarts, many callers at once, and SIGKILL.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Instant,
};

use proptest::prelude::*;

use super::*;
use crate::model::Dice;

fn root(number: u64) -> Hash32 {
    Dice(number).hash()
}

/// The piece of a chunk: a chunk has one.
fn piece(root: Hash32, index: u64) -> Piece {
    let seed = u64::from_le_bytes(*root.0.first_chunk().unwrap()) ^ index;
    let mut dice = Dice(seed);
    let count = if index.is_multiple_of(7) {
        46
    } else {
        dice.below(5)
    };
    Piece {
        chunk_root: dice.hash(),
        siblings: (0..count).map(|_| dice.hash()).collect(),
    }
}

#[derive(Clone, Debug)]
enum Act {
    Put(u64, u64),
    Forget(u64),
    Prune(u64),
    Unprune(u64),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let index = prop_oneof![0..12_u64, any::<u64>()];
    prop_oneof![
        8 => (0..4_u64, index).prop_map(|(root, index)| Act::Put(root, index)),
        1 => (0..4_u64).prop_map(Act::Forget),
        1 => (0..4_u64).prop_map(Act::Prune),
        1 => (0..4_u64).prop_map(Act::Unprune),
        1 => Just(Act::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    pieces: BTreeMap<Hash32, BTreeMap<u64, Piece>>,
    pruned: BTreeSet<Hash32>,
}

impl Model {
    fn put(&mut self, pieces: &Pieces, root: Hash32, index: u64) {
        let put = pieces.put(root, index, &piece(root, index));
        if self.pruned.contains(&root) {
            assert!(matches!(put, Err(PieceError::Pruned { .. })));
            return;
        }
        let there = self.pieces.entry(root).or_default();
        let new = there.insert(index, piece(root, index)).is_none();
        assert_eq!(put.unwrap(), if new { Put::New } else { Put::Known });
    }

    fn compare(&self, pieces: &Pieces) {
        for root in (0..4).map(root) {
            let none = BTreeMap::new();
            let there = self.pieces.get(&root).unwrap_or(&none);
            let count = u64::try_from(there.len()).unwrap();
            assert_eq!(pieces.count(root).unwrap(), count);
            assert_eq!(pieces.pruned(root).unwrap(), self.pruned.contains(&root));
            let indices: Vec<u64> = there.keys().copied().collect();
            assert_eq!(pieces.indices(root, 0, usize::MAX).unwrap(), indices);
            let later: Vec<u64> = there.range(5..).map(|(index, _)| *index).take(2).collect();
            assert_eq!(pieces.indices(root, 5, 2).unwrap(), later);
            for index in indices.into_iter().chain(0..12) {
                assert_eq!(pieces.get(root, index).unwrap().as_ref(), there.get(&index));
            }
        }
        let full = self.pieces.iter().filter(|(_, there)| !there.is_empty());
        let roots: Vec<Hash32> = full.map(|(root, _)| *root).collect();
        assert_eq!(pieces.roots(None, 99).unwrap(), roots);
        for (at, root) in roots.iter().enumerate() {
            assert_eq!(pieces.roots(Some(*root), 99).unwrap(), roots[at + 1..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is put, forgotten, pruned and opened again, all that can be asked is as in a map.
    #[test]
    fn is_a_map(acts in prop::collection::vec(act(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut pieces, mut model) = (Some(Pieces::open(dir.path()).unwrap()), Model::default());
        for act in acts {
            let open = pieces.as_ref().unwrap();
            match act {
                Act::Put(number, index) => model.put(open, root(number), index),
                Act::Forget(number) => {
                    open.forget(root(number)).unwrap();
                    model.pieces.remove(&root(number));
                }
                Act::Prune(number) => {
                    open.prune(root(number)).unwrap();
                    model.pieces.remove(&root(number));
                    model.pruned.insert(root(number));
                }
                Act::Unprune(number) => {
                    open.unprune(root(number)).unwrap();
                    model.pruned.remove(&root(number));
                }
                Act::Reopen => {
                    drop(pieces.take());
                    pieces = Some(Pieces::open(dir.path()).unwrap());
                }
            }
            model.compare(pieces.as_ref().unwrap());
        }
    }
}

/// A chunk has one proof, and none that is longer than a chunk's can be.
#[test]
fn other_proofs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (pieces, root) = (Pieces::open(dir.path()).unwrap(), root(1));
    assert_eq!(pieces.put(root, 3, &piece(root, 3)).unwrap(), Put::New);
    let other = pieces.put(root, 3, &piece(root, 4));
    assert!(matches!(other, Err(PieceError::Other { index: 3, .. })));
    let mut long = piece(root, 7);
    assert_eq!(pieces.put(root, 7, &long).unwrap(), Put::New);
    long.siblings.push(root);
    let long = pieces.put(root, 8, &long);
    assert!(matches!(long, Err(PieceError::TooLong { count: 47 })));
    assert_eq!(pieces.count(root).unwrap(), 2);
    assert_eq!(pieces.get(root, 3).unwrap(), Some(piece(root, 3)));
}

/// Sixteen callers put the same chunks of a blob at once, some with a wrong proof: each chunk is new
/// to one of them, and the count is right.
#[test]
fn many_callers() {
    let dir = tempfile::tempdir().unwrap();
    let (pieces, root) = (Pieces::open(dir.path()).unwrap(), root(2));
    let new = std::thread::scope(|scope| {
        let callers = (0..16_u64).map(|caller| {
            let pieces = pieces.clone();
            scope.spawn(move || {
                let mut new = 0;
                for index in (0..40).map(|at| (at + caller) % 40) {
                    match pieces.put(root, index, &piece(root, index)).unwrap() {
                        Put::New => new += 1,
                        Put::Known => {}
                    }
                    let wrong = pieces.put(root, index, &piece(root, index + 1));
                    assert!(matches!(wrong, Err(PieceError::Other { .. })));
                }
                new
            })
        });
        let callers: Vec<_> = callers.collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum::<u64>()
    });
    assert_eq!(new, 40);
    assert_eq!(pieces.count(root).unwrap(), 40);
    assert_eq!(
        pieces.indices(root, 0, 99).unwrap(),
        (0..40).collect::<Vec<_>>()
    );
}

/// More pieces than one batch removes are forgotten too; the neighbours stay.
#[test]
fn a_long_blob_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let pieces = Pieces::open(dir.path()).unwrap();
    let long = u64::try_from(FORGET_MAX).unwrap() + 3;
    let jobs = (0..long).map(|index| Job {
        root: root(0),
        index,
        value: piece(root(0), index).encode(),
    });
    for put in pieces.0.write(jobs.collect()) {
        assert_eq!(put.unwrap(), Put::New);
    }
    pieces.put(root(1), 0, &piece(root(1), 0)).unwrap();
    assert_eq!(pieces.count(root(0)).unwrap(), long);
    pieces.prune(root(0)).unwrap();
    assert_eq!(pieces.count(root(0)).unwrap(), 0);
    assert_eq!(pieces.indices(root(0), 0, 9).unwrap(), []);
    assert_eq!(pieces.count(root(1)).unwrap(), 1);
}

/// What a crash cut short is finished by the next opening, before anybody asks.
#[test]
fn forgetting_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let pieces = Pieces::open(dir.path()).unwrap();
    for (number, index) in [(0, 0), (0, 1), (1, 0), (2, 5)] {
        let root = root(number);
        pieces.put(root, index, &piece(root, index)).unwrap();
    }
    pieces.0.doom(root(0), true).unwrap();
    pieces.0.doom(root(1), false).unwrap();
    drop(pieces);
    let pieces = Pieces::open(dir.path()).unwrap();
    let mut model = Model::default();
    model
        .pieces
        .insert(root(2), BTreeMap::from([(5, piece(root(2), 5))]));
    model.pruned.insert(root(0));
    model.compare(&pieces);
    model.put(&pieces, root(1), 3);
    model.compare(&pieces);
}

const CHILD: &str = "LODE_FLOW_PIECES_CHILD";
/// Threads of the child.
const CALLERS: u64 = 4;
/// Pieces of a blob before it is forgotten.
const BLOB: u64 = 40;

fn blob(caller: u64, life: u64) -> Hash32 {
    root(1_000 + caller * 1_000_000 + life)
}

fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Not a test of its own: the process that [`survives_sigkill`] kills.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let pieces = Pieces::open(dir).unwrap();
    let first = std::env::var("LODE_FLOW_LIFE").unwrap().parse().unwrap();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let pieces = &pieces;
            scope.spawn(move || {
                for life in first.. {
                    let root = blob(caller, life);
                    for index in 0..BLOB {
                        pieces.put(root, index, &piece(root, index)).unwrap();
                        say(format_args!("put {caller} {life} {index}"));
                    }
                    pieces.forget(root).unwrap();
                    say(format_args!("gone {caller} {life} 0"));
                }
            });
        }
    });
}

/// A process whose threads put and forget is killed at any moment, again and again: what it said was
/// put is there, what it said was forgotten is gone, and counts are what there is.
#[test]
fn survives_sigkill() {
    let (dir, mut dice) = (tempfile::tempdir().unwrap(), Dice(4));
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pieces::tests::child", "--nocapture"])
            .env(CHILD, dir.path())
            .env("LODE_FLOW_LIFE", (round * 1000).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = usize::try_from(1 + dice.below(300)).unwrap();
        let mut said: Vec<Said> = Vec::new();
        while said.len() < wanted {
            said.extend(Said::read(&lines.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(
            lines
                .map_while(Result::ok)
                .filter_map(|line| Said::read(&line)),
        );
        check(&Pieces::open(dir.path()).unwrap(), &said);
    }
}

/// What the child says it has done.
#[derive(Clone, Copy)]
struct Said {
    gone: bool,
    caller: u64,
    life: u64,
    index: u64,
}

impl Said {
    fn read(line: &str) -> Option<Said> {
        let mut words = line.split(' ');
        let word = words.next()?;
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let &[caller, life, index] = &numbers[..] else {
            return None;
        };
        let gone = word == "gone";
        (gone || word == "put").then_some(Said {
            gone,
            caller,
            life,
            index,
        })
    }
}

fn check(pieces: &Pieces, said: &[Said]) {
    let mut put: BTreeMap<Hash32, BTreeSet<u64>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for said in said {
        let root = blob(said.caller, said.life);
        if said.gone {
            gone.insert(root);
        } else {
            put.entry(root).or_default().insert(said.index);
        }
    }
    for (root, put) in put {
        let there = pieces.indices(root, 0, 99).unwrap();
        let count = u64::try_from(there.len()).unwrap();
        assert_eq!(pieces.count(root).unwrap(), count);
        for index in &there {
            assert_eq!(pieces.get(root, *index).unwrap(), Some(piece(root, *index)));
        }
        let whole = u64::try_from(put.len()).unwrap() == BLOB;
        if there.is_empty() {
            assert!(
                gone.contains(&root) || whole,
                "pieces that were put are lost"
            );
        } else {
            assert!(
                !gone.contains(&root),
                "pieces that were forgotten are there"
            );
            assert!(put.is_subset(&there.into_iter().collect()));
        }
    }
}

/// Not a test: prints how many pieces are put in a second by one caller and by many.
#[test]
#[ignore = "a measurement: cargo test -p lode-flow -- --ignored --nocapture puts_a_second"]
fn puts_a_second() {
    for (callers, each) in [(1_u32, 400_u32), (8, 200), (64, 200)] {
        let dir = tempfile::tempdir().unwrap();
        let pieces = Pieces::open(dir.path()).unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            for caller in 0..callers {
                let pieces = &pieces;
                scope.spawn(move || {
                    let root = root(u64::from(caller));
                    for index in 0..u64::from(each) {
                        pieces.put(root, index, &piece(root, 1)).unwrap();
                    }
                });
            }
        });
        let rate = f64::from(callers * each) / start.elapsed().as_secs_f64();
        println!("{callers} callers: {rate:.0} pieces/s");
    }
}
