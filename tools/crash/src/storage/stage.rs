//! A chain, storage nodes and clients: what every part of the proof works with.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Instant,
};

use super::{
    check::{self, Found, PATIENCE},
    ledger::{Blob, Ledger, Shared},
    nodes::{COUNT, Nodes},
    pay::{Wish, pay},
};
use crate::{
    chain::network::{Network, free_addresses, places_at},
    failure::{Failure, Outcome},
    links,
    noise::Noise,
    setup::Setup,
};

/// Bytes of a chunk.
const CHUNK: u64 = 262_144;
const _: () = assert!(lode_proofs::CHUNK_LEN == 262_144);
/// The port of the chain's RPC, where it has an address of its own.
const CHAIN_PORT: u16 = 8_545;
/// Kinds of sizes that blobs have in turn, and the kind that is an earlier blob once more: at another
/// place of the flow, so that its chunks may be of other slices.
const KINDS: u64 = 8;
/// See [`KINDS`].
const AGAIN: u64 = 7;

/// Everything that runs.
pub struct Stage<'a> {
    /// Where it runs.
    pub setup: &'a Setup,
    /// One validator, which nobody kills here.
    pub chain: Network,
    /// The storage nodes.
    pub nodes: Nodes,
    /// The ledger.
    pub shared: Shared,
    /// Where all chance comes from.
    pub dice: Noise,
    /// What was counted so far.
    pub tally: Tally,
    /// Each node is in a network namespace of its own.
    pub apart: bool,
    largest: u64,
    wished: u64,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Nodes killed while they served.
    pub kills: u64,
    /// Nodes killed before they served again.
    pub killed_restarts: u64,
    /// From start to the first answer, of every restart, in ms.
    pub ready_ms: Vec<u64>,
    /// Chunks on nodes, compared and proven, over all checks.
    pub found: Found,
}

impl<'a> Stage<'a> {
    /// Starts a chain and the nodes; blobs have up to `largest` bytes.
    pub fn new(setup: &'a Setup, apart: bool, largest: u64) -> Outcome<Stage<'a>> {
        let mut free = free_addresses();
        let mut place = places_at(1, &mut free)?;
        if apart {
            links::link(COUNT)?;
            links::link_chain(COUNT)?;
            for place in &mut place {
                place.rpc = SocketAddr::from((links::CHAIN, CHAIN_PORT));
            }
        }
        let address = place[0].rpc;
        let mut chain = Network::new(setup, &setup.dir().join("chain"), place)?;
        chain.start(setup, &[0])?;
        let dir = setup.dir().join("storage");
        let mut nodes = match apart {
            true => Nodes::apart(&dir, address)?,
            false => Nodes::together(&dir, address, &mut free)?,
        };
        let everybody = nodes.numbers();
        nodes.start(setup, &everybody)?;
        Ok(Stage {
            setup,
            chain,
            nodes,
            shared: Shared::new(Ledger::new(&setup.dir().join("ledger.jsonl"))?),
            dice: Noise::new(setup.seed),
            tally: Tally::default(),
            apart,
            largest,
            wished: 0,
        })
    }

    /// Blobs of new contents go into the flow; their indices in the ledger.
    pub fn submit(&mut self, count: usize) -> Outcome<Vec<usize>> {
        let wishes: Vec<Wish> = (0..count).map(|_| self.wish()).collect();
        self.submit_these(&wishes)
    }

    /// These go into the flow; their indices in the ledger.
    pub fn submit_these(&mut self, wishes: &[Wish]) -> Outcome<Vec<usize>> {
        self.chain.expect_running()?;
        let blobs = pay(&self.chain.rpc(0), wishes)?;
        let added = blobs
            .into_iter()
            .map(|blob| self.shared.ledger(|ledger| ledger.add(blob)));
        added.collect()
    }

    /// The next blob: each kind of size in turn, so that a short run has them all.
    fn wish(&mut self) -> Wish {
        let (kind, dice) = (self.wished % KINDS, &mut self.dice);
        self.wished += 1;
        let blobs = self.shared.blobs();
        if let (AGAIN, Some(at)) = (kind, dice.index(blobs.len())) {
            let Blob { seed, size, .. } = blobs[at];
            return Wish { seed, size };
        }
        let size = match kind {
            0 => 1,
            1 => dice.between(255, 257),
            2 => dice.between(2, 65_536),
            3 => dice.between(CHUNK - 1, CHUNK + 1),
            4 => dice.between(self.largest.saturating_sub(300), self.largest),
            5 => CHUNK * dice.between(2, 8),
            _ => dice.between(CHUNK + 2, 12 * CHUNK),
        };
        Wish {
            seed: dice.draw(),
            size: size.clamp(1, self.largest),
        }
    }

    /// Waits until every replica has all that was acknowledged, and sees it.
    pub fn expect_whole(&mut self) -> Outcome<()> {
        let everybody = self.nodes.numbers();
        let times = (Instant::now(), PATIENCE);
        check::counted(self.setup, &mut self.nodes, &self.shared, &everybody, times)?;
        let found = check::proven(self.setup, &mut self.nodes, &self.shared, PATIENCE)?;
        self.tally.found = self.tally.found.and(found);
        Ok(())
    }

    /// Bytes that each node has got from the others so far, where links are counted.
    pub fn received(&self) -> Outcome<Option<Vec<u64>>> {
        match self.apart {
            true => links::received(COUNT).map(Some),
            false => Ok(None),
        }
    }
}

/// Runs clients, and `act` beside them with the number of those that are not done; ends when all have.
/// What a client saw explains what `act` ran into, so it is told first.
pub fn beside<T, C>(
    shared: &Shared,
    clients: Vec<C>,
    act: impl FnOnce(&AtomicUsize) -> Outcome<T>,
) -> Outcome<T>
where
    C: FnOnce() -> Outcome<()> + Send,
{
    let at_work = AtomicUsize::new(clients.len());
    thread::scope(|scope| {
        let at_work = &at_work;
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| {
                scope.spawn(move || {
                    let ended = client();
                    at_work.fetch_sub(1, SeqCst);
                    ended
                })
            })
            .collect();
        let acted = act(at_work);
        if acted.is_err() {
            // The scope waits for every thread.
            shared.over.store(true, SeqCst);
        }
        let ended = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let ended: Vec<Outcome<()>> = ended.collect();
        match acted {
            Err(Failure::Interrupted) => Err(Failure::Interrupted),
            acted => ended.into_iter().collect::<Outcome<()>>().and(acted),
        }
    })
}
