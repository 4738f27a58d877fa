//! What is fuzzed. To add a target, write a file like those below (seeds and a function over
//! bytes), declare it here and list it in [`ALL`]; the tests then run it too.

mod anchor_proof;
mod block;
mod checkpoint;
mod chunk_proof;
mod cipher;
mod da_certificate;
mod da_container;
mod da_proofs;
mod da_rows;
mod evidence;
mod finality;
mod flow_log;
mod folder;
mod footer;
mod frame;
mod http_headers;
mod http_path;
mod kv_sealed;
mod kv_stream;
mod page;
mod peer_message;
mod proof_file;
mod proof_json;
mod record;
mod rollup;
mod rpc;
mod segment;
mod state_node;
mod superblock;
mod transaction;
mod zgs_request;

/// One decoder of foreign bytes.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Feeds it any bytes; panics when it breaks a promise. Refusing them is no finding.
    pub run: fn(&[u8]),
    /// Valid inputs to start from, small.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Recomputes the checksums of a mutated input, so that what lies behind them is reached.
    pub repair: Option<fn(&mut Vec<u8>)>,
    /// How many executions of a cheap target one of this takes as long as: it gets as many fewer of
    /// those that are asked for. At least one.
    pub cost: u64,
}

/// Every target.
pub const ALL: &[Target] = &[
    anchor_proof::TARGET,
    chunk_proof::TARGET,
    proof_file::TARGET,
    proof_json::TARGET,
    da_container::TARGET,
    da_proofs::TARGET,
    da_certificate::TARGET,
    da_rows::TARGET,
    page::TARGET,
    record::TARGET,
    frame::TARGET,
    segment::TARGET,
    footer::TARGET,
    checkpoint::TARGET,
    superblock::TARGET,
    http_path::TARGET,
    http_headers::TARGET,
    finality::TARGET,
    evidence::TARGET,
    flow_log::TARGET,
    transaction::TARGET,
    block::TARGET,
    state_node::TARGET,
    rpc::TARGET,
    folder::TARGET,
    cipher::TARGET,
    kv_sealed::TARGET,
    kv_stream::TARGET,
    peer_message::TARGET,
    zgs_request::TARGET,
    rollup::TARGET,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;
    use crate::run::{Plan, run};

    /// Proves that every target passes its own seeds and two thousand mutations of them.
    #[test]
    fn every_target_runs() {
        for target in ALL {
            assert!(!(target.seeds)().is_empty(), "{} has no seeds", target.name);
            let artifacts = std::env::temp_dir();
            let plan = Plan {
                runs: 2000,
                seed: 7,
                jobs: 1,
                len_max: 16_384,
                artifacts,
            };
            if let Err(finding) = run(target, &plan) {
                panic!(
                    "{}: {} on {:02x?}",
                    target.name, finding.cause, finding.input
                );
            }
        }
    }

    /// Proves that names are distinct, so that each can be asked for.
    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<&str> = ALL.iter().map(|target| target.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
