//! Fetches values that are too many for one batch, and writes them before their transaction.

use bytes::{Bytes, BytesMut};

use crate::{
    blob::{Aborting, Absent, Asking},
    feed::{Feed, Submission},
    sealed::Opening,
    store::{PIECE_LEN, Reader},
};

pub(crate) use crate::store::BATCH_LEN;

const CHUNK: u64 = 262_144;
const PIECE: u64 = 65_536;
const _: () = assert!(PIECE_LEN == 65_536);
/// Bytes that are gathered for one write: whole pieces.
const WRITE_LEN: usize = 16 * PIECE_LEN;
/// Chunks that are asked for at once.
const ASKED_MAX: usize = 4;

/// Fetches the values of a transaction from byte `written` of them on, which is the start of a piece,
/// and writes them. Returns how many are written, and why not all.
pub(crate) async fn fetch<F: Feed>(
    asking: Asking<F>,
    reader: Reader,
    of: Submission,
    opening: Opening,
    values: (u64, u64),
    mut written: u64,
) -> (u64, Option<Absent>) {
    let (values_at, values_len) = values;
    let mut gathered = BytesMut::new();
    // As they are stored: behind the header.
    let first = opening.header_len() + values_at;
    let mut at = first + written;
    let end = first + values_len;
    while at < end {
        let chunks = match chunks(&asking, &of, at / CHUNK, (end - 1) / CHUNK).await {
            Ok(chunks) => chunks,
            Err(absent) => return (written, Some(absent)),
        };
        for chunk in chunks {
            let chunk = opening.chunk(at / CHUNK, chunk);
            let skip = usize::try_from(at % CHUNK).expect("less than a chunk");
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let part = &chunk[skip..chunk.len().min(skip.saturating_add(left))];
            gathered.extend_from_slice(part);
            at += u64::try_from(part.len()).expect("usize fits in u64");
        }
        let whole = gathered.len() / WRITE_LEN * WRITE_LEN;
        let ready = if at == end { gathered.len() } else { whole };
        if ready > 0 {
            let bytes = gathered.split_to(ready).freeze();
            match write(&reader, of.seq, written, bytes).await {
                Ok(len) => written += len,
                Err(absent) => return (written, Some(absent)),
            }
        }
    }
    (written, None)
}

/// Some chunks from `first` on, at most up to `last`, in order.
async fn chunks<F: Feed>(
    asking: &Asking<F>,
    of: &Submission,
    first: u64,
    last: u64,
) -> Result<Vec<Bytes>, Absent> {
    let mut asked = Vec::new();
    for index in (first..=last).take(ASKED_MAX) {
        let (asking, of) = (asking.clone(), of.clone());
        let runtime = asking.runtime.clone();
        asked.push(Aborting(
            runtime.spawn(async move { asking.sectors(&of, index).await }),
        ));
    }
    let mut chunks = Vec::new();
    for mut task in asked {
        match (&mut task.0).await {
            Ok(Ok(chunk)) => chunks.push(chunk),
            // Those before it are not lost.
            Ok(Err(_)) if !chunks.is_empty() => break,
            Ok(Err(absent)) => return Err(absent),
            Err(_) => return Err(Absent::Stopped),
        }
    }
    Ok(chunks)
}

/// Writes pieces away from the threads that wait for others.
async fn write(reader: &Reader, seq: u64, at: u64, bytes: Bytes) -> Result<u64, Absent> {
    let len = u64::try_from(bytes.len()).expect("usize fits in u64");
    let reader = reader.clone();
    let first = at / PIECE;
    let writes = tokio::task::spawn_blocking(move || reader.stage(seq, first, &bytes));
    match writes.await {
        Ok(Ok(())) => Ok(len),
        Ok(Err(error)) => {
            // The replay will meet the same failure, and end with it.
            tracing::error!(%error, seq, "cannot write values");
            Err(Absent::Stopped)
        }
        Err(_) => Err(Absent::Stopped),
    }
}
