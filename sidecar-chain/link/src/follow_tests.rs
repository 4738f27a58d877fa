//! A book that follows has what the chain took: through lost messages, restarts, reorgs, nodes that are
//! behind and nodes that lie.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::{
    addresses::FLOW,
    flow_model::Chain,
    model::{Model, now},
};

/// A reader's book: takes a submission only if it is the next one.
#[derive(Default)]
struct Notes(Vec<Submission>);

impl Notes {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Idle => {}
            Step::Submissions { list, upto, .. } => {
                for of in list {
                    assert!(of.block <= upto.number);
                    let known = self.0.get(usize::try_from(of.seq).unwrap());
                    match known {
                        Some(known) => assert_eq!(known, of, "the same step again"),
                        None => {
                            assert_eq!(of.seq, u64::try_from(self.0.len()).unwrap());
                            self.0.push(of.clone());
                        }
                    }
                }
            }
            Step::Back { to, .. } => self.back(*to),
        }
    }

    fn back(&mut self, to: Option<BlockRef>) {
        self.0
            .retain(|of| to.is_some_and(|to| of.block <= to.number));
    }
}

fn commit(follow: &mut Follow<Model>, step: Step) {
    if let Step::Submissions { mark, .. } | Step::Back { mark, .. } = step {
        follow.commit(mark).unwrap();
    }
}

/// For forty seeds: blocks come and go, messages are lost, nodes are behind, the reader dies before
/// or after it commits. In the end its book is what the chain took, field by field. Every other flow
/// does not log who called it.
#[test]
fn follows_the_chain_that_stays() {
    for seed in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (mut chain, mut notes) = (Chain::new(seed), Notes::default());
        chain.unsaid = seed % 2 == 1;
        chain.model.0.borrow_mut().loses = 7;
        for turn in 0..40 {
            for _ in 0..chain.model.random(4) {
                let count = chain.model.random(3);
                chain.mine(count);
            }
            if chain.model.random(5) == 0 {
                let back = usize::try_from(chain.model.random(5)).unwrap();
                chain.reorg(back);
            }
            let len = u64::try_from(chain.blocks.len()).unwrap();
            let behind = chain.model.random(3).min(len - 1);
            chain.model.0.borrow_mut().behind = usize::try_from(behind).unwrap();
            let last = turn == 39;
            if last {
                // A chain that went back goes on, and then it shows.
                (0..8).for_each(|_| chain.mine(1));
                let mut inside = chain.model.0.borrow_mut();
                (inside.loses, inside.behind) = (0, 0);
            }
            let mut follow = chain.follow(&store);
            notes.back(follow.stands());
            let tries = if last { 10 } else { chain.model.random(4) };
            for _ in 0..tries {
                let step = match now(follow.step()) {
                    Ok(step) => step,
                    Err(FollowError::Node(_) | FollowError::Watch(WatchError::Node(_))) => continue,
                    Err(error) => panic!("seed {seed}: {error}"),
                };
                notes.take(&step);
                if !last && chain.model.random(4) == 0 {
                    break;
                }
                commit(&mut follow, step);
            }
        }
        assert_eq!(notes.0, chain.all(), "seed {seed}");
    }
}

/// A node that is behind takes nothing back, however far; another block at a height does.
#[test]
fn who_is_behind_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut chain = Chain::new(1);
    let mut follow = chain.follow(&store);
    for _ in 0..70 {
        chain.mine(1);
        let step = now(follow.step()).unwrap();
        commit(&mut follow, step);
    }
    let stands = follow.stands();
    for behind in [1, 5, 40] {
        chain.model.0.borrow_mut().behind = behind;
        let step = now(follow.step()).unwrap();
        assert!(matches!(step, Step::Idle), "{behind} behind: {step:?}");
    }
    chain.model.0.borrow_mut().behind = 69;
    let far = now(follow.step()).unwrap_err();
    assert!(
        matches!(far, FollowError::Watch(WatchError::Node(_))),
        "{far}"
    );
    chain.model.0.borrow_mut().behind = 0;
    assert!(matches!(now(follow.step()).unwrap(), Step::Idle));
    assert_eq!(follow.stands(), stands);
    chain.reorg(3);
    let Step::Back { to, mark } = now(follow.step()).unwrap() else {
        panic!("a step back")
    };
    assert_eq!(to.unwrap().number, 67);
    follow.commit(mark).unwrap();
    assert_eq!(follow.stands(), to);
    let Step::Submissions { list, .. } = now(follow.step()).unwrap() else {
        panic!("a step")
    };
    assert_eq!(list, chain.blocks[68]);
}

/// What an uncommitted step said is said again by the next reader; one that commits goes on behind it.
#[test]
fn a_step_comes_until_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut chain = Chain::new(2);
    chain.mine(2);
    for _ in 0..2 {
        let follow = chain.follow(&store);
        assert_eq!(follow.stands(), None);
        let Step::Submissions { list, upto, .. } = now(follow.step()).unwrap() else {
            panic!("a step")
        };
        assert_eq!((list, upto.number), (chain.all(), 1));
    }
    let mut follow = chain.follow(&store);
    let step = now(follow.step()).unwrap();
    commit(&mut follow, step);
    chain.mine(1);
    let follow = chain.follow(&store);
    assert_eq!(follow.stands().unwrap().number, 1);
    let Step::Submissions { list, .. } = now(follow.step()).unwrap() else {
        panic!("a step")
    };
    assert_eq!(list, chain.blocks[2]);
    // A store that has one of cursor and tallies only is not gone on with.
    store.remove("follow/test").unwrap();
    let open = Follow::open(chain.model.clone(), store, "test", FLOW, 0);
    assert!(matches!(
        open,
        Err(FollowError::Store(StoreError::Missing { .. }))
    ));
}

/// The contract's root after a submission, and none before there is one.
#[test]
fn asks_for_roots() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let chain = Chain::new(3);
    chain.model.0.borrow_mut().flow_roots = vec![[4; 32].into(), [5; 32].into()];
    let follow = chain.follow(&store);
    assert_eq!(now(follow.root_after(1)).unwrap(), Some(Hash32([5; 32])));
    assert_eq!(now(follow.root_after(2)).unwrap(), None);
    let elsewhere = Follow::open(chain.model.clone(), store, "other", Address::ZERO, 0).unwrap();
    assert!(now(elsewhere.root_after(1)).is_err());
}

/// A mark from before senders could be learned otherwise is of a flow that logs them, unless nothing was
/// submitted yet.
#[test]
fn older_marks() {
    let tally = |next: u64| {
        let hash = alloy_primitives::B256::ZERO;
        let told =
            serde_json::json!({"block": {"number": 1, "hash": hash}, "next": next, "length": 1});
        serde_json::from_value::<Tally>(told).unwrap().senders()
    };
    assert_eq!(tally(0), None);
    assert_eq!(tally(1), Some(Senders::Logged));
}
