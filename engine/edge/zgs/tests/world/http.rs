//! HTTP/1.1 as a client writes it, byte by byte.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// The head of a POST with these lines in it.
pub fn head(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n")
}

/// A POST of a body.
pub fn post(body: &[u8]) -> Vec<u8> {
    post_with("", body)
}

/// A POST of a body, with more lines in its head.
pub fn post_with(lines: &str, body: &[u8]) -> Vec<u8> {
    let head = head(&format!("{lines}Content-Length: {}\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// A call.
pub fn call(method: &str, params: &Value) -> Vec<u8> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    call.to_string().into_bytes()
}

/// Reads an answer: its status and its body. None if the other side ended first.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u16, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let len = head.split_once("content-length: ");
    let len = len.map_or(0, |(_, rest)| {
        rest.split_once("\r\n").unwrap().0.parse().unwrap()
    });
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    Some((status, body))
}

/// Sends bytes and reads the answer.
pub async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
) -> Option<(u16, Vec<u8>)> {
    // A server that refuses early may have closed its end: what it said counts.
    let _closed = stream.write_all(bytes).await.is_err();
    answer(stream).await
}

/// The same on a connection of its own.
pub async fn ask(address: SocketAddr, bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, bytes).await
}

/// Calls a method; its answer.
pub async fn rpc(address: SocketAddr, method: &str, params: &Value) -> Value {
    let (status, body) = ask(address, &post(&call(method, params))).await.unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}
