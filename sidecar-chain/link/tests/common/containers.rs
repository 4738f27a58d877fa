//! Containers, and wrong proofs of what is in them.

use lode_proofs::da::{Coded, ContainerBuilder, Namespace, Quorum};

/// A container of three blobs, coded for the quorum.
pub fn coded(quorum: &Quorum, columns: usize, len: usize) -> (Coded, Vec<Vec<u8>>) {
    let blobs: Vec<Vec<u8>> = [1, len, 3000]
        .into_iter()
        .map(|len| {
            (0..len)
                .map(|at| (at * 31 + (at >> 8)).to_le_bytes()[0])
                .collect()
        })
        .collect();
    let mut builder = ContainerBuilder::new();
    for (namespace, blob) in (1..).zip(&blobs) {
        builder.add(Namespace([namespace; 29]), blob).unwrap();
    }
    (Coded::new(builder.close().unwrap(), quorum, columns), blobs)
}

/// The same bytes, each time with another one changed, cut, or with more behind them.
pub fn wrongs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let step = 1 + bytes.len() / 40;
    let places = (0..bytes.len()).step_by(step).chain([bytes.len() - 1]);
    let flipped = places.map(|at| {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        other
    });
    let cut = [&bytes[1..], &bytes[..bytes.len() - 1], &bytes[..7], &[]];
    let more = [bytes, &[0; 32]].concat();
    flipped
        .chain(cut.map(<[u8]>::to_vec))
        .chain([more])
        .collect()
}
