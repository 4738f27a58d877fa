//! `crash storage`: four storage nodes that keep two slices of a flow, each slice twice.
//!
//! ```text
//!  round   uploads, each node killed once, then all ─► whole?
//!          the same with downloads
//!          one loses its disk ─► whole again by itself, while clients read
//!          splits, healed ─► whole?          (in network namespaces only)
//!  end     all killed, all restarted ─► every acknowledged chunk on every replica, proven
//! ```

use std::{sync::atomic::Ordering::SeqCst, time::Instant};

use serde_json::{Value, json};

use super::{
    kills,
    ledger::Counts,
    nodes::{COUNT, SLICES},
    split::{self, Heal},
    stage::Stage,
    wipe::{self, Repair},
};
use crate::{
    failure::{Failure, Outcome},
    kill::{Report, median_and_longest},
    setup::Setup,
};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds of everything.
    pub rounds: u32,
    /// Blobs of a round, those of splits not counted.
    pub blobs: usize,
    /// Bytes of a blob, at most.
    pub largest: u64,
    /// Why nodes cannot be cut off from each other here, if they cannot.
    pub no_splits: Option<String>,
}

/// Runs all of it.
pub fn run(setup: &Setup, plan: &Plan) -> Outcome<Report> {
    let began = Instant::now();
    let mut stage = Stage::new(setup, plan.no_splits.is_none(), plan.largest)?;
    let (mut repairs, mut heals) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        kills::uploads(&mut stage, plan.blobs)?;
        stage.expect_whole()?;
        kills::reads(&mut stage, plan.blobs)?;
        let victim = stage.dice.index(usize::from(COUNT)).unwrap_or(0);
        let repair = wipe::run(&mut stage, victim, plan.blobs)?;
        setup.tell(&format!(
            "node {victim} lost its disk and was whole after {} ms, at {:.1} MB/s",
            repair.whole_ms,
            repair.rate()
        ));
        repairs.push(repair);
        if stage.apart {
            heals.extend(split::round(&mut stage)?);
        }
        setup.tell(&format!("round {round}/{}: 0 lost", plan.rounds));
    }
    let everybody = stage.nodes.numbers();
    stage.nodes.kill(&everybody)?;
    let ready = stage.nodes.start(setup, &everybody)?;
    stage.tally.ready_ms.extend(ready);
    stage.expect_whole()?;
    if stage.tally.found.proofs == 0 {
        return Err(Failure::Method("no chunk was acknowledged".to_owned()));
    }
    let seconds = began.elapsed().as_secs();
    report(&mut stage, plan, &repairs, &heals, seconds)
}

fn report(
    stage: &mut Stage<'_>,
    plan: &Plan,
    repairs: &[Repair],
    heals: &[Heal],
    seconds: u64,
) -> Outcome<Report> {
    let figures = Figures::of(stage)?;
    let Figures {
        counts,
        reads,
        read_bytes,
        elsewhere,
        memory,
        moved,
    } = figures;
    let tally = &stage.tally;
    let (median, longest) = median_and_longest(&tally.ready_ms);
    let splits = match &plan.no_splits {
        Some(why) => json!({ "skipped": why }),
        None => json!(heals),
    };
    let json = json!({
        "nodes": COUNT, "slices": SLICES, "rounds": plan.rounds, "acked": counts,
        "reads": { "chunks": reads, "bytes": read_bytes, "elsewhere": elsewhere },
        "kills": tally.kills, "killed_restarts": tally.killed_restarts,
        "restart_ms_median": median, "restart_ms_max": longest,
        "repairs": repairs.iter().map(repair_json).collect::<Value>(), "splits": splits,
        "checked": tally.found, "memory_peak_bytes": memory, "moved_bytes": moved,
        "seed": stage.setup.seed, "seconds": seconds, "lost": 0,
    });
    let mut lines = vec![format!(
        "{COUNT} nodes, {SLICES} slices: {} kills and {} more during restart, in {seconds} s (seed {})",
        tally.kills, tally.killed_restarts, stage.setup.seed
    )];
    lines.extend(figures.lines());
    lines.push(format!(
        "checked   {} chunks on nodes ({} MiB) by contents and proof",
        tally.found.proofs,
        tally.found.bytes >> 20
    ));
    lines.push(format!(
        "restart   {median} ms (median), {longest} ms (longest), until clients are served"
    ));
    lines.extend(repairs.iter().map(repair_text));
    lines.extend(heals.iter().map(heal_text));
    let skipped = plan.no_splits.iter();
    lines.extend(skipped.map(|why| format!("split     skipped: {why}")));
    lines.push("lost      0".to_owned());
    let text = lines.join("\n");
    Ok(Report { json, text })
}

/// What was counted by others than the parts of the proof.
struct Figures {
    counts: Counts,
    reads: u64,
    read_bytes: u64,
    elsewhere: u64,
    /// Most bytes of memory of a node.
    memory: u64,
    /// Bytes between nodes, where their links are counted.
    moved: Option<u64>,
}

impl Figures {
    fn of(stage: &mut Stage<'_>) -> Outcome<Figures> {
        let moved = stage.received()?.map(|all| all.iter().sum());
        let shared = &stage.shared;
        Ok(Figures {
            counts: shared.ledger(|ledger| ledger.counts()),
            reads: shared.reads.load(SeqCst),
            read_bytes: shared.read_bytes.load(SeqCst),
            elsewhere: shared.elsewhere.load(SeqCst),
            memory: stage.nodes.memory(),
            moved,
        })
    }

    fn lines(&self) -> [String; 4] {
        let counts = &self.counts;
        [
            format!(
                "acked     {} chunks of {} blobs ({} of them whole), {} MiB; {} acknowledgements",
                counts.chunks,
                counts.blobs,
                counts.whole,
                counts.bytes >> 20,
                counts.acks
            ),
            format!(
                "read      {} chunks ({} MiB) compared while nodes died; {} of them from another replica \
                 than the first one asked",
                self.reads,
                self.read_bytes >> 20,
                self.elsewhere
            ),
            match self.moved {
                Some(moved) => format!("moved     {} MiB between nodes", moved >> 20),
                None => "moved     not counted: nodes have no links of their own".to_owned(),
            },
            format!("memory    {} MiB, of the largest node", self.memory >> 20),
        ]
    }
}

fn repair_json(repair: &Repair) -> Value {
    let mut value = json!(repair);
    value["mb_per_s"] = json!((repair.rate() * 10.0).round() / 10.0);
    value
}

fn repair_text(repair: &Repair) -> String {
    let received = repair.received.map_or(String::new(), |received| {
        format!(", {} MiB over its link", received >> 20)
    });
    format!(
        "repair    node {}: {} chunks ({} MiB) in {} ms, {:.1} MB/s{received}; served after {} ms; {} \
         chunks read meanwhile",
        repair.node,
        repair.chunks,
        repair.bytes >> 20,
        repair.whole_ms,
        repair.rate(),
        repair.serving_ms,
        repair.reads
    )
}

fn heal_text(heal: &Heal) -> String {
    let chain = match heal.without_chain.is_empty() {
        true => "",
        false => " and from the chain",
    };
    format!(
        "split     {:?} from the others{chain}: {} acknowledged, {} times a node lacked some, whole {} ms \
         after it healed",
        heal.away, heal.acks, heal.behind, heal.whole_ms
    )
}
