//! Formats: round trips, every flipped bit refused, and bytes frozen by their hash.

use super::{
    checkpoint::{Decoder, Encoder, Item, SegmentItem},
    footer::{self, Entry, Footer, Pointer},
    frame::FrameHead,
    manifest,
    page::{self, Kind, PAGE, PageError, Place as PagePlace},
    record::{self, Header},
    segment::SegmentHead,
    superblock::{COPIES, Calibration, SuperError, Superblock},
};
use crate::{Root, index::Place};

fn root(fill: u8) -> Root {
    Root::from([fill; 32])
}

fn header(sequence: u64) -> Header {
    Header {
        kind: record::Kind::Chunk,
        flags: record::MOVED,
        len: 4096,
        sequence,
        blob: 77,
        detail: 5,
        expiry: 9,
        root: root(3),
        check: [4; 32],
    }
}

fn footer_of(entries: u64) -> Footer {
    let total = header(1).total_len();
    let entry = |n: u64| Entry {
        header: Header {
            check: [0; 32],
            ..header(n + 1)
        },
        at: 8192 + n * total,
    };
    Footer {
        segment: 6,
        end: 8192 + entries * total,
        entries: (0..entries).map(entry).collect(),
    }
}

fn superblock(generation: u64) -> Superblock {
    Superblock {
        shards: 3,
        generation,
        segment_len: 1 << 28,
        store: [8; 16],
        created: 1_700_000_000,
        epoch: 12,
        disk: Calibration {
            append_rate: 1,
            read_rate: 2,
            sync_micros: 3,
        },
    }
}

fn segment_head() -> SegmentHead {
    SegmentHead {
        shard: 2,
        segment: 6,
        tag: 0x1122_3344_5566_7788,
        bucket: 40,
        file_len: 1 << 28,
        created: 1_700_000_000,
        store: [8; 16],
    }
}

fn items() -> Vec<Item> {
    let place = |n: u32| Place {
        segment: n,
        at: n * 10,
    };
    vec![
        Item::Head {
            shard: 1,
            covered: 100,
            tag: 7,
            next_blob: 9,
        },
        Item::Segment(SegmentItem {
            number: 1,
            tag: 2,
            bucket: 3,
            first: 4,
            last: 5,
            end: 6,
            expiry: 7,
        }),
        Item::Single {
            root: root(1),
            place: place(1),
            len: 10,
            expiry: 0,
        },
        Item::Blob {
            root: root(2),
            blob: 8,
            size: 600_000,
            expiry: 4,
            manifest: place(2),
        },
        Item::Places(vec![place(3), Place::NONE, place(5)]),
        Item::Upload { blob: 11 },
        Item::Declared {
            blob: 11,
            root: root(3),
            size: 700_000,
            expiry: 5,
            place: place(6),
        },
        Item::Chunks {
            blob: 11,
            places: vec![place(7), Place::NONE],
        },
        Item::Short {
            blob: 11,
            chunk: 1,
            len: 77,
        },
        Item::ChunkRoot {
            blob: 11,
            chunk: 0,
            root: root(4),
        },
        Item::Group {
            blob: 11,
            group: 2,
            place: place(8),
            root: root(5),
        },
    ]
}

fn checkpoint_bytes() -> Vec<u8> {
    let mut encoder = Encoder::default();
    items().iter().for_each(|item| encoder.push(item));
    encoder.end();
    encoder.take(usize::MAX)
}

fn decode_checkpoint(bytes: &[u8], piece: usize) -> Option<Vec<Item>> {
    let mut decoder = Decoder::default();
    let mut out = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        while let Some(item) = decoder.next_item().ok()? {
            out.push(item);
        }
    }
    decoder.finish().ok()?;
    Some(out)
}

/// Every flipped bit of `bytes` changes what `decode` answers.
fn every_flip_refused<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<T>,
) {
    assert!(decode(bytes).is_some(), "the whole is accepted");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode(&flipped), None, "bit {bit}");
    }
}

/// A page is refused after any flipped bit, in another file life and in another place.
#[test]
fn a_page_proves_itself() {
    let mut page = vec![0x5a; PAGE];
    let place = PagePlace {
        tag: 42,
        page: 7,
        kind: Kind::FrameBody,
    };
    page::stamp(&mut page, place);
    assert_eq!(page::check(&page, 42, 7), Ok(Kind::FrameBody));
    assert_eq!(page::check(&page, 43, 7), Err(PageError::Tag));
    assert_eq!(page::check(&page, 42, 8), Err(PageError::Number));
    assert_eq!(page::check(&vec![0; PAGE], 0, 0), Err(PageError::Checksum));
    every_flip_refused(&page, |page| page::check(page, 42, 7).ok());
}

/// Pages cut from a stream join to the same stream, and not at another first page.
#[test]
fn a_stream_survives_its_pages() {
    let bytes: Vec<u8> = (0..=250).cycle().take(3 * page::PAYLOAD + 5).collect();
    let pages = page::paginate(&bytes, 9, 3, Kind::Footer);
    assert_eq!(pages.len(), 4 * PAGE);
    let joined = page::join(&pages, 9, 3, Kind::Footer).unwrap();
    assert_eq!(joined[..bytes.len()], bytes);
    assert!(joined[bytes.len()..].iter().all(|&byte| byte == 0));
    assert_eq!(
        page::join(&pages, 9, 4, Kind::Footer),
        Err(PageError::Number)
    );
    assert_eq!(
        page::join(&pages, 9, 3, Kind::Checkpoint),
        Err(PageError::Kind)
    );
}

/// Headers come back as they were; unknown kinds, flags, fillers and lengths are refused.
#[test]
fn record_headers() {
    let encoded = header(8).encode();
    assert_eq!(Header::decode(&encoded), Ok(header(8)));
    for (at, value, want) in [
        (0, 0, record::RecordError::Unknown),
        (0, 8, record::RecordError::Unknown),
        (1, 2, record::RecordError::Unknown),
        (3, 1, record::RecordError::Unknown),
        (37, 1, record::RecordError::Unknown),
        (7, 1, record::RecordError::Length),
        (31, 1, record::RecordError::Length),
    ] {
        let mut bad = encoded;
        bad[at] = value;
        assert_eq!(Header::decode(&bad), Err(want), "byte {at}");
    }
    assert_eq!(
        Header::decode(&encoded[..103]),
        Err(record::RecordError::Short)
    );
    let mut empty = encoded;
    empty[4..8].fill(0);
    assert_eq!(Header::decode(&empty), Err(record::RecordError::Length));
}

/// Footers come back; any flipped bit, cut or disorder is refused.
#[test]
fn footers() {
    let footer = footer_of(3);
    let encoded = footer.encode();
    assert_eq!(Footer::decode(&encoded), Ok(footer.clone()));
    every_flip_refused(&encoded, |bytes| Footer::decode(bytes).ok());
    for len in 0..encoded.len() {
        assert!(Footer::decode(&encoded[..len]).is_err());
    }
    let mut disorder = footer;
    disorder.entries.swap(0, 1);
    assert_eq!(
        Footer::decode(&disorder.encode()),
        Err(footer::FooterError::Malformed)
    );
    let pointer = Pointer {
        segment: 6,
        first: 100,
        pages: 1,
    };
    assert_eq!(Pointer::decode(&pointer.encode()), Ok(pointer));
    assert!(
        Pointer::decode(
            &Pointer {
                pages: 0,
                ..pointer
            }
            .encode()
        )
        .is_err()
    );
    assert!(
        Pointer::decode(
            &Pointer {
                first: 1 << 24,
                ..pointer
            }
            .encode()
        )
        .is_err()
    );
}

/// Frame heads come back; one that claims more durable frames than came before is refused.
#[test]
fn frame_heads() {
    let head = FrameHead {
        number: 5,
        segment: 6,
        committed: 3,
        sequence: 99,
        chain: 0xdead,
    };
    assert_eq!(FrameHead::decode(&head.encode()), Some(head));
    assert_eq!(
        FrameHead::decode(
            &FrameHead {
                committed: 6,
                ..head
            }
            .encode()
        ),
        None
    );
    assert_eq!(FrameHead::decode(&[0; 32]), None);
}

/// A head follows the one whose number and checksum it continues, and no other; the first follows
/// none.
#[test]
fn frame_heads_are_chained() {
    let first = FrameHead {
        number: 0,
        segment: 6,
        committed: 0,
        sequence: 9,
        chain: 0,
    };
    let second = FrameHead {
        number: 1,
        chain: first.checksum(),
        ..first
    };
    assert!(first.follows(None) && second.follows(Some(&first)));
    assert!(!second.follows(None) && !first.follows(Some(&first)));
    let other = FrameHead {
        sequence: 10,
        ..first
    };
    assert!(!second.follows(Some(&other)));
    let later = FrameHead {
        number: 2,
        ..second
    };
    assert!(!later.follows(Some(&first)));
    let chained = FrameHead { chain: 1, ..first };
    assert!(!chained.follows(None));
}

/// One whole copy of a segment header is enough; without any there is none.
#[test]
fn segment_headers() {
    let pages = segment_head().encode();
    assert_eq!(SegmentHead::decode(&pages), Some(segment_head()));
    for (broken, rest) in [(0, PAGE), (PAGE, 0)] {
        let mut one = pages.clone();
        one[broken] ^= 1;
        assert_eq!(SegmentHead::decode(&one), Some(segment_head()));
        one[rest] ^= 1;
        assert_eq!(SegmentHead::decode(&one), None);
    }
}

/// The newest whole copy counts; another version or unknown features are refused by name.
#[test]
fn superblocks() {
    let file = |generations: [u64; 4]| -> Vec<u8> {
        let copies = (0..COPIES).zip(generations);
        copies
            .flat_map(|(copy, generation)| superblock(generation).encode(copy))
            .collect()
    };
    assert_eq!(Superblock::decode(&file([2, 2, 1, 1])), Ok(superblock(2)));
    let mut torn = file([2, 2, 1, 1]);
    torn[10] ^= 1;
    torn[PAGE + 10] ^= 1;
    assert_eq!(Superblock::decode(&torn), Ok(superblock(1)));
    assert_eq!(Superblock::decode(&[0; 4 * PAGE]), Err(SuperError::Damaged));
    assert_eq!(Superblock::decode(&[]), Err(SuperError::Damaged));
    for (at, want) in [(8, SuperError::Version(9)), (12, SuperError::Feature(9))] {
        let mut other = superblock(1).encode(0);
        other[at] = 9;
        let tag = page::open(&superblock(1).encode(0)).unwrap().tag;
        page::stamp(
            &mut other,
            PagePlace {
                tag,
                page: 0,
                kind: Kind::Super,
            },
        );
        assert_eq!(Superblock::decode(&other), Err(want));
    }
}

/// Checkpoints come back in pieces of any size; any flipped bit or cut is refused.
#[test]
fn checkpoints() {
    let bytes = checkpoint_bytes();
    for piece in [1, 7, bytes.len()] {
        let decoded = decode_checkpoint(&bytes, piece).unwrap();
        assert_eq!(decoded[..decoded.len() - 1], items());
    }
    every_flip_refused(&bytes, |bytes| decode_checkpoint(bytes, 64));
    for len in 0..bytes.len() {
        assert_eq!(decode_checkpoint(&bytes[..len], 64), None);
    }
}

/// Lengths of manifests and groups at the sizes where their shape changes.
#[test]
fn manifest_lengths() {
    const CHUNK: u64 = 256 * 1024;
    assert_eq!(
        (
            manifest::encoded_len(CHUNK + 1),
            manifest::groups(CHUNK + 1)
        ),
        (64, 0)
    );
    assert_eq!(
        (
            manifest::encoded_len(1024 * CHUNK),
            manifest::groups(1024 * CHUNK)
        ),
        (32 * 1024, 0)
    );
    assert_eq!(
        (
            manifest::encoded_len(1024 * CHUNK + 1),
            manifest::groups(1024 * CHUNK + 1)
        ),
        (32, 2)
    );
    assert_eq!(
        manifest::encoded_len(manifest::BLOB_MAX),
        record::PAYLOAD_MAX
    );
}

/// The bytes of version 1: a change here is a change of the format on disk.
#[test]
fn version_1_is_frozen() {
    let mut all = header(8).encode().to_vec();
    all.extend(footer_of(3).encode());
    all.extend(segment_head().encode());
    all.extend((0..COPIES).flat_map(|copy| superblock(1).encode(copy)));
    all.extend(checkpoint_bytes());
    let head = FrameHead {
        number: 5,
        segment: 6,
        committed: 3,
        sequence: 99,
        chain: 0xdead,
    };
    all.extend(head.encode());
    let want = "ae085440a9df34204d1b7de99ab2eae8b432f72bc9a59b7dd3ae2d1b86db0c40";
    assert_eq!(blake3::hash(&all).to_hex().as_str(), want);
}
