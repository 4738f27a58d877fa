//! The client against answers that are right, refused and cut.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use serde_json::json;

use super::{Client, number, request};

/// Answers every request on one connection with these bytes, a few at a time.
fn answers(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        while stream.read(&mut asked).is_ok_and(|read| read > 0) {
            for piece in bytes.chunks(7) {
                // A client that has seen enough goes away.
                if stream.write_all(piece).is_err() {
                    return;
                }
            }
        }
    });
    address
}

fn plain(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Proves that answers come whole, by length and in pieces, one after the other on one connection.
#[test]
fn reads_answers() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":"0x2a"}"#;
    let (first, second) = body.split_at(9);
    let pieces = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    );
    for bytes in [plain("200 OK", body), pieces.into_bytes()] {
        let mut client = Client::connect(answers(bytes)).unwrap();
        for _ in 0..3 {
            assert_eq!(client.number("a_b", &json!([])).unwrap(), 42);
            client.send(&request("{}")).unwrap();
        }
    }
}

/// Proves that a refusal in a batch, another status and a cut answer are errors that say what came.
#[test]
fn tells_refusals() {
    let batch =
        r#"[{"id":0,"result":"0x"},{"id":1,"error":{"code":-32000,"message":"nonce too low"}}]"#;
    let said = |bytes| {
        let mut client = Client::connect(answers(bytes)).unwrap();
        client.send(&request("{}")).unwrap_err().to_string()
    };
    assert!(said(plain("200 OK", batch)).contains("nonce too low"));
    assert!(said(plain("413 Too Large", "long")).contains("status 413: long"));
    assert!(said(b"SSH-2.0\r\n\r\n".to_vec()).contains("no HTTP"));
    assert!(said(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).contains("without its length"));
}

/// Proves that only numbers are numbers.
#[test]
fn reads_numbers() {
    assert_eq!(number(&json!("0x10")), Some(16));
    for none in [json!("10"), json!(10), json!(null), json!("0xg")] {
        assert_eq!(number(&none), None);
    }
}
