//! How long each part takes, for people: nothing is asserted about it. Time is that of the processor
//! on this thread, so that a busy machine does not count; best of three.
//!
//!     cargo test --release -p lode-proofs --features da -- --ignored --nocapture speed

use alloc::{vec, vec::Vec};
use std::{fs, println};

use super::{
    checks::Checks,
    checksum::Checksum,
    code::{parity, restore},
    coded::{Coded, tree_of_rows},
    container::ContainerBuilder,
    quorum::Quorum,
    table::Namespace,
    verify::Verifier,
};
use crate::hash32::Hash32;

/// Prints MB/s of a container's bytes for each part, the best of three.
#[test]
#[ignore = "measures, asserts nothing"]
fn speed() {
    for (mib, columns) in [(32, 16), (32, 18), (128, 16)] {
        let blob: Vec<u8> = noise((mib << 20) - 4096);
        let mut builder = ContainerBuilder::new();
        builder.add(Namespace([1; 29]), &blob).expect("it fits");
        println!("{mib} MiB, {columns} columns");
        let mb = |seconds: f64| f64::from(u32::try_from(mib << 20).expect("small")) / 1e6 / seconds;
        let started = seconds();
        let container = builder.close().expect("one blob");
        println!("  close        {:7.0} MB/s", mb(seconds() - started));
        let (shape, rows) = (container.shape(), container.rows());
        let mut coded = Vec::new();
        let spent = best(|| coded = parity(rows, shape.width(), core::mem::take(&mut coded)));
        println!("  code         {:7.0} MB/s", mb(spent));
        let mut tree = None;
        let spent = best(|| tree = Some(tree_of_rows(rows, &coded, shape)));
        println!("  hash         {:7.0} MB/s", mb(spent));
        let spent = best(|| {
            let checksum = Checksum::new(&Hash32([1; 32]), shape, columns);
            let originals = checksum.of_rows(rows.chunks_exact(shape.width()));
            let checks = Checks::extend(columns, &originals).expect("columns");
            assert_ne!(checks.tree().root(), Hash32([0; 32]));
        });
        println!("  check        {:7.0} MB/s", mb(spent));
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 3,
        };
        let spent = best(|| {
            let memory = core::mem::take(&mut coded);
            let all = Coded::in_memory(container.clone(), &quorum, columns, memory);
            coded = all.into_memory();
        });
        let copied = best(|| assert_eq!(container.clone().rows().len(), rows.len()));
        println!("  all          {:7.0} MB/s", mb(spent - copied));
        let all = Coded::in_memory(container.clone(), &quorum, columns, coded);
        let mine: Vec<u16> = (0..3072).step_by(100).collect();
        let sliver = all.sliver(&mine);
        // Often, as what a thread has had is counted in milliseconds.
        let spent = best(|| {
            for _ in 0..20 {
                let verifier = Verifier::new(*all.head(), &quorum, columns).expect("columns");
                let checks = all.checks().originals();
                let verifier = verifier.with_checks(checks).expect("checks");
                verifier.sliver(&mine, &sliver).expect("rows");
            }
        });
        println!("  1 % verified {:7.2} ms", spent * 1e3 / 20.0);
        let last: Vec<(u16, &[u8])> = (2048..3072).map(|row| (row, all.row(row))).collect();
        let spent = best(|| assert_eq!(restore(&last, shape.width()).expect("rows"), rows));
        println!("  restore      {:7.0} MB/s", mb(spent));
    }
}

fn best(mut part: impl FnMut()) -> f64 {
    let times = (0..3).map(|_| {
        let started = seconds();
        part();
        seconds() - started
    });
    times.fold(f64::INFINITY, f64::min)
}

/// What this thread has had of a processor.
fn seconds() -> f64 {
    let line = fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanoseconds = line.split(' ').next().expect("the first of three numbers");
    nanoseconds.parse::<f64>().expect("a number") / 1e9
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
