//! The ring of files under a pump, with deferred completions and without.
//!
//! Reads of an empty pipe stand for a disk that takes its time: they end when the test says so.

use super::super::{
    PREEMPT, RING_DEPTH, SOCKET_MEMORY, Tasks, UringDisk, UringFile, look,
    queues::{COMPLETIONS, DEPTH, VAIN},
    tick,
};
use super::*;
use crate::{ALIGN, Backend, Disk, File, Open, launch::tests::Scratch, preflight};
use futures_lite::{FutureExt, future::poll_once};
use glommio::{LocalExecutorBuilder, Placement};
use io_uring::IoUring;
use std::{
    io::{PipeReader, PipeWriter, Write},
    path::PathBuf,
    time::Instant,
};

/// When a test is taken to hang.
const PATIENCE: Duration = Duration::from_secs(100);

struct Place {
    ring: Rc<Ring>,
    disk: UringDisk,
    dir: PathBuf,
}

/// Runs `act` with `pages` of memory on either kind of ring.
fn on_each_ring(name: &str, pages: usize, act: impl AsyncFn(Place)) {
    for defer in [true, false] {
        let scratch = Scratch::new(&format!("{name}-{defer}"));
        let dir = scratch.path().to_owned();
        if let Err(error) = preflight(std::slice::from_ref(&dir), 1, Some(Backend::Uring)) {
            println!("skipped: {error}");
            return;
        }
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(SOCKET_MEMORY)
            .ring_depth(RING_DEPTH)
            .preempt_timer(PREEMPT)
            .make()
            .unwrap();
        executor.run(async {
            let (flights, pumps) = (Rc::new(Flights::default()), Rc::<Tasks>::default());
            let ring = Ring::new(pages * ALIGN, defer, Rc::clone(&flights)).unwrap();
            assert!(!ring.queues.borrow().deferred || defer);
            glommio::spawn_local(tick()).detach();
            let pump = pumps.lead_to(Rc::clone(&ring).pump()).unwrap();
            glommio::spawn_local(pump).detach();
            let disk = UringDisk::new(Rc::clone(&ring), Rc::clone(&flights));
            let late = async {
                glommio::timer::sleep(PATIENCE).await;
                panic!("an IO never ends");
            };
            act(Place { ring, disk, dir }).or(late).await;
            flights.land().await;
            drop(pumps.end());
            look().await;
        });
    }
}

fn pipe() -> (Arc<OwnedFd>, PipeWriter) {
    let (reader, writer): (PipeReader, _) = io::pipe().unwrap();
    (Arc::new(reader.into()), writer)
}

fn read(ring: &Rc<Ring>, file: &Arc<OwnedFd>, pages: usize) -> Io {
    let into = ring.memory(pages * ALIGN);
    ring.io(file, Act::Read { at: 0, into })
}

async fn begin(io: &mut (impl Future + Unpin)) {
    assert!(
        poll_once(io).await.is_none(),
        "an IO is never ready at once"
    );
}

/// Waits until `holds`, while the ring turns.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        glommio::timer::sleep(Duration::from_millis(1)).await;
    }
}

/// A page that tells its number.
fn page(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(ALIGN / 4)
}

async fn create(place: &Place) -> UringFile {
    let path = place.dir.join("file");
    place.disk.open(&path, Open::Create).await.unwrap()
}

fn write(file: &UringFile, number: u32) -> Pin<Box<dyn Future<Output = io::Result<()>>>> {
    let mut buf = file.alloc(ALIGN);
    buf.as_mut().copy_from_slice(&page(number));
    Box::pin(file.write(u64::from(number) * 4096, buf))
}

fn assert_pages(place: &Place, count: u32) {
    let contents = std::fs::read(place.dir.join("file")).unwrap();
    let expected: Vec<u8> = (0..count).flat_map(page).collect();
    assert!(contents == expected, "contents differ from those written");
}

/// A read that was dropped keeps its memory and its file until the kernel has filled it, and not
/// longer.
#[test]
fn a_dropped_read_keeps_what_it_needs() {
    on_each_ring("keeps", 16, async |Place { ring, .. }| {
        let (file, mut writer) = pipe();
        let mut io = read(&ring, &file, 4);
        drop(file);
        begin(&mut io).await;
        drop(io);
        for _ in 0..3 {
            let (whole, rest) = (ring.memory(16 * ALIGN), ring.memory(12 * ALIGN));
            assert!(!whole.is_registered(), "memory in flight is handed out");
            assert!(rest.is_registered(), "the rest of the memory is lost");
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
        writer.write_all(&[7; 4 * ALIGN]).unwrap();
        until(|| ring.memory(16 * ALIGN).is_registered()).await;
        let whole = ring.memory(16 * ALIGN);
        assert!(whole.bytes()[..4 * ALIGN] == [7; 4 * ALIGN], "not read");
        let closed = writer.write_all(&[7]).unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
    });
}

/// Writes that were dropped are on disk as they were, whatever is done to memory meanwhile.
#[test]
fn dropped_writes_land_as_they_were() {
    const COUNT: u32 = 32;
    on_each_ring("land", 64, async |place| {
        let file = create(&place).await;
        for number in 0..COUNT {
            begin(&mut write(&file, number)).await;
            // Of pieces that are free; the last writes are not even submitted.
            for _ in 0..64 {
                file.alloc(ALIGN).as_mut().fill(0xee);
            }
            let mut rest: Vec<_> = (0..64).map(|_| place.ring.memory(ALIGN)).collect();
            for memory in &mut rest {
                memory.bytes_mut().fill(0xee);
            }
        }
        until(|| place.ring.queues.borrow().is_idle()).await;
        assert_pages(&place, COUNT);
    });
}

/// Far more IOs at once than either queue holds all end, each with its own bytes, although there
/// is memory for few of them in the arena.
#[test]
fn thousands_at_once() {
    const COUNT: u32 = 2 * COMPLETIONS;
    on_each_ring("thousands", 64, async |place| {
        let file = create(&place).await;
        file.allocate(u64::from(COUNT) * 4096).await.unwrap();
        let mut writes: Vec<_> = (0..COUNT).map(|number| write(&file, number)).collect();
        for write in &mut writes {
            begin(write).await;
        }
        for write in writes {
            write.await.unwrap();
        }
        assert_pages(&place, COUNT);
        let mut reads: Vec<_> = (0..COUNT)
            .map(|number| Box::pin(file.read(u64::from(number) * 4096, ALIGN)))
            .collect();
        for read in &mut reads {
            begin(read).await;
        }
        let mut heap = 0;
        for (number, read) in (0..).zip(reads) {
            let read = read.await.unwrap();
            assert!(read.as_ref() == page(number), "page {number}");
            heap += u32::from(!read.is_registered());
        }
        assert!((COUNT / 2..COUNT).contains(&heap), "{heap} on the heap");
    });
}

/// IOs that all take their time: those that the completion queue has no room for wait, and go on
/// when there is room.
#[test]
fn more_than_the_kernel_is_given() {
    const COUNT: u32 = COMPLETIONS + 2 * DEPTH;
    on_each_ring("waiting", 16, async |Place { ring, .. }| {
        let (file, mut writer) = pipe();
        let mut reads: Vec<_> = (0..COUNT).map(|_| read(&ring, &file, 1)).collect();
        for read in &mut reads {
            begin(read).await;
        }
        glommio::timer::sleep(Duration::from_millis(5)).await;
        assert_eq!(ring.queues.borrow().under_way(), COMPLETIONS);
        let writing = std::thread::spawn(move || {
            for number in 0..COUNT {
                writer.write_all(&page(number)).unwrap();
            }
        });
        let mut numbers = Vec::new();
        for read in reads {
            let (moved, memory) = read.await;
            let memory = memory.unwrap();
            assert_eq!(moved.unwrap(), ALIGN);
            let number = u32::from_le_bytes(memory.bytes()[..4].try_into().unwrap());
            assert!(memory.bytes() == page(number));
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..COUNT), "a page was lost");
        writing.join().unwrap();
    });
}

thread_local! {
    /// Until when the kernel refuses, and how often it did.
    static REFUSES: Cell<(Option<Instant>, u32)> = const { Cell::new((None, 0)) };
}

/// What a kernel says that is short of something, one after the other.
fn refuses(ring: &IoUring) -> io::Result<usize> {
    let (until, count) = REFUSES.get();
    if until.is_none_or(|until| Instant::now() >= until) {
        return ring.submit();
    }
    REFUSES.set((until, count + 1));
    match count % 5 {
        0 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        1 => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        2 => Err(io::Error::from_raw_os_error(libc::EINTR)),
        3 => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        _ => Ok(0),
    }
}

/// What the kernel refuses for a while is done when it does no more, also if nothing else happens
/// on the executor then; and the executor neither waits in a loop nor loses what no queue holds.
#[test]
fn a_refusal_passes() {
    const WHILE: Duration = Duration::from_millis(100);
    on_each_ring("refused", 16, async |place| {
        place.ring.queues.borrow_mut().submit = refuses;
        let file = create(&place).await;
        for first in [0, 1] {
            REFUSES.set((Some(Instant::now() + WHILE), 0));
            let count = 1 + first * 2 * DEPTH;
            let mut writes: Vec<_> = (0..count).map(|number| write(&file, number)).collect();
            for write in &mut writes {
                begin(write).await;
            }
            for write in writes {
                write.await.unwrap();
            }
            let (_, refused) = REFUSES.get();
            assert!((2..count + 200).contains(&refused), "{refused} refusals");
            assert_pages(&place, count);
        }
    });
}

/// An IO goes to the disk although the pump already listens for one that takes its time, and
/// although too few have gathered.
#[test]
fn one_io_does_not_hold_up_another() {
    on_each_ring("beside", 16, async |place| {
        let (slow, mut writer) = pipe();
        let mut slow = read(&place.ring, &slow, 1);
        begin(&mut slow).await;
        until(|| place.ring.listens.get()).await;
        let file = create(&place).await;
        write(&file, 0).await.unwrap();
        assert_pages(&place, 1);
        writer.write_all(&page(5)).unwrap();
        let (moved, memory) = slow.await;
        assert_eq!(moved.unwrap(), ALIGN);
        assert!(memory.unwrap().bytes() == page(5));
    });
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// A kernel that wants to be called and has nothing: the pump sleeps all the same, other tasks run,
/// and what is done then is taken in.
#[test]
fn a_call_in_vain_is_not_repeated() {
    on_each_ring("vain", 16, async |place| {
        {
            let mut queues = place.ring.queues.borrow_mut();
            queues.called = |_| true;
            queues.submit = |ring| {
                CALLS.set(CALLS.get() + 1);
                ring.submit_and_wait(0)
            };
        }
        let (slow, mut writer) = pipe();
        let mut slow = read(&place.ring, &slow, 1);
        begin(&mut slow).await;
        CALLS.set(0);
        glommio::timer::sleep(Duration::from_millis(100)).await;
        assert!(CALLS.get() < VAIN + 20, "{} calls", CALLS.get());
        writer.write_all(&page(5)).unwrap();
        let (moved, _) = slow.await;
        assert_eq!(moved.unwrap(), ALIGN);
        // Nothing is on its way any more.
        CALLS.set(0);
        glommio::timer::sleep(Duration::from_millis(20)).await;
        assert!(CALLS.get() < VAIN + 20, "{} calls", CALLS.get());
    });
}

/// A ring that goes while the kernel is at an IO leaves the memory and the file to it.
#[test]
fn memory_in_flight_outlives_the_ring() {
    on_each_ring("outlives", 16, async |_| {
        let flights = Rc::new(Flights::default());
        for (submitted, defer) in [(true, true), (true, false), (false, true)] {
            let ring = Ring::new(16 * ALIGN, defer, Rc::clone(&flights)).unwrap();
            let arena = Rc::downgrade(&ring.arena);
            let (file, mut writer) = pipe();
            let mut io = read(&ring, &file, 4);
            drop(file);
            begin(&mut io).await;
            if submitted {
                ring.turn();
            }
            drop(io);
            drop(ring);
            assert!(arena.upgrade().is_some(), "memory in flight was unmapped");
            writer.write_all(&[7]).expect("the file is open");
            flights.ended();
        }
    });
}
