//! Closing a segment: its footer makes it immutable and spares the next start a walk.

use lode_world::File;

use super::{
    read::PAGE_U64,
    replay::read_long,
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

/// Writes a footer that was found once more, and syncs it.
///
/// The sync that should have made it durable may have failed before the process ended, and dropped it
/// although reads still see it (man fsync, NOTES). Without it the frames would be walked after the next
/// loss of power, and with them came true what the footer leaves out.
pub async fn again<F: File>(segment: &Segment<F>, pointer: &Pointer) -> std::io::Result<()> {
    let file = &segment.file;
    let len = usize::try_from(pointer.pages).expect("64-bit") * PAGE;
    let footer = read_long(file, u64::from(pointer.first) * PAGE_U64, len).await?;
    write_pages(file, pointer.first, &footer).await?;
    let last = segment.file_len.get() / PAGE_U64 - 1;
    let last = u32::try_from(last).expect("page numbers have 24 bits");
    let page = file.read(u64::from(last) * PAGE_U64, PAGE).await?;
    write_pages(file, last, page.as_ref()).await?;
    file.sync().await
}
