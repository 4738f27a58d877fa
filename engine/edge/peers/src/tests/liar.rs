//! A peer that lies gets no byte in, is blocked, and delays nobody.

use bytes::Bytes;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Spawner as _, Supervisor as _};
use lode_proofs::Hash32;
use lode_wire::Slice;

use super::{
    net::{Channel, Net, Shape, run},
    store::Flow,
};
use crate::{
    message::{Have, Hello, Message, Want},
    serve::wired,
};

const CHUNK: usize = 262_144;

/// What a true answer is turned into; none to say nothing.
type Lie = fn(Have) -> Option<Vec<u8>>;

fn plain(have: Have) -> Vec<u8> {
    Message::Have(have).encode().concat()
}

fn another_byte(mut have: Have) -> Option<Vec<u8>> {
    let mut bytes = have.bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    have.bytes = bytes.into();
    Some(plain(have))
}

fn a_byte_less(mut have: Have) -> Option<Vec<u8>> {
    have.bytes = have.bytes.slice(1..);
    Some(plain(have))
}

fn another_root(mut have: Have) -> Option<Vec<u8>> {
    have.chunk_root = Hash32([7; 32]);
    Some(plain(have))
}

fn another_sibling(mut have: Have) -> Option<Vec<u8>> {
    have.siblings[0].0[0] ^= 1;
    Some(plain(have))
}

fn no_siblings(mut have: Have) -> Option<Vec<u8>> {
    have.siblings.clear();
    Some(plain(have))
}

/// A message that is none, after an answer that is good.
fn no_message(_: Have) -> Option<Vec<u8>> {
    Some(vec![1, 9])
}

fn silence(_: Have) -> Option<Vec<u8>> {
    None
}

/// Chunks that nobody asked it for.
fn another_index(mut have: Have) -> Option<Vec<u8>> {
    have.index += 1 << 20;
    Some(plain(have))
}

/// A guest that says that it has all, and answers with lies.
async fn play(net: &Net, at: usize, lie: Lie) {
    let (_, [words, chunks]) = net.ends(at).await;
    let flow = net.flow.clone();
    let context = net.context.child("liar");
    context.spawn(move |context| async move {
        let answer = context.child("answers");
        answer
            .spawn(move |_| answers(flow, lie, words, chunks))
            .await
    });
}

async fn answers(flow: Flow, lie: Lie, mut words: Channel, mut chunks: Channel) {
    let hello = Message::Hello(Hello {
        slice: Slice::WHOLE,
        next_seq: u64::MAX,
        complete_below: u64::MAX,
    });
    // Whenever somebody says something, it says that it has everything.
    while let Ok((peer, bytes)) = words.1.recv().await {
        let one = || Recipients::One(peer.clone());
        match Message::decode(Bytes::from(bytes)) {
            Ok(Message::Hello(_)) => {
                words.0.send(one(), wired(&hello).0, true);
            }
            Ok(Message::Want(want)) => {
                for bytes in truth(&flow, &want).into_iter().filter_map(lie) {
                    chunks.0.send(one(), bytes, false);
                }
            }
            _ => {}
        }
    }
}

/// What an honest node would answer.
fn truth(flow: &Flow, want: &Want) -> Vec<Have> {
    let mut known = (0..flow.len()).map(|seq| flow.get(seq).unwrap());
    let known = known.rfind(|known| known.blob.root == want.root).unwrap();
    let have = |index: &u64| {
        let (proof, bytes) = &known.chunks[usize::try_from(*index).unwrap()];
        Have {
            id: want.id,
            index: *index,
            chunk_root: proof.chunk_root(),
            siblings: proof.siblings().to_vec(),
            bytes: bytes.clone(),
        }
    };
    want.indices.iter().map(have).collect()
}

/// An honest node with all, one with nothing, and a liar, who is asked first since he says that he is
/// complete: the one with nothing is whole, and whether the liar was blocked.
fn with_liar(seed: u64, lie: Lie, blocked: bool) {
    let shape = Shape {
        guests: 1,
        ..Shape::of(&[0, 0], 1)
    };
    run(seed, shape, |mut net| async move {
        for size in [2 * CHUNK, 6 * CHUNK + 5, 2 * CHUNK + 1] {
            let seq = net.flow.submit(size);
            net.nodes[0].store.upload(seq);
        }
        play(&net, 2, lie).await;
        net.pass(1).await;
        net.start_all().await;
        // The store asserts that what it gets is proven, and compares each byte when asked.
        net.until_whole(&[1]).await;
        let pair = (net.keys[1].clone(), net.keys[2].clone());
        let pairs = net.oracle.blocked().await.unwrap();
        assert_eq!(pairs.contains(&pair), blocked);
        assert!(
            pairs.iter().all(|(_, to)| *to == net.keys[2]),
            "nobody else"
        );
        assert_eq!(net.nodes[1].status().liars, u64::from(blocked));
        assert_eq!(net.nodes[0].status().liars, 0);
        net
    });
}

/// Every way to lie about a chunk is found, and its author is blocked.
#[test]
fn no_wrong_byte_gets_in() {
    let lies = [
        another_byte,
        a_byte_less,
        another_root,
        another_sibling,
        no_siblings,
        no_message,
    ];
    for (seed, lie) in (0..).zip(lies) {
        with_liar(seed, lie, true);
    }
}

/// Who is silent, or sends what was not asked for, is not a liar, but others are asked.
#[test]
fn the_silent_are_passed_over() {
    with_liar(10, silence, false);
    with_liar(11, another_index, false);
}

/// The true answer passes: the tests above find lies, and not the guest.
#[test]
fn the_truth_is_no_lie() {
    with_liar(20, |have| Some(plain(have)), false);
}
