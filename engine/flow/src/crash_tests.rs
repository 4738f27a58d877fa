//! A process that writes the book is killed, and the book is that of a block, whole.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::{tests::Pair, *};
use crate::model::{Dice, Flow, block};

const CHILD: &str = "LODE_FLOW_BOOK_CHILD";

/// The submissions of the first blocks of a chain that is always the same.
fn history(blocks: u64) -> Flow {
    let (mut flow, mut dice) = (Flow::default(), Dice(11));
    for number in 0..blocks {
        for _ in 0..dice.below(4) {
            // Short ones, so that the row of leaves is soon made.
            flow.make_below(&mut dice, number, 3_000);
        }
        flow.synced = Some(block(number, 0));
    }
    flow
}

/// Blocks of [`history`].
const BLOCKS: u64 = 60;

/// Not a test of its own: the process that [`survives_sigkill`] kills.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let (book, flow) = (Book::open(dir).unwrap(), history(BLOCKS));
    let mut out = std::io::stdout();
    loop {
        let next = book.synced().unwrap().map_or(0, |synced| synced.number + 1);
        let upto = block(next, 0);
        if next == BLOCKS {
            while !book.revert(Some(block(BLOCKS / 3, 0))).unwrap().is_empty() {}
            writeln!(out, "\nback").unwrap();
            continue;
        }
        let list = flow.made.iter().map(|made| made.submission.clone());
        let list: Vec<_> = list.filter(|of| of.block == next).collect();
        book.append(&list, upto).unwrap();
        writeln!(out, "\nblock {next}").unwrap();
        out.flush().unwrap();
    }
}

/// A process that appends and reverts is killed at any moment, again and again: what it said was done
/// is there, and the book is that of a block, whole.
#[test]
fn survives_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(3);
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "book::crash::child", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut said, wanted) = (Vec::new(), 1 + dice.below(40));
        let mut heard = 0;
        while heard < wanted {
            let line = lines.next().unwrap().unwrap();
            heard += u64::from(take(&mut said, &line));
        }
        std::thread::sleep(std::time::Duration::from_micros(dice.below(3000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            take(&mut said, &line);
        }
        let book = Book::open(dir.path()).unwrap();
        let number = book.synced().unwrap().unwrap().number;
        let last = *said.last().unwrap();
        let back = last == BLOCKS - 1 && number <= BLOCKS / 3 + 1;
        assert!(
            number >= last || back,
            "round {round}: {number} after {last}"
        );
        let mut pair = Pair::new(round);
        pair.book = Some(book);
        pair.flow = history(number + 1);
        pair.compare();
    }
}

/// Notes what the child says it has done: a block, or that it went back.
fn take(said: &mut Vec<u64>, line: &str) -> bool {
    let block = line
        .strip_prefix("block ")
        .and_then(|rest| rest.parse().ok());
    let done = block.or((line == "back").then_some(BLOCKS / 3));
    said.extend(done);
    done.is_some()
}
