//! A client that costs little, because it shares the cores with the node that it measures:
//! HTTP/1.1 by hand over plain sockets, one buffer, one thread. Every byte that comes is compared
//! with the value it belongs to, straight from that buffer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    time::Timespec,
};

use super::NAME;
use crate::{
    error::{Error, Result},
    lode::root_of,
    meter::bytes_of,
    values::{CHUNK_LEN, Values},
};

/// A node that is silent for as long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer's head, at most.
const HEAD_LEN: usize = 4096;

/// Bytes that are read at once: an answer of one chunk.
const READ_LEN: usize = CHUNK_LEN + HEAD_LEN;

/// Bytes of an answer that is shown when something went wrong, and of one that names a blob.
const SHORT_LEN: u64 = 64 * 1024;

/// Puts a blob of the values `0..count` in order, whose root the node has to find out.
///
/// # Errors
/// When the node refuses.
pub fn put(address: SocketAddr, values: &Values, count: u64) -> Result<String> {
    let mut stream = connect(address).map_err(failed("connect"))?;
    let len = count * bytes_of(CHUNK_LEN);
    let sent = send(&mut stream, values, count, len);
    // A node that refuses says why before it closes, even to a client that still sends.
    let mut answer = Answer::default();
    let mut text = Vec::new();
    let read = answer.read(&mut stream, |_, bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    });
    let root = || {
        let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
        Some(json["root"].as_str()?.to_owned())
    };
    match (sent, read) {
        (_, Err(Error::Subject { subject, message })) => Err(Error::Subject { subject, message }),
        (Err(error), _) => Err(failed("send a blob")(error)),
        (Ok(()), Err(error)) => Err(error),
        (Ok(()), Ok(())) => root().ok_or_else(|| refused("the answer to a put names no root")),
    }
}

fn send(stream: &mut TcpStream, values: &Values, count: u64, len: u64) -> io::Result<()> {
    let head = format!("POST /v1/blobs HTTP/1.1\r\nHost: node\r\nContent-Length: {len}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut chunk = vec![0; CHUNK_LEN];
    (0..count).try_for_each(|index| {
        values.write(index, &mut chunk);
        stream.write_all(&chunk)
    })
}

/// Gets the blob that [`put`] made and compares every byte.
///
/// # Errors
/// When the node refuses, or a byte differs, or one is missing.
pub fn get(address: SocketAddr, root: &str, values: &Values, count: u64) -> Result<()> {
    let mut stream = connect(address).map_err(failed("connect"))?;
    let asked = stream.write_all(request(root).as_bytes());
    asked.map_err(failed("ask for a blob"))?;
    let mut answer = Answer::default();
    answer.read(&mut stream, |at, bytes| compare(values, at, bytes))?;
    match answer.came == count * bytes_of(CHUNK_LEN) {
        true => Ok(()),
        false => Err(refused(&format!("{} bytes came", answer.came))),
    }
}

/// Compares the bytes from `at` on with values in a row.
fn compare(values: &Values, mut at: u64, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let index = at / bytes_of(CHUNK_LEN);
        let offset = usize::try_from(at % bytes_of(CHUNK_LEN)).expect("below a chunk");
        let (now, later) = bytes.split_at(bytes.len().min(CHUNK_LEN - offset));
        if !values.matches(index, offset, now) {
            return Err(wrong(index));
        }
        at += bytes_of(now.len());
        bytes = later;
    }
    Ok(())
}

/// Clients that each ask for one value after the other, all on one thread.
pub struct Crowd {
    ready: OwnedFd,
    lanes: Vec<Lane>,
    buffer: Vec<u8>,
}

/// One client: its connection, which value it waits for, and what came of it.
struct Lane {
    stream: TcpStream,
    index: u64,
    answer: Answer,
    /// It has asked, and waits.
    waits: bool,
}

impl Crowd {
    /// Connects `clients`.
    ///
    /// # Errors
    /// When the node is not there.
    pub fn connect(address: SocketAddr, clients: u64) -> Result<Self> {
        let failed = || failed("connect");
        let ready = epoll::create(CreateFlags::CLOEXEC).map_err(|error| failed()(error.into()))?;
        let mut lanes = Vec::new();
        for lane in 0..clients {
            let stream = connect(address).map_err(failed())?;
            stream.set_nonblocking(true).map_err(failed())?;
            epoll::add(&ready, &stream, EventData::new_u64(lane), EventFlags::IN)
                .map_err(|error| failed()(error.into()))?;
            lanes.push(Lane {
                stream,
                index: 0,
                answer: Answer::default(),
                waits: false,
            });
        }
        Ok(Self {
            ready,
            lanes,
            buffer: vec![0; READ_LEN],
        })
    }

    /// Gets every picked value of [`CHUNK_LEN`] bytes, as many at once as there are clients, and
    /// compares every byte.
    ///
    /// # Errors
    /// When the node refuses, or a byte differs, or one is missing.
    pub fn get(&mut self, values: &Values, picks: &[u64]) -> Result<()> {
        let mut picks = picks.iter();
        let mut busy = 0;
        for (lane, pick) in self.lanes.iter_mut().zip(picks.by_ref()) {
            lane.ask(values, *pick)?;
            busy += 1;
        }
        let patience = Timespec::try_from(PATIENCE).expect("a minute");
        let mut events = Vec::with_capacity(self.lanes.len());
        while busy > 0 {
            events.clear();
            let waited = epoll::wait(&self.ready, spare_capacity(&mut events), Some(&patience));
            match waited {
                Ok(0) => return Err(refused("no answer for a minute")),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed("wait for answers")(error.into())),
            }
            for event in &events {
                let lane = usize::try_from(event.data.u64()).expect("the number of a lane");
                let lane = &mut self.lanes[lane];
                if !lane.waits {
                    // The node ended a connection that nothing is asked of; the others go on.
                    epoll::delete(&self.ready, &lane.stream)
                        .map_err(|error| failed("leave a client alone")(error.into()))?;
                    continue;
                }
                if !lane.take(values, &mut self.buffer)? {
                    continue;
                }
                match picks.next() {
                    Some(pick) => lane.ask(values, *pick)?,
                    None => {
                        lane.waits = false;
                        busy -= 1;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Lane {
    fn ask(&mut self, values: &Values, index: u64) -> Result<()> {
        self.index = index;
        self.answer = Answer::default();
        self.waits = true;
        let request = request(&root_of(values, index).to_string());
        // The last request is answered, so there is room for this one.
        let asked = self.stream.write_all(request.as_bytes());
        asked.map_err(failed("ask for a blob"))
    }

    /// Takes what came; true when the answer is complete.
    fn take(&mut self, values: &Values, buffer: &mut [u8]) -> Result<bool> {
        let read = read_some(&mut self.stream, buffer)?;
        let index = self.index;
        let complete = self.answer.take(&buffer[..read], &mut |at, bytes| {
            let at = usize::try_from(at)
                .ok()
                .filter(|at| at + bytes.len() <= CHUNK_LEN);
            match at.is_some_and(|at| values.matches(index, at, bytes)) {
                true => Ok(()),
                false => Err(wrong(index)),
            }
        })?;
        match complete && self.answer.came != bytes_of(CHUNK_LEN) {
            true => Err(wrong(index)),
            false => Ok(complete),
        }
    }
}

/// An answer on its way in.
#[derive(Default)]
struct Answer {
    /// Until it is complete; then empty.
    head: Vec<u8>,
    /// Status and length, once the head is complete.
    found: Option<Head>,
    /// Bytes of the body that have come.
    came: u64,
    /// The beginning of the body of a refusal.
    refusal: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    len: u64,
}

impl Answer {
    /// Reads all of it, blocking.
    fn read(
        &mut self,
        stream: &mut TcpStream,
        mut body: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; READ_LEN];
        loop {
            let read = read_some(stream, &mut buffer)?;
            if self.take(&buffer[..read], &mut body)? {
                return Ok(());
            }
        }
    }

    /// Takes the next bytes, none at the end of the connection; gives those of the body to `body`
    /// with their place in it. True when the answer is complete.
    fn take(
        &mut self,
        mut bytes: &[u8],
        body: &mut impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<bool> {
        if bytes.is_empty() {
            return Err(refused("the connection ended in the middle of an answer"));
        }
        let head = match self.found {
            Some(head) => head,
            None => {
                let before = self.head.len();
                self.head
                    .extend_from_slice(&bytes[..bytes.len().min(HEAD_LEN)]);
                let Some(end) = end_of_head(&self.head) else {
                    return match self.head.len() < HEAD_LEN {
                        true => Ok(false),
                        false => Err(refused("the answer is no HTTP")),
                    };
                };
                let head = decode_head(&self.head[..end])
                    .ok_or_else(|| refused("the answer is no HTTP that this client speaks"))?;
                self.found = Some(head);
                bytes = &bytes[end - before..];
                head
            }
        };
        if head.status / 100 == 2 {
            body(self.came, bytes)?;
        } else if self.came < SHORT_LEN {
            self.refusal.extend_from_slice(bytes);
        }
        self.came += bytes_of(bytes.len());
        match self.came < head.len {
            true => Ok(false),
            false if head.status / 100 == 2 => Ok(true),
            false => {
                let text = String::from_utf8_lossy(&self.refusal);
                Err(refused(&format!("status {}: {text}", head.status)))
            }
        }
    }
}

/// Reads what there is, however often a signal comes between.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(failed("read an answer")),
        }
    }
}

/// Where the body begins.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

fn decode_head(head: &[u8]) -> Option<Head> {
    let text = str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let len = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse().ok())?
    });
    Some(Head {
        status: status.parse().ok()?,
        len: len?,
    })
}

fn request(root: &str) -> String {
    format!("GET /v1/blobs/{root} HTTP/1.1\r\nHost: node\r\n\r\n")
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn wrong(index: u64) -> Error {
    Error::Wrong {
        subject: NAME,
        index,
    }
}

fn refused(why: &str) -> Error {
    Error::subject(NAME)(why)
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = format!("{NAME}: {what}");
    move |source| Error::Io { what, source }
}
