//! Clients that send too much, too slowly, half, or nothing, and that do not fetch what they asked for: each
//! is dealt with in its time, and others are served meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{net::SocketAddr, time::Duration};

use lode_rollup::{Bounds, altda, disperser, memory::Weather, nitro, rest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use world::{Answer, NAMESPACE, World, answer, blob, http, open, parse};

const SHORT: Duration = Duration::from_millis(300);
/// Longer than anything here may take on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bounds that are felt soon.
fn tight(bounds: Bounds) -> Bounds {
    Bounds {
        body_time_max: SHORT,
        answer_time_max: SHORT,
        head_time_max: SHORT,
        idle_max: SHORT,
        stop_max: SHORT,
        ..bounds
    }
}

async fn raw(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The end of the connection, whatever comes before it.
async fn ended(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = async {
        let mut piece = [0; 4_096];
        while let Ok(len @ 1..) = stream.read(&mut piece).await {
            all.extend_from_slice(&piece[..len]);
        }
    };
    timeout(PATIENCE, reading).await.expect("it is ended");
    all
}

async fn said(stream: &mut TcpStream) -> Answer {
    let answered = timeout(PATIENCE, answer(stream)).await;
    answered.expect("it is answered")
}

/// Bodies that are too long are not read: by their length, and by what comes where none is told.
#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies() {
    let world = World::new();
    let small = |bounds: Bounds| Bounds {
        body_len_max: 1_000,
        ..bounds
    };
    let config = nitro::Config::new(NAMESPACE);
    let most = Duration::from_secs(30);
    let rest = rest::face(world.memory.clone(), small(rest::bounds()), &world.meter);
    for (server, path) in [
        (open(world.altda_face(small(altda::bounds()), most)), "/put"),
        (open(world.nitro_face(config, small(nitro::bounds()))), "/"),
        (open(rest), "/v1/da/blobs"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n");
        let told = format!("{head}content-length: 99999999999\r\n\r\n");
        let mut stream = raw(server.address(), told.as_bytes()).await;
        assert_eq!(said(&mut stream).await.status, 413, "{path}");
        let chunk = "x".repeat(0x500);
        let json = "content-type: application/json\r\n";
        let untold = format!("{head}{json}transfer-encoding: chunked\r\n\r\n500\r\n{chunk}\r\n");
        let mut stream = raw(server.address(), untold.as_bytes()).await;
        assert_eq!(said(&mut stream).await.status, 413, "{path}");
    }
}

/// A message of gRPC that says that it is too long is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn huge_messages() {
    let world = World::new();
    let bounds = Bounds {
        body_len_max: 100_000,
        ..disperser::bounds()
    };
    let face = disperser::face(world.memory.clone(), NAMESPACE, bounds, &world.meter);
    let server = open(face.await.unwrap());
    let path = "/disperser.Disperser/DisperseBlob";
    let refused = world::grpc(server.address(), path, &blob(1, 200_000)).await;
    assert_eq!(refused.code, "8");
}

/// A body that comes byte by byte, and one that stops in the middle, are answered in their time.
#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies() {
    let world = World::new();
    let bounds = tight(altda::bounds());
    let server = open(world.altda_face(bounds, Duration::from_secs(30)));
    let head = b"POST /put HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    let mut stopped = raw(server.address(), head).await;
    assert_eq!(said(&mut stopped).await.status, 408);
    let (mut reader, mut writer) = raw(server.address(), head).await.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut all = Vec::new();
    let mut piece = [0; 1_000];
    let reading = async {
        while let Ok(len @ 1..) = reader.read(&mut piece).await {
            all.extend_from_slice(&piece[..len]);
        }
    };
    timeout(PATIENCE, reading).await.expect("it is ended");
    assert_eq!(parse(&all).status, 408);
    dripping.await.unwrap();
}

/// A body that ends before its end stores nothing.
#[tokio::test(flavor = "multi_thread")]
async fn cut_bodies() {
    let world = World::new();
    let server = world.altda();
    let head = b"POST /put HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nsome bytes";
    let mut cut = raw(server.address(), head).await;
    cut.shutdown().await.unwrap();
    let bytes = ended(&mut cut).await;
    assert!(bytes.is_empty() || parse(&bytes).status == 400);
}

/// Connections that say nothing, half a head, or no more after an answer, are ended.
#[tokio::test(flavor = "multi_thread")]
async fn silence() {
    let world = World::new();
    let server = open(world.altda_face(tight(altda::bounds()), Duration::from_secs(30)));
    for bytes in ["", "GET /hea", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut stream = raw(server.address(), bytes.as_bytes()).await;
        ended(&mut stream).await;
    }
    let face = disperser::face(
        world.memory.clone(),
        NAMESPACE,
        tight(disperser::bounds()),
        &world.meter,
    );
    let server = open(face.await.unwrap());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for bytes in [&b""[..], preface, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = raw(server.address(), bytes).await;
        ended(&mut stream).await;
    }
}

/// Who does not fetch an answer loses it, and the room that it took is there again.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_fetches() {
    let world = World::new();
    let len = 24 << 20;
    let bounds = Bounds {
        // Room for one of them.
        room: 32 << 20,
        wait_max: PATIENCE,
        ..tight(rest::bounds())
    };
    let patient = world.rest();
    let made = http(
        patient.address(),
        "POST",
        "/v1/da/blobs?wait=certified",
        &blob(1, len),
    )
    .await;
    let place = made.header("location").unwrap().to_owned();
    let server = open(rest::face(world.memory.clone(), bounds, &world.meter));
    let request = format!("GET {place} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut idle = raw(server.address(), request.as_bytes()).await;
    // Its answer has begun, so its room is taken.
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut next = raw(server.address(), request.as_bytes()).await;
    next.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let got = ended(&mut idle).await;
    assert!(got.len() < len, "it was cut");
}

/// One connection too many is told to come again, and may when another has gone.
#[tokio::test(flavor = "multi_thread")]
async fn crowds() {
    let world = World::new();
    let bounds = Bounds {
        connections_max: 2,
        ..altda::bounds()
    };
    let server = open(world.altda_face(bounds, Duration::from_secs(30)));
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut stream = raw(server.address(), request).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        inside.push(stream);
    }
    let mut outside = TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(said(&mut outside).await.status, 429);
    drop(inside);
    let again = async {
        loop {
            let mut stream = raw(server.address(), request).await;
            let mut first = [0; 12];
            if stream.read_exact(&mut first).await.is_ok() && &first == b"HTTP/1.1 200" {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("there is a place");
}

/// A server that stops answers what it has, and takes nothing more; what does not end is cut.
#[tokio::test(flavor = "multi_thread")]
async fn stops() {
    let world = World::new();
    let server = open(world.altda_face(altda::bounds(), Duration::from_secs(30)));
    let address = server.address();
    world.memory.change(Weather::Stuck);
    let putting = tokio::spawn(async move { http(address, "POST", "/put", b"bytes").await });
    while world.meter.open("altda") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(50)).await;
    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    world.memory.change(Weather::Fair);
    assert_eq!(putting.await.unwrap().status, 200);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();

    let bounds = Bounds {
        stop_max: SHORT,
        ..altda::bounds()
    };
    let server = open(world.altda_face(bounds, Duration::from_secs(30)));
    let head = b"POST /put HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    let mut half = raw(server.address(), head).await;
    timeout(PATIENCE, server.stop()).await.expect("it stops");
    ended(&mut half).await;
    assert_eq!(world.meter.open("altda"), 0);
}

/// Bytes that are no HTTP, no JSON, no parameters: answered or ended, and the server goes on.
#[tokio::test(flavor = "multi_thread")]
async fn noise() {
    let world = World::new();
    let (altda, nitro) = (world.altda(), world.nitro());
    for seed in 0..30 {
        let mut stream = raw(altda.address(), &blob(seed, 200)).await;
        stream.shutdown().await.unwrap();
        ended(&mut stream).await;
    }
    let deep = "[".repeat(100_000);
    let batch = format!("[{}]", vec!["1"; 100_000].join(","));
    for body in ["", "{", "nul", "[]", "{}", &deep, &batch] {
        let more = "content-type: application/json\r\n";
        let answer = world::http_with(nitro.address(), "POST", "/", more, body.as_bytes()).await;
        assert!([200, 400].contains(&answer.status), "{answer:?}");
        assert!(answer.text().contains("error") || answer.status == 400);
    }
    assert_eq!(
        http(altda.address(), "GET", "/health", b"").await.status,
        200
    );
}
