//! The gRPC twin through a client that was made from the same .proto: what it takes, what it refuses
//! and in which words, and that these are the words of the JSON method.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;

use lode_wire::Segment;
use lode_zgs::{
    Handle,
    grpc::{
        message::to_proto,
        proto::{
            PingRequest, SegmentWithProof, UploadSegmentsByTxSeqRequest,
            zgs_grpc_service_client::ZgsGrpcServiceClient,
        },
    },
    serve,
};
use serde_json::{Value, json};
use tonic::{Code, Status, transport::Channel};
use world::{Blob, CHUNK, Node};

type Client = ZgsGrpcServiceClient<Channel>;

async fn open(node: &Node) -> (Handle, Client) {
    let handle = serve(Arc::clone(&node.room)).await.unwrap();
    let address = format!("http://{}", handle.grpc_address().unwrap());
    let client = ZgsGrpcServiceClient::connect(address).await.unwrap();
    (handle, client)
}

fn node(change: impl FnOnce(&mut lode_zgs::Config)) -> Node {
    Node::with(|config| {
        config.grpc = Some(([127, 0, 0, 1], 0).into());
        change(config);
    })
}

async fn send(client: &Client, segments: &[Segment], tx_seq: u64) -> Result<(), Status> {
    send_raw(client, segments.iter().map(to_proto).collect(), tx_seq).await
}

async fn send_raw(
    client: &Client,
    segments: Vec<SegmentWithProof>,
    tx_seq: u64,
) -> Result<(), Status> {
    let request = UploadSegmentsByTxSeqRequest { segments, tx_seq };
    let sent = client.clone().upload_segments_by_tx_seq(request).await;
    sent.map(|_| ())
}

#[tokio::test]
async fn ping() {
    let node = node(|_| ());
    let (handle, mut client) = open(&node).await;
    let message = "hello, 0G".to_owned();
    let reply = client.ping(PingRequest { message }).await.unwrap();
    assert_eq!(reply.into_inner().message, "Echo: hello, 0G");
    handle.stop().await;
}

/// Chunks in any order, duplicates among them, make the blob whole; then there is nothing left.
#[tokio::test]
async fn takes_chunks() {
    let (node, blob) = (node(|_| ()), Blob::new(1, 3 * CHUNK + 300));
    let (_handle, client) = open(&node).await;
    let seq = node.submit(&[&blob])[0];
    let segment = |index| blob.segment(index);
    send(&client, &[segment(2), segment(2)], seq).await.unwrap();
    send(&client, &[segment(2), segment(3), segment(0)], seq)
        .await
        .unwrap();
    let info = node.call("zgs_getFileInfoByTxSeq", json!([seq])).await;
    assert_eq!(info.unwrap()["uploadedSegNum"], json!(3));
    send(&client, &[segment(1)], seq).await.unwrap();
    let whole = node.call("zgs_checkFileFinalized", json!([seq])).await;
    assert_eq!(whole, Ok(json!(true)));
    let got = node.call("zgs_downloadSegmentWithProof", json!([blob.root(), 3]));
    let got: Segment = serde_json::from_value(got.await.unwrap()).unwrap();
    assert_eq!(got, blob.segment(3));
    let refused = send(&client, &[segment(1)], seq).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains("already uploaded and finalized"));
}

/// A chunk that comes before its submission waits for it, as by JSON.
#[tokio::test]
async fn early_chunks_wait() {
    let (node, blob) = (node(|_| ()), Blob::new(1, 2 * CHUNK));
    let (_handle, client) = open(&node).await;
    send(&client, &[blob.segment(0), blob.segment(1)], 0)
        .await
        .unwrap();
    node.submit(&[&blob]);
    node.room.submitted().await;
    let whole = node.call("zgs_checkFileFinalized", json!([0])).await;
    assert_eq!(whole, Ok(json!(true)));
}

/// Chunks that must be refused, of which submission they are said to be, and the code.
fn bad_segments(blob: &Blob, other: &Blob, seq: u64) -> Vec<(Segment, u64, Code)> {
    let change = |change: fn(&mut Segment)| {
        let mut segment = blob.segment(1);
        change(&mut segment);
        segment
    };
    let bent = |segment: &mut Segment| {
        let mut bytes = segment.data.to_vec();
        bytes[7] ^= 1;
        segment.data = bytes.into();
    };
    let large = Blob::new(4, 10 * 1024 * 1024 + 1);
    vec![
        (
            change(|segment| segment.data = segment.data.slice(1..)),
            seq,
            Code::InvalidArgument,
        ),
        (
            change(|segment| segment.data = segment.data.slice(256..)),
            seq,
            Code::InvalidArgument,
        ),
        (
            change(|segment| segment.index = 3),
            seq,
            Code::InvalidArgument,
        ),
        (
            change(|segment| segment.index = u64::MAX),
            seq,
            Code::InvalidArgument,
        ),
        (
            change(|segment| segment.file_size += 1),
            seq,
            Code::InvalidArgument,
        ),
        (other.segment(0), seq, Code::InvalidArgument),
        (change(bent), seq, Code::InvalidArgument),
        (
            change(|segment| segment.proof.path[0] ^= true),
            seq,
            Code::InvalidArgument,
        ),
        (
            change(|segment| segment.proof.lemma.clear()),
            seq,
            Code::InvalidArgument,
        ),
        (large.segment(0), 99, Code::InvalidArgument),
    ]
}

/// Every refusal of the JSON method, with the same words, and a code that says whose fault it is.
#[tokio::test]
async fn refusals_are_those_of_json() {
    let (node, blob, other) = (
        node(|_| ()),
        Blob::new(1, 2 * CHUNK + 300),
        Blob::new(2, 300),
    );
    let (_handle, client) = open(&node).await;
    let seq = node.submit(&[&blob])[0];
    node.submit(&[&other]);
    for (segment, seq, code) in bad_segments(&blob, &other, seq) {
        let refused = send(&client, std::slice::from_ref(&segment), seq).await;
        let refused = refused.unwrap_err();
        let json = node.call("zgs_uploadSegmentsByTxSeq", json!([[segment], seq]));
        let json = json.await.unwrap_err();
        let mut words = vec![json["message"].as_str().unwrap()];
        words.extend(json["data"].as_str());
        for words in words {
            assert!(refused.message().contains(words), "{refused}: {json}");
        }
        assert_eq!(refused.code(), code, "{refused}");
    }
    let none = node.call("zgs_getFileInfoByTxSeq", json!([seq])).await;
    assert_eq!(
        none.unwrap()["uploadedSegNum"],
        json!(0),
        "nothing was kept"
    );
}

/// Messages of the wrong shape, which JSON cannot have: no root, no proof, hashes of other lengths,
/// entries without end.
#[tokio::test]
async fn shapes_are_checked() {
    let (node, blob) = (node(|_| ()), Blob::new(1, 2 * CHUNK));
    let (_handle, client) = open(&node).await;
    let seq = node.submit(&[&blob])[0];
    type Change = fn(&mut SegmentWithProof);
    let changes: [(Change, &str); 7] = [
        (|segment| segment.root = None, "Invalid params: root"),
        (|segment| segment.proof = None, "Invalid params: proof"),
        (
            |segment| segment.root.as_mut().unwrap().value.push(0),
            "Invalid hash length: got 33, want 32",
        ),
        (
            |segment| segment.proof.as_mut().unwrap().lemma[0].clear(),
            "Invalid hash length: got 0, want 32",
        ),
        (
            |segment| segment.proof.as_mut().unwrap().path = vec![true; 65],
            "validation failed",
        ),
        (
            |segment| segment.proof.as_mut().unwrap().lemma = vec![vec![0; 32]; 67],
            "validation failed",
        ),
        (
            |segment| {
                *segment = SegmentWithProof::default();
            },
            "invalid data length",
        ),
    ];
    for (change, words) in changes {
        let mut segment = to_proto(&blob.segment(0));
        change(&mut segment);
        let refused = send_raw(&client, vec![segment], seq).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(words), "{refused}: {words}");
    }
    // Half a million entries of two bytes would take fifty megabytes.
    let empty = vec![SegmentWithProof::default(); 500_000];
    let refused = send_raw(&client, empty, seq).await.unwrap_err();
    assert!(refused.message().contains("invalid data length"));
    send(&client, &[blob.segment(0)], seq).await.unwrap();
}

/// A message may be as long as a request of JSON, to the byte; what it takes is counted with those.
#[tokio::test]
async fn length_is_bounded() {
    let node = node(|config| config.request_len_max = 2 << 20);
    let (_handle, mut client) = open(&node).await;
    let ping = |len: usize| PingRequest {
        message: "x".repeat(len),
    };
    // The field's number and its length take four bytes.
    let most = (2 << 20) - 4;
    // The reply is six bytes longer than that.
    let mut patient = client.clone().max_decoding_message_size(4 << 20);
    let reply = patient.ping(ping(most)).await.unwrap();
    assert_eq!(reply.into_inner().message.len(), most + 6);
    let refused = client.ping(ping(most + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(metric(&node, "zgs_in_flight_peak_bytes") >= 2 << 20);
    assert_eq!(metric(&node, "zgs_in_flight_bytes"), 0);
}

fn metric(node: &Node, name: &str) -> u64 {
    let numbers = lode_zgs::Metrics::of(&node.room).numbers();
    let found = numbers.iter().filter(|number| number.name == name);
    found.map(|number| number.value).sum()
}

/// Many at once, on one connection, through room for two of them.
#[tokio::test]
async fn many_share_the_room() {
    let node = node(|config| {
        config.request_len_max = 1 << 20;
        config.in_flight_max = 2 << 20;
    });
    let (_handle, client) = open(&node).await;
    let blob = Blob::new(1, 40 * CHUNK);
    let seq = node.submit(&[&blob])[0];
    let mut tasks = tokio::task::JoinSet::new();
    for first in (0..40).step_by(2) {
        let (client, segments) = (
            client.clone(),
            [blob.segment(first), blob.segment(first + 1)],
        );
        tasks.spawn(async move { send(&client, &segments, seq).await });
    }
    while let Some(sent) = tasks.join_next().await {
        sent.unwrap().unwrap();
    }
    let whole = node.call("zgs_checkFileFinalized", json!([seq])).await;
    assert_eq!(whole, Ok(json!(true)));
    let peak = metric(&node, "zgs_in_flight_peak_bytes");
    assert!((1 << 19..=2 << 20).contains(&peak), "{peak}");
    assert_eq!(metric(&node, "zgs_chunks"), 40);
}

/// A message that is announced and does not come is given up; others are answered meanwhile.
#[tokio::test]
async fn slow_messages_are_given_up() {
    use tokio_stream::StreamExt as _;
    let node = node(|config| config.time_max = std::time::Duration::from_millis(300));
    let (_handle, mut client) = open(&node).await;
    let address = _handle.grpc_address().unwrap();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    // Five bytes that announce a megabyte, and then nothing.
    let head = bytes::Bytes::from_static(&[0, 0, 16, 0, 0]);
    let frames = tokio_stream::once(Ok::<_, Status>(hyper::body::Frame::data(head)));
    let frames = frames.chain(tokio_stream::pending());
    let body = tonic::body::Body::new(http_body_util::StreamBody::new(frames));
    let request = hyper::Request::post("/zgs_grpc.ZgsGrpcService/UploadSegmentsByTxSeq")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let response = tower::ServiceExt::oneshot(channel, request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    client.ping(PingRequest::default()).await.unwrap();
    assert_eq!(metric(&node, "zgs_in_flight_bytes"), 0);
}

/// Reflection tells of the service and of its file, to old clients and to new ones.
#[tokio::test]
async fn reflection() {
    use prost::Message as _;
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let node = node(|_| ());
    let (handle, _client) = open(&node).await;
    let address = format!("http://{}", handle.grpc_address().unwrap());
    let channel = Channel::from_shared(address).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel);
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let symbol = "zgs_grpc.ZgsGrpcService.UploadSegmentsByTxSeq".to_owned();
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(symbol)),
    ];
    let answers = client.server_reflection_info(tokio_stream::iter(questions));
    let mut answers = answers.await.unwrap().into_inner();
    let first = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = first.message_response else {
        panic!("no list");
    };
    let names: Vec<&str> = list
        .service
        .iter()
        .map(|service| &service.name[..])
        .collect();
    assert!(names.contains(&"zgs_grpc.ZgsGrpcService"), "{names:?}");
    let second = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(files)) = second.message_response else {
        panic!("no file");
    };
    // The fields that 0G's clients send, with their numbers.
    let file = prost_types::FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]);
    let file = file.unwrap();
    let message = file.message_type.iter();
    let segment = message
        .clone()
        .find(|message| message.name() == "SegmentWithProof");
    let fields = segment.unwrap().field.iter();
    let fields: Vec<(&str, i32)> = fields.map(|field| (field.name(), field.number())).collect();
    let want = [
        ("root", 1),
        ("data", 2),
        ("index", 3),
        ("proof", 4),
        ("file_size", 5),
    ];
    assert_eq!(fields, want);
}

/// Old clients are answered too, and no stream may ask for ever.
#[tokio::test]
async fn reflection_is_bounded() {
    use tonic_reflection::pb::{
        v1::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest,
        },
        v1alpha,
    };
    let node = node(|_| ());
    let (handle, _client) = open(&node).await;
    let address = format!("http://{}", handle.grpc_address().unwrap());
    let channel = Channel::from_shared(address).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel.clone());
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices("x".repeat(1_000))),
    };
    let flood = vec![question; 100];
    let answers = client.server_reflection_info(tokio_stream::iter(flood));
    let mut answers = answers.await.unwrap().into_inner();
    let mut count = 0;
    while let Ok(Some(_)) = answers.message().await {
        count += 1;
    }
    assert!(count < 70, "{count}");
    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list),
    };
    let answers = old.server_reflection_info(tokio_stream::once(question));
    assert!(
        answers
            .await
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .is_some()
    );
}

/// The admin's methods are nowhere to be found.
#[tokio::test]
async fn no_other_methods() {
    let node = node(|_| ());
    let (handle, _client) = open(&node).await;
    let answer = world::http::rpc(handle.address(), "admin_shutdown", &json!([])).await;
    assert_eq!(answer["error"]["code"], json!(-32_601));
    assert_eq!(answer["result"], Value::Null);
}
