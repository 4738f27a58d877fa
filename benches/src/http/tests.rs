//! The bench against a real node, and its client against answers that are right, wrong and cut.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use super::{NAME, Settings, client, client::Crowd, run};
use crate::{
    error::{Error, Result},
    scratch::Scratch,
    values::{CHUNK_LEN, Values},
};

/// Proves that every job runs against a real node, and that each has a figure and a limit.
#[test]
fn runs_tiny() {
    let scratch = Scratch::new("http").unwrap();
    let settings = Settings {
        len: 5 << 20,
        span: Duration::from_millis(5),
        rounds: 1,
    };
    let found = run(scratch.path(), settings).unwrap();
    let rows: Vec<(&str, &str, bool)> = found
        .figures
        .iter()
        .map(|figure| {
            let limited = figure.of_limit.is_some();
            (figure.what.as_str(), figure.subject.as_str(), limited)
        })
        .collect();
    let expected = [
        (super::PUT, "disk", false),
        (super::PUT, "sector tree, one core", false),
        (super::PUT, NAME, true),
        (super::GET, "disk", false),
        (super::GET, NAME, true),
        (super::GETS, "disk", false),
        (super::GETS, "lode, no node", true),
        (super::GETS, "lode over HTTP, 32 clients", true),
        (super::GETS, "lode over HTTP, 128 clients", true),
    ];
    assert_eq!(rows, expected);
    assert!(found.figures.iter().all(|figure| figure.best > 0.0));
    let gauges: Vec<serde_json::Value> = found
        .gauges
        .iter()
        .map(crate::gauge::Gauge::figure)
        .collect();
    assert_eq!(gauges.len(), 17, "{gauges:?}");
    let peaks = gauges.iter().filter(|gauge| gauge["at_most"] == 256.0);
    assert!(
        peaks
            .clone()
            .all(|peak| peak["median"].as_f64() > Some(8.0))
    );
    assert_eq!(peaks.count(), 4, "{gauges:?}");
}

/// Answers one request on each of `connections` connections, in pieces of `piece` bytes; nothing
/// in the requests is looked at.
fn answers(bytes: Vec<u8>, piece: usize, connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            for piece in bytes.chunks(piece) {
                // A client that has seen enough goes away.
                if stream.write_all(piece).is_err() {
                    return;
                }
            }
        }
    });
    address
}

fn answer(status: &str, len: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nServer: x\r\ncontent-length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn get(address: SocketAddr) -> Result<()> {
    client::get(address, "0x00", &Values::new(1), 2)
}

/// Proves that a blob passes whole, in whatever pieces it comes, and that one wrong byte, a missing
/// end and a refusal do not.
#[test]
fn compares_a_blob() {
    let values = Values::new(1);
    let body = [values.value(0, CHUNK_LEN), values.value(1, CHUNK_LEN)].concat();
    for piece in [17_001, 1 << 20] {
        let good = answers(answer("200 OK", body.len(), &body), piece, 1);
        get(good).unwrap();
    }
    for at in [0, CHUNK_LEN, body.len() - 1] {
        let mut wrong = body.clone();
        wrong[at] ^= 1;
        let end = get(answers(answer("200 OK", wrong.len(), &wrong), 65_536, 1));
        assert!(matches!(end, Err(Error::Wrong { .. })), "{at}: {end:?}");
    }
    let cut = answer("200 OK", body.len(), &body[1..]);
    let short = answer("200 OK", body.len() - 1, &body[..body.len() - 1]);
    for bytes in [cut, short, b"nothing\r\n\r\n".to_vec()] {
        assert!(get(answers(bytes, 65_536, 1)).is_err());
    }
    let end = get(answers(answer("404 Not Found", 9, b"no blob 1"), 5, 1));
    assert!(
        end.unwrap_err()
            .to_string()
            .contains("status 404: no blob 1")
    );
}

/// Proves the same of many clients at once: the answers fit the values that were asked for, whole.
#[test]
fn compares_small_blobs() {
    let values = Values::new(1);
    let body = values.value(7, CHUNK_LEN);
    let crowd = |body: &[u8], picks: &[u64]| {
        let address = answers(answer("200 OK", body.len(), body), 50_000, 2);
        Crowd::connect(address, 2).unwrap().get(&values, picks)
    };
    crowd(&body, &[7, 7]).unwrap();
    let end = crowd(&body, &[7, 8]);
    assert!(matches!(end, Err(Error::Wrong { index: 8, .. })), "{end:?}");
    let mut long = body.clone();
    long.push(0);
    for wrong in [&body[..CHUNK_LEN - 1], &long] {
        let end = crowd(wrong, &[7, 7]);
        assert!(matches!(end, Err(Error::Wrong { index: 7, .. })), "{end:?}");
    }
    // The answers are used up: a connection that ends is an error, not an end.
    assert!(crowd(&body, &[7, 7, 7]).is_err());
}
