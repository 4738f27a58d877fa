//! Candidates come back as they were, and none with a round that cannot be read.

use commonware_codec::{DecodeExt as _, Encode};

use super::*;
use crate::{Committee, deal, simulation::toy};

fn genesis() -> (Committee, Block) {
    let addresses = ["127.0.0.1:1".to_owned(), "localhost:2".to_owned()];
    let (committee, _) = deal(B256::ZERO, &addresses).expect("good addresses");
    let block = toy::build(None, committee.round(), &Bytes::new());
    (committee, block)
}

/// A block with a committee in it is the same after it was sent, and its digest is its hash.
#[test]
fn comes_back() {
    let (_, block) = genesis();
    let candidate = Candidate::new(block.clone()).expect("a good round");
    let bytes = candidate.encode();
    assert_eq!(bytes.len(), candidate.encode_size());
    let again = Candidate::decode(bytes).expect("it was encoded");
    assert_eq!(again.block(), &block);
    assert_eq!(again.digest().0, block.hash().0);
    assert!(again.payload() == candidate.payload());
    assert!(again.encode_size() <= Candidate::max_encode_size(&()));
}

/// Rounds that cannot be read make no candidates: a leader that is no point, a payload cut short.
#[test]
fn strange_rounds_are_refused() {
    let (committee, _) = genesis();
    let round = committee.round();
    let no_point = lode_chain_types::Round {
        leader: B256::repeat_byte(2),
        ..round.clone()
    };
    let short = lode_chain_types::Round {
        payload: round.payload.slice(..round.payload.len() - 1),
        ..round
    };
    for (round, error) in [(no_point, Error::Leader), (short, Error::Payload)] {
        let block = toy::build(None, round, &Bytes::new());
        assert_eq!(Candidate::new(block).err(), Some(error));
    }
}

/// Bytes cut anywhere are refused, and read no further than they go.
#[test]
fn cut_bytes_are_refused() {
    let (_, block) = genesis();
    let bytes = Candidate::new(block).expect("a good round").encode();
    for end in 0..bytes.len() {
        assert!(
            Candidate::decode(bytes.slice(..end)).is_err(),
            "cut at {end}"
        );
    }
}
