//! A flow that does not log who called it is followed as one that does; who signed is found, and no
//! other is believed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::{
    addresses::FLOW,
    flow_model::{Chain, by_of, submit_of},
    follow::{Follow, FollowError, Step},
    logs::Senders,
    model::{Model, now},
    store::Store,
};

fn unsaid(seed: u64) -> Chain {
    let mut chain = Chain::new(seed);
    chain.unsaid = true;
    chain
}

/// Reads on until there is nothing new; what came, and went.
fn read(follow: &mut Follow<Model>, book: &mut Vec<Submission>) -> Result<(), FollowError> {
    loop {
        let mark = match now(follow.step())? {
            Step::Idle => return Ok(()),
            Step::Submissions { list, mark, .. } => {
                book.extend(list);
                mark
            }
            Step::Back { to, mark } => {
                book.retain(|of| to.is_some_and(|to| of.block <= to.number));
                mark
            }
        };
        follow.commit(mark).unwrap();
    }
}

/// With and without SubmitBy the same is read, through reorgs and restarts; only one of the two asks
/// for transactions.
#[test]
fn who_signed_is_who_sent() {
    for says in [false, true] {
        for seed in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let mut chain = Chain::new(seed);
            chain.unsaid = !says;
            let mut book = Vec::new();
            for _ in 0..10 {
                let mut follow = chain.follow(&store);
                for _ in 0..=chain.model.random(3) {
                    let count = chain.model.random(4);
                    chain.mine(count);
                }
                if chain.model.random(3) == 0 {
                    let back = usize::try_from(chain.model.random(4)).unwrap();
                    chain.reorg(back);
                    (0..4).for_each(|_| chain.mine(1));
                }
                read(&mut follow, &mut book).unwrap();
                assert_eq!(book, chain.all(), "seed {seed}");
            }
            let asked = chain.model.0.borrow().asked.iter().sum::<usize>();
            assert_eq!(asked == 0, says, "seed {seed}");
        }
    }
}

/// Many transactions are asked for in several messages of a bounded size, and those of a batch that
/// was answered are not asked for again after one that was not. Two submissions of one transaction
/// have one sender, who is asked for once.
#[test]
fn asks_for_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut chain = unsaid(1);
    chain.mine(150);
    let missing = chain.blocks[1].iter().map(|of| of.transaction).max();
    let missing = B256::from(missing.unwrap());
    let kept = chain.model.0.borrow_mut().sent.remove(&missing).unwrap();
    let follow = chain.follow(&store);
    let error = now(follow.step()).unwrap_err();
    assert!(
        matches!(&error, FollowError::Node(of) if of.reason.contains(&missing.to_string())),
        "{error}"
    );
    chain.model.0.borrow_mut().sent.insert(missing, kept);
    let Step::Submissions { list, .. } = now(follow.step()).unwrap() else {
        panic!("a step")
    };
    assert_eq!(list, chain.blocks[1]);
    assert_eq!(chain.model.0.borrow().asked, [32, 32, 32, 32, 22, 1]);

    let mut twice = chain.blocks[1][..2].to_vec();
    twice[1].transaction = twice[0].transaction;
    let signers = Signers::default();
    now(signers.fill(&chain.model, &mut twice)).unwrap();
    assert_eq!(twice[1].sender, twice[0].sender);
    assert_eq!(chain.model.0.borrow().asked.last(), Some(&1));
}

/// A node that answers with somebody else's transaction is found out, and so is one that gives it the
/// right hash: that is computed. An honest node is followed after it.
#[test]
fn another_transaction_is_a_lie() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut chain = unsaid(2);
    chain.mine(2);
    let [first, second] = [0, 1].map(|at| B256::from(chain.blocks[1][at].transaction));
    let honest = chain.model.0.borrow().sent.clone();
    let (mut forged, mut resigned) = (honest.clone(), honest.clone());
    forged.insert(second, honest[&first].clone());
    let TxEnvelope::Legacy(of) = &honest[&first] else {
        panic!("a test signs old transactions")
    };
    let claimed = alloy_consensus::Signed::new_unchecked(of.tx().clone(), *of.signature(), second);
    resigned.insert(second, claimed.into());
    for lies in [forged, resigned] {
        chain.model.0.borrow_mut().sent = lies;
        let error = now(chain.follow(&store).step()).unwrap_err();
        let FollowError::Logs(LogsError::Lie { seq: 1, lie }) = error else {
            panic!("{error}")
        };
        let (hash, found) = (second, first);
        assert_eq!(lie, Lie::Transaction { hash, found });
    }
    chain.model.0.borrow_mut().sent = honest;
    let (mut follow, mut book) = (chain.follow(&store), Vec::new());
    read(&mut follow, &mut book).unwrap();
    assert_eq!(book, chain.all());
}

/// A signature that nobody can have made has no signer.
#[test]
fn nobody_signs_with_nothing() {
    let made = alloy_consensus::TxLegacy::default();
    let nothing = alloy_primitives::Signature::new(Default::default(), Default::default(), false);
    let made = alloy_consensus::SignableTransaction::into_signed(made, nothing);
    let (hash, made) = (*made.hash(), TxEnvelope::from(made));
    assert_eq!(signer(hash, &made), Err(Lie::Unsigned { hash }));
}

/// What the first submission shows of a flow holds: a log that is left out later, or put in, is a lie.
/// With that submission goes what it showed.
#[test]
fn a_flow_does_one_or_the_other() {
    for says in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut chain = Chain::new(3);
        chain.unsaid = !says;
        chain.mine(1);
        let (mut follow, mut book) = (chain.follow(&store), Vec::new());
        read(&mut follow, &mut book).unwrap();
        chain.model.mine(&[]);
        let other = chain.make(&chain.all());
        chain.log(FLOW, other.transaction, submit_of(&other));
        if !says {
            chain.log(FLOW, other.transaction, by_of(&other));
        }
        let error = read(&mut follow, &mut book).unwrap_err();
        let FollowError::Logs(LogsError::Lie { seq: 1, lie }) = error else {
            panic!("{error}")
        };
        assert_eq!(lie, [Lie::Sender, Lie::NoSender][usize::from(says)]);

        // Also for whoever starts later.
        let error = read(&mut chain.follow(&store), &mut book).unwrap_err();
        assert!(matches!(error, FollowError::Logs(_)), "{error}");
        chain.model.0.borrow_mut().blocks.pop();
        chain.unsaid = says;
        chain.reorg(1);
        chain.mine(2);
        read(&mut follow, &mut book).unwrap();
        assert_eq!(book, chain.all());
    }
}

/// What is seen is the first submission's; logs of other kinds between the two do not count.
#[test]
fn the_first_submission_shows_it() {
    let mut chain = Chain::new(4);
    let logs = |chain: &Chain| -> Vec<_> {
        let inside = chain.model.0.borrow();
        let logs = inside.blocks.iter().flat_map(|block| block.logs.clone());
        logs.filter(|log| log.address() == FLOW).collect()
    };
    assert_eq!(Senders::seen_in(logs(&chain).iter()), None);
    chain.unsaid = true;
    chain.mine(1);
    assert_eq!(
        Senders::seen_in(logs(&chain).iter()),
        Some(Senders::Signers)
    );
    chain.unsaid = false;
    chain.mine(1);
    let seen = Senders::seen_in(logs(&chain).iter());
    assert_eq!(seen, Some(Senders::Signers), "the first one has none");
    let seen = Senders::seen_in(logs(&chain)[2..].iter());
    assert_eq!(seen, Some(Senders::Logged));
}

/// Polls a future that is never waited for from outside until it is done.
fn soon<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("a mocked node does not wait")
}

/// Over JSON-RPC too: one message asks for several transactions, one may be missing, and whom the node
/// names as the sender does not count.
#[test]
fn a_node_behind_json_is_asked() {
    let mut chain = unsaid(5);
    chain.mine(2);
    let mut list = chain.blocks[1].clone();
    list.sort_by_key(|of| of.transaction);
    let right: Vec<_> = list.iter().map(|of| of.sender).collect();
    let json = |hash: [u8; 32]| {
        let made = chain.model.0.borrow().sent[&B256::from(hash)].clone();
        alloy_rpc_types_eth::Transaction {
            inner: alloy_consensus::transaction::Recovered::new_unchecked(
                made,
                Address::repeat_byte(7),
            ),
            block_hash: Some([1; 32].into()),
            block_number: Some(1),
            transaction_index: Some(0),
            effective_gas_price: None,
            block_timestamp: None,
        }
    };
    let nothing: Option<alloy_rpc_types_eth::Transaction> = None;
    let answers = alloy_provider::mock::Asserter::new();
    let provider = alloy_provider::ProviderBuilder::new();
    let node = crate::node::Rpc(provider.connect_mocked_client(answers.clone()));
    let signers = Signers::default();

    answers.push_success(&json(list[0].transaction));
    answers.push_success(&nothing);
    let error = soon(signers.fill(&node, &mut list)).unwrap_err();
    assert!(matches!(error, SignersError::Node(_)), "{error}");

    list.iter_mut().for_each(|of| of.sender = [0; 20]);
    answers.push_success(&json(list[1].transaction));
    soon(signers.fill(&node, &mut list)).unwrap();
    assert_eq!(list.iter().map(|of| of.sender).collect::<Vec<_>>(), right);

    let signers = Signers::default();
    answers.push_success(&json(list[1].transaction));
    answers.push_success(&json(list[0].transaction));
    let error = soon(signers.fill(&node, &mut list)).unwrap_err();
    assert!(matches!(error, SignersError::Logs(_)), "{error}");
}
