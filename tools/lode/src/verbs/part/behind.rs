//! Bytes on their way to the disk while more of them come.
//!
//! ```text
//!   push ─► block of 1 MiB ─► 4 full ones, at most ─► thread: write at its place ─► durable at the next sync
//!             ▲                                                  │
//!             └──────────────────── memory, used again ◄─────────┘
//! ```
//! Writes go past the page cache where the file system lets them: a download ends with a sync, so all
//! bytes wait for the disk anyhow. This way the disk works from the first block on, and no processor
//! copies them once more. What was pushed is in the file when [`Behind::end`] says so; it grows in order,
//! so that its length tells a later run how far this one came.

use std::{
    fs::File,
    io,
    mem::take,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Bytes of one write: the disk is as fast with more (measured on a virtual disk of 1 GB/s: 256 KiB take a
/// quarter longer).
const BLOCK_LEN: usize = 1 << 20;
/// Full blocks that wait: longer than a disk's usual pauses at 1 GB/s.
const DEPTH: usize = 4;
/// What direct writes are aligned to, in memory and in the file: the largest sector of a disk.
const ALIGNMENT: usize = 4096;
const _: () = assert!(BLOCK_LEN.is_multiple_of(ALIGNMENT));

/// Writes what is pushed, in order, from a place on.
pub struct Behind {
    jobs: Option<SyncSender<(u64, Block)>>,
    spare: Receiver<Block>,
    thread: Option<JoinHandle<io::Result<()>>>,
    block: Block,
    /// Blocks that were made.
    made: usize,
    /// Where the block belongs.
    at: u64,
}

impl Behind {
    /// Nothing yet. `at` is a multiple of [`ALIGNMENT`], or the file is written through the page cache.
    pub fn start(file: Arc<File>, at: u64) -> io::Result<Behind> {
        let (jobs, taking) = sync_channel::<(u64, Block)>(DEPTH);
        let (giving, spare) = sync_channel(DEPTH + 2);
        let thread = thread::Builder::new()
            .name("lode-disk".to_owned())
            .spawn(move || write_all(&file, &taking, &giving))?;
        Ok(Behind {
            jobs: Some(jobs),
            spare,
            thread: Some(thread),
            block: Block::new(),
            made: 1,
            at,
        })
    }

    /// Takes bytes. An error may be that of earlier ones; then it is over.
    pub fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.block.push(bytes);
            bytes = &bytes[taken..];
            if self.block.is_full() {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// Everything that was pushed is in the file, as far as the system is concerned.
    pub fn end(mut self) -> io::Result<()> {
        self.finish()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = match self.spare.try_recv() {
            Ok(block) => block,
            // As many as the queue holds, one that is written, and this one.
            Err(_) if self.made < DEPTH + 2 => {
                self.made += 1;
                Block::new()
            }
            Err(_) => match self.spare.recv() {
                Ok(block) => block,
                Err(_) => return self.finish(),
            },
        };
        let full = std::mem::replace(&mut self.block, next);
        let len = full.bytes().len();
        let jobs = self.jobs.as_ref().ok_or_else(over)?;
        if jobs.send((self.at, full)).is_err() {
            return self.finish();
        }
        self.at += u64::try_from(len).unwrap_or(u64::MAX);
        Ok(())
    }

    /// What is left, then the thread's last word.
    fn finish(&mut self) -> io::Result<()> {
        if let Some(jobs) = self.jobs.take()
            && !self.block.bytes().is_empty()
        {
            // Where the thread has ended already, it says why.
            let _ended = jobs.send((self.at, take(&mut self.block))).is_err();
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            Some(Err(_)) | None => Err(over()),
        }
    }
}

/// What came is worth keeping, also where nobody asks for it any more: a later run goes on there.
impl Drop for Behind {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _lost = self.finish().is_err();
        }
    }
}

fn over() -> io::Error {
    io::Error::other("nothing is written any more")
}

/// Until no more blocks come, or one cannot be written.
fn write_all(
    file: &File,
    taking: &Receiver<(u64, Block)>,
    giving: &SyncSender<Block>,
) -> io::Result<()> {
    let mut direct = false;
    for (at, mut block) in taking {
        let whole = block.is_full() && at.is_multiple_of(ALIGNMENT_U64);
        if whole != direct {
            direct = turn(file, whole) && whole;
        }
        match file.write_all_at(block.bytes(), at) {
            // Some file systems take the flag, but not the write.
            Err(error) if direct && error.kind() == io::ErrorKind::InvalidInput => {
                direct = false;
                turn(file, false);
                file.write_all_at(block.bytes(), at)?;
            }
            written => written?,
        }
        block.clear();
        // There is room for all that were made.
        let _gone = giving.try_send(block).is_err();
    }
    turn(file, false);
    Ok(())
}

/// Turns direct writes on or off. False: the file system knows none.
fn turn(file: &File, on: bool) -> bool {
    let Ok(mut flags) = fcntl_getfl(file) else {
        return false;
    };
    flags.set(OFlags::DIRECT, on);
    fcntl_setfl(file, flags).is_ok()
}

const ALIGNMENT_U64: u64 = 4096;
const _: () = assert!(ALIGNMENT == 4096);

/// Aligned memory, and how much of it is in use.
#[derive(Default)]
struct Block {
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Block {
    fn new() -> Block {
        let memory = vec![0; BLOCK_LEN + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        // Without an answer it stays unaligned, and the first write says so.
        let start = if start <= ALIGNMENT { start } else { 0 };
        Block {
            memory,
            start,
            end: start,
        }
    }

    /// Bytes that still fitted.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.start + BLOCK_LEN - self.end;
        let taken = room.min(bytes.len());
        self.memory[self.end..self.end + taken].copy_from_slice(&bytes[..taken]);
        self.end += taken;
        taken
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    fn is_full(&self) -> bool {
        self.end - self.start == BLOCK_LEN
    }

    fn clear(&mut self) {
        self.end = self.start;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;
    use crate::noise::noise;

    /// What is pushed, in pieces of any size and from any place on, is in the file when it is over, also
    /// if nobody waits for the end.
    #[test]
    fn all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        for (number, (at, len, piece)) in [
            (0, 0, 1),
            (0, 5, 5),
            (0, BLOCK_LEN, 300_000),
            (262_144, 3 * BLOCK_LEN + 1, 77_777),
            (262_144, 12 * BLOCK_LEN, BLOCK_LEN),
            (1, 9 * BLOCK_LEN + 4096, 4_000_000),
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(number.to_string());
            let begin = noise(1, at);
            fs::write(&path, &begin).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let bytes = noise(2, len);
            let mut behind = Behind::start(Arc::new(file), u64::try_from(at).unwrap()).unwrap();
            for piece in bytes.chunks(piece) {
                behind.push(piece).unwrap();
            }
            match number % 2 {
                0 => behind.end().unwrap(),
                _ => drop(behind),
            }
            let want = [begin, bytes].concat();
            assert!(fs::read(&path).unwrap() == want, "{number}");
        }
    }

    /// A disk that takes nothing is told of, at the latest at the end, and nobody waits for ever.
    #[test]
    fn refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let bytes = noise(3, BLOCK_LEN);
        for blocks in [0, 1, 40] {
            let file = Arc::new(File::open(&path).unwrap());
            let mut behind = Behind::start(file, 0).unwrap();
            behind.push(b"x").unwrap();
            let pushed = (0..blocks).try_for_each(|_| behind.push(&bytes));
            let ended = pushed.and_then(|()| behind.end());
            assert_eq!(ended.unwrap_err().raw_os_error(), Some(9), "EBADF");
        }
    }
}
