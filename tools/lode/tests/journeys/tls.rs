//! A node behind something that ends TLS, as a reverse proxy does.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::house::{CHUNK, Node, code, json, lode, noise, root_of};

/// Files go in and come back through TLS by every way that a client has, for whoever trusts the
/// front's authority.
#[test]
fn round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let front = Front::before(&node, dir.path());
    for (name, size) in [("small", 1000), ("chunk", CHUNK), ("long", 3_000_000)] {
        let bytes = noise(1, size);
        let (file, back) = (dir.path().join(name), dir.path().join("back"));
        std::fs::write(&file, &bytes).unwrap();
        let root = root_of(&bytes).to_string();
        let put = front.run(&["put", "--json", file.to_str().unwrap()], &[]);
        assert_eq!(code(&put), 0, "{put:?}");
        assert_eq!(json(&put)["files"][0]["root"], root.as_str());
        assert_eq!(node.get(&root), bytes, "the node has it");
        let got = front.run(&["get", &root, "-o", back.to_str().unwrap()], &[]);
        assert_eq!(code(&got), 0, "{got:?}");
        assert_eq!(std::fs::read(&back).unwrap(), bytes);
        let part = front.run(&["get", &root, "--range", "10-700"], &[]);
        assert_eq!((code(&part), &part.stdout[..]), (0, &bytes[10..701]));
        assert_eq!(code(&front.run(&["rm", &root], &[])), 0);
    }
    let bytes = noise(2, 700_000);
    let put = front.run(&["put", "-q", "-"], &bytes);
    let printed = String::from_utf8_lossy(&put.stdout).trim().to_owned();
    assert_eq!(printed, root_of(&bytes).to_string(), "{put:?}");
    assert_eq!(node.get(&printed), bytes);
}

/// Nobody vouches for the front, or for this name of it, or there is no TLS at all: each is said,
/// with its own cure, and nothing is tried again.
#[test]
fn no_trust() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let front = Front::before(&node, dir.path());
    let ca = front.ca.to_str().unwrap();
    let by_address = front.url.replace("localhost", "127.0.0.1");
    let plain = node.url().replace("http://", "https://");
    for (url, ca, cure) in [
        (&front.url, None, "--ca FILE"),
        (
            &by_address,
            Some(ca),
            "name the node as its certificate does",
        ),
        (&plain, Some(ca), "http://"),
    ] {
        let mut command = lode();
        command.args(["stat", "--json", "--node", url]);
        command.args(ca.iter().flat_map(|file| ["--ca", *file]));
        let refused = command.output().unwrap();
        assert_eq!(code(&refused), 1, "{refused:?}");
        let failure: serde_json::Value = serde_json::from_slice(&refused.stderr).unwrap();
        assert_eq!(failure["code"], "LODE0105", "{failure}");
        assert_eq!(failure["retryable"], false);
        assert!(
            failure["detail"].as_str().unwrap().contains(url),
            "{failure}"
        );
        assert!(
            failure["hint"].as_str().unwrap().contains(cure),
            "{failure}"
        );
    }
    let missing = dir.path().join("missing.pem");
    let arguments = [
        "stat",
        "--node",
        &front.url,
        "--ca",
        missing.to_str().unwrap(),
    ];
    let refused = lode().args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("missing.pem"), "{words}");
}

/// What ends TLS in front of a node, and the certificate of its authority.
struct Front {
    url: String,
    ca: PathBuf,
}

impl Front {
    /// A front on a free port that passes everything on to the node, for the name localhost.
    fn before(node: &Node, dir: &Path) -> Front {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, authority.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(authority, key);
        let own = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&own, &issuer).unwrap();
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        let (config, address) = (Arc::new(config), node.address());
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (config, client) = (config.clone(), client.unwrap());
                // It ends as connections do: with an error, if the client has had enough.
                thread::spawn(move || relay(config, client, address).is_err());
            }
        });
        let url = format!("https://localhost:{port}");
        Front { url, ca }
    }

    /// Runs the program against it, with bytes on its standard input.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = lode();
        command.env("LODE_NODE", &self.url).env("LODE_CA", &self.ca);
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }
}

/// Passes bytes on in both directions until one side ends.
fn relay(config: Arc<ServerConfig>, mut client: TcpStream, node: SocketAddr) -> io::Result<()> {
    let mut node = TcpStream::connect(node)?;
    client.set_nonblocking(true)?;
    node.set_nonblocking(true)?;
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let mut moved = false;
        if let Some(read) = ready(tls.read_tls(&mut client))? {
            let broken = tls.process_new_packets().map_err(io::Error::other);
            // An alert may wait to be sent.
            let _gone = tls.write_tls(&mut client).is_err();
            broken?;
            if read == 0 {
                return Ok(());
            }
            moved = true;
        }
        while let Some(read) = ready(tls.reader().read(&mut buffer))? {
            if read == 0 {
                return Ok(());
            }
            write_all(&mut node, &buffer[..read])?;
            moved = true;
        }
        if let Some(read) = ready(node.read(&mut buffer))? {
            if read == 0 {
                tls.send_close_notify();
            } else {
                tls.writer().write_all(&buffer[..read])?;
            }
            while tls.wants_write() {
                moved |= ready(tls.write_tls(&mut client))?.is_some();
            }
            if read == 0 {
                return Ok(());
            }
        }
        while tls.wants_write() && ready(tls.write_tls(&mut client))?.is_some() {
            moved = true;
        }
        if !moved {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// None: not now.
fn ready(outcome: io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        outcome => outcome.map(Some),
    }
}

fn write_all(node: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match ready(node.write(bytes))? {
            Some(written) => bytes = &bytes[written..],
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}
