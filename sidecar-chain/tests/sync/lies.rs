//! Sources that lie, each in one way: the lie is named with who told it, nothing of it is kept, and an
//! honest source is asked instead.

use std::sync::atomic::AtomicU64;

use lode_chain::sync::{self, Synced};
use lode_chain_light::{HeaderProof, Trust};
use serde_json::{Value, json};

use super::common::{Chain, Change, EPOCH, Near, next, reach, short};

/// A way to lie, and a word of how it is named.
type Lie<'test> = (&'static str, Box<Change<'test>>, &'static str);

const NODES: &str = "lode_getStateNodes";
const HEADERS: &str = "lode_getHeaders";

/// Changes the answers to one method.
fn on<'test>(wanted: &'static str, change: impl Fn(&mut Value) + 'test) -> Box<Change<'test>> {
    Box::new(move |method, _, mut answer, _| {
        if method == wanted {
            change(&mut answer);
        }
        Ok(answer)
    })
}

/// The same for a page of the state that is downloaded, not for single nodes that are looked up.
fn on_page<'test>(change: impl Fn(&mut Vec<Value>) + 'test) -> Box<Change<'test>> {
    Box::new(move |method, params, mut answer, _| {
        if method == NODES && params.as_array().unwrap().len() == 2 {
            change(answer.as_array_mut().unwrap());
        }
        Ok(answer)
    })
}

/// Bytes as text with the last digit changed.
fn flip(bytes: &mut Value) {
    let mut text = bytes.as_str().unwrap().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    *bytes = text.into();
}

fn shorter(bytes: &mut Value) {
    let text = bytes.as_str().unwrap();
    *bytes = text[..text.len() - 2].into();
}

/// About the state.
fn about_nodes<'test>() -> Vec<Lie<'test>> {
    vec![
        (
            "a node changed",
            on_page(|page| flip(&mut page[40])),
            "the node at",
        ),
        (
            "a node left out",
            on_page(|page| drop(page.remove(3))),
            "the node at",
        ),
        (
            "a node added",
            on_page(|page| page.insert(7, page[2].clone())),
            "the node at",
        ),
        (
            "two exchanged",
            on_page(|page| page.swap(5, 6)),
            "the node at",
        ),
        (
            "a page cut in a node",
            on_page(|page| shorter(page.last_mut().unwrap())),
            "the node at",
        ),
        ("an empty page", on_page(Vec::clear), "there is no node"),
        (
            "no end",
            on_page(|page| page.extend_from_within(..5)),
            "behind the end",
        ),
        (
            "a node that is none",
            on_page(|page| page[1] = json!("0x")),
            "the node at",
        ),
        ("something else", on_page(|page| page[1] = json!(7)), NODES),
        (
            "a node of the registry",
            Box::new(|method, params, mut answer, _| {
                if method == NODES && params.as_array().unwrap().len() == 3 {
                    flip(&mut answer[0]);
                }
                Ok(answer)
            }),
            "the node at",
        ),
    ]
}

/// About code, and the rest of the block.
fn about_code<'test>() -> Vec<Lie<'test>> {
    vec![
        (
            "other code",
            on("lode_getCodes", |codes| flip(&mut codes[0])),
            "the code of",
        ),
        (
            "no code",
            on("lode_getCodes", |codes| codes[0] = Value::Null),
            "the code of",
        ),
        (
            "too much code",
            on("lode_getCodes", |codes| {
                let all = codes.as_array_mut().unwrap();
                all.extend(vec![all[0].clone(); 300]);
            }),
            "codes where",
        ),
        (
            "no codes",
            on("lode_getCodes", |codes| *codes = json!([])),
            "codes where",
        ),
        ("another block", on("lode_getBlock", flip), "is another one"),
        (
            "no block",
            on("lode_getBlock", |block| *block = Value::Null),
            "no certificate",
        ),
        (
            "receipts of nothing",
            on("debug_getRawReceipts", |all| *all = json!(["0x00"])),
            "the receipts of",
        ),
    ]
}

/// About what is final.
fn about_headers<'test>(stranger: &'test Value, older: &'test Value) -> Vec<Lie<'test>> {
    vec![
        (
            "another header",
            on("lode_getCheckpoint", |found| flip(&mut found["header"])),
            "block 0",
        ),
        (
            "another certificate",
            on("lode_getCheckpoint", |found| flip(&mut found["finality"])),
            "block 0",
        ),
        (
            "half a certificate",
            on("lode_getCheckpoint", |found| {
                shorter(&mut found["finality"])
            }),
            "151 bytes",
        ),
        (
            "another chain",
            on("lode_getCheckpoint", move |found| *found = stranger.clone()),
            "block 0",
        ),
        (
            "no certificate",
            on("lode_getCheckpoint", |found| *found = Value::Null),
            "no certificate",
        ),
        (
            "another block's certificate",
            on("lode_getFinality", move |found| *found = older.clone()),
            "another block",
        ),
        (
            "no certificate of the epoch",
            on("lode_getFinality", |found| {
                // Those of all blocks, so that headers have to be linked: one of them is not.
                *found = Value::Null;
            }),
            "",
        ),
        (
            "another header below",
            on(HEADERS, |page| flip(&mut page[3])),
            "the header of",
        ),
        (
            "headers exchanged",
            on(HEADERS, |page| page.as_array_mut().unwrap().swap(1, 2)),
            "the header of",
        ),
        (
            "no headers",
            on(HEADERS, |page| *page = json!([])),
            "no certificate",
        ),
    ]
}

/// Each lie alone: from a single source it is refused and named; beside an honest one it does no harm.
#[test]
fn each_is_named_and_does_no_harm() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (chain, other) = (Chain::new(11), Chain::new(12));
    let service = chain.start(dirs[0].path(), 0);
    let strange = other.start(dirs[1].path(), 0);
    reach(&strange, 40);
    reach(&service, EPOCH + 8);
    let honest = Near::new("http://honest", &service);
    let stranger = Near::new("http://stranger", &strange)
        .raw("lode_getCheckpoint", &json!([]))
        .unwrap();
    let older = (2..EPOCH).find_map(|height| {
        let found = honest.raw("lode_getFinality", &json!([format!("{height:#x}")]));
        found.ok().filter(|found| found["finality"].is_string())
    });
    let older = older.unwrap();
    let all = [
        about_nodes(),
        about_code(),
        about_headers(&stranger, &older),
    ];
    for (what, change, word) in all.into_iter().flatten() {
        let lied = AtomicU64::new(0);
        let liar = Near::changed("http://liar", &service, |method, params, answer, before| {
            let changed = change(method, params, answer.clone(), before)?;
            if changed != answer {
                next(&lied);
            }
            Ok(changed)
        });
        let alone = tempfile::tempdir().unwrap();
        let refused = sync::run(&chain.sync(alone.path()), &[&liar], |_| {});
        assert!(next(&lied) > 0, "{what}: nothing was changed");
        if word.is_empty() {
            // Not a lie: all is linked by hashes then.
            assert!(
                matches!(refused, Ok(Synced::At { .. })),
                "{what}: {refused:?}"
            );
        } else {
            let error = refused.expect_err(what);
            let text = error.to_string();
            assert!(error.is_of_source(), "{what}: {text}");
            assert!(text.contains("http://liar"), "{what}: {text}");
            assert!(text.contains(word), "{what}: {text}");
        }
        let beside = tempfile::tempdir().unwrap();
        let synced = sync::run(&chain.sync(beside.path()), &[&liar, &honest], |_| {});
        assert!(
            matches!(synced, Ok(Synced::At { .. })),
            "{what}: {synced:?}"
        );
    }
    service.stop().unwrap();
    strange.stop().unwrap();
}

/// What a liar made half of is finished by an honest source, and is the honest state.
#[test]
fn an_honest_source_goes_on_where_a_liar_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new(13);
    let service = chain.start(dir.path(), 0);
    reach(&service, EPOCH + 8);
    // Honest for some pages of few nodes, then not.
    let liar = Near::changed("http://liar", &service, |method, params, answer, before| {
        if method != NODES || params.as_array().unwrap().len() != 2 {
            return Ok(answer);
        }
        let mut page = short(answer, 20);
        if before > 15 {
            flip(&mut page[0]);
        }
        Ok(page)
    });
    let honest = Near::new("http://honest", &service);
    let target = tempfile::tempdir().unwrap();
    let synced = sync::run(&chain.sync(target.path()), &[&liar, &honest], |_| {}).unwrap();
    let Synced::At {
        block, progress, ..
    } = synced
    else {
        panic!("{synced:?}")
    };
    assert!(liar.nodes.get() > 100 && honest.nodes.get() > 100);
    // Each node once, but for those that are looked up for the registry's answer.
    assert!(progress.nodes < liar.nodes.get() + honest.nodes.get());
    // What it proves is what the chain's certificate says.
    let found = honest
        .raw("lode_getFinality", &json!([format!("{block:#x}")]))
        .unwrap();
    let bytes = |value: &Value| -> alloy_primitives::Bytes {
        serde_json::from_value(value.clone()).unwrap()
    };
    let proof = HeaderProof {
        header: bytes(&found["header"]),
        finality: lode_chain_types::Finality::decode(&bytes(&found["finality"])).unwrap(),
    };
    let proven = proof.verify(&Trust::of(&chain.genesis).unwrap()).unwrap();
    let late = chain.start(target.path(), 1);
    let view = late.ledger().latest();
    let state = view.state(block).unwrap();
    let root = lode_chain_state::walk::Walk::new(proven.state_root())
        .page(&state, usize::MAX, usize::MAX)
        .unwrap();
    assert!(root.len() > 600);
    drop((view, state));
    late.stop().unwrap();
    service.stop().unwrap();
}
