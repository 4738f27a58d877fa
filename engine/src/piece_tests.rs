//! A piece is the same bytes in whatever steps it is taken.

use std::io::IoSlice;

use bytes::{Buf, Bytes};
use lode_proofs::CHUNK_LEN;

use super::{Piece, SLICES_MAX};
use crate::format::page::{PAGE, PAYLOAD};

/// Pages whose payload is counted through, so that a trailer or a byte out of place is seen.
fn pages(count: usize) -> (Vec<u8>, Vec<u8>) {
    let payload: Vec<u8> = (0_u32..)
        .flat_map(|word| word.to_le_bytes())
        .take(count * PAYLOAD)
        .collect();
    let mut read = Vec::new();
    for page in payload.chunks(PAYLOAD) {
        read.extend_from_slice(page);
        read.resize(read.len().next_multiple_of(PAGE), 0xee);
    }
    (read, payload)
}

#[test]
fn any_range_in_any_steps() {
    let (read, payload) = pages(67);
    for start in [0, 1, 104, PAYLOAD - 1] {
        for len in [
            1,
            4096,
            PAYLOAD,
            32 << 10,
            100_000,
            CHUNK_LEN - 1,
            CHUNK_LEN,
        ] {
            let want = &payload[start..start + len];
            let piece = || Piece::in_pages(&read[..], start, len);
            assert_eq!(piece().into_bytes(), want);
            let mut slices = [IoSlice::new(&[]); 64];
            let whole = piece();
            let count = whole.chunks_vectored(&mut slices);
            assert!(count <= SLICES_MAX, "{count} slices");
            let together: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            assert_eq!(together, want);
            for step in [1000, PAYLOAD, 70_000] {
                let (mut piece, mut done) = (piece(), 0);
                while !piece.is_empty() {
                    assert_eq!(piece.len(), len - done);
                    let chunk = piece.chunk();
                    assert!(!chunk.is_empty() && want[done..].starts_with(chunk));
                    let step = step.min(piece.len());
                    piece.advance(step);
                    done += step;
                }
                assert_eq!(done, len);
                assert!(piece.chunk().is_empty());
            }
        }
    }
}

/// Few bytes do not hold on to the memory of a read.
#[test]
fn little_is_put_together() {
    let (read, payload) = pages(3);
    let memory = std::rc::Rc::new(read);
    struct Shared(std::rc::Rc<Vec<u8>>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let piece = Piece::in_pages(Shared(memory.clone()), 50, 8000);
    assert_eq!(std::rc::Rc::strong_count(&memory), 1);
    assert_eq!(
        piece.into_bytes(),
        Bytes::copy_from_slice(&payload[50..8050])
    );
}

#[test]
#[should_panic(expected = "no more than is left")]
fn no_step_beyond_the_end() {
    let (read, _) = pages(20);
    Piece::in_pages(&read[..], 0, 50_000).advance(50_001);
}
