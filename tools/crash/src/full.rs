//! `crash full`: a small filesystem, filled until the node refuses, where reads, proofs and deletes
//! go on; restarted full; filled to its very last byte by a stranger's file, and restarted; freed
//! by deletes; filled again; restarted full again.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    apart::Mounter,
    check::check,
    client::{Client, Trouble},
    failure::{Failure, Outcome},
    image::Image,
    kill::{self, Report, Tally},
    ledger::{Ledger, State},
    load::Shape,
    node::Node,
    noise::Noise,
    setup::Setup,
};

/// Clients at a time.
const CLIENTS: u64 = 4;

/// Space that was freed must be usable again after this long, without a restart.
const FREED_TIME: Duration = Duration::from_secs(90);

/// Size of the puts that ask whether there is space again: several chunks.
const ASK_LEN: u64 = 1 << 20;

/// What a full node may get back of dead bytes before it refuses again.
const GOT_BACK_MAX: u64 = 16 << 20;

/// The refusal of a full disk.
const FULL: &str = "LODE0030";

/// A run in the middle.
struct Fill<'a> {
    setup: &'a Setup,
    dice: Noise,
    ledgers: Vec<Ledger>,
    tally: Tally,
    phases: Phases,
    image: Image,
}

/// What the phases of a run measured.
#[derive(Clone, Copy, Debug, Default)]
struct Phases {
    /// Bytes stored when the node refused, both times.
    filled: [u64; 2],
    /// Deletes tried with not one byte free, and how many of them were refused with 507.
    starved_deletes: [u64; 2],
    /// Bytes deleted to make room.
    freed: u64,
    /// From the last delete to the first put that was taken.
    again: Duration,
}

/// Fills, frees and fills again a filesystem of `size` bytes.
pub fn run(setup: &Setup, size: u64, mounter: Mounter) -> Outcome<Report> {
    let began = Instant::now();
    let mut fill = Fill {
        setup,
        dice: Noise::new(setup.seed),
        ledgers: kill::ledgers(setup, CLIENTS)?,
        tally: Tally::default(),
        phases: Phases::default(),
        image: Image::new(setup.dir(), size, mounter)?,
    };
    let store = fill.image.path().join("store");
    let node = Node::start(setup, &store)?;
    let backend = node.backend.clone();
    fill.phases.filled[0] = fill.fill(&node, "filled")?;
    fill.check(&node)?;
    fill.delete_some(&node.client())?;

    let node = fill.restart(node, &store)?;
    setup.tell("killed and started again while full");
    fill.refused(&node.client())?;
    fill.delete_some(&node.client())?;

    let node = fill.starve(node, &store)?;
    fill.phases.freed = fill.free_half(&node.client())?;
    fill.phases.again = fill.wait_for_space(&node.client())?;
    fill.check(&node)?;
    fill.phases.filled[1] = fill.fill(&node, "filled again")?;
    fill.restart(node, &store)?.kill()?;
    fill.image.unmount()?;
    fill.tally.counts = kill::counts(&fill.ledgers);
    let seconds = began.elapsed().as_secs();
    let place = format!("{} MiB of {}", size >> 20, name_of(mounter));
    Ok(fill.report(&place, &backend, seconds))
}

fn name_of(mounter: Mounter) -> &'static str {
    match mounter {
        Mounter::Root => "ext4",
        Mounter::Namespace => "tmpfs",
    }
}

impl Fill<'_> {
    /// Puts until the node refuses; bytes that are stored then.
    fn fill(&mut self, node: &Node, what: &str) -> Outcome<u64> {
        let shape = Shape {
            live_limit: u64::MAX,
            until_full: true,
        };
        let client = node.client();
        kill::wait_for_load(&client, &mut self.ledgers, self.dice.draw(), shape)?;
        self.refused(&client)?;
        let bytes = self.ledgers.iter().map(Ledger::durable_bytes).sum();
        let free = self.image.free()?;
        self.setup.tell(&format!(
            "{what}: {} MiB stored, {} MiB free",
            bytes >> 20,
            free >> 20
        ));
        Ok(bytes)
    }

    fn check(&mut self, node: &Node) -> Outcome<()> {
        self.setup.go_on()?;
        let found = check(&node.client(), &mut self.ledgers, self.dice.draw())?;
        self.tally.found = self.tally.found.and(found);
        Ok(())
    }

    /// SIGKILL, start, compare everything.
    fn restart(&mut self, node: Node, store: &Path) -> Outcome<Node> {
        node.kill()?;
        let node = Node::start(self.setup, store)?;
        self.tally.ready(&node);
        self.check(&node)?;
        Ok(node)
    }

    /// Another program takes what the node left, its reserve too. The node reads, proves and
    /// restarts with not one byte free; it may refuse deletes, but must say so.
    fn starve(&mut self, node: Node, store: &Path) -> Outcome<Node> {
        let stranger = self.image.path().join("stranger");
        let taken = take_all(&stranger)?;
        self.setup
            .tell(&format!("a stranger took the last {taken} bytes"));
        self.check(&node)?;
        self.try_deletes(&node.client())?;
        let node = self.restart(node, store)?;
        self.refused(&node.client())?;
        self.try_deletes(&node.client())?;
        self.check(&node)?;
        fs::remove_file(&stranger).map_err(Failure::machine("the stranger's file"))?;
        Ok(node)
    }

    /// Deletes a blob of each ledger: that must work on a full disk too.
    fn delete_some(&mut self, client: &Client) -> Outcome<()> {
        for ledger in &mut self.ledgers {
            if let Some(index) = ledger.all(|state| state == State::Stored).first() {
                delete(client, ledger, *index)?;
            }
        }
        Ok(())
    }

    /// Deletes that may be refused for want of space; then the blob must still be there.
    fn try_deletes(&mut self, client: &Client) -> Outcome<()> {
        for ledger in &mut self.ledgers {
            let Some(index) = ledger.all(|state| state == State::Stored).first().copied() else {
                continue;
            };
            self.phases.starved_deletes[0] += 1;
            ledger.set(index, State::Leaving)?;
            match client.delete(ledger.entries[index].root) {
                Ok(()) => {
                    ledger.set(index, State::Gone)?;
                    ledger.counts.deletes += 1;
                }
                Err(trouble) if trouble.is(FULL) => {
                    ledger.set(index, State::Stored)?;
                    self.phases.starved_deletes[1] += 1;
                }
                Err(trouble) => return Err(unexpected("a delete without a free byte", &trouble)),
            }
        }
        Ok(())
    }

    /// Deletes every second blob; the bytes that this frees.
    fn free_half(&mut self, client: &Client) -> Outcome<u64> {
        let mut freed = 0;
        for ledger in &mut self.ledgers {
            for index in ledger.all(|state| state == State::Stored).iter().step_by(2) {
                freed += delete(client, ledger, *index)?;
            }
        }
        Ok(freed)
    }

    fn report(&self, place: &str, backend: &str, seconds: u64) -> Report {
        let phases = &self.phases;
        let ([first, second], [tried, refused]) = (phases.filled, phases.starved_deletes);
        let again_ms = u64::try_from(phases.again.as_millis()).unwrap_or(u64::MAX);
        let mut json = self.tally.json();
        json["filesystem"] = json!(place);
        json["backend"] = json!(backend);
        json["filled_bytes"] = json!([first, second]);
        json["freed_bytes"] = json!(phases.freed);
        json["space_again_ms"] = json!(again_ms);
        json["starved_deletes"] = json!({ "tried": tried, "refused": refused });
        json["seed"] = json!(self.setup.seed);
        json["seconds"] = json!(seconds);
        let text = format!(
            "{place} filled twice, on {backend}, in {seconds} s (seed {})\n\
             full    507 and {FULL} at {} MiB, then at {} MiB; {} refusals\n\
             starved with 0 bytes free: restarted, all read; {refused} of {tried} deletes refused with 507\n\
             freed   {} MiB by deletes; puts worked again after {again_ms} ms, without a restart\n{}",
            self.setup.seed,
            first >> 20,
            second >> 20,
            self.tally.counts.refused_full,
            phases.freed >> 20,
            self.tally.text()
        );
        Report { json, text }
    }

    /// Puts until the node refuses one, in the words that clients are promised. It was full a moment
    /// ago, and has got back no more than a little of what is dead since.
    fn refused(&mut self, client: &Client) -> Outcome<()> {
        for _ in 0..GOT_BACK_MAX / ASK_LEN {
            let ledger = &mut self.ledgers[0];
            let (index, bytes) = ledger.add(self.dice.draw(), ASK_LEN, State::Putting)?;
            match client.put(ledger.entries[index].root, &bytes, false) {
                Ok(()) => {
                    ledger.set(index, State::Stored)?;
                    ledger.counts.puts += 1;
                    ledger.counts.bytes += ASK_LEN;
                }
                Err(Trouble::Refused(problem))
                    if problem.status == 507 && problem.code == FULL && problem.retryable =>
                {
                    return ledger.set(index, State::Gone);
                }
                Err(trouble) => return Err(unexpected("a put on a full disk", &trouble)),
            }
        }
        let what = format!("took {} MiB after it was full", GOT_BACK_MAX >> 20);
        Err(Failure::Node(what))
    }

    /// Puts until one is taken.
    fn wait_for_space(&mut self, client: &Client) -> Outcome<Duration> {
        let began = Instant::now();
        loop {
            let ledger = &mut self.ledgers[0];
            let (index, bytes) = ledger.add(self.dice.draw(), ASK_LEN, State::Putting)?;
            match client.put(ledger.entries[index].root, &bytes, false) {
                Ok(()) => {
                    ledger.set(index, State::Stored)?;
                    ledger.counts.puts += 1;
                    ledger.counts.bytes += ASK_LEN;
                    return Ok(began.elapsed());
                }
                Err(trouble) if trouble.is(FULL) && began.elapsed() < FREED_TIME => {
                    ledger.set(index, State::Gone)?;
                    self.setup.sleep(Duration::from_millis(250))?;
                }
                Err(trouble) if trouble.is(FULL) => {
                    let what = format!(
                        "refuses puts {} s after half of it was deleted: {trouble}",
                        FREED_TIME.as_secs()
                    );
                    return Err(Failure::Node(what));
                }
                Err(trouble) => return Err(unexpected("a put", &trouble)),
            }
        }
    }
}

fn delete(client: &Client, ledger: &mut Ledger, index: usize) -> Outcome<u64> {
    ledger.set(index, State::Leaving)?;
    let entry = ledger.entries[index];
    client
        .delete(entry.root)
        .map_err(|trouble| unexpected("a delete", &trouble))?;
    ledger.set(index, State::Gone)?;
    ledger.counts.deletes += 1;
    Ok(entry.size)
}

fn unexpected(what: &str, trouble: &Trouble) -> Failure {
    Failure::Node(format!("{what} ended with {trouble}"))
}

/// Writes a file until there is no byte left; its size.
fn take_all(path: &Path) -> Outcome<u64> {
    let mut file = File::create(path).map_err(Failure::machine("the stranger's file"))?;
    let mut taken = 0;
    // Ever smaller pieces, so that the last block is taken too.
    for piece in [1 << 20, 4096, 1] {
        let bytes = vec![0x5A; piece];
        while file.write_all(&bytes).is_ok() {
            taken += u64::try_from(piece).unwrap_or(0);
        }
    }
    // A full filesystem may also say so only here.
    let _full = file.sync_all().is_err();
    Ok(taken)
}
