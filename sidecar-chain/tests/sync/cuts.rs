//! A sync that is cut off anywhere: there is no chain before it is whole, and it goes on where it was.

use std::sync::atomic::AtomicU64;

use lode_chain::sync::{self, Synced, Trouble};

use super::common::{Chain, EPOCH, Near, next, reach, short};

const NODES: &str = "lode_getStateNodes";

/// Cut off after any number of answers, again and again, a sync ends with the same block and state as
/// one that was not, and takes no node of a page twice; in between nothing starts on the folder.
#[test]
fn goes_on_where_it_was_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new(21);
    let service = chain.start(dir.path(), 0);
    reach(&service, EPOCH + 8);
    for cut in [3, 7, 29] {
        let target = tempfile::tempdir().unwrap();
        let (mut runs, mut nodes, mut lookups) = (0, 0, 0);
        let block = loop {
            let (asked, looked_up) = (AtomicU64::new(0), AtomicU64::new(0));
            let source = Near::changed("http://cut", &service, |method, params, answer, _| {
                if method != NODES {
                    return Ok(answer);
                }
                if params.as_array().unwrap().len() != 2 {
                    next(&looked_up);
                    return Ok(answer);
                }
                if next(&asked) >= cut {
                    return Err(Trouble::Refused {
                        code: 1,
                        message: "cut".to_owned(),
                    });
                }
                Ok(short(answer, 9))
            });
            let synced = sync::run(&chain.sync(target.path()), &[&source], |_| {});
            runs += 1;
            nodes += source.nodes.get();
            lookups += next(&looked_up);
            match synced {
                Ok(Synced::At { block, .. }) => break block,
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert!(error.to_string().contains("cut"), "{error}");
                    let refused = chain.refused(target.path(), 1);
                    assert!(refused.contains("has not ended"), "{refused}");
                }
            }
        };
        assert!(runs > 2, "{runs} runs");
        let late = chain.start(target.path(), 1);
        let view = late.ledger().latest();
        assert_eq!(view.base(), block);
        let header = view.header(block).unwrap().unwrap();
        let state = view.state(block).unwrap();
        let whole = lode_chain_state::walk::Walk::new(header.state_root)
            .page(&state, usize::MAX, usize::MAX)
            .unwrap();
        assert_eq!(
            u64::try_from(whole.len()).unwrap(),
            nodes - lookups,
            "each node once"
        );
        drop((view, state));
        late.stop().unwrap();
    }
    service.stop().unwrap();
}

/// When the source has forgotten the state, the sync begins anew with a newer block, by itself; if it
/// forgets every time, the operator hears of it.
#[test]
fn begins_anew_when_the_state_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new(22);
    let service = chain.start(dir.path(), 0);
    reach(&service, EPOCH + 8);
    let gone = || {
        Err(Trouble::Refused {
            code: i64::from(lode_chain::rpc::sync::GONE),
            message: "the state of block 9 is gone".to_owned(),
        })
    };
    let forget_until = |pages: u64| {
        let asked = AtomicU64::new(0);
        Near::changed(
            "http://forgets",
            &service,
            move |method, params, answer, _| {
                if method != NODES || params.as_array().unwrap().len() != 2 {
                    return Ok(answer);
                }
                let count = next(&asked);
                if count % 3 == 2 && count < pages {
                    return gone();
                }
                Ok(short(answer, if count < pages { 50 } else { usize::MAX }))
            },
        )
    };
    let target = tempfile::tempdir().unwrap();
    let source = forget_until(6);
    let synced = sync::run(&chain.sync(target.path()), &[&source], |_| {});
    assert!(matches!(synced, Ok(Synced::At { .. })), "{synced:?}");
    assert_eq!(source.calls.borrow()["lode_getCheckpoint"], 3);
    let late = chain.start(target.path(), 1);
    late.stop().unwrap();

    let target = tempfile::tempdir().unwrap();
    let source = forget_until(u64::MAX);
    let error = sync::run(&chain.sync(target.path()), &[&source], |_| {}).unwrap_err();
    assert!(error.is_gone(), "{error}");
    assert!(error.to_string().contains("is gone"), "{error}");
    service.stop().unwrap();
}
