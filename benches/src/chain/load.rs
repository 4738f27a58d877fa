//! One job on one subject: every lane sends its requests one after the other, the gate bounds what
//! waits, and the subscription says when it was in a block. Meanwhile a probe sends one transaction
//! after the other that pays for being taken first: how long those take is the chain's own time, where
//! all others mostly wait for each other.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use serde_json::json;

use super::{
    gate::Gate,
    heads::{Head, Heads},
    network::Network,
    rpc::{Client, refused},
    script::{Request, Signed, Signer, send_request},
};
use crate::{
    error::Result,
    meter::{bytes_of, float},
};

/// A chain that mines nothing for as long, and has something to mine, has stopped.
const STOPPED: Duration = Duration::from_secs(15);
/// Time between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// Time between two looks for a receipt.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Time between two transactions at low rate.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of a job.
pub struct Outcome {
    /// Transactions of the job that were sent.
    pub sent: u64,
    /// All of them are in blocks: the chain did not stop.
    pub whole: bool,
    /// Transactions in blocks, those of the probe among them.
    pub mined: u64,
    /// Transactions between the first block and the last, and the time between those.
    pub counted: (u64, f64),
    /// Blocks with transactions.
    pub blocks: u64,
    /// Milliseconds from a transaction's request to the block's head, sorted.
    pub crowd_ms: Vec<f64>,
    /// The same of those that went first.
    pub first_ms: Vec<f64>,
}

/// Transactions and when they were sent.
type Sent = Vec<(B256, Instant)>;

/// Sends all of a job, and waits until it is in blocks or the chain stops.
///
/// # Errors
/// When the chain refuses a transaction, or goes away.
pub fn run(network: &Network, signed: &Signed) -> Result<Outcome> {
    let address = network.first();
    let gate = Arc::new(Gate::new(signed.job.waiting, STOPPED));
    let heads = Heads::follow(address, Arc::clone(&gate))?;
    let mut prober = prober(address)?;
    let began = Instant::now();
    let over = AtomicBool::new(false);
    let sending: Result<((Vec<Sent>, Sent), bool)> = thread::scope(|scope| {
        let lanes: Vec<_> = signed
            .lanes
            .iter()
            .zip(network.rpc.iter().cycle())
            .map(|(lane, address)| {
                let gate = &gate;
                scope.spawn(move || send_lane(*address, lane, gate))
            })
            .collect();
        let probe = scope.spawn(|| probe(address, &mut prober, &gate, &over));
        let join = |thread: thread::ScopedJoinHandle<'_, Result<Sent>>| {
            let joined = thread.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let sent: Vec<Result<Sent>> = lanes.into_iter().map(join).collect();
        let sent: Result<Vec<Sent>> = sent.into_iter().collect();
        over.store(true, Relaxed);
        let all = (sent?, join(probe)?);
        let whole = gate.wait_empty();
        Ok((all, whole))
    });
    let heads = heads.stop();
    // Why a lane ended says more than that the subscription did, and the other way round.
    let ((sent, probed), whole) = sending?;
    let heads = heads?;
    let landed = landed(address, &heads)?;
    let sent: Sent = sent.into_iter().flatten().collect();
    Ok(Outcome {
        sent: bytes_of(sent.len()),
        whole,
        mined: heads.iter().map(|head| head.transactions).sum(),
        counted: counted(began, &heads),
        blocks: bytes_of(heads.iter().filter(|head| head.transactions > 0).count()),
        crowd_ms: took(&sent, &landed),
        first_ms: took(&probed, &landed),
    })
}

fn send_lane(address: SocketAddr, lane: &[Request], gate: &Gate) -> Result<Sent> {
    let mut client = Client::connect(address)?;
    let mut sent = Vec::new();
    for request in lane {
        if !gate.enter(bytes_of(request.hashes.len())) {
            break;
        }
        let at = Instant::now();
        if let Err(error) = client.send(&request.bytes) {
            gate.close();
            return Err(error);
        }
        sent.extend(request.hashes.iter().map(|hash| (*hash, at)));
    }
    Ok(sent)
}

/// The account of the probe, with its nonce.
fn prober(address: SocketAddr) -> Result<Signer> {
    let mut signer = Signer::known(1)?;
    let mut client = Client::connect(address)?;
    let params = json!([signer.address, "latest"]);
    signer.nonce = client.number("eth_getTransactionCount", &params)?;
    Ok(signer)
}

fn probe(address: SocketAddr, signer: &mut Signer, gate: &Gate, over: &AtomicBool) -> Result<Sent> {
    let mut client = Client::connect(address)?;
    let mut sent = Vec::new();
    while !over.load(Relaxed) {
        let envelope = signer.probe()?;
        let request = send_request([&envelope].into_iter(), true);
        let at = Instant::now();
        gate.pass();
        client.send(&request)?;
        sent.push((*envelope.hash(), at));
        thread::sleep(PROBE_EVERY);
    }
    Ok(sent)
}

/// One transaction at a time on a chain that has nothing else to do: milliseconds until there is a
/// receipt, sorted.
///
/// # Errors
/// When the chain refuses, or stops.
pub fn idle(address: SocketAddr, count: u32) -> Result<Vec<f64>> {
    let mut signer = prober(address)?;
    let mut client = Client::connect(address)?;
    let mut times = Vec::new();
    for _ in 0..count {
        let envelope = signer.probe()?;
        let request = send_request([&envelope].into_iter(), true);
        let at = Instant::now();
        client.send(&request)?;
        let params = json!([envelope.hash()]);
        while client.call("eth_getTransactionReceipt", &params)?.is_null() {
            if at.elapsed() > STOPPED {
                return Err(refused("a transaction without a receipt"));
            }
            thread::sleep(LOOK_EVERY);
        }
        times.push(at.elapsed().as_secs_f64() * 1e3);
        thread::sleep(PAUSE);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// When each transaction was in a block. Asked for afterwards, so that it costs nothing meanwhile.
fn landed(address: SocketAddr, heads: &[Head]) -> Result<HashMap<B256, Instant>> {
    let mut client = Client::connect(address)?;
    let mut landed = HashMap::new();
    for head in heads.iter().filter(|head| head.transactions > 0) {
        let params = json!([format!("{:#x}", head.height), false]);
        let block = client.call("eth_getBlockByNumber", &params)?;
        let hashes = block["transactions"].as_array();
        let hashes = hashes.ok_or_else(|| refused("a block without transactions"))?;
        for hash in hashes {
            let hash = hash.as_str().and_then(|text| text.parse().ok());
            landed.insert(hash.ok_or_else(|| refused("a hash that is none"))?, head.at);
        }
    }
    Ok(landed)
}

fn took(sent: &Sent, landed: &HashMap<B256, Instant>) -> Vec<f64> {
    let each = sent.iter().filter_map(|(hash, sent)| {
        let landed = landed.get(hash)?;
        Some(landed.saturating_duration_since(*sent).as_secs_f64() * 1e3)
    });
    let mut times: Vec<f64> = each.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// What came after the first block that held anything, and how long that took: what is in the first
/// was sent before there was a clock. A single block is counted from the beginning.
fn counted(began: Instant, heads: &[Head]) -> (u64, f64) {
    let mut full = heads.iter().filter(|head| head.transactions > 0);
    let Some(first) = full.next() else {
        return (0, began.elapsed().as_secs_f64());
    };
    let later: u64 = full.clone().map(|head| head.transactions).sum();
    match full.next_back() {
        Some(last) => (later, (last.at - first.at).as_secs_f64()),
        None => (first.transactions, (first.at - began).as_secs_f64()),
    }
}

/// The value below which so many percent of sorted values are; 0 of none.
pub fn percentile(sorted: &[f64], percent: u32) -> f64 {
    let len = bytes_of(sorted.len());
    let at = (len * u64::from(percent)).div_ceil(100).saturating_sub(1);
    let at = usize::try_from(at).expect("below the length");
    sorted.get(at).copied().unwrap_or(0.0)
}

impl Outcome {
    /// Transactions in a block.
    pub fn per_block(&self) -> f64 {
        float(self.mined) / float(self.blocks.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Head, counted, percentile};

    /// Proves which blocks are counted, and over which time.
    #[test]
    fn counts_between_blocks() {
        let began = Instant::now();
        let head = |second, transactions| Head {
            height: second,
            at: began + Duration::from_secs(second),
            transactions,
        };
        assert_eq!(counted(began, &[head(1, 0), head(2, 7)]), (7, 2.0));
        let heads = [
            head(1, 0),
            head(2, 7),
            head(3, 0),
            head(4, 5),
            head(6, 9),
            head(9, 0),
        ];
        assert_eq!(counted(began, &heads), (14, 4.0));
        assert_eq!(counted(began, &[]).0, 0);
    }

    /// Proves the percentiles of few values.
    #[test]
    fn takes_percentiles() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 50.0);
        assert_eq!(percentile(&values, 99), 99.0);
        assert_eq!(percentile(&values[..1], 99), 1.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
