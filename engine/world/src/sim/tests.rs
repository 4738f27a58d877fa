//! What the simulation promises about crashes, faults and repeatability.

mod crashes;
mod faults;
mod tasks;

use super::*;
use crate::{Disk, File, Open, Queue, World};
use std::{cell::Cell, io};

const PAGE: usize = ALIGN;

async fn create(world: &SimWorld, path: &str) -> SimFile {
    let file = world
        .disk()
        .open(Path::new(path), Open::Create)
        .await
        .unwrap();
    world.disk().sync_dir(Path::new("")).await.unwrap();
    file
}

async fn open(world: &SimWorld, path: &str) -> SimFile {
    world
        .disk()
        .open(Path::new(path), Open::Write)
        .await
        .unwrap()
}

async fn put(file: &SimFile, page: u64, byte: u8) -> io::Result<()> {
    let mut buf = file.alloc(PAGE);
    buf.as_mut().fill(byte);
    file.write(page * on_disk(PAGE), buf).await
}

/// A page as its byte per sector: `[7; 8]` for a page full of 7.
fn sectors(bytes: &[u8]) -> Vec<u8> {
    let sector = |sector: &[u8]| {
        assert!(
            sector.iter().all(|byte| *byte == sector[0]),
            "a sector is torn within"
        );
        sector[0]
    };
    bytes.chunks(512).map(sector).collect()
}

/// Writes 1 and syncs, writes 2 over it without a sync.
fn synced_then_not(sim: &Sim) {
    sim.run(async |world| {
        let file = create(&world, "a").await;
        put(&file, 0, 1).await.unwrap();
        file.sync().await.unwrap();
        put(&file, 0, 2).await.unwrap();
    })
    .unwrap();
}
