//! Nodes over real sockets on this machine.

use std::net::Ipv4Addr;

use futures_lite::future::block_on;
use lode_net::PeerKey;
use lode_proofs::da::{Assignment, Quorum};

use super::*;
use crate::{Committee, keep::Memory, post::State};

/// Nodes that know each other and their committee, with as many rows each.
fn nodes(count: u16) -> Vec<(Da, Memory)> {
    let ports: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    let listens: Vec<SocketAddr> = ports
        .iter()
        .map(|port| port.local_addr().unwrap())
        .collect();
    drop(ports);
    let signers: Vec<PrivateKey> = (0..u64::from(count)).map(PrivateKey::from_seed).collect();
    let secret = |at: u16| HolderSecret::from_seed(&[u8::try_from(at).unwrap(); 32]);
    let quorum = Quorum {
        chain_id: 7,
        epoch: 1,
        quorum: 0,
    };
    let seats: Vec<u16> = (0..count).cycle().take(3072).collect();
    let keys = (0..count).map(|at| secret(at).key()).collect();
    let names: Vec<PublicKey> = signers.iter().map(|signer| signer.public_key()).collect();
    let committee = Committee::new(
        quorum,
        Assignment::new(&seats).unwrap(),
        keys,
        names.clone(),
    )
    .unwrap();
    let peers: Vec<PeerAddress> = names
        .iter()
        .zip(&listens)
        .map(|(name, listen)| PeerAddress {
            key: PeerKey::of(name),
            host: listen.to_string(),
        })
        .collect();
    let start = |((at, signer), listen): ((u16, PrivateKey), &SocketAddr)| {
        let config = Config {
            signer,
            secret: secret(at),
            listen: *listen,
            chain_id: 7,
            peers: peers.clone(),
            terms: Terms {
                term: 3600,
                threshold: Threshold::LEAST,
            },
            repair: None,
            threads: 1,
        };
        let committees = Committees::default();
        committees.begin(committee.clone());
        let keep = Memory::default();
        (Da::start(config, keep.clone(), committees).unwrap(), keep)
    };
    (0..count).zip(signers).zip(&listens).map(start).collect()
}

/// What is posted at one node is read at another, also when a third is gone; a node that is stopped frees its
/// port, and a port that is taken is an error.
#[test]
fn over_sockets() {
    block_on(async {
        let mut nodes = nodes(4);
        let service = nodes[0].0.service();
        let blob = crate::tests::noise(1, 9_000_000);
        let id = service.post(Namespace([1; 29]), blob.clone()).unwrap();
        let State::Certified(posted) = service.poster().end(id).await.unwrap() else {
            panic!("all four are here");
        };
        let (gone, _) = nodes.pop().unwrap();
        gone.stop().await.unwrap();
        let reader = nodes[1].0.service().reader;
        let known = reader.container(posted.statement.head.id()).await.unwrap();
        assert!(reader.blob(&known, posted.place).await.unwrap() == blob);
        for (node, _) in nodes {
            assert!(!node.is_ended());
            node.stop().await.unwrap();
        }
    });
}
