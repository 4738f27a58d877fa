//! The bytes are frozen, every structure comes back, and no bytes at all make a decoder panic.

use lode_proofs::{
    Hash32,
    da::{Head, Quorum, Shape, Statement},
};
use proptest::prelude::*;

use super::{
    index::{Entry, Index, Pointer},
    outline::{Outline, Part, decode_rows, encode_rows},
    page::{self, Kind, PAGE, PAYLOAD, PageError, Place},
    segment::SegmentHead,
};
use crate::fuzz;

fn statement(blocks: u64, columns: u16) -> Statement {
    Statement {
        quorum: Quorum {
            chain_id: 0x0102_0304_0506_0708,
            epoch: 9,
            quorum: 10,
        },
        head: Head {
            row_root: Hash32([1; 32]),
            check_root: Hash32([2; 32]),
            namespace_root: Hash32([3; 32]),
            shape: Shape::new(blocks * 65_536).unwrap(),
            columns,
        },
        expiry: 0x1112_1314_1516_1718,
    }
}

fn outline(blocks: u64, rows: u16) -> Outline {
    Outline {
        statement: statement(blocks, 18),
        rows,
        table_len: 0x152,
        siblings: 5,
        segment: 0x2122_2324,
        segment_tag: 0x3132_3334_3536_3738,
        first: 0x0041_4243,
        sequence: 0x5152_5354_5556_5758,
    }
}

const HEAD: SegmentHead = SegmentHead {
    number: 0x0102_0304,
    tag: 0x1112_1314_1516_1718,
    until: 0x2122_2324_2526_2728,
    created: 0x3132_3334_3536_3738,
};

fn list() -> Index {
    let entry = |container, first| Entry {
        container: Hash32([container; 32]),
        sequence: 7,
        expiry: 8,
        first,
        pages: 9,
    };
    Index {
        segment: 6,
        entries: vec![entry(1, 2), entry(2, 11), entry(3, 40)],
    }
}

const POINTER: Pointer = Pointer {
    segment: 6,
    first: 49,
    pages: 1,
};

fn all() -> Vec<Vec<u8>> {
    let rows = [0, 1, 5, 3071];
    let place = Place {
        tag: 3,
        page: 4,
        kind: Kind::RecordRows,
    };
    let outline = outline(16, 1000);
    let page = |kind, page| page::paginate(&outline.encode(), Place { tag: 5, page, kind });
    vec![
        HEAD.encode(),
        HEAD.pages(),
        outline.encode().to_vec(),
        list().encode(),
        POINTER.encode().to_vec(),
        encode_rows(&rows),
        page::paginate(&[9; PAYLOAD + 1], place),
        page(Kind::RecordHead, outline.first),
        page(Kind::RecordFoot, outline.first + outline.pages() - 1),
    ]
}

/// The bytes of version 1, by their checksums: who changes them needs another version.
#[test]
fn bytes_are_frozen() {
    // Backwards: forwards the sum of a page that ends with its own is always the same.
    let sum = |bytes: Vec<u8>| crc32c::crc32c(&bytes.into_iter().rev().collect::<Vec<_>>());
    let sums: Vec<u32> = all().into_iter().map(sum).collect();
    assert_eq!(sums, FROZEN);
}

const FROZEN: [u32; 9] = [
    2337274608, 3187662151, 4142988481, 3143229585, 2690822259, 357781268, 2529403603, 3970873244,
    1100443000,
];

/// What FORMAT.md says of single places.
#[test]
fn fields_are_where_the_format_has_them() {
    let bytes = outline(16, 1000).encode();
    assert_eq!(bytes[..4], *b"ROWS");
    assert_eq!((bytes[4], bytes[6], bytes[7]), (18, 0xe8, 3));
    assert_eq!(bytes[8..16], [0x24, 0x23, 0x22, 0x21, 0x43, 0x42, 0x41, 0]);
    assert_eq!(bytes[40..209], statement(16, 18).encode());
    assert_eq!(bytes[209..], [0; 7]);
    let outline = outline(16, 1000);
    assert_eq!(outline.width(), 1024);
    assert_eq!(outline.part(Part::RowNumbers), 216..2216);
    assert_eq!(outline.part(Part::Siblings), 2216..2376);
    assert_eq!(outline.part(Part::Checks), 2376..39_240);
    assert_eq!(outline.part(Part::Table), 39_240..39_578);
    assert_eq!(
        (outline.head_pages(), outline.row_pages(), outline.pages()),
        (10, 251, 263)
    );
    assert_eq!(outline.rows_at(3..5), 40_800 + 3072..40_800 + 5120);
    assert_eq!(outline.rows_in(9), 0..0);
    assert_eq!(outline.rows_in(10), 0..4);
    assert_eq!(outline.rows_in(11), 3..8);
    assert_eq!(outline.rows_in(260), 996..1000);
    assert_eq!(outline.rows_in(261), 1000..1000);
}

/// Every structure comes back.
#[test]
fn structures_come_back() {
    assert_eq!(SegmentHead::decode(&HEAD.encode()), Ok(HEAD));
    for page in 0..2 {
        let from = usize::try_from(page).unwrap() * PAGE;
        let pages = HEAD.pages();
        assert_eq!(SegmentHead::read(&pages[from..from + PAGE], page), Ok(HEAD));
        assert!(SegmentHead::read(&pages[from..from + PAGE], 1 - page).is_err());
    }
    for (blocks, rows) in [(1, 1), (16, 1000), (2048, 3072)] {
        let outline = outline(blocks, rows);
        assert_eq!(Outline::decode(&outline.encode()), Ok(outline));
    }
    assert_eq!(Index::decode(&list().encode()), Ok(list()));
    assert_eq!(Pointer::decode(&POINTER.encode()), Ok(POINTER));
    assert_eq!(
        decode_rows(&encode_rows(&[3, 4, 3000])),
        Ok(vec![3, 4, 3000])
    );
    for wrong in [&[][..], &[4, 4], &[5, 4], &[3072]] {
        assert!(decode_rows(&encode_rows(wrong)).is_err(), "{wrong:?}");
    }
}

/// Any byte of a page that is changed is seen, and so is a page in another place.
#[test]
fn pages_prove_themselves() {
    let place = Place {
        tag: 3,
        page: 4,
        kind: Kind::RecordRows,
    };
    let page = page::paginate(&[7; 100], place);
    assert_eq!(page::check(&page, place), Ok(()));
    for at in 0..PAGE {
        let mut wrong = page.clone();
        wrong[at] ^= 1 << (at % 8);
        assert_eq!(page::check(&wrong, place), Err(PageError::Checksum));
    }
    let other = |place| page::check(&page, place);
    assert_eq!(other(Place { tag: 4, ..place }), Err(PageError::Tag));
    assert_eq!(other(Place { page: 5, ..place }), Err(PageError::Number));
    let kind = Kind::RecordMore;
    assert_eq!(other(Place { kind, ..place }), Err(PageError::Kind));
    assert_eq!(page::check(&page[1..], place), Err(PageError::Checksum));
}

/// The longest record has a place in a file, and one page more than a file has none.
#[test]
fn records_end_before_files_do() {
    let mut longest = outline(2048, 3072);
    longest.first = page::PAGE_NUMBER_END - longest.pages();
    assert_eq!(Outline::decode(&longest.encode()), Ok(longest));
    longest.first += 1;
    assert!(Outline::decode(&longest.encode()).is_err());
}

proptest! {
    /// Any bytes, of any length, are refused or decode to what encodes to them.
    #[test]
    fn no_bytes_break_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        fuzz::decode(&bytes);
    }

    /// So are valid ones that were cut, extended or changed anywhere.
    #[test]
    fn no_changed_bytes_break_a_decoder(
        which in 0..9_usize, at in any::<prop::sample::Index>(), value in any::<u8>(),
        len in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 0..50), repair in any::<bool>(),
    ) {
        let mut bytes = all().swap_remove(which);
        let place = at.index(bytes.len());
        bytes[place] = value;
        if repair {
            for page in bytes.chunks_exact_mut(PAGE) {
                let (content, check) = page.split_at_mut(PAGE - 4);
                check.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
            }
        }
        fuzz::decode(&bytes);
        bytes.truncate(len.index(bytes.len() + 1));
        bytes.extend_from_slice(&more);
        fuzz::decode(&bytes);
    }

    /// Every byte of every row is in a page that says it has bytes of that row, and in no other.
    #[test]
    fn rows_and_pages_agree(blocks in 1..40_u64, rows in 1..60_u16) {
        let outline = outline(blocks, rows);
        for row in 0..usize::from(rows) {
            let bytes = outline.rows_at(row..row + 1);
            for page in 0..outline.pages() {
                let span = u64::from(page) * page::PAYLOAD_U64..u64::from(page + 1) * page::PAYLOAD_U64;
                let touches = bytes.start < span.end && span.start < bytes.end;
                prop_assert_eq!(outline.rows_in(page).contains(&row), touches, "row {}, page {}", row, page);
                prop_assert!(!touches || outline.kind(page) == Kind::RecordRows);
            }
        }
    }
}
