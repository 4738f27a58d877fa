//! Counts the bytes that one execution holds at once, on its own thread, so that a length field
//! cannot make a decoder take memory that the input does not pay for. Outside [`measure`] it is
//! the system allocator and one thread-local look.
#![allow(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call is passed on unchanged"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Copy)]
struct Account {
    live: usize,
    peak: usize,
    limit: usize,
    over: fn(),
}

thread_local! {
    static ACCOUNT: Cell<Option<Account>> = const { Cell::new(None) };
}

/// Runs `body` and returns its result with the most bytes it held at once. When it would hold more
/// than `limit`, calls `over`, uncounted; if that returns, the memory is given all the same.
pub fn measure<R>(limit: usize, over: fn(), body: impl FnOnce() -> R) -> (R, usize) {
    ACCOUNT.set(Some(Account {
        live: 0,
        peak: 0,
        limit,
        over,
    }));
    let result = body();
    let peak = ACCOUNT.take().map_or(0, |account| account.peak);
    (result, peak)
}

fn take(len: usize) {
    // During the destruction of a thread there is nothing left to count for.
    let Ok(Some(mut account)) = ACCOUNT.try_with(Cell::get) else {
        return;
    };
    account.live = account.live.saturating_add(len);
    account.peak = account.peak.max(account.live);
    if account.live > account.limit {
        ACCOUNT.set(None);
        (account.over)();
        account.limit = usize::MAX;
    }
    ACCOUNT.set(Some(account));
}

fn give(len: usize) {
    let Ok(Some(mut account)) = ACCOUNT.try_with(Cell::get) else {
        return;
    };
    // What was taken before the measurement may be given back within it.
    account.live = account.live.saturating_sub(len);
    ACCOUNT.set(Some(account));
}

// JUSTIFICATION: a global allocator is the only place that sees every allocation of a decoder and
// of the crates it calls; there is no safe form of it.
// SAFETY: all four calls go to `System` with the caller's arguments and return what it returns;
// counting touches a const-initialised thread-local without a destructor, so it never allocates.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as above; the caller keeps GlobalAlloc's contract, which is System's too.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: `layout` is the caller's.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as for `alloc`.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: `layout` is the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    // SAFETY: as for `alloc`; `block` came from System, as every block here does.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: `block` and `layout` are the caller's.
        unsafe { System.dealloc(block, layout) }
    }

    // SAFETY: as for `dealloc`.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        take(len);
        give(layout.size());
        // SAFETY: all arguments are the caller's.
        unsafe { System.realloc(block, layout, len) }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, hint::black_box};

    use super::measure;

    thread_local! {
        static CALLS: Cell<usize> = const { Cell::new(0) };
    }

    fn count_call() {
        CALLS.set(CALLS.get() + 1);
    }

    /// Proves that the peak is what is alive at once, not the sum of what was taken.
    #[test]
    fn measures_the_peak() {
        let (_, peak) = measure(usize::MAX, count_call, || {
            for _ in 0..10 {
                black_box(vec![1_u8; 1 << 20]);
            }
        });
        assert!((1 << 20..2 << 20).contains(&peak), "{peak}");
    }

    /// Proves that passing the limit is told once, at the allocation that does it, and never below.
    #[test]
    fn tells_when_the_limit_is_passed() {
        CALLS.set(0);
        measure(1 << 20, count_call, || black_box(vec![0_u8; 1 << 19]));
        assert_eq!(CALLS.get(), 0);
        let (seen, _) = measure(1 << 20, count_call, || {
            let first = black_box(vec![0_u8; 1 << 21]);
            let second = black_box(Vec::<u8>::with_capacity(1 << 21));
            drop((first, second));
            CALLS.get()
        });
        assert_eq!(seen, 1);
    }
}
