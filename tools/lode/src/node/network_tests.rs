//! What becomes of the words for where a fetch and a node are.

use lode_peers::{Asked, PeerKey, message::Hello};
use lode_wire::Slice;
use serde_json::json;

use super::*;

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn other(byte: u8, standing: Standing, complete_below: u64) -> Other {
    Other {
        key: PeerKey([byte; 32]),
        host: format!("10.0.0.{byte}:5701"),
        standing,
        since: at(50),
        heard: (standing != Standing::Unheard).then(|| at(90)),
        hello: (standing != Standing::Unheard).then_some(Hello {
            slice: Slice::WHOLE,
            next_seq: 9,
            complete_below,
        }),
        in_flight: 0,
    }
}

fn fetching(state: FetchState) -> Fetching {
    Fetching {
        seq: 3,
        since: at(60),
        state,
        missing: 2,
        first: None,
        from: Vec::new(),
    }
}

/// Each state in 0G's words, and sectors for chunks, of which the blob's last has fewer.
#[test]
fn states_of_a_fetch() {
    let others = [
        other(1, Standing::Here, 4),
        other(2, Standing::Away, 4),
        other(3, Standing::Here, 3),
        other(4, Standing::Blocked, 4),
    ];
    let told = |fetch: &Fetching, others: &[Other]| {
        let told = sync(fetch, 2500, others, at(100));
        serde_json::to_value(told).unwrap()
    };
    let open = fetching(FetchState::Open);
    let asked = Fetching {
        first: Some(1),
        from: vec![Asked {
            peer: PeerKey([3; 32]),
            first: 1,
            end: 3,
            chunks: 2,
        }],
        ..open.clone()
    };
    let peer_id = "03".repeat(32);
    let want = json!({
        "elapsedSecs": 40, "peers": {"Connected": 2, "Disconnected": 1},
        "goal": {"numChunks": 2500, "indexStart": 0, "indexEnd": 2500, "allChunks": true},
        "nextChunks": 1024,
        "state": format!("Downloading {{ peer_id: {peer_id}, from_chunk: 1024, to_chunk: 2500 }}"),
    });
    assert_eq!(told(&asked, &others), want);
    for (state, others, word, next) in [
        (FetchState::Asked, &others[..], "Idle", 0),
        (FetchState::Open, &others[..], "AwaitingDownload", 0),
        (FetchState::Open, &others[1..], "FindingPeers", 0),
        (
            FetchState::Waits { until: at(200) },
            &others[..],
            "FindingPeers",
            0,
        ),
        (FetchState::Whole, &others[..], "Completed", 2500),
        (
            FetchState::Stopped,
            &others[..],
            "Failed { reason: stopped by the operator }",
            0,
        ),
    ] {
        let told = told(&fetching(state), others);
        assert_eq!(
            (&told["state"], &told["nextChunks"]),
            (&json!(word), &json!(next))
        );
    }
}

/// Each standing in 0G's words; what is not known is null or empty.
#[test]
fn standings_of_nodes() {
    for (standing, status, seen, protocol, connections) in [
        (Standing::Here, "connected", 0, PROTOCOL, json!(null)),
        (Standing::Away, "disconnected", 10, PROTOCOL, json!(0)),
        (Standing::Blocked, "banned", 10, PROTOCOL, json!(0)),
        (Standing::Unheard, "dialing", 50, "", json!(0)),
    ] {
        let told = peer(&other(7, standing, 0), at(100));
        let want = json!({
            "client": {"version": "", "os": "", "protocol": protocol, "agent": null},
            "connectionStatus": {
                "status": status, "connectionsIn": connections, "connectionsOut": connections,
                "lastSeenSecs": seen,
            },
            "listeningAddresses": ["/ip4/10.0.0.7/tcp/5701"], "seenIps": [], "isTrusted": true,
            "connectionDirection": null, "enr": null,
        });
        assert_eq!(serde_json::to_value(told).unwrap(), want);
    }
}

/// Addresses by number and by name.
#[test]
fn addresses() {
    for (host, multi, plain) in [
        ("10.0.0.1:5701", "/ip4/10.0.0.1/tcp/5701", "10.0.0.1"),
        ("[::1]:1", "/ip6/::1/tcp/1", "::1"),
        (
            "node.example.org:2",
            "/dns/node.example.org/tcp/2",
            "node.example.org",
        ),
    ] {
        assert_eq!((&*multiaddr(host), &*host_of(host)), (multi, plain));
    }
}
