//! Threads that look at validators all the time and write what they see into the book.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, Scope},
    time::Duration,
};

use super::{
    book::{Book, Seen},
    rpc::Rpc,
};
use crate::client::Trouble;

/// Time between two looks.
const LOOK_TIME: Duration = Duration::from_millis(15);

/// The book, as threads share it, and their end.
#[derive(Default)]
pub struct Shared {
    book: Mutex<Book>,
    /// All threads end.
    pub over: AtomicBool,
}

impl Shared {
    /// Reads the book or writes into it.
    pub fn book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        // A thread that panicked ends the run; what it wrote before is whole.
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks at each of these validators, by its number, until it is over. One that is not there is
/// looked for again.
pub fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    validators: &[SocketAddr],
    shared: &'scope Shared,
) {
    for (number, address) in validators.iter().enumerate() {
        let rpc = Rpc::new(*address);
        scope.spawn(move || {
            while !shared.over.load(Relaxed) {
                // Gone: it was killed, and comes back.
                if let Err(Trouble::Strange(what)) = look(&rpc, number, shared) {
                    let line = format!("validator {number} answers {what}");
                    shared.book(|book| book.break_promise(line));
                }
                thread::sleep(LOOK_TIME);
            }
        });
    }
}

/// Writes down what a validator shows that it had not shown before.
fn look(rpc: &Rpc, number: usize, shared: &Shared) -> Result<(), Trouble> {
    let tip = rpc.tip()?;
    let mut shown = shared.book(|book| {
        book.ends(number, tip);
        book.shown(number)
    });
    if shown == 0 {
        // One that began with a later block shows none before it.
        shown = rpc.oldest()?.saturating_sub(1);
    }
    for height in shown + 1..=tip {
        if shared.over.load(Relaxed) {
            break;
        }
        let block = rpc.block(height)?;
        let block = block.ok_or_else(|| {
            Trouble::Strange(format!("no block {height} where its last is {tip}"))
        })?;
        shared.book(|book| book.saw(number, height, Seen::of(&block)));
    }
    Ok(())
}
