//! What the journeys share: a node to talk to, a raw HTTP connection, files of noise.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use lode_proofs::{Hash32, blob_tree};
use serde_json::Value;

/// Bytes of a chunk.
pub const CHUNK: usize = 262_144;

/// The program, without the settings of whoever runs the tests.
pub fn lode() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lode"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Output {
    lode()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Its standard output as JSON.
pub fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// Its exit code.
pub fn code(output: &Output) -> i32 {
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// A running node, killed when dropped.
pub struct Node {
    child: Option<Child>,
    ready: Value,
    log: PathBuf,
}

impl Node {
    /// A node in `dir` with these flags besides the folder and a free port.
    pub fn start(dir: &Path, flags: &[&str]) -> Node {
        let log = dir.join("node.log");
        let journal = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let mut command = lode();
        command.arg("node").arg("--dir").arg(dir.join("data"));
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--segment",
            "8MiB",
            "--reserve-percent",
            "0",
        ]);
        command
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(journal);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("not ready: {}", std::fs::read_to_string(&log).unwrap()));
        Node {
            child: Some(child),
            ready,
            log,
        }
    }

    /// What its ready line says.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Runs the program against it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = lode();
        command.env("LODE_NODE", self.url()).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs the program against it, with bytes on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = lode();
        command.env("LODE_NODE", self.url()).args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_err());
        let output = child.wait_with_output().unwrap();
        let _refused_early = writer.join().unwrap();
        output
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.url().strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// A raw connection.
    pub fn connect(&self) -> Raw {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Raw {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    /// One request without a body on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut raw = self.connect();
        raw.head(method, path, headers);
        raw.answer(method)
    }

    /// One request with a body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut raw = self.connect();
        let length = body.len().to_string();
        let all: Vec<_> = headers
            .iter()
            .copied()
            .chain([("content-length", length.as_str())])
            .collect();
        raw.head(method, path, &all);
        raw.write(body);
        raw.answer(method)
    }

    /// Puts bytes; returns their root as the node says it.
    pub fn put(&self, bytes: &[u8]) -> String {
        let answer = self.send("POST", "/v1/blobs", &[], bytes);
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        answer.json()["root"].as_str().unwrap().to_owned()
    }

    /// Gets a blob.
    pub fn get(&self, root: &str) -> Vec<u8> {
        let answer = self.ask("GET", &format!("/v1/blobs/{root}"), &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// A number of `/v1/stat`.
    pub fn figure(&self, name: &str) -> u64 {
        self.ask("GET", "/v1/stat", &[]).json()[name]
            .as_u64()
            .unwrap()
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> u64 {
        let page = String::from_utf8(self.ask("GET", "/metrics", &[]).body).unwrap();
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {page}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; returns its exit code, or none if a signal ended it.
    pub fn wait(mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
    }

    /// SIGKILL, and its end.
    pub fn kill(self) {
        self.signal("KILL");
        assert_eq!(self.wait(), None);
    }

    /// Largest resident memory so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill().is_err();
            let _gone = child.wait().is_err();
        }
        if std::thread::panicking() {
            eprintln!("the node's log:\n{}", self.log());
        }
    }
}

/// A connection that sends whatever it is told, right or wrong.
pub struct Raw {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Raw {
    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request head.
    pub fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: node\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.write(format!("{head}\r\n").as_bytes());
    }

    /// Reads one answer; 1xx ones are skipped. Panics where there is none.
    pub fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method).expect("an answer")
    }

    /// Reads one answer, or none if the connection ends before its head is complete. A body that
    /// ends too early is marked as cut.
    pub fn try_answer(&mut self, method: &str) -> Option<Answer> {
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                match self.reader.read_line(&mut line) {
                    Ok(0) | Err(_) => return None,
                    Ok(_) if line == "\r\n" => break,
                    Ok(_) => lines.push(line.trim_end().to_owned()),
                }
            }
            let status: u16 = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
            if (100..200).contains(&status) {
                continue;
            }
            let headers = lines[1..].iter().map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_lowercase(), value.trim().to_owned())
            });
            let mut answer = Answer {
                status,
                headers: headers.collect(),
                body: Vec::new(),
                cut: false,
            };
            if method != "HEAD" && status != 204 && status != 304 {
                let length: u64 = answer.header("content-length").unwrap().parse().unwrap();
                let read = self
                    .reader
                    .by_ref()
                    .take(length)
                    .read_to_end(&mut answer.body);
                answer.cut = read.is_err() || u64::try_from(answer.body.len()).unwrap() < length;
            }
            return Some(answer);
        }
    }

    /// Whether the other side has closed, within a time.
    pub fn is_closed_within(&mut self, span: Duration) -> bool {
        self.stream.set_read_timeout(Some(span)).unwrap();
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body ended before its length.
    pub cut: bool,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// It is a problem with this status and code, in the form that is promised.
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail", "hint"] {
            assert!(
                !problem[field].as_str().unwrap().is_empty(),
                "{field} of {problem}"
            );
        }
        assert_eq!(
            problem["retryable"].as_bool().unwrap(),
            self.header("retry-after").is_some()
        );
    }
}

/// Bytes that repeat nowhere, the same for the same seed: SplitMix64.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    });
    let mut bytes: Vec<u8> = words.take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// The root that these bytes must have.
pub fn root_of(bytes: &[u8]) -> Hash32 {
    blob_tree(bytes).unwrap().root()
}
