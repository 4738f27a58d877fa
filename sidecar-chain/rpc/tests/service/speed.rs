//! How many transactions a second are taken over HTTP. Measured by hand:
//! `cargo test --release -p lode-chain-rpc --test service speed -- --ignored --nocapture`.
//!
//! Signing is done before; who sends, the server and the threads that find senders share the machine.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use lode_chain_rpc::{Config, serve};

use crate::common::Wallet;

const WALLETS: u8 = 20;
const EACH: u64 = 1_000;
const BATCH: usize = 100;
const CONNECTIONS: usize = 4;

/// Sends batches over one connection, and counts the hashes that come back.
fn send(address: SocketAddr, batches: &[String]) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut taken = 0;
    for batch in batches {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            batch.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(batch.as_bytes()).unwrap();
        let mut len = 0;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                len = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; len];
        answers.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        taken += body.matches("\"result\":\"0x").count();
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and proves nothing"]
async fn transactions_a_second() {
    let (_dir, ledger) = crate::common::ledger(&crate::common::genesis());
    let config = Config {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Config::default()
    };
    let handle = serve(config, ledger.clone()).await.unwrap();
    let address = handle.address();
    let to = alloy_primitives::Address::repeat_byte(0xee);
    // A connection has its own senders, so that nonces come in order.
    let shares: Vec<Vec<String>> = (0..CONNECTIONS)
        .map(|connection| {
            let wallets: Vec<Wallet> = (0..WALLETS)
                .filter(|number| usize::from(*number) % CONNECTIONS == connection)
                .map(Wallet::new)
                .collect();
            let all: Vec<String> = (0..EACH)
                .flat_map(|nonce| wallets.iter().map(move |wallet| wallet.signed(nonce, to, 21_000)))
                .map(|bytes| {
                    format!(
                        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_sendRawTransaction\",\"params\":[\"{bytes}\"]}}"
                    )
                })
                .collect();
            all.chunks(BATCH)
                .map(|batch| format!("[{}]", batch.join(",")))
                .collect()
        })
        .collect();
    let begun = Instant::now();
    let threads: Vec<_> = shares
        .into_iter()
        .map(|share| std::thread::spawn(move || send(address, &share)))
        .collect();
    let taken: usize = threads.into_iter().map(|one| one.join().unwrap()).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(taken).unwrap()) / seconds;
    println!("{taken} transactions in {seconds:.2} s: {rate:.0} a second");
    assert_eq!(taken, usize::from(WALLETS) * usize::try_from(EACH).unwrap());
    handle.stop().await;
    ledger.stop();
}
