//! Decoders of foreign bytes behind one entry, for fuzzers and property tests: whatever the bytes are,
//! nothing panics, and what decodes encodes to the same bytes.

use crate::format::{
    index::{Index, Pointer},
    outline::{self, Outline, Part},
    page::{self, PAGE, PAYLOAD},
    segment::SegmentHead,
};

/// Feeds every decoder any bytes; panics when one breaks its promise. Refusing is no finding.
pub fn decode(data: &[u8]) {
    if let Ok(place) = page::open(data) {
        let mut again = data.to_vec();
        page::stamp(&mut again, place);
        assert!(again == data, "one stamp for each place");
    }
    for page in data.chunks_exact(PAGE).take(2) {
        // Refusals of whole pages are no finding either.
        let _ = SegmentHead::read(page, 0);
        let _ = crate::read::open_outline(page);
        payload(&page[..PAYLOAD]);
    }
    payload(data);
}

fn payload(data: &[u8]) {
    if let Ok(head) = SegmentHead::decode(data) {
        assert!(data.starts_with(&head.encode()), "one encoding each");
    }
    if let Ok(outline) = Outline::decode(data) {
        assert!(data.starts_with(&outline.encode()), "one encoding each");
        check(&outline);
    }
    if let Ok(index) = Index::decode(data) {
        assert!(data.starts_with(&index.encode()), "one encoding each");
        let mut free = 0;
        for entry in &index.entries {
            assert!(entry.first >= free, "records do not overlap");
            free = entry.first + entry.pages;
        }
        assert!(index.end() <= page::PAGE_NUMBER_END, "files have an end");
    }
    if let Ok(pointer) = Pointer::decode(data) {
        assert!(data.starts_with(&pointer.encode()), "one encoding each");
    }
    if let Ok(rows) = outline::decode_rows(data) {
        assert!(
            data.starts_with(&outline::encode_rows(&rows)),
            "one encoding each"
        );
    }
}

/// What an outline says of places adds up: every page has one kind, and every row its pages.
fn check(outline: &Outline) {
    let rows = usize::from(outline.rows);
    let head = outline.part(Part::Table).end;
    let pages = usize::try_from(outline.head_pages()).expect("64-bit");
    assert!(
        head <= pages * PAYLOAD && head + PAYLOAD > pages * PAYLOAD,
        "no page is missing or idle"
    );
    let (first, last) = (outline.rows_at(0..1), outline.rows_at(rows - 1..rows));
    let row_end = u64::from(outline.head_pages() + outline.row_pages()) * page::PAYLOAD_U64;
    assert!(
        first.start < first.end && last.end <= row_end,
        "rows end before the feet"
    );
    let page = |at: u64| u32::try_from(at / page::PAYLOAD_U64).expect("below 2^24");
    assert!(
        outline.rows_in(page(first.start)).contains(&0),
        "the first row is where it is said to be"
    );
    assert!(
        outline.rows_in(page(last.end - 1)).contains(&(rows - 1)),
        "and so is the last"
    );
    assert!(
        outline.rows_in(outline.pages() - 1).is_empty(),
        "feet have no rows"
    );
}
