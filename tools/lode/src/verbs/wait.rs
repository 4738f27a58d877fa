//! Waiting until what was put is anchored, and final. The receipts were printed before: whatever the
//! chain does, the bytes are durable.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use lode_edge::schema::{AnchorState, AnchorStep};
use lode_proofs::Hash32;

use crate::{
    args::Step,
    client::Client,
    failure::{Exit, Failure, Outcome},
    output::Output,
};

/// How often the node is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Time without a blob that got any further before we give up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same, when the node says that its chain is away.
const PATIENCE_IN_TROUBLE: Duration = Duration::from_secs(5);

/// What waiting came to: how far each blob was at last, in the order in which they were put.
#[derive(Debug, Default)]
pub struct Waited {
    /// States; empty if the node settles on no chain.
    pub states: Vec<AnchorState>,
    /// Why not all of them are as far as was asked.
    pub short: Option<Failure>,
}

/// Waits until all blobs are at `step`, or nothing moves any more. Without a chain there is nothing
/// to wait for, which is a failure only if somebody asked for a step.
pub fn run(
    client: &Client,
    roots: &[Hash32],
    step: Option<Step>,
    output: Output,
) -> Outcome<Waited> {
    let want = match step {
        Some(Step::Receipt) => return Ok(Waited::default()),
        Some(Step::Anchored) => AnchorStep::Anchored,
        Some(Step::Final) | None => AnchorStep::Final,
    };
    let spinner = output.spinner("waiting for the chain");
    let mut waited = Waited::default();
    let (mut moved, mut last) = (Instant::now(), None);
    let mut at = 0;
    // One after the other: those that were put together are settled together.
    while let Some(root) = roots.get(at) {
        let Some(state) = client.anchor(*root)? else {
            waited.short = Some(no_chain());
            break;
        };
        spinner.set_message(line(&state, roots.len() - at));
        if last.as_ref() != Some(&(at, state.state)) {
            (moved, last) = (Instant::now(), Some((at, state.state)));
        }
        if state.state >= want {
            waited.states.push(state);
            at += 1;
            continue;
        }
        let patience = match state.trouble {
            Some(_) => PATIENCE_IN_TROUBLE,
            None => PATIENCE,
        };
        if moved.elapsed() >= patience {
            waited.short = Some(late(&state, roots.len() - at, patience));
            waited.states.push(state);
            break;
        }
        spinner.tick();
        thread::sleep(ASK_EVERY);
    }
    spinner.finish_and_clear();
    Ok(waited)
}

fn no_chain() -> Failure {
    Failure {
        exit: Exit::NotFound,
        code: lode_edge::problem::NO_CHAIN.name.to_owned(),
        what: "this node settles on no chain: what was put is durable, and not anchored".to_owned(),
        next: "ask a node that was started with --chain".to_owned(),
    }
}

fn late(state: &AnchorState, left: usize, patience: Duration) -> Failure {
    let why = match &state.trouble {
        Some(trouble) => trouble.clone(),
        None => format!("nothing moved for {} s", patience.as_secs()),
    };
    Failure {
        exit: Exit::Unavailable,
        code: lode_edge::problem::NOT_FINAL.name.to_owned(),
        what: format!("stored and durable, and {left} not settled yet: {why}"),
        next:
            "nothing: the node settles when the chain is back; `lode stat ROOT` tells how far it is"
                .to_owned(),
    }
}

/// What a person sees meanwhile.
fn line(state: &AnchorState, left: usize) -> String {
    let step = match state.state {
        AnchorStep::Pending => "waiting for the next anchor",
        AnchorStep::Sent => "anchor sent, waiting for its block",
        AnchorStep::Anchored => "anchored, waiting for a certificate",
        AnchorStep::Final => "final",
    };
    format!("{step}  ({left} left)")
}

/// One line for each anchor.
pub fn lines(states: &[AnchorState]) -> Vec<String> {
    let mut anchors: BTreeMap<&str, (u64, &AnchorState)> = BTreeMap::new();
    for state in states {
        if let Some(anchor) = &state.anchor {
            anchors.entry(anchor).or_insert((0, state)).0 += 1;
        }
    }
    anchors
        .into_iter()
        .map(|(anchor, (blobs, state))| {
            let number = |number: Option<u64>| number.map_or("-".to_owned(), |at| at.to_string());
            let tx = state.tx.as_deref().unwrap_or("-");
            let block = number(state.block);
            let end = match state.certified {
                Some(certified) => format!("final      certificate of block {certified}"),
                None => format!("not final yet: {:?}", state.state).to_lowercase(),
            };
            format!("anchored   {blobs} in {anchor}  tx {tx}  block {block}\n{end}")
        })
        .collect()
}
