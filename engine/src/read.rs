//! Bytes of a blob on their way out: in order, verified, read ahead by a few chunks.

use std::{cell::RefCell, collections::VecDeque, ops::Range, rc::Rc};

use lode_world::{Queue, World};

use crate::{
    Error, Result,
    format::manifest::{self, CHUNK},
    piece::PieceOf,
    store::{BlobInfo, Store},
    wait::Latch,
};

/// Chunks that are read ahead: enough to keep the disk busy while one is sent.
const AHEAD: usize = 3;

/// A piece that is being read.
struct Ahead<W: World> {
    done: Latch<()>,
    read: Rc<RefCell<Option<Result<PieceOf<W>>>>>,
}

/// Verified bytes of a blob, in order, in pieces of at most a chunk, read ahead by a few.
pub struct Reader<W: World> {
    store: Store<W>,
    blob: BlobInfo,
    /// Bytes that were not asked for yet.
    left: Range<u64>,
    pieces: VecDeque<Ahead<W>>,
    ahead: usize,
}

impl<W: World> Reader<W> {
    pub(crate) fn new(store: Store<W>, blob: BlobInfo, range: Range<u64>) -> Result<Self> {
        if range.start > range.end || range.end > blob.size {
            return Err(Error::OutOfRange {
                start: range.start,
                end: range.end,
                size: blob.size,
            });
        }
        Ok(Reader {
            store,
            blob,
            left: range,
            pieces: VecDeque::new(),
            ahead: AHEAD,
        })
    }

    /// Reads `chunks` chunks ahead instead of the usual few; at least one.
    pub fn read_ahead(&mut self, chunks: usize) {
        self.ahead = chunks.max(1);
    }

    /// The blob.
    pub fn blob(&self) -> BlobInfo {
        self.blob
    }

    /// The next piece; none at the end of the range. After an error there is no next piece.
    pub async fn next(&mut self) -> Option<Result<PieceOf<W>>> {
        while self.pieces.len() < self.ahead && !self.left.is_empty() {
            let ahead = self.ask();
            self.pieces.push_back(ahead);
        }
        let ahead = self.pieces.pop_front()?;
        ahead.done.wait().await;
        let result = ahead
            .read
            .borrow_mut()
            .take()
            .unwrap_or(Err(Error::Closing));
        if result.is_err() {
            self.left = 0..0;
            self.pieces.clear();
        }
        Some(result)
    }

    /// Starts to read the next piece.
    fn ask(&mut self) -> Ahead<W> {
        let chunk = self.left.start / CHUNK;
        let from = self.left.start - chunk * CHUNK;
        let len = u64::try_from(manifest::chunk_len(self.blob.size, chunk)).expect("64-bit");
        let to = len.min(self.left.end - chunk * CHUNK);
        self.left.start = chunk * CHUNK + to;
        let within = index(from)..index(to);
        let ahead = Ahead {
            done: Latch::new(),
            read: Rc::new(RefCell::new(None)),
        };
        let (store, root) = (self.store.clone(), self.blob.root);
        let (done, slot) = (ahead.done.clone(), Rc::clone(&ahead.read));
        self.store.world().spawn(Queue::Serve, async move {
            let read = store.read_chunk(root, chunk, within).await;
            // Deleted or expired while it was being read.
            let gone = Error::Gone { root };
            *slot.borrow_mut() = Some(read.and_then(|read| read.ok_or(gone)));
            done.set(());
        });
        ahead
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("below a chunk")
}
