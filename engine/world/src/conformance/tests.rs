//! The suite on every world.

use crate::{World, sim};
use std::path::Path;

/// The simulation conforms, whatever order its seed picks.
#[test]
fn the_simulation_conforms() {
    for seed in 0..200 {
        let faults = sim::Faults {
            torn: sim::Chance::NEVER,
            ..sim::Faults::crashes()
        };
        let sim = sim::Sim::new(seed, faults);
        let verdict = sim.run(async |world| {
            crate::Disk::make_dir(&world.disk(), Path::new("dir"))
                .await
                .unwrap();
            super::all(&world, Path::new("dir")).await
        });
        verdict
            .unwrap_or_else(|stop| panic!("{stop}"))
            .unwrap_or_else(|breach| panic!("{breach}"));
    }
}
