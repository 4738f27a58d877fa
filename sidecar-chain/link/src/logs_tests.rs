//! Whatever a node invents is found out by its name.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use alloy_primitives::U256;

use super::*;
use crate::{
    addresses::FLOW,
    flow_model::{Chain, by_of, event, submit_of},
    follow::{FollowError, Step},
    model::now,
    store::Store,
};

/// Logs of the block that a node invents, from the right submission; what it should be found out as.
type Invention = (
    &'static str,
    fn(&Chain, Submission),
    fn(FollowError) -> bool,
);

fn honest(chain: &Chain, of: &Submission, submit: alloy_primitives::LogData) {
    chain.log(FLOW, of.transaction, submit);
    chain.log(FLOW, of.transaction, by_of(of));
}

/// Logs of a submission that is changed before it is encoded.
fn told(chain: &Chain, mut of: Submission, change: fn(&mut Submission)) {
    change(&mut of);
    honest(chain, &of, submit_of(&of));
}

/// Logs of a submission whose event is changed.
fn forged(chain: &Chain, of: &Submission, change: fn(&mut Submit)) {
    let mut event = event(of);
    change(&mut event);
    honest(chain, of, event.encode_log_data());
}

fn is(error: FollowError, wanted: fn(&Lie) -> bool) -> bool {
    matches!(error, FollowError::Logs(LogsError::Lie { lie, .. }) if wanted(&lie))
}

const INVENTIONS: &[Invention] = &[
    (
        "a gap",
        |chain, of| told(chain, of, |of| of.seq += 1),
        |error| is(error, |lie| matches!(lie, Lie::Gap { expected: 2 })),
    ),
    (
        "a known number",
        |chain, of| told(chain, of, |of| of.seq -= 1),
        |error| is(error, |lie| matches!(lie, Lie::Gap { expected: 2 })),
    ),
    (
        "another start",
        |chain, of| told(chain, of, |of| of.start += 4096),
        |error| is(error, |lie| matches!(lie, Lie::Start { .. })),
    ),
    (
        "nobody's",
        |chain, of| told(chain, of, |of| of.submitter = [0; 20]),
        |error| {
            is(error, |lie| {
                matches!(lie, Lie::Invalid(InvalidSubmission::NoSubmitter))
            })
        },
    ),
    (
        "too long",
        |chain, of| told(chain, of, |of| of.size += 1),
        |error| {
            is(error, |lie| {
                matches!(lie, Lie::Invalid(InvalidSubmission::TooLong { .. }))
            })
        },
    ),
    (
        "other sectors",
        |chain, of| forged(chain, &of, |event| event.length += U256::ONE),
        |error| is(error, |lie| matches!(lie, Lie::Sectors { .. })),
    ),
    (
        "another root",
        |chain, of| {
            forged(chain, &of, |event| {
                event.submission.nodes[0].root = [6; 32].into()
            })
        },
        |error| is(error, |lie| matches!(lie, Lie::Identity { .. })),
    ),
    (
        "no sender",
        |chain, of| chain.log(FLOW, of.transaction, submit_of(&of)),
        |error| is(error, |lie| matches!(lie, Lie::NoSender)),
    ),
    (
        "no sender before the next",
        |chain, of| {
            chain.log(FLOW, of.transaction, submit_of(&of));
            honest(chain, &of, submit_of(&of));
        },
        |error| is(error, |lie| matches!(lie, Lie::NoSender)),
    ),
    (
        "a sender of another transaction",
        |chain, of| {
            chain.log(FLOW, of.transaction, submit_of(&of));
            chain.log(FLOW, [1; 32], by_of(&of));
        },
        |error| is(error, |lie| matches!(lie, Lie::NoSender)),
    ),
    (
        "nothing that was sent",
        |chain, of| chain.log(FLOW, of.transaction, by_of(&of)),
        |error| is(error, |lie| matches!(lie, Lie::NoSubmission)),
    ),
    (
        "a number past 64 bits",
        |chain, of| forged(chain, &of, |event| event.startPos = U256::MAX),
        |error| {
            matches!(
                error,
                FollowError::Logs(LogsError::Log {
                    block: Some(2),
                    why: LogError::Range { .. },
                    ..
                })
            )
        },
    ),
    (
        "no event at all",
        |chain, of| {
            let mut data = submit_of(&of);
            data.data = data.data.slice(..40);
            honest(chain, &of, data);
        },
        |error| {
            matches!(
                error,
                FollowError::Logs(LogsError::Log {
                    block: Some(2),
                    index: Some(1),
                    why: LogError::Decode(_)
                })
            )
        },
    ),
    (
        "no transaction",
        |chain, of| {
            honest(chain, &of, submit_of(&of));
            let mut inside = chain.model.0.borrow_mut();
            inside.blocks.last_mut().unwrap().logs[1].transaction_hash = None;
        },
        |error| {
            matches!(
                error,
                FollowError::Logs(LogsError::Log {
                    why: LogError::Missing { .. },
                    ..
                })
            )
        },
    ),
];

/// Whatever a node invents has its name, and changes nothing: an honest node is followed after it.
#[test]
fn lies_are_named() {
    for (name, invent, found_out) in INVENTIONS {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut chain = Chain::new(4);
        chain.mine(2);
        let mut follow = chain.follow(&store);
        let Step::Submissions { mark, .. } = now(follow.step()).unwrap() else {
            panic!("a step")
        };
        follow.commit(mark).unwrap();
        chain.model.mine(&[7]);
        let right = chain.make(&chain.all());
        invent(&chain, right);
        let error = now(follow.step()).unwrap_err();
        assert!(found_out(error), "{name}");
        chain.model.0.borrow_mut().blocks.pop();
        chain.mine(1);
        let Step::Submissions { list, .. } = now(follow.step()).unwrap() else {
            panic!("a step")
        };
        assert_eq!(list, chain.blocks[2], "{name}");
    }
}

/// Logs whose blocks go down, though their numbers go up.
#[test]
fn blocks_go_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut chain = Chain::new(5);
    chain.mine(1);
    chain.mine(1);
    let follow = chain.follow(&store);
    {
        let mut inside = chain.model.0.borrow_mut();
        for (block, number) in [(1, 2), (2, 1)] {
            for log in &mut inside.blocks[block].logs {
                log.block_number = Some(number);
            }
        }
    }
    let error = now(follow.step()).unwrap_err();
    assert!(is(error, |lie| matches!(
        lie,
        Lie::Block {
            block: 1,
            first: 2,
            last: 2
        }
    )));
}
