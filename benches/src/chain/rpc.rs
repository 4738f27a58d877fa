//! JSON-RPC over HTTP/1.1 by hand: a plain socket that is kept open, and one buffer. It shares the
//! cores with what it measures, so requests are made before, and answers are looked at for errors
//! alone.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use super::NAME;
use crate::error::{Error, Result};

/// A chain that is silent for as long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer, at most.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// Bytes that are read at once.
const READ_LEN: usize = 64 << 10;
/// What an answer holds that is none, and no other does.
const ERROR: &[u8] = br#""error""#;

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request with this body.
pub fn request(body: &str) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: chain\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let connected = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        Ok(Self {
            stream: connected().map_err(failed("connect"))?,
            buffer: Vec::with_capacity(READ_LEN),
        })
    }

    /// Sends a request that [`request`] made, and returns the body of the answer.
    ///
    /// # Errors
    /// When there is none, or it has another status than 200.
    pub fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        let sent = self.stream.write_all(request);
        sent.map_err(failed("send a request"))?;
        self.buffer.clear();
        loop {
            if let Some(answer) = answer(&self.buffer).map_err(refused)? {
                let Found {
                    status,
                    body,
                    whole,
                } = answer;
                let body = match body {
                    Body::Plain(from) => &self.buffer[from..whole],
                    Body::Chunks(bytes) => {
                        self.buffer = bytes;
                        &self.buffer[..]
                    }
                };
                return match status {
                    200 => Ok(body),
                    _ => {
                        let text = String::from_utf8_lossy(body);
                        Err(refused(&format!("status {status}: {text}")))
                    }
                };
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        let len = self.buffer.len();
        if len > ANSWER_LEN_MAX {
            return Err(refused("an answer without an end"));
        }
        self.buffer.resize(len + READ_LEN, 0);
        let read = loop {
            match self.stream.read(&mut self.buffer[len..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(failed("read an answer")),
            }
        }?;
        self.buffer.truncate(len + read);
        match read {
            0 => Err(refused("the connection ended in the middle of an answer")),
            _ => Ok(()),
        }
    }

    /// Sends transactions, all of which must be taken.
    ///
    /// # Errors
    /// The first refusal.
    pub fn send(&mut self, request: &[u8]) -> Result<()> {
        let answer = self.exchange(request)?;
        if !answer.windows(ERROR.len()).any(|part| part == ERROR) {
            return Ok(());
        }
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let all = answer
            .as_array()
            .map_or(std::slice::from_ref(&answer), Vec::as_slice);
        let first = all.iter().find(|one| !one["error"].is_null());
        match first {
            Some(one) => Err(refused(&format!("a transaction: {}", one["error"]))),
            None => Err(refused("an answer that is no JSON")),
        }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What it answers with instead of a result.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.exchange(&request(&body.to_string()))?;
        let mut answer: Value = serde_json::from_slice(answer)
            .map_err(|error| refused(&format!("{method}: {error}")))?;
        match answer["error"].is_null() {
            true => Ok(answer["result"].take()),
            false => Err(refused(&format!("{method}: {}", answer["error"]))),
        }
    }

    /// Calls a method that answers with a number.
    ///
    /// # Errors
    /// As [`Client::call`], and when it is none.
    pub fn number(&mut self, method: &str, params: &Value) -> Result<u64> {
        let answer = self.call(method, params)?;
        number(&answer).ok_or_else(|| refused(&format!("{method}: {answer} is no number")))
    }
}

/// A number as JSON-RPC writes it.
pub fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

struct Found {
    status: u16,
    body: Body,
    /// Where the answer ends.
    whole: usize,
}

enum Body {
    /// From there on.
    Plain(usize),
    /// Put together from its pieces.
    Chunks(Vec<u8>),
}

/// The answer, once it is whole.
fn answer(bytes: &[u8]) -> std::result::Result<Option<Found>, &'static str> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let from = end + 4;
    let head = str::from_utf8(&bytes[..end]).map_err(|_| "the answer is no HTTP")?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .ok_or("the answer is no HTTP")?;
    let field = |wanted: &str| {
        let lines = head.split("\r\n").skip(1);
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    if let Some(len) = field("content-length") {
        let len: usize = len.parse().map_err(|_| "a length that is none")?;
        let whole = from + len;
        let body = Body::Plain(from);
        return Ok((bytes.len() >= whole).then_some(Found {
            status,
            body,
            whole,
        }));
    }
    match field("transfer-encoding") {
        Some("chunked") => {
            let found = chunks(&bytes[from..])?;
            Ok(found.map(|body| Found {
                status,
                body: Body::Chunks(body),
                whole: bytes.len(),
            }))
        }
        _ => Err("an answer without its length"),
    }
}

/// The pieces of a body, once the last is there (RFC 9112, 7.1).
fn chunks(mut bytes: &[u8]) -> std::result::Result<Option<Vec<u8>>, &'static str> {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let len = str::from_utf8(&bytes[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
            .ok_or("a piece without its length")?;
        let Some(piece) = bytes.get(end + 2..end + 4 + len) else {
            return Ok(None);
        };
        if len == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&piece[..len]);
        bytes = &bytes[end + 4 + len..];
    }
}

/// What a chain said.
pub fn refused(why: &str) -> Error {
    Error::subject(NAME)(why)
}

/// Says what was tried.
pub fn failed(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = format!("{NAME}: {what}");
    move |source| Error::Io { what, source }
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
