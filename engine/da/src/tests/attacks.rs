//! Nodes that lie: a peer that the test plays by hand.

use bytes::Bytes;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::Clock as _;
use lode_proofs::{
    Hash32,
    da::{
        Coded, Container, ContainerBuilder, Entry, Head, Namespace, Statement, Table, Threshold,
        blob_root,
    },
};
use tokio::sync::oneshot;

use super::net::{Channel, Net, Shape, TERM, noise, run};
use crate::{
    desk::{Order, unix},
    keep::Keep as _,
    message::{Answer, Ask, Message, Offer, Refused, Rows},
    outgoing::Job,
    post::State,
    read::ReadError,
    serve::wired,
    sliver::Packed,
};

/// The peer that is played.
const LIAR: usize = 6;

fn coded(net: &Net, seed: u64) -> Coded {
    let blob = noise(seed, 60_000);
    let mut builder = ContainerBuilder::new();
    builder.add(Namespace([1; 29]), &blob).unwrap();
    Coded::new(
        builder.close().unwrap(),
        &net.committee.quorum(),
        net.committee.columns(),
    )
}

fn statement(net: &Net, head: Head) -> Statement {
    Statement {
        quorum: net.committee.quorum(),
        head,
        expiry: unix(net.context.current()) + TERM,
    }
}

fn send((sender, _): &mut Channel, net: &Net, to: usize, message: &Message) {
    let sent = sender.send(Recipients::One(net.keys[to].clone()), wired(message), true);
    assert_eq!(sent.len(), 1, "{message:?}");
}

/// The next message.
async fn hear((_, receiver): &mut Channel) -> Message {
    let (_, bytes) = receiver.recv().await.unwrap();
    Message::decode(Bytes::from(bytes)).unwrap()
}

/// What a holder says to an offer; none if it does not speak to the liar any more.
async fn answer(net: &Net, words: &mut Channel) -> Option<Message> {
    let mut patience = Box::pin(net.context.sleep(std::time::Duration::from_secs(5)));
    loop {
        commonware_macros::select! {
            _ = &mut patience => return None,
            message = hear(words) => {
                if matches!(message, Message::Signed { .. } | Message::Refused { .. }) {
                    return Some(message);
                }
            },
        }
    }
}

/// No holder signs rows that are not of one codeword, whatever is wrong with them; each sees it alone.
#[test]
fn makers_that_lie() {
    run(20, Shape::of(7), |mut net| async move {
        net.start_but(&[LIAR]).await;
        let (_, [mut words, mut rows]) = net.ends(LIAR).await;
        let good = coded(&net, 1);
        let other = coded(&net, 2);
        let layout = |seat: usize| Packed::of(&good, net.committee.rows(seat));
        let table_len = u32::try_from(layout(0).table().len()).unwrap();
        // To each holder another lie; the last one is none.
        let flip = |seat: usize, at: usize| {
            let mut bytes = layout(seat).into_bytes().to_vec();
            bytes[at] ^= 1;
            Bytes::from(bytes)
        };
        let lies: Vec<(Head, Bytes)> = vec![
            // A byte of its first row, of its checksums, of its table.
            (*good.head(), flip(0, layout(0).into_bytes().len() - 1)),
            (*good.head(), flip(1, 128 + 7)),
            (*good.head(), flip(2, 20)),
            // Rows of another container under this one's head.
            (
                *good.head(),
                Packed::of(&other, net.committee.rows(3)).into_bytes(),
            ),
            // Rows that somebody else holds.
            (*good.head(), layout(5).into_bytes()),
        ];
        for (seat, (head, sliver)) in lies.into_iter().enumerate() {
            let offer = Offer {
                statement: statement(&net, head).encode(),
                table_len,
                sliver,
            };
            send(&mut rows, &net, seat, &Message::Offer(offer));
            // It says why, or has cut the liar off before that was heard.
            let heard = answer(&net, &mut words).await;
            assert!(
                matches!(
                    heard,
                    None | Some(Message::Refused {
                        why: Refused::Wrong,
                        ..
                    })
                ),
                "seat {seat}: {heard:?}"
            );
            assert_eq!(net.members[seat].keep.statement(head.id()), None);
        }
        let offer = Offer {
            statement: statement(&net, *good.head()).encode(),
            table_len,
            sliver: layout(5).into_bytes(),
        };
        send(&mut rows, &net, 5, &Message::Offer(offer));
        let heard = answer(&net, &mut words).await;
        assert!(matches!(heard, Some(Message::Signed { .. })), "{heard:?}");
        assert!(net.members[5].keep.statement(good.head().id()).is_some());
        net
    });
}

/// Offers that are none, of another quorum, of no term: refused by name, and nothing is kept or waited for.
#[test]
fn offers_that_are_none() {
    run(21, Shape::of(7), |mut net| async move {
        net.start_but(&[LIAR]).await;
        let (_, [mut words, mut rows]) = net.ends(LIAR).await;
        let good = coded(&net, 1);
        let sliver = Packed::of(&good, net.committee.rows(0));
        let table_len = u32::try_from(sliver.table().len()).unwrap();
        let right = statement(&net, *good.head());
        let mut stranger = right;
        stranger.quorum.epoch += 1;
        let mut past = right;
        past.expiry = unix(net.context.current());
        let mut late = right;
        late.expiry += 400 * 24 * 3600;
        let mut version = right.encode();
        version[0] = 9;
        let mut id = right.encode();
        id[30] ^= 1;
        let cases = [
            (stranger.encode(), table_len, Refused::Stranger),
            (past.encode(), table_len, Refused::Term),
            (late.encode(), table_len, Refused::Term),
            (version, table_len, Refused::Wrong),
            (id, table_len, Refused::Wrong),
            (right.encode(), 7, Refused::Wrong),
            (right.encode(), table_len + 64, Refused::Wrong),
        ];
        for (statement, table_len, want) in cases {
            let offer = Offer {
                statement,
                table_len,
                sliver: sliver.clone().into_bytes(),
            };
            send(&mut rows, &net, 0, &Message::Offer(offer));
            match answer(&net, &mut words).await {
                Some(Message::Refused { why, .. }) => assert_eq!(why, want),
                other => panic!("{want:?}: {other:?}"),
            }
        }
        assert!(net.members[0].keep.list().is_empty());
        net
    });
}

/// A holder that signs with another key is found, and the certificate is made without it.
#[test]
fn signers_that_lie() {
    run(22, Shape::of(7), |mut net| async move {
        net.start_but(&[LIAR]).await;
        let (_, [mut words, mut rows]) = net.ends(LIAR).await;
        let blob = noise(3, 50_000);
        let id = net.post(0, 1, &blob);
        let offered = loop {
            if let Message::Offer(offer) = hear(&mut rows).await {
                break offer;
            }
        };
        let container = Hash32(offered.statement[21..53].try_into().unwrap());
        let signature = {
            let columns = net.committee.columns();
            let statement = Statement::decode(&offered.statement, columns).unwrap();
            net.members[0].secret.sign(&statement)
        };
        let lie = Message::Signed {
            container,
            signature,
        };
        send(&mut words, &net, 0, &lie);
        let State::Certified(posted) = net.end(0, id).await else {
            panic!("six of seven are enough");
        };
        net.check(&posted, &blob);
        net
    });
}

/// A holder that gives wrong rows, others than were asked for, or none, only costs time.
#[test]
fn holders_that_lie() {
    run(23, Shape::of(7), |mut net| async move {
        net.start_but(&[LIAR]).await;
        let (_, [mut words, mut rows]) = net.ends(LIAR).await;
        let blob = noise(4, 500_000);
        let id = net.post(0, 1, &blob);
        let posted = net.certified(0, id, &blob).await;
        let reader = net.faces(2).reader;
        let known = reader.container(posted.statement.head.id()).await.unwrap();
        for lie in 0..3 {
            let mut reading = Box::pin(reader.blob(&known, posted.place));
            let width = known.statement.head.shape.width();
            let read = loop {
                commonware_macros::select! {
                    read = &mut reading => break read,
                    heard = hear(&mut words) => {
                        let Message::Ask { id, ask: Ask::Fetch { rows: asked, .. } } = heard else {
                            continue;
                        };
                        let answer = match lie {
                            0 => Answer::Lack,
                            1 => Answer::Rows(Rows {
                                bytes: vec![7; asked.len() * width].into(),
                                siblings: vec![Hash32([1; 32]); 12],
                                rows: asked,
                            }),
                            _ => Answer::Rows(Rows {
                                bytes: vec![7; width].into(),
                                siblings: Vec::new(),
                                rows: vec![asked[0] + 1],
                            }),
                        };
                        send(&mut rows, &net, 2, &Message::Answer { id, answer });
                    },
                }
            };
            assert!(read.unwrap() == blob);
        }
        net
    });
}

/// Bytes that are no message cost their sender the connection, and nobody anything else.
#[test]
fn junk() {
    run(24, Shape::of(7), |mut net| async move {
        net.start_but(&[LIAR]).await;
        let (_, [mut words, _rows]) = net.ends(LIAR).await;
        for (to, junk) in [&[1, 99][..], &[], &[1, 0, 3], &[1, 5, 0]]
            .into_iter()
            .enumerate()
        {
            let bytes = Bytes::copy_from_slice(junk);
            let _sent = words
                .0
                .send(Recipients::One(net.keys[to].clone()), bytes, true);
        }
        net.pass(1).await;
        let blob = noise(5, 90_000);
        let id = net.post(0, 1, &blob);
        net.certified(0, id, &blob).await;
        net
    });
}

/// Nobody checks a blob's root before a reader does: one whose maker has lied of it is certified, and is
/// given to nobody.
#[test]
fn roots_that_lie() {
    run(25, Shape::of(7), |mut net| async move {
        net.start_but(&[]).await;
        let blob = noise(6, 50_000);
        let entry = Entry {
            namespace: Namespace([1; 29]),
            offset: 0,
            len: 50_000,
            root: blob_root(&blob[1..]),
        };
        let table = Table::of(vec![entry]).unwrap();
        let mut bytes = vec![0; table.shape().original_len()];
        let head = table.encode();
        bytes[..head.len()].copy_from_slice(&head);
        bytes[head.len()..head.len() + blob.len()].copy_from_slice(&blob);
        let container = Container::from_rows(table.shape(), bytes).unwrap();
        let committee = net.committee.clone();
        let coded = Coded::new(container, &committee.quorum(), committee.columns());
        let statement = statement(&net, *coded.head());
        let job = Job {
            coded,
            statement,
            committee,
            threshold: Threshold::LEAST,
        };
        let (waiting, certified) = oneshot::channel();
        let orders = net.faces(0).orders();
        let sent = orders.send(Order::Disperse(job.into(), waiting)).await;
        assert!(sent.is_ok());
        certified.await.unwrap().unwrap();
        let reader = net.faces(3).reader;
        let known = reader.container(statement.head.id()).await.unwrap();
        assert_eq!(reader.blob(&known, 0).await, Err(ReadError::Damaged));
        net
    });
}
