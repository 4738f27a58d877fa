//! A reader sees what the chain logged: through lost messages, restarts, and chains that go back.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::model::{Model, now};

/// A reader's own notes: each mark with its block.
#[derive(Default)]
struct Notes(std::collections::BTreeSet<(u64, u64)>);

impl Notes {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Idle => {}
            Step::Logs { logs, .. } => self.0.extend(logs.iter().map(noted)),
            Step::Back { to, .. } => self
                .0
                .retain(|(block, _)| to.is_some_and(|to| *block <= to)),
        }
    }
}

fn noted(log: &Log) -> (u64, u64) {
    let mark = u64::from_be_bytes(log.inner.data.data[..].try_into().unwrap());
    (log.block_number.unwrap(), mark)
}

fn all(model: &Model) -> Vec<(u64, u64)> {
    let inside = model.0.borrow();
    inside
        .blocks
        .iter()
        .flat_map(|block| block.logs.iter().map(noted))
        .collect()
}

/// For a hundred seeds: blocks come and go, messages are lost, the reader dies before or after it
/// commits. In the end its notes are the chain's logs, no more and no less.
#[test]
fn reads_the_chain_that_stays() {
    for seed in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (model, mut notes) = (Model::new(seed), Notes::default());
        model.mine(&[1_000_000]);
        model.0.borrow_mut().loses = 5;
        let mut mark = 0;
        for turn in 0..60 {
            for _ in 0..model.random(4) {
                mark += 1;
                model.mine(&[mark, mark + 1_000]);
            }
            if model.random(6) == 0 {
                let back = usize::try_from(model.random(5)).unwrap();
                let len = model.0.borrow().blocks.len();
                model
                    .0
                    .borrow_mut()
                    .blocks
                    .truncate(len.saturating_sub(back).max(1));
                model.mine(&[mark + 2_000]);
            }
            if turn == 59 {
                model.0.borrow_mut().loses = 0;
            }
            let mut watch =
                Watch::open(model.clone(), store.clone(), "test", Vec::new(), 0).unwrap();
            // What was done after the last commit does not count.
            let next = watch.cursor().next();
            notes.0.retain(|(block, _)| *block < next);
            let tries = if turn == 59 { 10 } else { model.random(4) };
            for _ in 0..tries {
                let Ok(step) = now(watch.step()) else {
                    continue;
                };
                notes.take(&step);
                if turn < 59 && model.random(4) == 0 {
                    break;
                }
                if let Step::Logs { cursor, .. } | Step::Back { cursor, .. } = step {
                    watch.commit(cursor).unwrap();
                }
            }
        }
        let expected = all(&model).into_iter().collect();
        assert_eq!(notes.0, expected, "seed {seed}");
    }
}

/// A chain that shares nothing with what was read, as far as that is remembered, is refused.
#[test]
fn another_chain_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(1);
    model.mine(&[]);
    let mut watch = Watch::open(model.clone(), store, "test", Vec::new(), 0).unwrap();
    for _ in 0..=ENDS_KEPT {
        let Step::Logs { cursor, .. } = now(watch.step()).unwrap() else {
            panic!("a step")
        };
        watch.commit(cursor).unwrap();
        model.mine(&[]);
    }
    model.0.borrow_mut().blocks.clear();
    for _ in 0..100 {
        model.mine(&[]);
    }
    let error = now(watch.step()).unwrap_err();
    assert!(matches!(error, WatchError::OtherChain { .. }), "{error}");
}

/// A long way is walked in steps of bounded length.
#[test]
fn steps_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(1);
    for _ in 0..STEP_BLOCKS + 10 {
        model.mine(&[]);
    }
    let mut watch = Watch::open(model, store, "test", Vec::new(), 0).unwrap();
    for next in [STEP_BLOCKS, STEP_BLOCKS + 10] {
        let Step::Logs { cursor, .. } = now(watch.step()).unwrap() else {
            panic!("a step")
        };
        assert_eq!(cursor.next(), next);
        watch.commit(cursor).unwrap();
    }
    assert!(matches!(now(watch.step()).unwrap(), Step::Idle));
}
