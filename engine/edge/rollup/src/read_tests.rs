//! A store that lies in every way that it can is found out.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{Namespace, Quorum, table::NAMESPACE_LEN},
};

use super::*;
use crate::{
    Machine, Memory,
    availability::{Members, Milestone, PostError, RequestId, Status, StatusError},
    memory::Config,
};

/// How it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Bytes,
    Length,
    OtherBlob,
    Root,
    Certificate,
    Entry,
    Members,
    Proof,
}

#[derive(Clone)]
struct Liar {
    honest: Memory,
    other: Arc<Posted>,
    lie: Lie,
}

impl Availability for Liar {
    async fn post(&self, namespace: Namespace, blob: Bytes) -> Result<RequestId, PostError> {
        self.honest.post(namespace, blob).await
    }

    async fn status(&self, request: RequestId) -> Result<Status, StatusError> {
        self.honest.status(request).await
    }

    async fn wait(
        &self,
        request: RequestId,
        until: Milestone,
        most: Duration,
    ) -> Result<Status, StatusError> {
        self.honest.wait(request, until, most).await
    }

    async fn find(&self, handle: Handle) -> Result<Arc<Posted>, GetError> {
        let posted = self.honest.find(handle).await?;
        let other = Arc::clone(&self.other);
        let truth = Posted::clone(&posted);
        Ok(match self.lie {
            Lie::OtherBlob => other,
            Lie::Root => Arc::new(Posted {
                root: other.root,
                ..truth
            }),
            Lie::Certificate => Arc::new(Posted {
                certificate: other.certificate.clone(),
                ..truth
            }),
            Lie::Entry => Arc::new(Posted {
                entry: other.entry.clone(),
                ..truth
            }),
            _ => posted,
        })
    }

    async fn get(&self, handle: Handle) -> Result<Bytes, GetError> {
        let bytes = self.honest.get(handle).await?;
        Ok(match self.lie {
            Lie::Bytes => bytes.iter().map(|byte| byte ^ 1).collect(),
            Lie::Length => bytes.slice(1..),
            _ => bytes,
        })
    }

    async fn show(&self, evidence: Evidence) -> Result<Bytes, GetError> {
        let bytes = self.honest.show(evidence).await?;
        Ok(match self.lie {
            Lie::Proof => bytes.iter().map(|byte| byte ^ 1).collect(),
            _ => bytes,
        })
    }

    async fn members(&self, quorum: Quorum) -> Result<Option<Arc<Members>>, GetError> {
        match self.lie {
            Lie::Members => Ok(None),
            _ => self.honest.members(quorum).await,
        }
    }
}

async fn posted(memory: &Memory, bytes: &'static [u8]) -> Arc<Posted> {
    let namespace = Namespace([0; NAMESPACE_LEN]);
    let request = memory
        .post(namespace, bytes.into())
        .await
        .expect("taken in");
    let most = Duration::from_secs(30);
    match memory.wait(request, Milestone::Certified, most).await {
        Ok(Status::Posted(_, posted)) => posted,
        other => panic!("{other:?}"),
    }
}

/// Each lie is found, by place and by root, where it could change what is handed out.
#[tokio::test]
async fn lies_are_found() {
    let machine = Machine::new(|| Duration::from_secs(1), [7; 32]);
    let config = Config {
        close_after: Duration::from_millis(1),
        ..Config::default()
    };
    let honest = Memory::start(config, machine);
    let one = posted(&honest, b"one blob, of some bytes").await;
    let other = posted(&honest, b"another one, elsewhere").await;
    assert_ne!(one.container, other.container);
    let root = |root: Hash32| Handle::Root {
        root,
        epoch: 1,
        quorum: 0,
    };
    let all = [
        (Lie::Bytes, true, true),
        (Lie::Length, true, true),
        (Lie::OtherBlob, true, true),
        (Lie::Root, true, true),
        (Lie::Certificate, true, false),
        (Lie::Entry, true, false),
        (Lie::Members, true, false),
    ];
    for (lie, by_place, by_root) in all {
        let liar = Liar {
            honest: honest.clone(),
            other: Arc::clone(&other),
            lie,
        };
        for (handle, found) in [(one.handle(), by_place), (root(one.root), by_root)] {
            let read = whole(&liar, handle).await;
            match found {
                true => assert!(
                    matches!(read, Err(GetError::Untrue(_))),
                    "{lie:?}: {read:?}"
                ),
                false => assert_eq!(
                    read.expect("no harm is done").1,
                    &b"one blob, of some bytes"[..]
                ),
            }
        }
    }
    let liar = Liar {
        honest,
        other,
        lie: Lie::Proof,
    };
    let of = (one.root, one.len);
    let part = range(&liar, one.handle(), of, 2..5).await;
    assert!(matches!(part, Err(GetError::Untrue(_))));
    let beyond = range(&liar, one.handle(), of, 2..500).await;
    assert_eq!(beyond, Err(GetError::Absent));
}
