//! Space: what counts as free, and what is kept.

use std::path::Path;

use lode_world::{
    Open,
    sim::{Faults, Sim},
};

use super::*;
use lode_world::File as _;

const SEGMENT: u64 = 1 << 20;

/// A recycled file counts as free for the shards of every executor, until it is used.
#[test]
fn recycled_files_are_free_for_all() {
    let sim = Sim::new(
        1,
        Faults {
            capacity: 10 * SEGMENT,
            ..Faults::default()
        },
    );
    sim.run(async |world| {
        let disk = world.disk();
        disk.make_dir(Path::new("data")).await.unwrap();
        let file = disk.open(Path::new("data/file"), Open::Create).await;
        file.unwrap().allocate(7 * SEGMENT).await.unwrap();
        let recycled = Arc::default();
        let space = || {
            let dir = PathBuf::from("data");
            Space::new(world.clone(), dir, 0, 3 * SEGMENT, Arc::clone(&recycled))
        };
        let (one, other) = (space(), space());
        assert!(other.short(SEGMENT).await.unwrap());
        one.recycled(SEGMENT);
        assert!(!other.short(SEGMENT).await.unwrap());
        assert!(other.allow(Need::Blob, SEGMENT).await.is_ok());
        one.unrecycled(SEGMENT);
        let refused = other.allow(Need::Blob, SEGMENT).await;
        assert!(matches!(refused, Err(Error::Full { free, reserve })
            if free == 3 * SEGMENT && reserve == 3 * SEGMENT));
        assert!(other.allow(Need::Mend, SEGMENT).await.is_ok());
    })
    .unwrap();
}
