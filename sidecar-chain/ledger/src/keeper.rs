//! The thread that writes: takes final blocks in order, writes what waits at once, then lets the
//! world see it: readers first, then the pool, then listeners, then consensus.
//!
//! While one group is written and synced the next one gathers, so many small blocks cost one sync.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc::Receiver},
};

use alloy_primitives::Address;
use futures_channel::oneshot;
use lode_chain_pool::Account;
use lode_chain_state::versions::{Changes, Versions};
use lode_chain_types::Finality;

use crate::{
    error::Error,
    events::{Committed, Event},
    ledger::Shared,
    tables,
    tree::Node,
    view::View,
};

/// Blocks that are written at once.
const GROUP_MAX: usize = 64;
/// States that are forgotten at once, so that readers never wait long.
const FORGET_MAX: u64 = 16;

/// A final block, executed.
pub struct Job {
    /// The block.
    pub node: Arc<Node>,
    /// What proves it final.
    pub finality: Option<Finality>,
    /// Told when it is durable.
    pub answer: oneshot::Sender<Result<(), Error>>,
}

/// Runs until nobody has a job any more. After a failure nothing is written: the store is over, and
/// what was acknowledged is there after the next start.
pub fn run(shared: &Arc<Shared>, mut versions: Versions, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        // Told twice before the first was written: the second is as durable as the first.
        let mut done = Vec::new();
        let tip = versions.tip().unwrap_or(0);
        let mut fresh: Vec<Job> = Vec::new();
        for job in group {
            let height = job.node.block.height();
            let last = fresh.last().map_or(tip, |job| job.node.block.height());
            if height <= last {
                done.push(job.answer);
            } else {
                fresh.push(job);
            }
        }
        if let Err(error) = write(shared, &mut versions, &fresh) {
            tracing::error!(%error, "the chain's store has failed; the chain stops here");
            for job in fresh {
                let _ = job.answer.send(Err(Error::Stopped));
            }
            return;
        }
        publish(shared, &fresh);
        for answer in fresh.into_iter().map(|job| job.answer).chain(done) {
            // Nobody waits: consensus has stopped, and will hear of it from the store.
            let _ = answer.send(Ok(()));
        }
        if let Err(error) = forget(shared, &mut versions) {
            tracing::error!(%error, "old states could not be forgotten");
        }
    }
}

fn write(shared: &Shared, versions: &mut Versions, group: &[Job]) -> Result<(), Error> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return Ok(());
    };
    let changes: Vec<&Changes> = group.iter().map(|job| &*job.node.changes).collect();
    let mut rows = Vec::new();
    for Job { node, finality, .. } in group {
        let of_block = tables::rows(
            &node.block,
            &node.senders,
            &node.receipts,
            finality.as_ref(),
        );
        rows.extend(of_block);
    }
    versions.commit(first.node.block.height(), &changes, rows)?;
    let view = View {
        state: versions.latest(),
        from: versions.from(),
        base: shared.latest().base(),
    };
    let block = &last.node.block;
    shared
        .tree
        .lock()
        .advance(block.hash(), block.height(), view);
    Ok(())
}

/// Tells the pool and the listeners.
fn publish(shared: &Shared, group: &[Job]) {
    let view = shared.latest();
    let senders = group.iter().flat_map(|job| job.node.senders.iter());
    let mut accounts: BTreeMap<Address, Account> = BTreeMap::new();
    for sender in senders {
        if accounts.contains_key(sender) {
            continue;
        }
        match view.of_sender(*sender) {
            Ok(account) => drop(accounts.insert(*sender, account)),
            Err(error) => tracing::error!(%error, %sender, "an account could not be read"),
        }
    }
    if let Some(last) = group.last() {
        let next = last.node.block.header();
        let fee = next.next_block_base_fee(shared.chain.base_fee_params());
        let mut pool = shared.pool.lock();
        pool.set_base_fee(fee.unwrap_or(0));
        let settled = pool.mined(accounts);
        drop(pool);
        for one in settled.executable {
            shared.listeners.tell(&Event::Pending(one));
        }
    }
    for job in group {
        let node = &job.node;
        let committed = Committed {
            block: node.block.clone(),
            senders: node.senders.clone(),
            receipts: node.receipts.clone(),
            finality: job.finality,
        };
        shared.listeners.tell(&Event::Block(Arc::new(committed)));
    }
}

fn forget(shared: &Shared, versions: &mut Versions) -> Result<(), Error> {
    let (Some(states), Some(tip)) = (shared.options.states, versions.tip()) else {
        return Ok(());
    };
    let from = tip.saturating_sub(states);
    let from = from.min(versions.from() + FORGET_MAX);
    if from > versions.from() {
        versions.forget(from)?;
        shared.tree.lock().forget(versions.from());
    }
    Ok(())
}
