//! Durable appends of slivers of 4 MiB beside plain direct writes of as much, in turns on one executor:
//! `cargo run --release -p lode-da-rows --example rates -- DIR [ROUNDS]`. Both write to files whose
//! blocks were reserved before and never written, with as many slivers on their way.

use std::{
    error::Error,
    path::{Path, PathBuf},
    rc::Rc,
};

use lode_da_rows::{Holding, Options, RowStore};
use lode_proofs::{
    Hash32,
    da::{Head, Quorum, Shape, Statement},
};
use lode_world::{Disk, File, Net, Open, Program, Queue, World, launch, preflight};

const SLIVER: usize = 4 << 20;
const WIDTH: usize = 128 << 10;
/// Slivers of a turn: 512 MiB.
const SLIVERS: u64 = 128;
const NOW: u64 = 1_000_000;

type Failure = Box<dyn Error>;

#[derive(Clone)]
struct Rates {
    dir: PathBuf,
    rounds: u64,
}

impl Program for Rates {
    async fn run<W: Net>(self, world: W, _index: usize) {
        if let Err(error) = rates(&world, &self).await {
            eprintln!("rates: {error}");
        }
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("name a directory")?);
    let rounds = arguments.next().map_or(Ok(3), |rounds| rounds.parse())?;
    std::fs::create_dir_all(&dir)?;
    let found = preflight(std::slice::from_ref(&dir), 1, None)?;
    println!("{}", found.why);
    launch(&found, Rates { dir, rounds })?.join()?;
    Ok(())
}

async fn rates<W: World>(world: &W, what: &Rates) -> Result<(), Failure> {
    for tasks in [1, 4, 16] {
        let (mut plain, mut rows) = (Vec::new(), Vec::new());
        for round in 0..what.rounds {
            plain.push(plain_writes(world, &what.dir, tasks).await?);
            rows.push(appends(world, &what.dir, tasks, round).await?);
        }
        let (plain, rows) = (median(plain), median(rows));
        println!(
            "{tasks} at a time: rows {rows} MB/s, plain {plain} MB/s, {} %",
            rows * 100 / plain.max(1)
        );
    }
    Ok(())
}

fn median(mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    rates[rates.len() / 2]
}

fn rate<W: World>(world: &W, started: std::time::Duration) -> u64 {
    let micros = (world.now() - started).as_micros().max(1);
    let bytes = u128::from(SLIVERS) * u128::try_from(SLIVER).unwrap_or(u128::MAX);
    u64::try_from(bytes / micros).unwrap_or(u64::MAX)
}

/// Each task writes its slivers, 512 KiB at a time and four of these at once, and syncs after each.
async fn plain_writes<W: World>(world: &W, dir: &Path, tasks: u64) -> Result<u64, Failure> {
    let disk = world.disk();
    let path = dir.join("plain");
    let file = disk.open(&path, Open::Create).await?;
    let len = SLIVERS * u64::try_from(SLIVER)?;
    file.allocate(len).await?;
    file.sync().await?;
    let started = world.now();
    let (told, heard) = async_channel::unbounded();
    for task in 0..tasks {
        let (file, told, inner) = (file.clone(), told.clone(), world.clone());
        world.spawn(Queue::Ingest, async move {
            let mut all = Ok(());
            for sliver in (task..SLIVERS).step_by(usize::try_from(tasks).unwrap_or(1)) {
                all = all.and(write_sliver(&inner, &file, sliver).await);
            }
            let _ = told.try_send(all);
        });
    }
    for _ in 0..tasks {
        heard.recv().await??;
    }
    let rate = rate(world, started);
    drop(file);
    disk.remove(&path).await?;
    Ok(rate)
}

async fn write_sliver<W: World>(world: &W, file: &W::File, sliver: u64) -> std::io::Result<()> {
    let piece = 512 << 10;
    let start = sliver * u64::try_from(SLIVER).unwrap_or(0);
    let (told, heard) = async_channel::unbounded();
    let pieces = u64::try_from(SLIVER / piece).unwrap_or(0);
    for number in 0..pieces {
        let mut buf = file.alloc(piece);
        buf.as_mut().fill(7);
        let write = file.write(start + number * u64::try_from(piece).unwrap_or(0), buf);
        let told = told.clone();
        world.spawn(Queue::Ingest, async move {
            let _ = told.try_send(write.await);
        });
        if number >= 4 {
            heard.recv().await.map_err(std::io::Error::other)??;
        }
    }
    for _ in 0..pieces.min(4) {
        heard.recv().await.map_err(std::io::Error::other)??;
    }
    file.sync().await
}

/// Each task appends its slivers to a new store.
async fn appends<W: World>(world: &W, dir: &Path, tasks: u64, round: u64) -> Result<u64, Failure> {
    let options = Options::new(dir.join("rows"), NOW);
    let opened = RowStore::open(world.clone(), options).await?;
    let store = opened.store;
    let row = Rc::new(vec![7; WIDTH]);
    let started = world.now();
    let (told, heard) = async_channel::unbounded();
    for task in 0..tasks {
        let (store, told, row) = (store.clone(), told.clone(), Rc::clone(&row));
        world.spawn(Queue::Ingest, async move {
            let mut all = Ok(());
            for sliver in (task..SLIVERS).step_by(usize::try_from(tasks).unwrap_or(1)) {
                all = all.and(append(&store, &row, round << 32 | sliver).await);
            }
            let _ = told.try_send(all);
        });
    }
    for _ in 0..tasks {
        heard.recv().await??;
    }
    let rate = rate(world, started);
    store.expire(NOW + 7200).await?;
    Ok(rate)
}

async fn append<W: World>(
    store: &RowStore<W>,
    row: &[u8],
    number: u64,
) -> lode_da_rows::Result<()> {
    let mut root = [0; 32];
    root[..8].copy_from_slice(&number.to_le_bytes());
    let root = Hash32(root);
    let head = Head {
        row_root: root,
        check_root: root,
        namespace_root: root,
        shape: Shape::new(128 << 20).expect("the longest container"),
        columns: 16,
    };
    let rows: Vec<u16> = (0..).take(SLIVER / WIDTH).collect();
    let holding = Holding {
        statement: Statement {
            quorum: Quorum {
                chain_id: 1,
                epoch: 1,
                quorum: 0,
            },
            head,
            expiry: NOW + 3000,
        },
        siblings: vec![root; 12 * rows.len() / 2],
        checks: vec![3; 2048 * 16],
        table: vec![4; 4096],
        rows,
    };
    let mut appending = store.begin(holding).await?;
    for _ in 0..SLIVER / WIDTH {
        appending.push(row).await?;
    }
    appending.finish().await
}
