//! Validators on sockets and disks of this machine.

use std::{net::TcpListener, time::Instant};

use alloy_primitives::B256;
use commonware_utils::NZU64;

use super::*;
use crate::{
    Validator, deal,
    gossip::gossip,
    simulation::{folder::Folder, toy::Toy},
};

/// Time in which every committee here gets anywhere, on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(120);

struct Machine {
    folder: Folder,
    committee: Committee,
    secrets: Vec<Secret>,
    addresses: Vec<String>,
    toys: Vec<Toy>,
}

impl Machine {
    fn new(count: usize) -> Machine {
        let addresses = free_addresses(count);
        let (committee, secrets) = deal(B256::repeat_byte(3), &addresses).expect("good addresses");
        let members = committee.validators();
        let members: std::sync::Arc<dyn Fn(u64) -> Vec<Validator> + Send + Sync> =
            std::sync::Arc::new(move |_| members.clone());
        let toys = (0..count)
            .map(|at| {
                Toy::new(
                    &committee,
                    members.clone(),
                    &[u8::try_from(at).expect("few")],
                )
            })
            .collect();
        Machine {
            folder: Folder::new(),
            committee,
            secrets,
            addresses,
            toys,
        }
    }

    fn start(&self, at: usize) -> (Node, crate::gossip::Peers) {
        let config = Config {
            secret: self.secrets[at].clone(),
            listen: self.addresses[at].parse().expect("an address"),
            storage: self.folder.path().join(at.to_string()),
            blocks_per_epoch: NZU64!(64),
            leader_wait: Duration::from_secs(2),
            threads: 1,
            blocks_kept: 1 << 10,
            checkpoint: None,
        };
        let (validator, peers) = gossip();
        let node = start(config, self.toys[at].clone(), validator).expect("it starts");
        (node, peers)
    }

    fn reach(&self, members: &[usize], height: u64) {
        let start = Instant::now();
        while members.iter().any(|&at| self.toys[at].height() < height) {
            assert!(start.elapsed() < PATIENCE, "stuck below {height}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// All have the same chain as far as they go.
    fn check(&self) {
        let first = self.toys[0].chain();
        for toy in &self.toys {
            let chain = toy.chain();
            let common = chain.len().min(first.len());
            assert_eq!(chain[..common], first[..common], "two chains");
        }
        assert_eq!(first[0], self.toys[0].genesis());
        assert_eq!(
            Committee::of(&first[0]).map(|it| it.group_key()),
            Ok(self.committee.group_key())
        );
    }
}

/// Ports that were free a moment ago.
fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let addresses = listeners
        .iter()
        .map(|it| it.local_addr().expect("it is bound").to_string());
    addresses.collect()
}

/// One validator makes blocks, over epochs, and goes on where it was when it starts again.
#[test]
fn one_goes_on() {
    let machine = Machine::new(1);
    let (node, _peers) = machine.start(0);
    machine.reach(&[0], 70);
    node.stop().expect("it ran");
    let height = machine.toys[0].height();
    machine.toys[0].crash(0);
    let (node, _peers) = machine.start(0);
    machine.reach(&[0], height + 70);
    node.stop().expect("it ran");
    machine.check();
}

/// Four validators agree over sockets, one that stops and starts comes after, and transactions of one
/// get to the others.
#[test]
fn four_agree() {
    let machine = Machine::new(4);
    let mut nodes: Vec<_> = (0..4).map(|at| machine.start(at)).collect();
    machine.reach(&[0, 1, 2, 3], 20);
    let (stopped, _) = nodes.pop().expect("four");
    stopped.stop().expect("it ran");
    machine.toys[3].crash(2);
    let height = machine.toys[0].height() + 10;
    machine.reach(&[0, 1, 2], height);
    nodes.push(machine.start(3));
    machine.reach(&[0, 1, 2, 3], height + 10);
    let transaction = bytes::Bytes::from_static(b"raw bytes of a transaction");
    let sent = nodes[1].1.outbound.try_send(transaction.clone());
    sent.expect("there is room");
    for at in [0, 2] {
        let received =
            futures_lite::future::block_on(futures_lite::StreamExt::next(&mut nodes[at].1.inbound));
        assert_eq!(received, Some(transaction.clone()));
    }
    for (node, _) in nodes {
        node.stop().expect("it ran");
    }
    machine.check();
}

/// Strangers who connect and send anything, or nothing, do not hold up four validators, which keep to
/// their memory. In a process of its own, whose memory no other test has a part of.
#[test]
fn strangers_do_no_harm() {
    const ALONE: &str = "STRANGERS_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("this program");
        let alone = std::process::Command::new(program)
            .args([
                "--exact",
                "node::tests::strangers_do_no_harm",
                "--nocapture",
            ])
            .env(ALONE, "1")
            .status();
        assert!(alone.expect("it starts").success(), "see above");
        return;
    }
    let machine = Machine::new(4);
    let nodes: Vec<_> = (0..4).map(|at| machine.start(at)).collect();
    machine.reach(&[0, 1, 2, 3], 5);
    let before = resident();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, address) in machine.addresses.iter().enumerate() {
            let over = &over;
            scope.spawn(move || pester(address, number, over));
        }
        for height in (20..=60).step_by(20) {
            machine.reach(&[0, 1, 2, 3], height);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < STRANGERS_MEMORY_MAX, "{grown} bytes more");
    for (node, _) in nodes {
        node.stop().expect("it ran");
    }
    machine.check();
}

/// Memory that four validators may grow by while strangers pester them, their own blocks included.
const STRANGERS_MEMORY_MAX: u64 = 256 << 20;
/// Connections of one stranger that stay open without a word.
const SILENT_MAX: usize = 64;

/// Opens connections until it is over: silent ones, and ones that begin with a large length, with
/// noise, and with much noise.
fn pester(address: &str, seed: usize, over: &std::sync::atomic::AtomicBool) {
    use std::io::Write as _;
    let mut silent = Vec::new();
    let mut state = u64::try_from(seed).expect("few") + 1;
    while !over.load(std::sync::atomic::Ordering::Relaxed) {
        // Refused: there are too many already.
        let Ok(mut stream) = std::net::TcpStream::connect(address) else {
            continue;
        };
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let noise: Vec<u8> = (0..1u32 << (state >> 60))
            .map(|at| (state >> (at % 57)).to_le_bytes()[0])
            .collect();
        let bytes = match state >> 33 & 3 {
            0 if silent.len() < SILENT_MAX => {
                silent.push(stream);
                continue;
            }
            1 => vec![0xff; 10],
            _ => noise,
        };
        // Closed on us: that is what it is for.
        let _closed = stream.write_all(&bytes).is_err();
    }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages = text.split(' ').nth(1).expect("the second figure");
    pages.parse::<u64>().expect("a number") * 4096
}

/// Prints how long empty blocks take, one after the other, for one validator and for four in one
/// process: `cargo test --release -p lode-chain-consensus -- --ignored --nocapture measures`.
#[test]
#[ignore = "a measurement"]
fn measures() {
    for (count, blocks) in [(1, 1000), (4, 500)] {
        let machine = Machine::new(count);
        let nodes: Vec<_> = (0..count).map(|at| machine.start(at)).collect();
        let all: Vec<usize> = (0..count).collect();
        machine.reach(&all, 20);
        let (first, start) = (machine.toys[0].height(), Instant::now());
        machine.reach(&all, first + blocks);
        let passed = start.elapsed().as_secs_f64() * 1000.0;
        let made = machine.toys[0].height() - first;
        let each = passed / f64::from(u32::try_from(made).expect("few"));
        println!("{count} validators: {made} blocks, {each:.2} ms each");
        for (node, _) in nodes {
            node.stop().expect("it ran");
        }
        machine.check();
    }
}
