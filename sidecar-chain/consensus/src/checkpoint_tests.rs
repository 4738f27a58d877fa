//! A checkpoint's parts belong together, or it is refused.

use alloy_primitives::Bytes;
use lode_chain_types::Round;

use super::*;
use crate::{deal, simulation::toy};

fn committee() -> Committee {
    let addresses: Vec<String> = (0..4).map(|at| format!("10.0.0.{at}:3000")).collect();
    let (committee, _) = deal(B256::repeat_byte(1), &addresses).expect("good addresses");
    committee
}

/// A block of an epoch, and a certificate of it whose signatures are points and nobody's.
fn checkpoint(committee: &Committee, epoch: u64) -> Checkpoint {
    let genesis = toy::build(None, committee.round(), &Bytes::new());
    let round = Round {
        epoch,
        view: 5,
        leader: genesis.round().leader,
        ..Round::default()
    };
    let block = toy::build(Some(&genesis), round, &Bytes::new());
    let generator = alloy_primitives::hex!(
        "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    );
    let finality = Finality {
        epoch,
        view: 5,
        parent_view: 4,
        block: block.hash().0,
        vote: generator,
        seed: generator,
    };
    Checkpoint {
        block,
        finality,
        boundary: None,
    }
}

/// In the first epoch the committee is that of the chain's first block; the certificate comes out as
/// it went in.
#[test]
fn the_first_epoch_needs_no_block_before() {
    let first = committee();
    let checkpoint = checkpoint(&first, 0);
    let anchor = checkpoint.anchor(&first).expect("it fits");
    assert_eq!(anchor.sync.info, *first.info());
    assert_eq!(
        crate::delivery::finality(&anchor.sync.floor),
        Some(checkpoint.finality)
    );
    assert_eq!(checkpoint.members(), Ok(Vec::new()));
}

/// Another block's certificate, one that is no certificate, a block of another epoch and a block
/// before the epoch that says nothing or something else are refused.
#[test]
fn parts_that_do_not_belong_together() {
    let first = committee();
    let good = checkpoint(&first, 0);
    let refused = |change: &dyn Fn(&mut Checkpoint)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.anchor(&first).err()
    };
    let other = B256::repeat_byte(1);
    assert_eq!(
        refused(&|bad| bad.finality.block = other.0),
        Some(Error::OtherBlock(other))
    );
    assert_eq!(
        refused(&|bad| bad.finality.vote = [7; SIGNATURE_LEN]),
        Some(Error::Certificate)
    );
    assert_eq!(
        refused(&|bad| bad.finality.epoch = 1),
        Some(Error::Block(1))
    );
    let later = checkpoint(&first, 1);
    assert_eq!(later.anchor(&first).err(), Some(Error::Boundary(1)));
    let genesis = toy::build(None, first.round(), &Bytes::new());
    for boundary in [genesis, later.block.clone()] {
        let bad = Checkpoint {
            boundary: Some(boundary),
            ..later.clone()
        };
        assert_eq!(bad.anchor(&first).err(), Some(Error::Boundary(1)));
        assert_eq!(bad.members(), Err(Error::Boundary(1)));
    }
}
