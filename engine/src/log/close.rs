//! Closing a segment: its footer makes it immutable and spares the next start a walk.

use lode_world::File;

use super::{
    read::PAGE_U64,
    segment::{Segment, State},
    supply::write_pages,
};
use crate::format::{
    footer::{Entry, Footer, Pointer},
    page::{self, Kind, PAGE},
};

/// Writes the footer after page `page`, makes it durable and marks the segment closed.
///
/// A segment that is nearly full keeps its length, so that its blocks can be recycled; a shorter
/// one is cut, which gives its unused blocks back. The pointer is always the file's last page.
pub async fn close<F: File>(
    segment: &Segment<F>,
    entries: Vec<Entry>,
    page: u32,
) -> std::io::Result<()> {
    let footer = Footer {
        segment: segment.number,
        end: segment.end.get(),
        entries,
    };
    let pages = page::paginate(&footer.encode(), segment.tag, page, Kind::Footer);
    let count = u32::try_from(pages.len() / PAGE).expect("footers are small");
    write_pages(&segment.file, page, &pages).await?;
    let after = u64::from(page + count) * PAGE_U64;
    let len = segment.file_len.get();
    let kept = if after + PAGE_U64 > len / 8 * 7 {
        len.max(after + PAGE_U64)
    } else {
        after + PAGE_U64
    };
    if kept != len {
        // The footer is durable before anything is cut, and what is cut holds no record.
        segment.file.sync().await?;
        segment.file.truncate(kept).await?;
    }
    let last = u32::try_from(kept / PAGE_U64 - 1).expect("page numbers have 24 bits");
    let pointer = Pointer {
        segment: segment.number,
        first: page,
        pages: count,
    };
    write_pages(
        &segment.file,
        last,
        &page::paginate(&pointer.encode(), segment.tag, last, Kind::FooterPointer),
    )
    .await?;
    segment.file.sync().await?;
    segment.file_len.set(kept);
    segment.state.set(State::Closed);
    Ok(())
}
