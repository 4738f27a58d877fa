//! `crash full`: a small filesystem, filled until the node refuses, then to its very last byte by
//! a stranger's file; reads, proofs and deletes go on; freed; filled again; restarted full.

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
    noise::{Noise, contents},
    setup::Setup,
};

/// Clients at a time.
const CLIENTS: u64 = 4;

/// Space that was freed must be usable again after this long, without a restart.
const FREED_TIME: Duration = Duration::from_secs(90);

/// Size of the puts that ask whether there is space again: several chunks.
const ASK_LEN: u64 = 1 << 20;

/// The refusal of a full disk.
const FULL: &str = "LODE0030";

/// A run in the middle.
struct Fill<'a> {
    setup: &'a Setup,
    dice: Noise,
    ledgers: Vec<Ledger>,
    tally: Tally,
    image: Image,
}

/// Fills, frees and fills again a filesystem of `size` bytes.
pub fn run(setup: &Setup, size: u64, mounter: Mounter) -> Outcome<Report> {
    let began = Instant::now();
    let mut fill = Fill {
        setup,
        dice: Noise::new(setup.seed),
        ledgers: kill::ledgers(setup, CLIENTS)?,
        tally: Tally::default(),
        image: Image::new(setup.dir(), size, mounter)?,
    };
    let store = fill.image.path().join("store");
    let stranger = fill.image.path().join("stranger");
    let node = Node::start(setup, &store)?;
    let backend = node.backend.clone();
    let first = fill.fill(&node, "filled")?;
    fill.check(&node)?;
    fill.delete_some(&node.client(), 1)?;

    // Another program takes what the node left: not one byte is free.
    let stolen = take_all(&stranger)?;
    setup.tell(&format!("a stranger took the last {stolen} bytes"));
    fill.check(&node)?;
    fill.delete_some(&node.client(), 2)?;
    node.kill()?;
    let node = Node::start(setup, &store)?;
    fill.tally.ready(&node);
    setup.tell("killed and started again with 0 bytes free");
    fill.check(&node)?;
    refused(&node.client(), &mut fill.dice)?;
    fill.delete_some(&node.client(), 2)?;
    fs::remove_file(&stranger).map_err(Failure::machine("the stranger's file"))?;

    // The node's own deletes give space back while it runs.
    let freed = fill.free_half(&node.client())?;
    let again = fill.wait_for_space(&node.client())?;
    fill.check(&node)?;
    let second = fill.fill(&node, "filled again")?;
    node.kill()?;
    let node = Node::start(setup, &store)?;
    fill.tally.ready(&node);
    fill.check(&node)?;
    node.kill()?;
    fill.image.unmount()?;
    fill.tally.counts = kill::counts(&fill.ledgers);
    let mut json = fill.tally.json();
    json["filesystem_bytes"] = json!(size);
    json["filesystem"] = json!(name_of(mounter));
    json["backend"] = json!(backend);
    json["filled_bytes"] = json!([first, second]);
    json["freed_bytes"] = json!(freed);
    json["space_again_ms"] = json!(u64::try_from(again.as_millis()).unwrap_or(u64::MAX));
    json["seed"] = json!(setup.seed);
    let text = format!(
        "{} MiB of {} filled twice, on {backend}, in {} s (seed {})\n\
         full    refused with 507 and {FULL} at {} MiB, then at {} MiB; {} refusals\n\
         freed   {} MiB by deletes; puts worked again after {} ms, without a restart\n{}",
        size >> 20,
        name_of(mounter),
        began.elapsed().as_secs(),
        setup.seed,
        first >> 20,
        second >> 20,
        fill.tally.counts.refused_full,
        freed >> 20,
        again.as_millis(),
        fill.tally.text()
    );
    Ok(Report { json, text })
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
        refused(&client, &mut self.dice)?;
        let bytes = self.ledgers.iter().map(Ledger::live_bytes).sum();
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

    /// Deletes some blobs of each ledger: on a full disk too.
    fn delete_some(&mut self, client: &Client, each: usize) -> Outcome<u64> {
        let mut freed = 0;
        for ledger in &mut self.ledgers {
            for index in ledger.all(|state| state == State::Stored).iter().take(each) {
                freed += delete(client, ledger, *index)?;
            }
        }
        Ok(freed)
    }

    /// Deletes every second blob and every upload.
    fn free_half(&mut self, client: &Client) -> Outcome<u64> {
        let mut freed = 0;
        for ledger in &mut self.ledgers {
            for index in ledger.all(|state| state == State::Stored).iter().step_by(2) {
                freed += delete(client, ledger, *index)?;
            }
        }
        Ok(freed)
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

/// A put that the node must refuse, in the words that clients are promised.
fn refused(client: &Client, dice: &mut Noise) -> Outcome<()> {
    let bytes = contents(dice.draw(), ASK_LEN);
    let tree = lode_proofs::blob_tree(&bytes).map_err(Failure::machine("a root"))?;
    match client.put(tree.root(), &bytes, false) {
        Err(Trouble::Refused(problem))
            if problem.status == 507 && problem.code == FULL && problem.retryable =>
        {
            Ok(())
        }
        Err(trouble) => Err(unexpected("a put on a full disk", &trouble)),
        Ok(()) => Err(Failure::Node("took a put after it was full".to_owned())),
    }
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
